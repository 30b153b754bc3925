package moderation

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// PolicySchema is the schema name every file of policy settings carries.
const PolicySchema = "ninefold.policy/1"

// MaxThreshold is the highest bound a policy may set: with 1 a category would be switched off.
const MaxThreshold = 0.99

// Config is what an operator may choose about the table and about what a score means. Everything else is fixed: no Config that passes
// Validate gives someone of 16 or 17 a way to reveal explicit media, treats unknown better than clear, or opens a gate.
type Config struct {
	Schema string `json:"schema"`
	// Version names this set of settings in audit records: 1 to 64 of A-Z a-z 0-9 . _ -
	Version string `json:"version"`
	// TeenExplicit is row 6, explicit media from an adult to someone of 16 or 17: withhold or blur.
	TeenExplicit pipeline.Action `json:"teen_explicit"`
	// AdultSuggestive is row 13, suggestive media for an adult with a filter: deliver or blur_reveal.
	AdultSuggestive pipeline.Action `json:"adult_suggestive"`
	// Scan is when media are looked at: needed, where some decision about the message depends on what they show, or always.
	Scan Scan `json:"scan"`
	// Timing is when a message is announced: even, no sooner than if it had been screened, whoever receives it, or plain, as soon as it is done.
	Timing Timing `json:"timing"`
	// Thresholds are used in place of the model's own, category by category.
	Thresholds PolicyThresholds `json:"thresholds"`
}

// Scan says when media are looked at.
type Scan string

// The choices. An empty one is ScanNeeded.
const (
	ScanNeeded Scan = "needed" // nobody is looked at whose message is delivered the same at every level
	ScanAlways Scan = "always"
)

// Timing says when a message is announced.
type Timing string

// The choices. An empty one is TimingEven.
const (
	TimingEven  Timing = "even"  // no sooner than if it had been screened, so that no clock tells a sender an age or a filter
	TimingPlain Timing = "plain" // as soon as it is done: for deployments that serve no minors
)

// PolicyThresholds are the bounds that a policy sets; nil = the model's own.
type PolicyThresholds struct {
	Explicit   *Threshold `json:"explicit,omitempty"`
	Drawn      *Threshold `json:"drawn,omitempty"`
	Suggestive *Threshold `json:"suggestive,omitempty"`
}

// DefaultConfig returns the settings the table is written with.
func DefaultConfig() Config {
	return Config{
		Schema: PolicySchema, Version: "default", TeenExplicit: pipeline.Withhold, AdultSuggestive: pipeline.Deliver, Scan: ScanNeeded, Timing: TimingEven,
	}
}

// DecodeConfig reads one set of settings from JSON, strictly: a key nobody knows, or a value of the wrong type, is an error that names it.
// What the document leaves out is as in DefaultConfig, but for schema and version, which it must give. The Config is valid.
func DecodeConfig(data []byte) (Config, error) {
	c := DefaultConfig()
	c.Schema, c.Version = "", ""
	err := pipeline.DecodeStrict(data, &c)
	if err != nil && strings.HasPrefix(err.Error(), "version: ") {
		return Config{}, errors.New("policy: version: want text; put it in quotes")
	}
	if err != nil {
		return Config{}, fmt.Errorf("policy: %w", err)
	}
	return c, c.Validate()
}

var versionPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Validate names every setting that cannot be used, all in one error.
func (c Config) Validate() error {
	var wrong []error
	if c.Schema != PolicySchema {
		wrong = append(wrong, fmt.Errorf("policy: schema: want %q, got %q", PolicySchema, c.Schema))
	}
	if !versionPattern.MatchString(c.Version) {
		wrong = append(wrong, fmt.Errorf("policy: version: want 1 to 64 of A-Z a-z 0-9 . _ -, got %q", c.Version))
	}
	if c.TeenExplicit != pipeline.Withhold && c.TeenExplicit != pipeline.Blur {
		wrong = append(wrong, fmt.Errorf("policy: teen_explicit: want withhold or blur, got %q", c.TeenExplicit))
	}
	if c.AdultSuggestive != pipeline.Deliver && c.AdultSuggestive != pipeline.BlurReveal {
		wrong = append(wrong, fmt.Errorf("policy: adult_suggestive: want deliver or blur_reveal, got %q", c.AdultSuggestive))
	}
	if c.Scan != "" && c.Scan != ScanNeeded && c.Scan != ScanAlways {
		wrong = append(wrong, fmt.Errorf("policy: scan: want needed or always, got %q", c.Scan))
	}
	if c.Timing != "" && c.Timing != TimingEven && c.Timing != TimingPlain {
		wrong = append(wrong, fmt.Errorf("policy: timing: want even or plain, got %q", c.Timing))
	}
	return errors.Join(append(wrong, c.Thresholds.validate())...)
}

func (t PolicyThresholds) validate() error {
	var wrong []error
	for _, c := range t.named() {
		if c.set != nil && (!c.set.valid() || c.set.High > MaxThreshold) {
			wrong = append(wrong, fmt.Errorf("policy: thresholds.%s: want 0 < low <= high <= %v, got %v and %v", c.name, MaxThreshold, c.set.Low, c.set.High))
		}
	}
	return errors.Join(wrong...)
}

// policyBound is one category's bound in a policy.
type policyBound struct {
	name string
	set  *Threshold
	of   func(*Thresholds) *Threshold
}

func (t PolicyThresholds) named() []policyBound {
	return []policyBound{
		{"explicit", t.Explicit, func(to *Thresholds) *Threshold { return &to.Explicit }},
		{"drawn", t.Drawn, func(to *Thresholds) *Threshold { return &to.Drawn }},
		{"suggestive", t.Suggestive, func(to *Thresholds) *Threshold { return &to.Suggestive }},
	}
}

// Over returns the bounds of a model with those of the policy in their place. A category that the model cannot tell stays without.
func (t PolicyThresholds) Over(model Thresholds) Thresholds {
	for _, c := range t.named() {
		if bound := c.of(&model); c.set != nil && bound.valid() {
			*bound = *c.set
		}
	}
	return model
}

// Digest is "sha256:" and the digest of the settings' JSON: the same settings have the same digest, wherever they were read from, and in
// the versions that had no Scan, too. Timing decides nothing about anybody and is not in it.
func (c Config) Digest() string {
	named := struct {
		Config
		Scan   Scan   `json:"scan,omitempty"`
		Timing Timing `json:"timing,omitempty"`
	}{Config: c}
	if c.Scan == ScanAlways {
		named.Scan = c.Scan
	}
	data, _ := json.Marshal(named) // plain data marshals
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}
