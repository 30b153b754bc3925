package moderation

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// recorded is the decision of p about one combination, as the audit keeps it.
func recorded(p *Policy, c combination) pipeline.AuditedDecision {
	d := c.decide(p)
	return pipeline.AuditedDecision{
		Kind: c.kind, SenderAge: c.sender, RecipientAge: c.recipient, Contact: c.contact, Filter: c.filter,
		Row: d.Row, Action: d.Action, Reasons: []string{d.Reason},
	}
}

// TestReplaySame: the policy that decided changes nothing.
func TestReplaySame(t *testing.T) {
	for _, config := range allConfigs() {
		p := mustPolicy(t, config)
		r := NewReplay(p)
		everyCase(func(c combination) {
			f := factsAt(c.level)
			r.Add(recorded(p, c), &f)
		})
		if r.Decisions == 0 || r.Changed != 0 || r.Assumed != 0 || len(r.Changes()) != 0 {
			t.Errorf("%+v: %+v", config, r)
		}
	}
}

// TestReplayOther: exactly the decisions of the row that a setting is about change, and are counted by band.
func TestReplayOther(t *testing.T) {
	before := mustPolicy(t, DefaultConfig())
	config := DefaultConfig()
	config.TeenExplicit = pipeline.Blur
	r, want := NewReplay(mustPolicy(t, config)), map[pipeline.AgeBand]int{}
	everyCase(func(c combination) {
		f := factsAt(c.level)
		d := recorded(before, c)
		if d.Row == 6 {
			want[c.recipient]++
		}
		r.Add(d, &f)
	})
	got, all := map[pipeline.AgeBand]int{}, 0
	for _, change := range r.Changes() {
		if change.From != pipeline.Withhold || change.To != pipeline.Blur || change.FromRow != 6 || change.ToRow != 6 {
			t.Errorf("%+v", change)
		}
		got[change.Recipient] += change.Count
		all += change.Count
	}
	if !reflect.DeepEqual(got, want) || all == 0 || r.Changed != all || r.Milder != all || r.Stricter != 0 {
		t.Errorf("by band %v, want %v; %+v", got, want, r)
	}
}

func TestReplayOfAGate(t *testing.T) {
	r := NewReplay(mustPolicy(t, DefaultConfig()))
	r.Add(pipeline.AuditedDecision{
		SenderAge: pipeline.Adult, RecipientAge: pipeline.Adult, Contact: pipeline.ContactNew, Row: 4, Action: pipeline.Reject, Reasons: []string{"media_first_contact"},
	}, nil)
	if r.Changed != 0 || r.Decisions != 1 {
		t.Errorf("%+v", r)
	}
}

// TestReplayNotRendered: what was never rendered stays withheld.
func TestReplayNotRendered(t *testing.T) {
	r, f := NewReplay(mustPolicy(t, DefaultConfig())), factsAt(pipeline.LevelExplicit)
	r.Add(pipeline.AuditedDecision{
		Kind: pipeline.KindVideo, SenderAge: pipeline.Adult, RecipientAge: pipeline.Adult, Contact: pipeline.ContactAccepted, Filter: pipeline.FilterOff,
		Action: pipeline.Withhold, Reasons: []string{pipeline.ReasonNotRendered},
	}, &f)
	if r.Changed != 0 {
		t.Errorf("%+v", r)
	}
}

func TestRelevel(t *testing.T) {
	still := func(explicit, drawn float64) pipeline.Facts { return facts(t, []Frame{at(0, explicit, drawn, 0)}) }
	clip := facts(t, []Frame{at(0, 0.45, 0, 0), at(20_000, 0.5, 0, 0.7), at(40_000, 0.1, 0, 0)}) // two lows too far apart: clear
	pair := facts(t, []Frame{at(0, 0.45, 0, 0), at(1000, 0.5, 0, 0)})                            // explicit by the pair rule
	raised, lowered := PolicyThresholds{Explicit: &Threshold{Low: 0.9, High: 0.95}}, PolicyThresholds{Explicit: &Threshold{Low: 0.2, High: 0.48}}
	kept := PolicyThresholds{Drawn: &Threshold{Low: 0.1, High: 0.2}}
	unwritten := still(0.85, 0)
	unwritten.Model = nil
	partial := still(0.85, 0)
	partial.Status = pipeline.PartScored
	tests := []struct {
		name    string
		facts   pipeline.Facts
		set     PolicyThresholds
		level   pipeline.Level
		assumed bool
	}{
		{"no bounds set", clip, PolicyThresholds{}, pipeline.LevelClear, false},
		{"a still that was explicit", still(0.85, 0), raised, pipeline.LevelClear, false},
		{"a still that was explicit and is drawn now", still(0.85, 0.75), raised, pipeline.LevelDrawn, false},
		{"a still that was clear", still(0.5, 0), lowered, pipeline.LevelExplicit, false},
		{"a still between the new bounds", still(0.47, 0), lowered, pipeline.LevelClear, false},
		{"a clip with a frame over the new bound", clip, lowered, pipeline.LevelExplicit, false},
		{"a clip between new bounds", clip, PolicyThresholds{Explicit: &Threshold{Low: 0.3, High: 0.9}}, pipeline.LevelExplicit, true},
		{"a clip between bounds that stay", clip, kept, pipeline.LevelClear, false},
		{"a pair between bounds that stay", pair, kept, pipeline.LevelExplicit, false},
		{"a pair below the new bounds", pair, raised, pipeline.LevelClear, false},
		{"facts that do not name their bounds", unwritten, raised, pipeline.LevelExplicit, true},
		{"a part of the frames", partial, raised, pipeline.LevelUnknown, false},
		{"nothing known", pipeline.Facts{Status: pipeline.Unavailable, Level: pipeline.LevelUnknown}, raised, pipeline.LevelUnknown, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if level, assumed := Relevel(tt.facts, tt.set); level != tt.level || assumed != tt.assumed {
				t.Errorf("%s, assumed %v; want %s, %v", level, assumed, tt.level, tt.assumed)
			}
		})
	}
}

// facts are those of frames that were all scored, with testThresholds.
func facts(t *testing.T, frames []Frame) pipeline.Facts {
	t.Helper()
	f := Aggregate(frames, input(frames, 0), testThresholds)
	f.Model = &pipeline.ModelRef{ID: "test", Thresholds: testThresholds.String()}
	return f
}

// TestRelevelIsNeverMilder: against a scan of the frames themselves with the new bounds, Relevel is exact or the stricter, and says which.
func TestRelevelIsNeverMilder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	score := func() float64 { return float64(rnd.IntN(21)) / 20 }
	exact := 0
	for range 5000 {
		frames := make([]Frame, 1+rnd.IntN(5))
		for i := range frames {
			frames[i] = at(rnd.Int64N(12_000), score(), score(), score())
		}
		low := 0.05 + 0.9*rnd.Float64()
		set := PolicyThresholds{Explicit: &Threshold{Low: low, High: min(MaxThreshold, low+0.3)}, Drawn: &Threshold{Low: 0.3, High: 0.5}}
		want := Aggregate(frames, input(frames, 0), set.Over(testThresholds)).Level
		got, assumed := Relevel(facts(t, frames), set)
		switch {
		case !assumed && got != want, levelRank(got) < levelRank(want):
			t.Fatalf("%v: %s, assumed %v; a scan says %s", frames, got, assumed, want)
		case got == want:
			exact++
		}
	}
	if exact < 4000 {
		t.Errorf("only %d of 5000 are exact", exact)
	}
}

func TestParseThresholds(t *testing.T) {
	for _, want := range []Thresholds{testThresholds, {Explicit: Threshold{Low: 0.1, High: 1}}, {}} {
		if got, err := ParseThresholds(want.String()); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", want.String(), got, err)
		}
	}
	for _, text := range []string{"explicit", "explicit=0.1", "explicit=a:b", "nude=0.1:0.2", "explicit=0.5:0.1"} {
		if got, err := ParseThresholds(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}
