package moderation

import (
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

func TestConfigValidate(t *testing.T) {
	for _, c := range allConfigs() {
		if err := c.Validate(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	bad := Threshold{Low: 0.5, High: 0.4}
	err := Config{
		Version: "a b", TeenExplicit: pipeline.BlurReveal, AdultSuggestive: pipeline.Withhold,
		Scan: "sometimes", Timing: "odd", Thresholds: PolicyThresholds{Explicit: &bad, Drawn: &Threshold{Low: 0.5, High: 1}, Suggestive: &Threshold{}},
	}.Validate()
	if err == nil {
		t.Fatal("nine wrong settings passed")
	}
	for _, setting := range []string{"schema", "version", "teen_explicit", "adult_suggestive", "scan", "timing", "thresholds.explicit", "thresholds.drawn", "thresholds.suggestive"} {
		if !strings.Contains(err.Error(), "policy: "+setting) {
			t.Errorf("%q does not name %s", err, setting)
		}
	}
	if _, err := NewPolicy(Config{}); err == nil {
		t.Error("a policy was made of no settings")
	}
}

func TestDecodeConfig(t *testing.T) {
	const head = `{"schema": "ninefold.policy/1", "version": "2026-11"`
	tests := []struct {
		name, text string
		names      string // what an error must name; "" = valid
	}{
		{"only what must be there", head + `}`, ""},
		{"everything", head + `, "teen_explicit": "blur", "adult_suggestive": "blur_reveal", "scan": "always", "thresholds": {"explicit": {"low": 0.2, "high": 0.4}}}`, ""},
		{"no schema", `{"version": "1"}`, "schema"},
		{"no version", `{"schema": "ninefold.policy/1"}`, "version"},
		{"a version that is a number", `{"schema": "ninefold.policy/1", "version": 1}`, "version"},
		{"a key nobody knows", head + `, "teen_drawn": "deliver"}`, `"teen_drawn"`},
		{"a key nobody knows, deeper", head + `, "thresholds": {"explicit": {"low": 0.2, "hihg": 0.4}}}`, `"hihg"`},
		{"a reveal of explicit media for 16_17", head + `, "teen_explicit": "blur_reveal"}`, "teen_explicit"},
		{"explicit media delivered to 16_17", head + `, "teen_explicit": "deliver"}`, "teen_explicit"},
		{"a category switched off", head + `, "thresholds": {"explicit": {"low": 1, "high": 1}}}`, "thresholds.explicit"},
		{"a gate opened", head + `, "media_first_contact": "deliver"}`, "media_first_contact"},
		{"two documents", head + `}` + head + `}`, "follows"},
		{"a key twice, in other letters", head + `, "Version": "b"}`, `"Version"`},
		{"nothing", ``, "policy"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := DecodeConfig([]byte(tt.text))
			if (err == nil) != (tt.names == "") || (err != nil && !strings.Contains(err.Error(), tt.names)) {
				t.Errorf("%+v, error %v, want one that names %q", c, err, tt.names)
			}
		})
	}
}

// TestNoConfigWeakens: of all values a setting could be given, only those pass that keep every property of TestProperties.
func TestNoConfigWeakens(t *testing.T) {
	passed := 0
	for teen := range severity {
		for adult := range severity {
			c := Config{Schema: PolicySchema, Version: "x", TeenExplicit: teen, AdultSuggestive: adult}
			if c.Validate() != nil {
				continue
			}
			passed++
			if severity[teen] < severity[pipeline.Blur] {
				t.Errorf("teen_explicit %s passed", teen)
			}
		}
	}
	if passed != len(allConfigs()) {
		t.Errorf("%d settings pass, and TestTable enumerates %d", passed, len(allConfigs()))
	}
}

func TestDigest(t *testing.T) {
	seen := map[string]Config{}
	configs := append(allConfigs(), DefaultConfig())
	for _, high := range []float64{0.5, 0.6} {
		c := DefaultConfig()
		c.Thresholds.Drawn = &Threshold{Low: 0.3, High: high}
		configs = append(configs, c)
	}
	always := DefaultConfig()
	always.Scan = ScanAlways
	configs = append(configs, always)
	for _, c := range configs {
		if other, ok := seen[c.Digest()]; ok {
			t.Errorf("%+v and %+v have one digest", c, other)
		}
		seen[c.Digest()] = c
	}
	plain := DefaultConfig()
	plain.Timing = TimingPlain
	if plain.Digest() != DefaultConfig().Digest() {
		t.Error("when a message is announced changes no decision, and the digest is another")
	}
	for text, even := range map[string]bool{``: true, `, "timing": "even"`: true, `, "timing": "plain"`: false} {
		c, err := DecodeConfig([]byte(`{"schema": "ninefold.policy/1", "version": "x"` + text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		if p, err := NewPolicy(c); err != nil || p.EvenTiming() != even {
			t.Errorf("%q: even %v (%v)", text, !even, err)
		}
	}
	read, err := DecodeConfig([]byte(`{"version": "default", "adult_suggestive": "deliver", "schema": "ninefold.policy/1"}`))
	if err != nil || read.Digest() != DefaultConfig().Digest() {
		t.Errorf("the defaults, read from a file, have digest %s (%v)", read.Digest(), err)
	}
}

func TestThresholdsOver(t *testing.T) {
	set := PolicyThresholds{Explicit: &Threshold{Low: 0.1, High: 0.2}, Suggestive: &Threshold{Low: 0.3, High: 0.4}}
	model := Thresholds{Explicit: Threshold{Low: 0.5, High: 0.6}, Drawn: Threshold{Low: 0.7, High: 0.8}}
	got := set.Over(model)
	want := Thresholds{Explicit: Threshold{Low: 0.1, High: 0.2}, Drawn: Threshold{Low: 0.7, High: 0.8}}
	if got != want {
		t.Errorf("got %+v, want %+v: what the model cannot tell stays without bounds", got, want)
	}
	if got.String() != "explicit=0.1:0.2 drawn=0.7:0.8" {
		t.Errorf("written as %q", got)
	}
}

// TestScreenByPolicy: the policy's bounds decide what a score means, and facts say so.
func TestScreenByPolicy(t *testing.T) {
	ws, samples := samplesOf(t, 140) // 0.55: below the model's bound of 0.8
	s := newScreener(t, &markClassifier{}, func(c *ScreenConfig) {
		c.Thresholds.Explicit = &Threshold{Low: 0.4, High: 0.5}
	})
	got, err := s.Screen(t.Context(), ws, seen(samples, 1))
	if err != nil || got.Level != pipeline.LevelExplicit || !strings.HasPrefix(got.Model.Thresholds, "explicit=0.4:0.5 ") || *got.Model != s.Model() {
		t.Errorf("%+v %v, want explicit by the policy's bounds", got, err)
	}
}

func TestExplain(t *testing.T) {
	p := mustPolicy(t, DefaultConfig())
	everyCase(func(c combination) {
		s := pipeline.Sender{AgeBand: c.sender}
		r := pipeline.Recipient{AgeBand: c.recipient, Contact: c.contact, NudityFilter: c.filter}
		got := p.Explain(c.level, c.kind, s, r)
		if want := c.decide(p); got.Decision != want || got.Why == "" {
			t.Errorf("%+v: %+v, want %+v and why", c, got, want)
		}
	})
	got := p.Explain(pipeline.LevelExplicit, pipeline.KindPhoto, pipeline.Sender{AgeBand: pipeline.Adult},
		pipeline.Recipient{AgeBand: pipeline.AgeUnknown, Contact: pipeline.ContactAccepted})
	if want := `sender adult, recipient "unknown" (counts as 16_17), level explicit`; got.Why != want {
		t.Errorf("why %q, want %q", got.Why, want)
	}
}
