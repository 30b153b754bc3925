package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"slices"
)

// A job that is tried again, because another of its items met trouble or its worker ended, does not decode again what it has refused: the
// refusal is kept in the store, for this job alone. A later message with the same file is decided afresh.

// refusal is what is kept.
type refusal struct {
	Kind    Kind    `json:"kind"`
	Failure Failure `json:"failure"`
}

// decoding are the stages whose refusals cost a decode, or a start of one, and are about the file alone.
var decoding = []string{"identify", "plan", "render"}

// refusalKey names the refusal of this item of this job: by the record's name, so that another profile or engine decides again.
func (it *itemRun) refusalKey() string {
	sum := sha256.Sum256([]byte(it.job.JobID + "\x00" + it.item.ID + "\x00" + it.recordKey()))
	name := hex.EncodeToString(sum[:])
	return "refusals/" + name[:2] + "/" + name + ".json"
}

// recallRefusal answers as an earlier attempt did. A refusal that cannot be read is found again.
func (it *itemRun) recallRefusal(ctx context.Context) error {
	var r refusal
	if it.opts.Refused || it.readJSON(ctx, it.refusalKey(), &r) != nil || r.Failure.Code == "" || r.Failure.Code.Trouble() {
		return nil //nolint:nilerr // it is found again
	}
	it.refusedBefore, it.media.Kind = true, r.Kind
	return &Error{Code: r.Failure.Code, Op: "recall", Message: r.Failure.Message}
}

// keepRefusal notes a refusal for the next attempt. What a full machine was too slow for is tried again.
func (it *itemRun) keepRefusal(ctx context.Context, e *Error) {
	if it.refusedBefore || e.Code.Trouble() || e.Code.aboutPeople() || !slices.Contains(decoding, it.stage) || blamesMachine(e) {
		return
	}
	if err := it.putJSON(context.WithoutCancel(ctx), it.refusalKey(), refusal{it.media.Kind, *e.Failure()}); err != nil {
		it.Log.Warn("a refusal was not kept", slog.String("job_id", it.job.JobID), slog.Any("error", err))
	}
}
