package moderation

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// Every value a field may hold on the wire, and one it may not.
var (
	allAges     = []pipeline.AgeBand{pipeline.Under16, pipeline.Teen, pipeline.AgeUnknown, "", pipeline.Adult}
	allContacts = []pipeline.Contact{pipeline.ContactAccepted, pipeline.ContactNew, pipeline.ContactBlocked, "friend"}
	allFilters  = []pipeline.NudityFilter{pipeline.FilterOff, pipeline.FilterBlur, pipeline.FilterHide, ""}
	allLevels   = []pipeline.Level{pipeline.LevelClear, pipeline.LevelSuggestive, pipeline.LevelDrawn, pipeline.LevelExplicit, pipeline.LevelUnknown}
	allKinds    = []pipeline.Kind{pipeline.KindVoice, pipeline.KindPhoto, pipeline.KindVideo}
	allConvs    = []pipeline.ConversationKind{pipeline.Direct, pipeline.Group}
)

// severity orders the actions, mildest first, apart from pipeline's own order, which must be the same.
var severity = map[pipeline.Action]int{pipeline.Deliver: 0, pipeline.BlurReveal: 1, pipeline.Blur: 2, pipeline.Withhold: 3, pipeline.Reject: 4}

func TestSeverity(t *testing.T) {
	for action, want := range severity {
		if got := action.Severity(); got != want {
			t.Errorf("%s: %d, want %d", action, got, want)
		}
	}
	if got := pipeline.Action("show").Severity(); got != severity[pipeline.Reject] {
		t.Errorf("an action nobody knows: %d, want that of a rejection", got)
	}
}

func allConfigs() []Config {
	var out []Config
	for _, teen := range []pipeline.Action{pipeline.Withhold, pipeline.Blur} {
		for _, adult := range []pipeline.Action{pipeline.Deliver, pipeline.BlurReveal} {
			out = append(out, Config{Schema: PolicySchema, Version: "test", TeenExplicit: teen, AdultSuggestive: adult})
		}
	}
	return out
}

func mustPolicy(t *testing.T, c Config) *Policy {
	t.Helper()
	p, err := NewPolicy(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// factsAt are facts of a complete scan that came to level.
func factsAt(level pipeline.Level) pipeline.Facts {
	if level == pipeline.LevelUnknown {
		return pipeline.Facts{Status: pipeline.Unavailable, Level: level}
	}
	return pipeline.Facts{Status: pipeline.Scored, Level: level, Scores: &pipeline.Scores{}}
}

// combination is one point of the whole space.
type combination struct {
	config            Config
	conv              pipeline.ConversationKind
	kind              pipeline.Kind
	sender, recipient pipeline.AgeBand
	contact           pipeline.Contact
	filter            pipeline.NudityFilter
	level             pipeline.Level
}

func (c combination) decide(p *Policy) pipeline.Decision {
	return p.Decide(factsAt(c.level), c.kind, pipeline.Sender{ID: "s", AgeBand: c.sender},
		pipeline.Recipient{ID: "r", AgeBand: c.recipient, Contact: c.contact, NudityFilter: c.filter})
}

func (c combination) gate(p *Policy) (pipeline.Decision, bool) {
	return p.Gate(c.conv, pipeline.Sender{AgeBand: c.sender}, pipeline.Recipient{AgeBand: c.recipient, Contact: c.contact, NudityFilter: c.filter})
}

// everywhere calls check for each combination with the policy of its config, and returns how many there were.
func everywhere(t *testing.T, check func(*Policy, combination)) int {
	t.Helper()
	n := 0
	for _, config := range allConfigs() {
		p := mustPolicy(t, config)
		everyCase(func(c combination) {
			n++
			c.config = config
			check(p, c)
		})
	}
	return n
}

func everyCase(visit func(combination)) {
	for _, conv := range allConvs {
		for _, kind := range allKinds {
			for _, sender := range allAges {
				for _, recipient := range allAges {
					for _, contact := range allContacts {
						for _, filter := range allFilters {
							for _, level := range allLevels {
								visit(combination{conv: conv, kind: kind, sender: sender, recipient: recipient, contact: contact, filter: filter, level: level})
							}
						}
					}
				}
			}
		}
	}
}

// want is the policy's table written a second time, as prose conditions, for combinations with the given config.
func (c combination) want() pipeline.Decision {
	young := func(a pipeline.AgeBand) bool { return a == pipeline.Teen || a == pipeline.AgeUnknown || a == "" }
	d := func(row int, a pipeline.Action, reason string) pipeline.Decision {
		return pipeline.Decision{Row: row, Action: a, Reason: reason}
	}
	switch {
	case c.sender == "under_16":
		return d(1, "reject", "sender_under_age")
	case c.recipient == "under_16":
		return d(2, "reject", "recipient_under_age")
	case c.contact == "blocked" || c.contact == "friend":
		return d(3, "reject", "not_deliverable")
	case c.contact == "new":
		return d(4, "reject", "media_first_contact")
	case c.kind == "voice":
		return d(0, "deliver", "not_classified")
	case young(c.sender) && c.level == "explicit":
		return d(5, "reject", "blocked_nudity")
	case young(c.recipient):
		return map[pipeline.Level]pipeline.Decision{
			"explicit": d(6, c.config.TeenExplicit, "teen_filter"), "drawn": d(7, "blur", "teen_filter"),
			"suggestive": d(8, "blur_reveal", "teen_suggestive"), "unknown": d(9, "withhold", "scan_unavailable"), "clear": d(15, "deliver", "clear"),
		}[c.level]
	case c.filter == "off":
		return d(10, "deliver", "filter_off")
	case c.filter == "blur" && (c.level == "explicit" || c.level == "drawn"):
		return d(11, "blur_reveal", "recipient_filter")
	case c.level == "explicit" || c.level == "drawn":
		return d(12, "withhold", "recipient_filter")
	case c.level == "suggestive":
		return d(13, c.config.AdultSuggestive, "below_level")
	case c.level == "unknown":
		return d(14, "blur_reveal", "scan_unavailable")
	}
	return d(15, "deliver", "clear")
}

func TestTable(t *testing.T) {
	rows := map[int]int{}
	n := everywhere(t, func(p *Policy, c combination) {
		got, want := c.decide(p), c.want()
		if got != want {
			t.Errorf("%+v: got %+v, want %+v", c, got, want)
		}
		rows[got.Row]++
		gate, ok := c.gate(p)
		if wantOK := want.Row == 0 || want.Row > 4; ok != wantOK || (!ok && gate != want) || (ok && gate != pipeline.Decision{}) {
			t.Errorf("%+v: gate %+v %v, want %+v", c, gate, ok, want)
		}
	})
	for row := range 16 {
		if rows[row] == 0 {
			t.Errorf("row %d decided nothing", row)
		}
	}
	t.Logf("%d combinations, by row: %v", n, rows)
}

// TestProperties holds what must be true of any table, whatever its rows say.
func TestProperties(t *testing.T) {
	everywhere(t, func(p *Policy, c combination) {
		d := c.decide(p)
		sev, ok := severity[d.Action]
		if !ok || d.Reason == "" {
			t.Fatalf("%+v: %+v is no decision", c, d)
		}
		for _, milder := range c.milder() {
			if m := milder.decide(p); severity[m.Action] > sev {
				t.Errorf("%+v gives %s, yet the milder %+v gives %s", c, d.Action, milder, m.Action)
			}
		}
		if young := c.recipient != pipeline.Adult; young && c.level == pipeline.LevelExplicit && c.kind != pipeline.KindVoice && sev < severity[pipeline.Blur] {
			t.Errorf("%+v: %s shows explicit media to someone under 18", c, d.Action)
		}
		if d.Action == pipeline.Reject && !isCode(d.Reason) {
			t.Errorf("%+v: rejected with %q, which is no code", c, d.Reason)
		}
	})
}

func isCode(reason string) bool {
	for _, c := range pipeline.Codes() {
		if string(c) == reason {
			return true
		}
	}
	return false
}

// milder lists the neighbours of c that must not be treated more severely than c. Levels compare clear < suggestive < drawn < explicit
// and clear < unknown; unknown and the other three do not compare, for a row may blur what is known and withhold what is not. Ages
// compare at one filter, but for hidesMore.
func (c combination) milder() []combination {
	var out []combination
	add := func(change func(*combination)) {
		m := c
		change(&m)
		out = append(out, m)
	}
	level := map[pipeline.Level]pipeline.Level{
		pipeline.LevelSuggestive: pipeline.LevelClear, pipeline.LevelDrawn: pipeline.LevelSuggestive,
		pipeline.LevelExplicit: pipeline.LevelDrawn, pipeline.LevelUnknown: pipeline.LevelClear,
	}
	if l, ok := level[c.level]; ok {
		add(func(m *combination) { m.level = l })
	}
	older := map[pipeline.AgeBand]pipeline.AgeBand{
		pipeline.Under16: pipeline.Teen, pipeline.Teen: pipeline.Adult, pipeline.AgeUnknown: pipeline.Adult, "": pipeline.Adult,
	}
	if a, ok := older[c.sender]; ok {
		add(func(m *combination) { m.sender = a })
	}
	if a, ok := older[c.recipient]; ok && !c.hidesMore() {
		add(func(m *combination) { m.recipient = a })
	}
	filter := map[pipeline.NudityFilter]pipeline.NudityFilter{pipeline.FilterBlur: pipeline.FilterOff, pipeline.FilterHide: pipeline.FilterBlur, "": pipeline.FilterHide}
	if f, ok := filter[c.filter]; ok {
		add(func(m *combination) { m.filter = f })
	}
	if c.contact != pipeline.ContactAccepted {
		add(func(m *combination) { m.contact = pipeline.ContactAccepted })
	}
	return out
}

// hidesMore is the one exception to youth: an adult who hides nudity goes beyond the platform's protection of the young, who see drawn
// media blurred, and explicit ones too where the setting is blur.
func (c combination) hidesMore() bool {
	hides := c.filter != pipeline.FilterOff && c.filter != pipeline.FilterBlur
	return hides && (c.level == pipeline.LevelDrawn || c.level == pipeline.LevelExplicit && c.config.TeenExplicit == pipeline.Blur)
}

// TestAsTeen holds that whatever is not known to be adult is treated exactly as 16_17, on both sides.
func TestAsTeen(t *testing.T) {
	everywhere(t, func(p *Policy, c combination) {
		teen := c
		for _, age := range []*pipeline.AgeBand{&teen.sender, &teen.recipient} {
			if *age == pipeline.AgeUnknown || *age == "" {
				*age = pipeline.Teen
			}
		}
		if got, want := c.decide(p), teen.decide(p); got != want {
			t.Errorf("%+v: %+v, as 16_17 %+v", c, got, want)
		}
	})
}

// TestIndependence holds that neither the other recipients, nor the conversation, nor the order, nor anything but the listed fields
// moves a decision.
func TestIndependence(t *testing.T) {
	p := mustPolicy(t, DefaultConfig())
	first := map[combination]pipeline.Decision{}
	everyCase(func(c combination) { first[c] = c.decide(p) })
	backwards := []combination{}
	everyCase(func(c combination) { backwards = append(backwards, c) })
	for i := len(backwards) - 1; i >= 0; i-- {
		c := backwards[i]
		other := p.Decide(factsAt(c.level), c.kind, pipeline.Sender{ID: "another", AgeBand: c.sender},
			pipeline.Recipient{ID: fmt.Sprint(i), AgeBand: c.recipient, Contact: c.contact, NudityFilter: c.filter})
		if other != first[c] {
			t.Fatalf("%+v: %+v, then %+v", c, first[c], other)
		}
		group := c
		group.conv = pipeline.Group
		if first[group] != first[c] {
			t.Errorf("%+v: the conversation's kind moves the decision", c)
		}
	}
}

// everyPerson is every recipient that a job or a directory could name.
func everyPerson() (all []pipeline.Recipient) {
	for _, age := range allAges {
		for _, contact := range allContacts {
			for _, filter := range allFilters {
				all = append(all, pipeline.Recipient{AgeBand: age, Contact: contact, NudityFilter: filter})
			}
		}
	}
	return all
}

// TestSkippingChangesNoAction walks the whole table: where nothing is screened, every decision is what it would be at every level, word for
// word; where something is, some level matters. A group is screened where one of its recipients needs it.
func TestSkippingChangesNoAction(t *testing.T) {
	skipped, screened := 0, 0
	for _, config := range allConfigs() {
		p := mustPolicy(t, config)
		for _, kind := range allKinds {
			for _, sender := range allAges {
				s := pipeline.Sender{AgeBand: sender}
				needy := pipeline.Recipient{ID: "nobody yet", Contact: pipeline.ContactBlocked}
				for _, r := range everyPerson() {
					needed := pipeline.NeedsScreening(kind, pipeline.Audience{Sender: s, Recipients: []pipeline.Recipient{r}}, p)
					if needed == decidedAlike(p, kind, s, r) {
						t.Fatalf("%s from %q to %+v: screened %v", kind, sender, r, needed)
					}
					if needed {
						screened++
						needy = r
						continue
					}
					skipped++
					group := pipeline.Audience{Sender: s, Recipients: []pipeline.Recipient{r, needy}}
					if got := pipeline.NeedsScreening(kind, group, p); got != (needy.ID == "") {
						t.Fatalf("%s from %q to %+v: screened %v", kind, sender, group.Recipients, got)
					}
				}
			}
		}
		config.Scan = ScanAlways
		nobody := pipeline.Audience{Sender: pipeline.Sender{AgeBand: pipeline.Adult}}
		if p := mustPolicy(t, config); !pipeline.NeedsScreening(pipeline.KindPhoto, nobody, p) || pipeline.NeedsScreening(pipeline.KindVoice, nobody, p) {
			t.Error("scan: always does not screen pictures, or screens voice notes")
		}
	}
	if skipped == 0 || screened == 0 {
		t.Errorf("%d messages skipped, %d screened", skipped, screened)
	}
}

// decidedAlike: the decision without a look is the one at every level.
func decidedAlike(p *Policy, kind pipeline.Kind, s pipeline.Sender, r pipeline.Recipient) bool {
	blind := p.Decide(pipeline.Facts{Status: pipeline.NotNeeded, Level: pipeline.LevelUnknown}, kind, s, r)
	for _, l := range allLevels {
		if p.Decide(factsAt(l), kind, s, r) != blind {
			return false
		}
	}
	return true
}

func TestLevelOf(t *testing.T) {
	good := &pipeline.Scores{Explicit: 0.1}
	bad := func(v float64) *pipeline.Scores { return &pipeline.Scores{Explicit: v} }
	evidence := &pipeline.Evidence{Renditions: []string{strings.Repeat("a", 64)}, Judge: pipeline.JudgeVersion, Frames: 1, Scored: 1}
	covering := func(l pipeline.Level, coverage float64, ms int64, frames int) pipeline.Facts {
		return pipeline.Facts{
			Status: pipeline.Scored, Level: l, Scores: good, Evidence: evidence, Coverage: coverage, UnseenMS: ms, UnseenFrames: frames,
		}
	}
	tests := []struct {
		name  string
		facts pipeline.Facts
		want  pipeline.Level
	}{
		{"nothing at all", pipeline.Facts{}, pipeline.LevelUnknown},
		{"no status", pipeline.Facts{Level: pipeline.LevelClear, Scores: good}, pipeline.LevelUnknown},
		{"an unheard-of status", pipeline.Facts{Status: "fine", Level: pipeline.LevelClear, Scores: good}, pipeline.LevelUnknown},
		{"unavailable", pipeline.Facts{Status: pipeline.Unavailable, Level: pipeline.LevelClear, Scores: good}, pipeline.LevelUnknown},
		{"skipped", pipeline.Facts{Status: pipeline.Skipped, Level: pipeline.LevelClear, Scores: good}, pipeline.LevelUnknown},
		{"no scores", pipeline.Facts{Status: pipeline.Scored, Level: pipeline.LevelClear}, pipeline.LevelUnknown},
		{"no level", pipeline.Facts{Status: pipeline.Scored, Scores: good}, pipeline.LevelUnknown},
		{"an unheard-of level", pipeline.Facts{Status: pipeline.Scored, Level: "safe", Scores: good}, pipeline.LevelUnknown},
		{"NaN", pipeline.Facts{Status: pipeline.Scored, Level: pipeline.LevelClear, Scores: bad(math.NaN())}, pipeline.LevelUnknown},
		{"infinite", pipeline.Facts{Status: pipeline.Scored, Level: pipeline.LevelClear, Scores: bad(math.Inf(1))}, pipeline.LevelUnknown},
		{"minus infinite", pipeline.Facts{Status: pipeline.Scored, Level: pipeline.LevelClear, Scores: bad(math.Inf(-1))}, pipeline.LevelUnknown},
		{"above one", pipeline.Facts{Status: pipeline.Scored, Level: pipeline.LevelClear, Scores: bad(1.01)}, pipeline.LevelUnknown},
		{"below zero", pipeline.Facts{Status: pipeline.Scored, Level: pipeline.LevelClear, Scores: bad(-0.01)}, pipeline.LevelUnknown},
		{"partial and clear", pipeline.Facts{Status: pipeline.PartScored, Level: pipeline.LevelClear, Scores: good}, pipeline.LevelUnknown},
		{"partial and drawn", pipeline.Facts{Status: pipeline.PartScored, Level: pipeline.LevelDrawn, Scores: good}, pipeline.LevelUnknown},
		{"partial and explicit", pipeline.Facts{Status: pipeline.PartScored, Level: pipeline.LevelExplicit, Scores: good}, pipeline.LevelExplicit},
		{"scored", pipeline.Facts{Status: pipeline.Scored, Level: pipeline.LevelSuggestive, Scores: good}, pipeline.LevelSuggestive},
		{"not needed", pipeline.Facts{Status: pipeline.NotNeeded, Level: pipeline.LevelClear, Scores: good}, pipeline.LevelUnknown},
		{"reviewed", pipeline.Facts{Status: pipeline.Reviewed, Level: pipeline.LevelClear, Evidence: evidence}, pipeline.LevelClear},
		{"reviewed, of nothing", pipeline.Facts{Status: pipeline.Reviewed, Level: pipeline.LevelClear}, pipeline.LevelUnknown},
		{"reviewed, to no level", pipeline.Facts{Status: pipeline.Reviewed, Level: "fine", Evidence: evidence}, pipeline.LevelUnknown},
		{"all covered", covering(pipeline.LevelClear, 1, 0, 0), pipeline.LevelClear},
		{"a frame in a thousand unseen", covering(pipeline.LevelClear, 0.999, 0, 0), pipeline.LevelUnknown},
		{"covered, it says, and a frame unseen", covering(pipeline.LevelClear, 1, 0, 1), pipeline.LevelUnknown},
		{"covered, it says, and a moment unseen", covering(pipeline.LevelClear, 1, 1, 0), pipeline.LevelUnknown},
		{"no coverage beside evidence", covering(pipeline.LevelClear, 0, 0, 0), pipeline.LevelUnknown},
		{"coverage that is no number", covering(pipeline.LevelClear, math.NaN(), 0, 0), pipeline.LevelUnknown},
		{"explicit, and more unseen", covering(pipeline.LevelExplicit, 0.5, 900, 20), pipeline.LevelExplicit},
	}
	p := mustPolicy(t, DefaultConfig())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := LevelOf(tt.facts); got != tt.want {
				t.Fatalf("got %s, want %s", got, tt.want)
			}
			d := p.Decide(tt.facts, pipeline.KindPhoto, pipeline.Sender{AgeBand: pipeline.Adult},
				pipeline.Recipient{AgeBand: pipeline.Teen, Contact: pipeline.ContactAccepted})
			if tt.want == pipeline.LevelUnknown && (d.Action != pipeline.Withhold || d.Row != 9) {
				t.Errorf("decided %+v", d)
			}
		})
	}
}

// TestDecideMalformed: a kind nobody knows is no voice note, and a policy that was not made by NewPolicy delivers nothing.
func TestDecideMalformed(t *testing.T) {
	s := pipeline.Sender{AgeBand: pipeline.Adult}
	r := pipeline.Recipient{AgeBand: pipeline.Adult, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterHide}
	for _, kind := range []pipeline.Kind{"", pipeline.KindAuto, "audio"} {
		if d := mustPolicy(t, DefaultConfig()).Decide(factsAt(pipeline.LevelExplicit), kind, s, r); d.Action != pipeline.Withhold {
			t.Errorf("kind %q: %+v", kind, d)
		}
	}
	var zero Policy
	if d := zero.Decide(factsAt(pipeline.LevelClear), pipeline.KindVoice, s, r); d.Action != pipeline.Withhold || d.Reason != ReasonNoRow {
		t.Errorf("the zero policy decided %+v", d)
	}
	if d, ok := zero.Gate(pipeline.Direct, s, r); ok || d.Action != pipeline.Reject {
		t.Errorf("the zero policy let %+v pass", d)
	}
}

func TestRows(t *testing.T) {
	p := mustPolicy(t, DefaultConfig())
	rows := p.Rows()
	if len(rows) != 15 {
		t.Fatalf("%d rows, want 15", len(rows))
	}
	for i, row := range rows {
		if row.Number != i+1 || row.Gate != (row.Number <= 4) || row.Reason == "" {
			t.Errorf("rows[%d]: %+v", i, row)
		}
	}
	if got, want := rows[5].String(), "row 6: sender adult, recipient 16_17, filter any, contact any, level explicit: withhold (teen_filter)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	rows[0].Action = pipeline.Deliver
	if p.Rows()[0].Action != pipeline.Reject {
		t.Error("the copy reaches into the policy")
	}
}

// TestSenderNotices holds that notices cannot be used to ask for an age: someone of 16 or 17 reads like an adult who hides nudity.
func TestSenderNotices(t *testing.T) {
	everywhere(t, func(p *Policy, c combination) {
		if c.recipient == pipeline.Under16 {
			return // refused by the gate, before any media
		}
		hides := c
		hides.recipient, hides.filter = pipeline.Adult, pipeline.FilterHide
		young := c
		young.recipient = pipeline.Teen
		got, want := noticesOf(young.decide(p)), noticesOf(hides.decide(p))
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%+v: %v for 16_17, %v for an adult who hides", c, got, want)
		}
	})
}

func noticesOf(ds ...pipeline.Decision) []pipeline.Notice {
	var out []pipeline.Delivery
	for i, d := range ds {
		out = append(out, pipeline.Delivery{RecipientID: fmt.Sprint("r", i), Parts: []pipeline.PartDelivery{{ItemID: "i1", Action: d.Action, Reasons: []string{d.Reason}}}})
	}
	return new(Policy).SenderNotices(out)
}

func TestSenderNoticesOrder(t *testing.T) {
	part := func(id string, a pipeline.Action, reason string) pipeline.PartDelivery {
		return pipeline.PartDelivery{ItemID: id, Action: a, Reasons: []string{reason}}
	}
	got := new(Policy).SenderNotices([]pipeline.Delivery{
		{RecipientID: "u1", Parts: []pipeline.PartDelivery{part("a", pipeline.Deliver, ReasonClear), part("b", pipeline.Withhold, ReasonTeenFilter), part("c", pipeline.Deliver, ReasonFilterOff)}},
		{RecipientID: "u2", Parts: []pipeline.PartDelivery{part("a", pipeline.Reject, "not_deliverable"), part("b", pipeline.Blur, ReasonTeenFilter), part("c", pipeline.BlurReveal, ReasonRecipientFilter)}},
	})
	want := []pipeline.Notice{{Code: "not_delivered", ItemID: "b"}, {Code: "not_delivered", ItemID: "a"}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if none := new(Policy).SenderNotices(nil); none == nil || len(none) != 0 {
		t.Errorf("no deliveries gave %#v", none)
	}
}
