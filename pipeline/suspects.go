package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"syscall"
)

// Suspects remembers content that crashed engines, over messages, workers and restarts: one bad file forwarded a thousand times is
// decoded a few times at most.
//
// A content is counted by its digest, and together with what was to be done to it by a digest of both: edits that crash an engine bar no
// file for those who send it without them.
type Suspects interface {
	// Barred reports whether content of this digest has crashed too many engines to be decoded again.
	Barred(ctx context.Context, sha256 string) (bool, error)
	// Crashed notes that an engine has crashed, or had to be ended, over content of this digest.
	Crashed(ctx context.Context, sha256 string, code Code) error
}

// ErrFullMachine marks a decode_timeout of a request that waited for a core: the file may not be to blame.
var ErrFullMachine = errors.New("the machine was full")

func blamesMachine(e *Error) bool { return errors.Is(e, ErrFullMachine) }

// vet refuses content that has crashed engines before. Where nobody knows, the content is decoded: the engine's limits hold.
func (it *itemRun) vet(ctx context.Context) error {
	if it.Suspects == nil {
		return nil
	}
	for _, id := range []string{it.file.SHA256, it.edited()} {
		barred, err := it.Suspects.Barred(ctx, id)
		if barred && err == nil {
			return Refuse(CodeEngineCrashed, "this file has crashed the decoder before; send another version of it")
		}
		if err != nil {
			it.Log.Warn("suspects are not known", slog.String("job_id", it.job.JobID), slog.Any("error", err))
			return nil
		}
	}
	return nil
}

// edited names the content together with its kind and its edits. Without edits it is the content's own name.
func (it *itemRun) edited() string {
	if len(it.item.Edits) == 0 {
		return it.file.SHA256
	}
	id, _ := json.Marshal(struct {
		Source string
		Kind   Kind
		Edits  []Edit
	}{it.file.SHA256, it.item.Kind, it.item.Edits}) // plain data marshals
	sum := sha256.Sum256(id)
	return hex.EncodeToString(sum[:])
}

// suspect notes a crash that this attempt has seen: until there is a plan the edits had no part in it.
func (it *itemRun) suspect(ctx context.Context, e *Error) {
	if it.Suspects == nil || it.file.SHA256 == "" || it.stage == stageVet || (e.Code != CodeEngineCrashed && e.Code != CodeDecodeTimeout) ||
		blamesMachine(e) || it.refusedBefore {
		return
	}
	id := it.file.SHA256
	if it.plan != nil {
		id = it.edited()
	}
	if err := it.Suspects.Crashed(context.WithoutCancel(ctx), id, e.Code); err != nil {
		it.Log.Warn("a crash was not noted", slog.String("job_id", it.job.JobID), slog.Any("error", err))
	}
}

// minScratch is the free space below which an engine's failure is not believed to be the file's fault, bytes.
const minScratch = 8 << 20

// scratchFull explains the failure of an engine whose scratch space has run out: the next attempt finds room, or waits for it.
func (it *itemRun) scratchFull(e *Error) *Error {
	if e.Code.Trouble() || it.file.SHA256 == "" {
		return nil
	}
	if free, known := freeSpace(it.ws.Dir()); !known || free >= minScratch {
		return nil
	}
	return Trouble(CodeInternal, it.stage, fmt.Errorf("scratch: %w; the engine's own answer was: %w", syscall.ENOSPC, e))
}

// freeSpace returns what an unprivileged user may still write below dir, bytes.
func freeSpace(dir string) (free uint64, known bool) {
	var fs syscall.Statfs_t
	err := syscall.Statfs(dir, &fs)
	return fs.Bavail * uint64(fs.Bsize), err == nil
}
