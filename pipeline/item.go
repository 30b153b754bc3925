package pipeline

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Kind is what an item is.
type Kind string

// The kinds. Auto is resolved from the bytes; in a manifest it stands only on a part rejected before that.
const (
	KindVoice Kind = "voice"
	KindPhoto Kind = "photo"
	KindVideo Kind = "video"
	KindAuto  Kind = "auto"
)

// Item is one upload and what is to be done to it.
type Item struct {
	ID      string `json:"id"`
	Kind    Kind   `json:"kind"`
	Source  Source `json:"source"`
	Caption string `json:"caption,omitempty"` // delivered beside the part, never burned into it
	Alt     string `json:"alt,omitempty"`     // description for screen readers
	Edits   []Edit `json:"edits,omitempty"`   // applied in order, in display coordinates
}

// Source names the original in the source store.
type Source struct {
	Key string `json:"key"`
}

func (it Item) validate(at string) error {
	if err := validateID(at+".id", it.ID); err != nil {
		return err
	}
	err := errors.Join(
		oneOf(at+".kind", it.Kind, KindVoice, KindPhoto, KindVideo, KindAuto),
		validateText(at+".caption", it.Caption, MaxCaptionRunes),
		validateText(at+".alt", it.Alt, MaxAltRunes),
	)
	if err != nil {
		return err
	}
	if err := ValidateKey(it.Source.Key); err != nil {
		return Refuse(CodeInvalidJob, "%s.source.key: %v", at, err)
	}
	return nil
}

// ValidateEdits refuses edits that no picture or recording could take. It is apart from the job's own Validate
// because a wrong crop costs its item, not the message.
func (it Item) ValidateEdits() error {
	if len(it.Edits) > MaxEdits {
		return Refuse(CodeInvalidEdit, "edits: at most %d, got %d", MaxEdits, len(it.Edits))
	}
	for i, e := range it.Edits {
		if err := e.validate(fmt.Sprintf("edits[%d]", i)); err != nil {
			return err
		}
	}
	return CheckEdits(it.Edits, it.Kind)
}

// MaxKeyBytes is the longest store key, in bytes: what S3 allows.
const MaxKeyBytes = 1024

// keyPattern is what a store key may hold: no control characters, no backslash, no colon that could read as a scheme.
var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_!'()*+,=@~ .\-/]+$`)

// ValidateKey refuses keys that could leave a store's own space: absolute, empty or dot segments, odd characters.
func ValidateKey(key string) error {
	if len(key) > MaxKeyBytes || !keyPattern.MatchString(key) {
		return fmt.Errorf("want 1 to %d of A-Z a-z 0-9 and _!'()*+,=@~ .-/", MaxKeyBytes)
	}
	for _, seg := range strings.Split(key, "/") {
		if seg == "" || seg == "." || seg == ".." {
			return fmt.Errorf("an empty, . or .. segment is not allowed")
		}
	}
	return nil
}
