package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// JobSchema is the schema name every job carries.
const JobSchema = "ninefold.job/1"

// Limits of a job, before any byte of media is fetched.
const (
	MaxVisualItems  = 9       // photos and videos in one message
	MaxVoiceItems   = 1       // voice notes in one message
	MaxRecipients   = 1000    // members of the largest group served
	MaxCaptionRunes = 4000    // delivered text, Unicode code points
	MaxAltRunes     = 1500    // description for screen readers, Unicode code points
	MaxEdits        = 32      // edits of one item
	MaxJobBytes     = 1 << 20 // encoded job, bytes
)

// ConversationKind says whether one or many receive.
type ConversationKind string

// The kinds of conversation.
const (
	Direct ConversationKind = "direct"
	Group  ConversationKind = "group"
)

// AgeBand is all that the pipeline knows of a person's age.
type AgeBand string

// The age bands. Unknown counts as Teen.
const (
	Under16    AgeBand = "under_16"
	Teen       AgeBand = "16_17"
	Adult      AgeBand = "adult"
	AgeUnknown AgeBand = "unknown"
)

// Contact is the recipient's relation to the sender.
type Contact string

// The relations.
const (
	ContactNew      Contact = "new"
	ContactAccepted Contact = "accepted"
	ContactBlocked  Contact = "blocked"
)

// NudityFilter is an adult recipient's own choice; a recipient of 16 or 17 is filtered whatever it says.
type NudityFilter string

// The choices.
const (
	FilterOff  NudityFilter = "off"
	FilterBlur NudityFilter = "blur"
	FilterHide NudityFilter = "hide"
)

// Job is one message to process, as the upload API queues it.
type Job struct {
	Schema       string       `json:"schema"`
	JobID        string       `json:"job_id"` // of one message, whoever it is for: see MessageDigest
	MessageID    string       `json:"message_id"`
	Conversation Conversation `json:"conversation"`
	Sender       Sender       `json:"sender"`
	Recipients   []Recipient  `json:"recipients"`
	Caption      string       `json:"caption,omitempty"`
	Items        []Item       `json:"items"`
	Deadline     *time.Time   `json:"deadline,omitempty"`   // wanted by then: optional work that would not be done is left out
	ExpiresAt    *time.Time   `json:"expires_at,omitempty"` // after this moment nothing is published but `expired`
}

// Conversation is where the message belongs.
type Conversation struct {
	ID   string           `json:"id"`
	Kind ConversationKind `json:"kind"`
}

// Sender is who uploaded the media.
type Sender struct {
	ID      string  `json:"id"`
	AgeBand AgeBand `json:"age_band"`
}

// Recipient is one person the message is for.
type Recipient struct {
	ID           string       `json:"id"`
	AgeBand      AgeBand      `json:"age_band"`
	Contact      Contact      `json:"contact"`
	NudityFilter NudityFilter `json:"nudity_filter"`
}

// MessageDigest names what the job says, whoever it is for and by when: its items with their edits and captions, under the ids of message,
// conversation and sender. A job whose audience or deadline has changed is the same message.
func (j Job) MessageDigest() string {
	items := slices.Clone(j.Items)
	for i, it := range items {
		if len(it.Edits) == 0 {
			items[i].Edits = nil
		}
	}
	data, _ := json.Marshal(struct { // plain data marshals
		JobID, MessageID, ConversationID, SenderID, Caption string
		Items                                               []Item
	}{j.JobID, j.MessageID, j.Conversation.ID, j.Sender.ID, j.Caption, items})
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// SameMessage reports whether two jobs say the same; see MessageDigest.
func (j Job) SameMessage(other Job) bool { return j.MessageDigest() == other.MessageDigest() }

// wantedBy is when the job should be done, nil = whenever it is.
func (j Job) wantedBy() *time.Time {
	if j.Deadline == nil || j.ExpiresAt != nil && j.ExpiresAt.Before(*j.Deadline) {
		return j.ExpiresAt
	}
	return j.Deadline
}

// DecodeJob reads exactly one job, strictly: an unknown field, a field twice, a second document or more than MaxJobBytes is invalid_job.
// The job it returns is valid.
func DecodeJob(r io.Reader) (Job, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxJobBytes+1))
	if err != nil {
		return Job{}, Trouble(CodeInternal, "read job", err)
	}
	if len(data) > MaxJobBytes {
		return Job{}, Refuse(CodeInvalidJob, "the job is larger than %d bytes; shorten its captions or recipients", MaxJobBytes)
	}
	var j Job
	if err := DecodeStrict(data, &j); err != nil {
		var coded *Error
		if errors.As(err, &coded) {
			return Job{}, coded
		}
		return Job{}, Refuse(CodeInvalidJob, "the job is not valid %s: %v", JobSchema, err)
	}
	return j, j.Validate()
}

// Validate checks everything that can be checked without the media. It names the field to change.
func (j Job) Validate() error {
	for _, check := range []func() error{j.validateHead, j.validateRecipients, j.validateItems} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (j Job) validateHead() error {
	if j.Schema != JobSchema {
		return Refuse(CodeInvalidJob, "schema: want %q, got %q", JobSchema, clip(j.Schema))
	}
	ids := []struct{ field, id string }{
		{"job_id", j.JobID}, {"message_id", j.MessageID}, {"conversation.id", j.Conversation.ID}, {"sender.id", j.Sender.ID},
	}
	for _, f := range ids {
		if err := validateID(f.field, f.id); err != nil {
			return err
		}
	}
	return errors.Join(
		oneOf("conversation.kind", j.Conversation.Kind, Direct, Group),
		oneOf("sender.age_band", j.Sender.AgeBand, Under16, Teen, Adult, AgeUnknown),
		validateText("caption", j.Caption, MaxCaptionRunes),
	)
}

func (j Job) validateRecipients() error {
	if len(j.Recipients) == 0 || len(j.Recipients) > MaxRecipients {
		return Refuse(CodeInvalidJob, "recipients: want 1 to %d, got %d", MaxRecipients, len(j.Recipients))
	}
	if j.Conversation.Kind == Direct && len(j.Recipients) != 1 {
		return Refuse(CodeInvalidJob, "recipients: a direct conversation has one, got %d; use kind \"group\"", len(j.Recipients))
	}
	seen := make(map[string]bool, len(j.Recipients))
	for i, r := range j.Recipients {
		if err := r.validate(fmt.Sprintf("recipients[%d]", i)); err != nil {
			return err
		}
		if seen[r.ID] {
			return Refuse(CodeInvalidJob, "recipients[%d].id: the same recipient twice", i)
		}
		seen[r.ID] = true
	}
	return nil
}

func (r Recipient) validate(at string) error {
	if err := validateID(at+".id", r.ID); err != nil {
		return err
	}
	return errors.Join(
		oneOf(at+".age_band", r.AgeBand, Under16, Teen, Adult, AgeUnknown),
		oneOf(at+".contact", r.Contact, ContactNew, ContactAccepted, ContactBlocked),
		oneOf(at+".nudity_filter", r.NudityFilter, FilterOff, FilterBlur, FilterHide),
	)
}

func (j Job) validateItems() error {
	if len(j.Items) == 0 {
		return Refuse(CodeInvalidJob, "items: want at least one")
	}
	if err := countItems(j.Items); err != nil {
		return err
	}
	seen := make(map[string]bool, len(j.Items))
	for i, it := range j.Items {
		if err := it.validate(fmt.Sprintf("items[%d]", i)); err != nil {
			return err
		}
		if seen[it.ID] {
			return Refuse(CodeInvalidJob, "items[%d].id: the same id twice", i)
		}
		seen[it.ID] = true
	}
	return nil
}

// countItems holds the limit on what the items claim to be; auto items are counted again once they are identified.
func countItems(items []Item) error {
	voice, visual := 0, 0
	for _, it := range items {
		switch it.Kind {
		case KindVoice:
			voice++
		case KindPhoto, KindVideo:
			visual++
		}
	}
	if voice > MaxVoiceItems || visual > MaxVisualItems || len(items) > MaxVisualItems+MaxVoiceItems {
		return Refuse(CodeTooManyItems, "items: at most %d photos and videos and %d voice note, got %d and %d of %d; split the message",
			MaxVisualItems, MaxVoiceItems, visual, voice, len(items))
	}
	return nil
}

// idPattern keeps ids safe inside store keys, task ids and log lines.
var idPattern = regexp.MustCompile(`^[A-Za-z0-9_:][A-Za-z0-9_:.\-]{0,127}$`)

// ValidID reports whether id may name a job, a message, a conversation or a person.
func ValidID(id string) bool { return idPattern.MatchString(id) }

func validateID(field, id string) error {
	if !idPattern.MatchString(id) {
		return Refuse(CodeInvalidJob, "%s: want 1 to 128 of A-Z a-z 0-9 _ : . - not beginning with . or -, got %q", field, clip(id))
	}
	return nil
}

func validateText(field, s string, maxRunes int) error {
	if !utf8.ValidString(s) {
		return Refuse(CodeInvalidJob, "%s: not valid UTF-8", field)
	}
	if strings.ContainsRune(s, 0) { // databases refuse it, and no text needs it
		return Refuse(CodeInvalidJob, "%s: holds a NUL character; remove it", field)
	}
	if n := utf8.RuneCountInString(s); n > maxRunes {
		return Refuse(CodeInvalidJob, "%s: at most %d characters, got %d", field, maxRunes, n)
	}
	return nil
}

func oneOf[T ~string](field string, got T, want ...T) error {
	for _, w := range want {
		if got == w {
			return nil
		}
	}
	return Refuse(CodeInvalidJob, "%s: want one of %q, got %q", field, want, clip(string(got)))
}

// clip bounds what of a stranger's text a message repeats.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
