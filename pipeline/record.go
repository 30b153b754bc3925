package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxDocument bounds the JSON documents read back from the store, bytes.
const maxDocument = 16 << 20

// recordKey names the record of one processed source. Everything that shapes the part is in it: the bytes, what they are
// called, the edits, the profile and the engine.
func (it *itemRun) recordKey() string {
	id, _ := json.Marshal(struct {
		Source, Profile, Engine string
		Kind                    Kind
		Edits                   []Edit
	}{it.file.SHA256, it.cfg.Profile, it.cfg.Engine, it.item.Kind, it.item.Edits}) // plain data marshals
	sum := sha256.Sum256(id)
	name := hex.EncodeToString(sum[:])
	return "records/" + name[:2] + "/" + name + ".json"
}

// recall ends the item where an earlier attempt, a forward or a resend left a usable record: all its renditions are still stored. What
// its facts lack for this message is found by screening them.
func (it *itemRun) recall(ctx context.Context) error {
	if it.opts.Afresh {
		return nil
	}
	var part Part
	err := it.readJSON(ctx, it.recordKey(), &part)
	if errors.Is(err, ErrNotExist) || errors.Is(err, errDocument) {
		return it.recallRefusal(ctx) // a record that cannot be read is made again
	}
	if err != nil {
		return err
	}
	if !it.usable(ctx, part) {
		return nil
	}
	it.media.Kind = part.Kind
	it.look = it.longestLook(ctx, part)
	if part.Kind != KindVoice {
		it.hush()
	}
	source := it.file
	if ok, err := it.recallFacts(ctx, &part); err != nil || !ok {
		it.media.Kind = ""
		return err
	}
	it.file = source
	if err := it.refusedToAll(); err != nil {
		return err
	}
	facts := it.facts
	part.Moderation = &facts
	it.part, it.recalled, it.done = it.describe(part), true, true
	return nil
}

func (it *itemRun) usable(ctx context.Context, part Part) bool {
	if part.validate() != nil || part.Status != StatusReady || part.Moderation == nil {
		return false
	}
	for _, r := range part.Renditions {
		if o, err := it.Store.Stat(ctx, r.Key); err != nil || o.Size != r.Size {
			return false
		}
	}
	return true
}

// remember writes the record. It says nothing of the job it came from: a forward by someone else may use it.
func (it *itemRun) remember(ctx context.Context, part Part) error {
	return it.putJSON(ctx, it.recordKey(), part)
}

func (p *Pipeline) putJSON(ctx context.Context, key string, v any) error {
	data, opts, err := encode(v)
	if err != nil {
		return Trouble(CodeInternal, "encode", err)
	}
	return p.Store.Put(ctx, key, bytes.NewReader(data), int64(len(data)), opts)
}

func encode(v any) ([]byte, PutOptions, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, PutOptions{}, err
	}
	sum := sha256.Sum256(data)
	return data, PutOptions{ContentType: "application/json", SHA256: hex.EncodeToString(sum[:])}, nil
}

func (p *Pipeline) readJSON(ctx context.Context, key string, v any) error {
	return readJSON(ctx, p.Store, key, v)
}

func readJSON(ctx context.Context, s Store, key string, v any) error {
	r, _, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err != nil {
		return storageError("read", err)
	}
	if len(data) > maxDocument {
		return Trouble(CodeInternal, "read", fmt.Errorf("%w: %s has more than %d bytes", errDocument, key, maxDocument))
	}
	if err := json.Unmarshal(data, v); err != nil {
		return Trouble(CodeInternal, "read", fmt.Errorf("%w: %s: %w", errDocument, key, err))
	}
	return nil
}

// errDocument says that a stored document is not what was written there.
var errDocument = errors.New("a stored document is damaged")
