package pipeline

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// ManifestSchema is the schema name every manifest carries.
const ManifestSchema = "ninefold.parts/1"

// Status is how a message or a part ended. All are terminal.
type Status string

// The statuses. Partial is for a manifest only: some parts ready, some rejected.
const (
	StatusReady    Status = "ready"
	StatusPartial  Status = "partial"
	StatusRejected Status = "rejected"
)

// Manifest is the result of one job: the message's parts and what each recipient may see of them.
// Putting it into the store commits the job.
type Manifest struct {
	Schema         string    `json:"schema"`
	JobID          string    `json:"job_id"`
	MessageID      string    `json:"message_id"`
	ConversationID string    `json:"conversation_id"`
	SenderID       string    `json:"sender_id"`
	Status         Status    `json:"status"`
	Error          *Failure  `json:"error"`
	CreatedAt      time.Time `json:"created_at"`  // when the worker took the job, UTC
	FinishedAt     time.Time `json:"finished_at"` // UTC
	// NotBefore is when the message may be announced, and shown to anybody, at the earliest; absent where that was at once. A finished_at that
	// is later than the work's end says the same, so that no time in a manifest tells whether media were looked at.
	NotBefore     *time.Time `json:"not_before,omitempty"`
	Pipeline      Version    `json:"pipeline"`
	Revision      *Revision  `json:"revision,omitempty"` // absent of the first manifest
	Caption       string     `json:"caption"`
	Parts         []Part     `json:"parts"`
	Deliveries    []Delivery `json:"deliveries"`
	SenderNotices []Notice   `json:"sender_notices"`
}

// Version says which code, profile and policy made the parts.
type Version struct {
	Version string `json:"version"`
	Profile string `json:"profile"`          // "sha256:…" of the profile's canonical JSON
	Policy  string `json:"policy,omitempty"` // "sha256:…" of the policy's settings
	Audit   string `json:"audit,omitempty"`  // store key of the audit records of these decisions; empty where nothing was decided
}

// Revision says that a manifest stands in the place of an earlier one of the same job.
type Revision struct {
	Number int    `json:"number"` // 2 is the first after the original
	Run    string `json:"run"`    // the reprocessing that made it
}

// Part is one item, ready to deliver or rejected with a code.
type Part struct {
	ItemID       string       `json:"item_id"`
	Index        int          `json:"index"`
	Kind         Kind         `json:"kind"`
	Status       Status       `json:"status"`
	Error        *Failure     `json:"error"`
	Presentation string       `json:"presentation,omitempty"` // video: "video", or "gif" for a silent loop
	Plays        int          `json:"plays,omitempty"`        // gif: how often it is meant to be shown, then its last frame stands; 0 = for ever
	Method       string       `json:"method,omitempty"`       // "transcode" or "remux"; "none" = not rendered, for it is withheld from everybody
	Source       *SourceFacts `json:"source,omitempty"`
	Caption      string       `json:"caption"`
	Alt          string       `json:"alt"`
	Edits        []Edit       `json:"edits"`

	Width            int        `json:"width,omitempty"`       // pixels as displayed, of the default rendition
	Height           int        `json:"height,omitempty"`      // pixels as displayed, of the default rendition
	DurationMS       int64      `json:"duration_ms,omitempty"` // of what is delivered, from decoded samples or frames
	SourceDurationMS int64      `json:"source_duration_ms,omitempty"`
	Trimmed          bool       `json:"trimmed,omitempty"`   // cut to the longest allowed, not by an edit
	Silent           bool       `json:"silent,omitempty"`    // a voice note with nothing to hear
	HasAudio         *bool      `json:"has_audio,omitempty"` // videos only
	Loudness         *Loudness  `json:"loudness,omitempty"`
	Waveform         *Waveform  `json:"waveform,omitempty"`
	Waveforms        *Waveforms `json:"waveforms,omitempty"`

	Placeholder *Placeholder `json:"placeholder,omitempty"`
	Renditions  []Rendition  `json:"renditions,omitempty"`
	Moderation  *Facts       `json:"moderation,omitempty"`
	Warnings    []string     `json:"warnings,omitempty"` // "truncated: …": delivered, but less than was sent
	Degraded    []string     `json:"degraded,omitempty"` // optional work that the job's deadline left no time for: "sprite", "small"
}

// SourceFacts describes the original, which is never delivered.
type SourceFacts struct {
	SHA256 string `json:"sha256"` // lower-case hex
	Size   int64  `json:"size"`   // bytes
	MIME   string `json:"mime"`
}

// Class says who may get a rendition.
type Class string

// The classes: Full shows the media, Safe shows nothing recognisable.
const (
	ClassFull Class = "full"
	ClassSafe Class = "safe"
)

// Rendition is one encoded file.
type Rendition struct {
	Name       string `json:"name"` // display, preview, thumb, grid, blurred, voice, playback, poster, small, sprite
	Class      Class  `json:"class"`
	Key        string `json:"key,omitempty"`  // store key, made of the digest; empty until stored
	Path       string `json:"path,omitempty"` // file inside the workspace; never in a manifest
	MIME       string `json:"mime"`
	Codecs     string `json:"codecs,omitempty"` // RFC 6381
	Size       int64  `json:"size"`             // bytes
	SHA256     string `json:"sha256"`           // lower-case hex
	Width      int    `json:"width,omitempty"`
	Height     int    `json:"height,omitempty"`
	DurationMS int64  `json:"duration_ms,omitempty"`
	Frames     int    `json:"frames,omitempty"`  // of a video
	Bitrate    int64  `json:"bitrate,omitempty"` // bit/s, mean
	Default    bool   `json:"default,omitempty"` // the one that plays everywhere
}

// Placeholder is what a client paints before the first byte of a rendition is there. It shows the picture: withhold it too.
type Placeholder struct {
	Blurhash  string `json:"blurhash"`
	Thumbhash string `json:"thumbhash"` // base64
	Color     string `json:"color"`     // dominant colour, #rrggbb
}

// Loudness is EBU R128, of the source and of what was made from it.
type Loudness struct {
	InputLUFS  *float64 `json:"input_lufs"`   // integrated; null = silence
	OutputLUFS *float64 `json:"output_lufs"`  // integrated, as planned from the measured input; null = silence
	TruePeakDB *float64 `json:"true_peak_db"` // dBTP of what was encoded, which a lossy codec moves by some dB; null = silence
	GainDB     float64  `json:"gain_db"`      // applied
	Capped     bool     `json:"capped,omitempty"`
}

// Waveform is the note's envelope for painting: points bytes, linear in dB from -60 dBFS (0) to 0 dBFS (255).
type Waveform struct {
	Points   int    `json:"points"`
	Encoding string `json:"encoding"` // "u8-base64"
	Data     string `json:"data"`
}

// Waveforms holds the same envelope in the forms other messengers expect.
type Waveforms struct {
	Discord  string `json:"discord"`  // base64 of up to 256 u8
	Matrix   []int  `json:"matrix"`   // MSC3246: 100 values 0..1024
	Telegram string `json:"telegram"` // base64 of 100 × 5 bit, least significant bit first
	WhatsApp string `json:"whatsapp"` // base64 of 64 bytes 0..100
}

// FactsStatus says how much of an item was scanned.
type FactsStatus string

// The statuses. Anything else, nothing at all included, reads as unavailable.
const (
	Scored      FactsStatus = "scored"
	PartScored  FactsStatus = "partial"
	Unavailable FactsStatus = "unavailable"
	Skipped     FactsStatus = "skipped"    // voice notes: not classified
	NotNeeded   FactsStatus = "not_needed" // nobody's decision depended on it, and nothing was looked at
	Reviewed    FactsStatus = "reviewed"   // the level is a person's, who has seen the evidence
)

// Level is what the scores amount to.
type Level string

// The levels, mildest first. Unknown is never milder than clear.
const (
	LevelClear      Level = "clear"
	LevelSuggestive Level = "suggestive"
	LevelDrawn      Level = "drawn"
	LevelExplicit   Level = "explicit"
	LevelUnknown    Level = "unknown"
)

// Facts is what is known of an item's content. It belongs to the bytes, not to a recipient.
type Facts struct {
	Status FactsStatus        `json:"status"`
	Model  *ModelRef          `json:"model,omitempty"`
	Scores *Scores            `json:"scores,omitempty"`
	Raw    map[string]float64 `json:"raw,omitempty"` // the model's own classes, of the worst frame
	Level  Level              `json:"level"`
	Frames *FrameFacts        `json:"frames"`

	Coverage     float64   `json:"coverage,omitempty"`      // of what is delivered, 0..1: the lower of frames and displayed time
	UnseenMS     int64     `json:"unseen_ms,omitempty"`     // displayed time that is like no scored frame
	UnseenFrames int       `json:"unseen_frames,omitempty"` // delivered frames that are like no scored one
	Evidence     *Evidence `json:"evidence,omitempty"`      // absent of facts found before it was kept, which were taken beside the renditions
}

// ModelRef names a model, how it was used, and the bounds its scores were held against, beyond doubt.
type ModelRef struct {
	ID         string `json:"id"`
	SHA256     string `json:"sha256"`
	Usage      string `json:"usage,omitempty"`      // digest of preprocessing, labels and categories, 16 hex digits
	Thresholds string `json:"thresholds,omitempty"` // "explicit=0.3:0.5 …": low and high of each category
}

// Scores are probabilities 0..1 per category; of a video, the highest of any frame.
type Scores struct {
	Explicit   float64 `json:"explicit"`
	Drawn      float64 `json:"drawn"`
	Suggestive float64 `json:"suggestive"`
}

// FrameFacts says how a video was looked at.
type FrameFacts struct {
	Planned         int       `json:"planned"`
	Scored          int       `json:"scored"`
	MaxAtMS         int64     `json:"max_at_ms"`         // where the highest explicit score is
	Segments        []Segment `json:"segments"`          // stretches above the low threshold
	Coverage        float64   `json:"coverage"`          // scored / planned, 0..1
	MinDetectableMS int64     `json:"min_detectable_ms"` // shorter than this may slip between two frames; 0 where all are covered
	Timeline        *Timeline `json:"timeline,omitempty"`
}

// MaxTimeline is how many points a Timeline has at most.
const MaxTimeline = 128

// Timeline is the scores over time, for people to look at: lists of the same length, at most MaxTimeline. Where there were more frames,
// each point is the highest of its neighbours'. Scores are rounded to a thousandth.
type Timeline struct {
	AtMS       []int64   `json:"at_ms"` // ascending
	Explicit   []float64 `json:"explicit"`
	Drawn      []float64 `json:"drawn"`
	Suggestive []float64 `json:"suggestive"`
}

// Segment is a stretch of a video and the worst score in it.
type Segment struct {
	StartMS int64 `json:"start_ms"`
	EndMS   int64 `json:"end_ms"`
	Level   Level `json:"level"`
}

// Action is what happens to one part for one recipient.
type Action string

// The actions, mildest first.
const (
	Deliver    Action = "deliver"
	BlurReveal Action = "blur_reveal" // safe rendition first, the full one on request
	Blur       Action = "blur"        // safe rendition only
	Withhold   Action = "withhold"    // nothing that shows the picture
	Reject     Action = "reject"      // not sent at all
)

// Severity orders the actions, mildest 0. An action nobody knows is as severe as a rejection.
func (a Action) Severity() int {
	switch a {
	case Deliver:
		return 0
	case BlurReveal:
		return 1
	case Blur:
		return 2
	case Withhold:
		return 3
	}
	return 4
}

// Delivery is what one recipient gets.
type Delivery struct {
	RecipientID string         `json:"recipient_id"`
	Parts       []PartDelivery `json:"parts"`
	Notices     []Notice       `json:"notices"`
}

// PartDelivery is the decision for one part.
type PartDelivery struct {
	ItemID  string   `json:"item_id"`
	Action  Action   `json:"action"`
	Reasons []string `json:"reasons"`
}

// Notice is something to tell a person. Codes are few and alike on purpose: a sender must not learn a recipient's age or filter.
type Notice struct {
	Code   string `json:"code"` // "not_delivered", "rejected"
	ItemID string `json:"item_id,omitempty"`
}

// PolicyRef names a policy's settings beyond doubt.
type PolicyRef struct {
	Version string `json:"version"` // the operator's name for them
	Digest  string `json:"digest"`  // "sha256:…"
}

// Decision is one verdict of a policy.
type Decision struct {
	Action Action
	Reason string
	Row    int // of the policy table, for explaining
}

// Validate checks a manifest before it is committed and after it is read back.
func (m Manifest) Validate() error {
	if m.Schema != ManifestSchema {
		return fmt.Errorf("manifest: schema: want %q", ManifestSchema)
	}
	err := errors.Join(validateID("job_id", m.JobID), validateID("message_id", m.MessageID),
		oneOf("status", m.Status, StatusReady, StatusPartial, StatusRejected))
	if err != nil {
		return err
	}
	if m.Revision != nil && (m.Revision.Number < 2 || !ValidID(m.Revision.Run)) {
		return fmt.Errorf("manifest: revision: want a number from 2 on and the id of a run")
	}
	if (m.Status == StatusRejected) != (m.Error != nil) {
		return fmt.Errorf("manifest: error belongs to status rejected and to no other")
	}
	for i, p := range m.Parts {
		if err := p.validate(); err != nil {
			return fmt.Errorf("manifest: parts[%d]: %w", i, err)
		}
	}
	return nil
}

func (p Part) validate() error {
	if p.Status == StatusRejected {
		if p.Error == nil || len(p.Renditions) > 0 || p.Placeholder != nil {
			return fmt.Errorf("a rejected part has an error and nothing that shows it")
		}
		return p.validateFacts()
	}
	if p.Method == MethodNone && p.Status == StatusReady && p.Error == nil && len(p.Renditions) == 0 && p.Placeholder == nil {
		return p.validateFacts()
	}
	if p.Status != StatusReady || p.Error != nil || len(p.Renditions) == 0 {
		return fmt.Errorf("a part is ready with renditions, or rejected with an error")
	}
	for i, r := range p.Renditions {
		if err := r.validate(); err != nil {
			return fmt.Errorf("renditions[%d]: %w", i, err)
		}
	}
	return p.validateFacts()
}

func (p Part) validateFacts() error {
	if p.Moderation == nil {
		return nil
	}
	if err := p.Moderation.validate(); err != nil {
		return fmt.Errorf("moderation: %w", err)
	}
	return nil
}

func (r Rendition) validate() error {
	if r.Path != "" || r.Key == "" || r.Size <= 0 || len(r.SHA256) != 64 || (r.Class != ClassFull && r.Class != ClassSafe) {
		return fmt.Errorf("%s: want key, size, sha256 and class, and no path", r.Name)
	}
	return ValidateKey(r.Key)
}

// Valid reports whether every score is a probability. NaN, infinities and out-of-range values make facts unavailable.
func (s Scores) Valid() bool {
	for _, v := range []float64{s.Explicit, s.Drawn, s.Suggestive} {
		if math.IsNaN(v) || v < 0 || v > 1 {
			return false
		}
	}
	return true
}
