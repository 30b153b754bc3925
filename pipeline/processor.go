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
	Other  Other  `json:",omitzero"` // where Type is none: a type that is known and not taken
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

// CopyPlan is a Plan that may copy what the source holds.
type CopyPlan interface {
	Plan
	// Recoded returns the plan with everything decoded and encoded anew.
	Recoded() Plan
}

// Sample is one raster for the judge: packed 8-bit sRGB, row by row, no padding, in a workspace file.
type Sample struct {
	Path   string `json:"path"`
	Offset int64  `json:"offset"` // bytes into the file
	Width  int    `json:"width"`
	Height int    `json:"height"`
	AtMS   int64  `json:"at_ms"`           // place in the delivered video, 0 for a still
	Whole  bool   `json:"whole,omitempty"` // the whole is scored and no tile: its tiles are like tiles that are scored
}

// Rendered is what one decode of a source gave.
type Rendered struct {
	Part Part `json:"part"` // kind, sizes, durations, waveform; renditions with Path set, Key empty
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
	// KeyFrames gives the key frames of a video as plan would deliver them, without rendering it, at a hundredth of the cost of a Render; none
	// where Render costs as little. They may say no early. They never say yes: see ReadBack. Stills and animations have none.
	KeyFrames(ctx context.Context, f File, plan Plan) ([]Sample, error)
	// Verify probes every rendition again: it plays, it is what it says, it carries no metadata.
	Verify(ctx context.Context, r *Rendered) error
	// ReadBack decodes delivered files, makes what is shown in their place of them, and takes what a judge must see. Verify and ReadBack
	// are the work of an engine that has never seen a source.
	ReadBack(ctx context.Context, order ReadOrder) (*ReadBack, error)
	// Close ends everything that was started for the message.
	Close() error
}

// ReadOrder says what is read back of an item's delivered files: decoded in full as a client decodes them, by an engine that never saw the
// source. What is judged is what is shown.
type ReadOrder struct {
	Part Part     `json:"part"` // its kind and its renditions: files of the workspace
	Out  string   `json:"out"`  // directory of the workspace for what is written
	Make bool     `json:"make"` // the safe rendition and the placeholder are to be made
	Side int      `json:"side"` // of the judge's square input, pixels; 0 = nobody judges, and nothing is decoded but what Make needs
	Seed [32]byte `json:"seed"` // secret of the deployment for these bytes: which frames are drawn at random
}

// ReadBack is what reading back gave.
type ReadBack struct {
	Safe        []Rendition  `json:"safe,omitempty"` // Path set, Key empty
	Placeholder *Placeholder `json:"placeholder,omitempty"`
	Screen      ScreenInput  `json:"screen"`
	// Ambiguous says that clients show a video differently: a part of a picture is missing, which each decoder fills in its own way, or luma lies
	// beyond its stated range. None of its frames counts as covered.
	Ambiguous bool `json:"ambiguous,omitempty"`
}

// ScreenInput is what there is to score of one item, and how much of what is delivered that stands for.
type ScreenInput struct {
	Samples   []Sample `json:"samples"`    // base rasters, of which every region is scored, or the whole alone
	Frames    int      `json:"frames"`     // delivered, of all files: a still is one
	Scored    int      `json:"scored"`     // of them: among the samples
	Covered   int      `json:"covered"`    // of them: scored, or like a scored one
	ShownMS   int64    `json:"shown_ms"`   // how long all moving frames are shown, 0 for stills
	CoveredMS int64    `json:"covered_ms"` // how long the covered ones are
	LongestMS int64    `json:"longest_ms"` // the longest stretch without a covered frame

	Renditions []string `json:"-"` // digests of the files that were read back, sorted: the worker's to say
}

// Moderator finds out what media show.
type Moderator interface {
	// Screen scores every sample. Its own trouble is in Facts.Status as well as in err; the Facts it returns are usable in every case.
	Screen(ctx context.Context, ws *Workspace, in ScreenInput) (Facts, error)
	// Model names the model that Screen uses.
	Model() ModelRef
	// Side is the side of the model's square input, pixels; 0 = it scores nothing, and nothing needs to be read back for it.
	Side() int
	// Pictures is how many pictures Screen scores of in.
	Pictures(in ScreenInput) int
	// Most is how many pictures Screen would score of a part's files at most, by their sizes and numbers of frames alone.
	Most(p Part) int
}

// Policy decides who may see what. It is pure: no I/O, no clock, no randomness.
type Policy interface {
	// Gate decides from ages and contact alone, before any byte is fetched. ok = the recipient may be served.
	Gate(conv ConversationKind, s Sender, r Recipient) (d Decision, ok bool)
	// Decide decides for one recipient and one ready part of the given kind.
	Decide(f Facts, kind Kind, s Sender, r Recipient) Decision
	// ScansAlways reports whether media are screened even where no decision depends on it.
	ScansAlways() bool
	// EvenTiming reports whether a message is announced no sooner than if it had been screened, whoever receives it.
	EvenTiming() bool
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
