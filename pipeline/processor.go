package pipeline

import (
	"context"
	"io"
	"time"
)

// File is a source staged in the workspace.
type File struct {
	Path   string // inside the workspace, slash-separated
	Type   Type   // sniffed
	Size   int64  // bytes
	SHA256 string // lower-case hex
	Other  string `json:",omitempty"` // where Type is none: the name of a type that is known and not taken
}

// Plan is a work order that only the Processor that made it understands.
type Plan interface {
	// Digest identifies everything that shapes the output: edits, profile, engine version. Lower-case hex.
	Digest() string
}

// FlexiblePlan is a Plan with work in it that may be left out where time is short.
type FlexiblePlan interface {
	Plan
	// Within returns the plan without the optional work that would not be done within budget, and the names of what was left out.
	Within(m Media, budget time.Duration) (plan Plan, left []string)
}

// Sample is one canonical raster for the classifier: packed 8-bit sRGB, row by row, no padding, in a workspace file.
type Sample struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset"` // bytes into the file
	Width  int    `json:"width"`
	Height int    `json:"height"`
	AtMS   int64  `json:"at_ms"` // place in the delivered video, 0 for a still
}

// Rendered is what one decode of a source gave.
type Rendered struct {
	Part    Part     `json:"part"`    // kind, sizes, durations, waveform, placeholder; renditions with Path set, Key empty
	Samples []Sample `json:"samples"` // empty for voice
	Planned int      `json:"planned"` // samples the plan asked for
}

// Looks returns what r, rendered of f by plan, gives a Moderator to see. Of an animation every frame is among the samples.
func (r *Rendered) Looks(proc Processor, f File, m Media, plan Plan) Looks {
	looks := Looks{Samples: r.Samples, Planned: r.Planned}
	if m.Kind == KindVideo && !m.Animated {
		looks.More = func(ctx context.Context, atMS []int64) ([]Sample, error) { return proc.Look(ctx, f, plan, atMS) }
	}
	return looks
}

// Processors opens a Processor for one message.
type Processors interface {
	// Open returns a Processor whose files live in ws. It must be closed.
	Open(ctx context.Context, ws *Workspace) (Processor, error)
}

// Processor turns the items of one message into renditions. It is safe for concurrent use.
//
//  1. A file that cannot be taken is an *Error with a code that is a result; anything else is our own trouble.
//  2. A call ends when ctx does, with everything it started dead.
//  3. Whatever it writes lies in the workspace it was opened with.
type Processor interface {
	// Identify reads headers only.
	Identify(ctx context.Context, f File) (Media, error)
	// Plan decides, without I/O, what Render will make of media that passed the limits.
	Plan(item Item, m Media) (Plan, error)
	// Render carries out plan, decoding f once. progress is called with 0..100, from one goroutine, and may be nil.
	Render(ctx context.Context, f File, plan Plan, progress func(percent float64)) (*Rendered, error)
	// Look takes frames of a video without rendering it. With no moments it gives the key frames of f as plan would deliver them, at a
	// hundredth of the cost of a Render, and none where Render costs as little. With moments, milliseconds of the delivered video, it
	// gives the frames shown there, after Render. Stills and animations have none.
	Look(ctx context.Context, f File, plan Plan, atMS []int64) ([]Sample, error)
	// Verify probes every rendition again: it plays, it is what it says, it carries no metadata.
	Verify(ctx context.Context, r *Rendered) error
	// Close ends everything that was started for the message.
	Close() error
}

// Looks is what there is to see of one item.
type Looks struct {
	Samples []Sample
	Planned int // samples that were asked for
	// More takes further frames, those shown at the given moments, milliseconds of the delivered video; nil = there are none to be had.
	More func(ctx context.Context, atMS []int64) ([]Sample, error)
}

// Moderator finds out what media show.
type Moderator interface {
	// Screen scores the samples, and where they leave doubt some more. Its own trouble is in Facts.Status as well as in err;
	// the Facts it returns are usable in every case.
	Screen(ctx context.Context, ws *Workspace, looks Looks) (Facts, error)
	// Model names the model that Screen uses.
	Model() ModelRef
}

// Policy decides who may see what. It is pure: no I/O, no clock, no randomness.
type Policy interface {
	// Gate decides from ages and contact alone, before any byte is fetched. ok = the recipient may be served.
	Gate(conv ConversationKind, s Sender, r Recipient) (d Decision, ok bool)
	// Decide decides for one recipient and one ready part of the given kind.
	Decide(f Facts, kind Kind, s Sender, r Recipient) Decision
	// ScansAlways reports whether media are screened even where no decision depends on it.
	ScansAlways() bool
	// SenderNotices says what the sender is told of the deliveries: the same words for every reason.
	SenderNotices(deliveries []Delivery) []Notice
	// Ref names the settings it decides by.
	Ref() PolicyRef
}

// SourceStore is where originals are read from. Originals are never written or deleted by us.
type SourceStore interface {
	// Open returns the object and its size. An absent object is CodeSourceMissing, anything else CodeStorageUnavailable.
	Open(ctx context.Context, key string) (io.ReadCloser, int64, error)
}
