package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// stage is one step of an item. An error ends the item: a coded result rejects it, trouble has it tried again.
type stage struct {
	name string
	do   func(*itemRun, context.Context) error
}

// Stages that are told from the others by name.
const (
	stageVet    = "vet"    // may refuse what was never decoded
	stageRecall = "recall" // may find that all is done
	stageScreen = "screen" // looks, or not
	stageStore  = "store"
)

// itemStages is the whole life of an item, in order.
func itemStages() []stage {
	return []stage{
		{"check", (*itemRun).check},       // edits that no media could take
		{"fetch", (*itemRun).fetch},       // stream into the workspace: cap, digest
		{stageRecall, (*itemRun).recall},  // done before? then nothing is done again
		{stageVet, (*itemRun).vet},        // has it crashed engines before? then not again
		{"identify", (*itemRun).identify}, // magic bytes, then a header read in the engine
		{"plan", (*itemRun).makePlan},     // limits and edits: pure
		{"glance", (*itemRun).glance},     // key frames, where they may spare the render
		{"render", (*itemRun).render},     // the one decode
		{"verify", (*itemRun).verify},     // every rendition probed again, by an engine that never saw the source
		{stageScreen, (*itemRun).screen},  // the renditions decoded again, and what they show
		{stageStore, (*itemRun).store},    // renditions under their digests, then the record
	}
}

// StageNames returns the stages an item goes through, in order, as Progress names them.
func StageNames() []string {
	var names []string
	for _, s := range itemStages() {
		names = append(names, s.name)
	}
	return names
}

func (it *itemRun) check(context.Context) error { return it.item.ValidateEdits() }

// fetch copies the original into the workspace.
func (it *itemRun) fetch(ctx context.Context) error {
	src, size, err := it.Sources.Open(ctx, it.item.Source.Key)
	if err != nil {
		return err
	}
	defer src.Close()
	it.file, err = StageFile(it.ws, fmt.Sprintf("in/%d", it.index), src, size, it.cfg.MaxBytes.of(it.item.Kind))
	if err == nil && it.original != "" && it.file.SHA256 != it.original {
		return Refuse(CodeSourceChanged, "the file is not the one that was sent; it was uploaded over, or the message's manifest is another one's")
	}
	return err
}

// StageFile copies size bytes of src into the workspace under name, with their digest and type. More than most bytes are
// refused before one moves, and the promised size is held while they do.
func StageFile(ws *Workspace, name string, src io.Reader, size, most int64) (File, error) {
	if size > most {
		return File{}, Refuse(CodeTooLarge, "the file has %d bytes; at most %d, send a smaller one", size, most)
	}
	if size == 0 {
		return File{}, Refuse(CodeCorrupt, "the file is empty; upload it again")
	}
	f, err := ws.Create(name)
	if err != nil {
		return File{}, Trouble(CodeInternal, "scratch", err)
	}
	defer f.Close()
	sum, head := sha256.New(), &headWriter{limit: SniffLen}
	n, err := io.Copy(io.MultiWriter(f, sum, head), io.LimitReader(src, size+1))
	if err != nil {
		return File{}, storageError("fetch", err)
	}
	if n != size {
		return File{}, Trouble(CodeStorageUnavailable, "fetch", fmt.Errorf("the store promised %d bytes and sent %d", size, n))
	}
	staged := File{Path: name, Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}
	var known bool
	if staged.Type, known = Sniff(head.data); !known {
		staged.Other = NameOther(head.data)
	}
	return staged, closeFile(f)
}

func closeFile(f *os.File) error {
	if err := f.Close(); err != nil {
		return Trouble(CodeInternal, "scratch", err)
	}
	return nil
}

// storageError keeps a code that is there already: a failed write to scratch is not the store's fault.
func storageError(op string, err error) error {
	var coded *Error
	var path *os.PathError
	switch {
	case errors.As(err, &coded), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &path):
		return Trouble(CodeInternal, op, err)
	}
	return Trouble(CodeStorageUnavailable, op, err)
}

// headWriter keeps the first bytes of a stream.
type headWriter struct {
	data  []byte
	limit int
}

func (h *headWriter) Write(p []byte) (int, error) {
	h.data = append(h.data, p[:min(len(p), h.limit-len(h.data))]...)
	return len(p), nil
}

func (it *itemRun) identify(ctx context.Context) error {
	if err := it.file.Known(); err != nil {
		return err
	}
	m, err := it.proc.Identify(ctx, it.file)
	if err != nil {
		return err
	}
	if m.Kind != KindVoice && m.Kind != KindPhoto && m.Kind != KindVideo {
		return Trouble(CodeInternal, "identify", fmt.Errorf("the engine answered kind %q", m.Kind))
	}
	it.media = m
	return nil
}

// Known refuses what must not reach a decoder.
func (f File) Known() error {
	if f.Type.MIME != "" {
		return nil
	}
	if f.Other.Name != "" {
		return Refuse(CodeUnsupportedType, "this is %s, which is not taken; send it as %s", f.Other.Name, f.Other.Instead)
	}
	return Refuse(CodeUnsupportedType, "the bytes are of no type that is taken; send JPEG, PNG, GIF, WebP, HEIC, AVIF, MP4, MOV, WebM, "+
		"Ogg, M4A, AAC, MP3, WAV, FLAC, AMR, 3GP or CAF")
}

// makePlan decides what to make, and what to leave out where the job's deadline leaves no time for it.
func (it *itemRun) makePlan(ctx context.Context) (err error) {
	if it.plan, err = it.proc.Plan(it.item, it.media); err != nil {
		return err
	}
	if err := it.work.take(ctx, it.index, it.plan); err != nil {
		return err
	}
	if err := it.spend(ctx); err != nil {
		return err
	}
	it.work.settle(it.index)
	plan, flexible := it.plan.(FlexiblePlan)
	if by := it.job.wantedBy(); flexible && by != nil {
		it.plan, it.degraded = plan.Within(it.media, by.Sub(it.Now()))
	}
	return nil
}

func (it *itemRun) render(ctx context.Context) (err error) {
	begun := it.Now()
	if it.rendered, err = it.proc.Render(ctx, it.file, it.plan, it.report); err == nil {
		it.learnRender(ctx, it.Now().Sub(begun))
	}
	return err
}

func (it *itemRun) refusedToAll() error {
	if it.forNobody {
		return nil
	}
	var reason string
	for _, rec := range it.served {
		d := it.Policy.Decide(it.facts, it.kind(), it.job.Sender, rec)
		if d.Action != Reject {
			return nil
		}
		reason = d.Reason
	}
	return refusedForAll(Code(reason))
}

// refusedForAll rejects an item that nobody may get. Only what depends on the sender alone is told from the rest.
func refusedForAll(reason Code) *Error {
	if reason != CodeBlockedNudity {
		reason = CodeNotDeliverable
	}
	return Refuse(reason, "the item cannot be sent; remove it from the message")
}

// verify records what every rendition consists of, then has all of them probed again: what is stored later is what was probed, by its digest.
func (it *itemRun) verify(ctx context.Context) error {
	for i := range it.rendered.Part.Renditions {
		if err := it.fingerprint(&it.rendered.Part.Renditions[i]); err != nil {
			return err
		}
	}
	return unverified(it.proc.Verify(ctx, it.rendered))
}

// ErrUnverified marks a rendition of ours that the probe after it refuses: an alarm for the operator.
var ErrUnverified = errors.New("a rendition does not verify")

// unverified makes the refusal of a rendition our own trouble: we made it, and no sender could mend it.
func unverified(err error) error {
	var refused *Error
	if !errors.As(err, &refused) || refused.Code != CodeEncodeFailed {
		return err
	}
	return Trouble(CodeInternal, "", fmt.Errorf("%w: %w", ErrUnverified, err))
}

// fingerprint takes a rendition's digest. A size that the engine gave and the file does not have is a rendition that was not written as it said.
func (it *itemRun) fingerprint(r *Rendition) error {
	f, size, err := it.ws.Open(r.Path, maxRenditionBytes)
	if err == nil && r.Size != 0 && r.Size != size {
		err = errors.Join(fmt.Errorf("%d bytes, recorded are %d", size, r.Size), f.Close())
	}
	if err != nil {
		return &Error{Code: CodeEncodeFailed, Message: "a rendition could not be made; send the file again", Err: err}
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return Trouble(CodeInternal, "scratch", err)
	}
	r.Size, r.SHA256 = size, hex.EncodeToString(sum.Sum(nil))
	return nil
}

// store puts every rendition under its own digest, then the record that lists them.
func (it *itemRun) store(ctx context.Context) error {
	part := it.rendered.Part
	part.Status, part.Degraded = StatusReady, it.degraded
	for i := range part.Renditions {
		if err := it.storeRendition(ctx, &part.Renditions[i]); err != nil {
			return err
		}
		it.report(100 * float64(i+1) / float64(len(part.Renditions)))
	}
	facts := it.facts
	part.Moderation = &facts
	if len(part.Degraded) == 0 { // what lacks something must not be handed to a job that has the time
		if err := it.remember(ctx, part); err != nil {
			return err
		}
	}
	it.part = it.describe(part)
	return nil
}

// storeRendition puts the bytes that were verified; the store holds them to their digest.
func (it *itemRun) storeRendition(ctx context.Context, r *Rendition) error {
	f, _, err := it.ws.Open(r.Path, maxRenditionBytes)
	if err != nil {
		return Trouble(CodeInternal, "scratch", err)
	}
	defer f.Close()
	r.Key, r.Path = renditionKey(r.SHA256, r.MIME), ""
	_, err = it.Store.PutNew(ctx, r.Key, f, r.Size, PutOptions{ContentType: r.MIME, SHA256: r.SHA256})
	return err
}

// maxRenditionBytes is the most a rendition may have; the engine's file size limit is the same.
const maxRenditionBytes = 256 << 20

// renditionKey spreads the objects over 256 prefixes.
func renditionKey(sha, mime string) string {
	return "media/" + sha[:2] + "/" + sha + extensions[mime]
}

var extensions = map[string]string{
	"image/jpeg": ".jpg", "image/webp": ".webp", "image/avif": ".avif", "image/png": ".png",
	"video/mp4": ".mp4", "application/json": ".json", "audio/ogg": ".ogg", "audio/mp4": ".m4a",
}
