package moderation

import (
	"github.com/ninefold/ninefold/pipeline"
)

// Policy decides who may see what. It is pure and total: every input, malformed ones included, has exactly one decision, and the same
// one each time. The zero Policy withholds everything.
type Policy struct {
	config Config
	rows   []Row
}

var _ pipeline.Policy = (*Policy)(nil)

// NewPolicy returns the policy that c describes.
func NewPolicy(c Config) (*Policy, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Policy{config: c, rows: table(c)}, nil
}

// Config returns the settings.
func (p *Policy) Config() Config { return p.config }

// Ref names the settings beyond doubt, for manifests and audit records.
func (p *Policy) Ref() pipeline.PolicyRef {
	return pipeline.PolicyRef{Version: p.config.Version, Digest: p.config.Digest()}
}

// ScansAlways reports whether media are screened even where no decision depends on it.
func (p *Policy) ScansAlways() bool { return p.config.Scan == ScanAlways }

// EvenTiming reports whether no message is announced sooner than if it had been screened.
func (p *Policy) EvenTiming() bool { return p.config.Timing != TimingPlain }

// Rows returns a copy of the table, in the order it is asked.
func (p *Policy) Rows() []Row { return append([]Row(nil), p.rows...) }

// The reasons that are no error codes. A rejection's reason is always a pipeline.Code.
const (
	ReasonTeenFilter      = "teen_filter"
	ReasonTeenSuggestive  = "teen_suggestive"
	ReasonScanUnavailable = "scan_unavailable"
	ReasonFilterOff       = "filter_off"
	ReasonRecipientFilter = "recipient_filter"
	ReasonBelowLevel      = "below_level"
	ReasonClear           = "clear"
	ReasonNotClassified   = "not_classified" // voice: row 0, for it is asked between the gates and the rest of the table
	ReasonNoRow           = "no_row"         // the zero Policy: row 0
)

// Gate decides by rows 1 to 4, from ages and contact alone. A group loses the recipients who are not ok; a direct conversation has one.
func (p *Policy) Gate(_ pipeline.ConversationKind, s pipeline.Sender, r pipeline.Recipient) (pipeline.Decision, bool) {
	if len(p.rows) == 0 {
		return pipeline.Decision{Action: pipeline.Reject, Reason: string(pipeline.CodeNotDeliverable)}, false
	}
	in := readCase(pipeline.LevelUnknown, s, r)
	for _, row := range p.rows {
		if row.Gate && row.matches(in) {
			return row.decision(), false
		}
	}
	return pipeline.Decision{}, true
}

// Decide decides for one recipient and one part. It asks the gates too: age and contact may have changed since Gate was asked.
func (p *Policy) Decide(f pipeline.Facts, kind pipeline.Kind, s pipeline.Sender, r pipeline.Recipient) pipeline.Decision {
	d, _ := p.decide(readCase(LevelOf(f), s, r), kind)
	return d
}

// decide returns the decision and the row that made it; the Row is zero where none did.
func (p *Policy) decide(in policyCase, kind pipeline.Kind) (pipeline.Decision, Row) {
	for _, row := range p.rows {
		if !row.Gate && kind == pipeline.KindVoice {
			return pipeline.Decision{Action: pipeline.Deliver, Reason: ReasonNotClassified}, Row{}
		}
		if row.matches(in) {
			return row.decision(), row
		}
	}
	return pipeline.Decision{Action: pipeline.Withhold, Reason: ReasonNoRow}, Row{}
}

// readCase makes every value one that the table knows, the strictest where it is not known.
func readCase(level pipeline.Level, s pipeline.Sender, r pipeline.Recipient) policyCase {
	return policyCase{
		sender: readAge(s.AgeBand), recipient: readAge(r.AgeBand), contact: readContact(r.Contact),
		filter: readFilter(r.NudityFilter), level: level,
	}
}

// readAge counts an unknown age as 16 or 17.
func readAge(a pipeline.AgeBand) pipeline.AgeBand {
	if a == pipeline.Under16 || a == pipeline.Adult {
		return a
	}
	return pipeline.Teen
}

func readContact(c pipeline.Contact) pipeline.Contact {
	if c == pipeline.ContactAccepted || c == pipeline.ContactNew {
		return c
	}
	return pipeline.ContactBlocked
}

func readFilter(f pipeline.NudityFilter) pipeline.NudityFilter {
	if f == pipeline.FilterOff || f == pipeline.FilterBlur {
		return f
	}
	return pipeline.FilterHide
}

// LevelOf reads the level that facts support. Facts that are absent, unavailable, skipped, not needed or hold a score that is no probability
// are unknown; of a look that does not cover all that is delivered only explicit is believed, because what was not looked at cannot make
// it milder.
func LevelOf(f pipeline.Facts) pipeline.Level {
	switch {
	case !f.Looked() || levelRank(f.Level) < 0:
		return pipeline.LevelUnknown
	case f.Complete(), f.Level == pipeline.LevelExplicit:
		return f.Level
	}
	return pipeline.LevelUnknown
}

// levelRank orders the known levels, mildest 0; unknown, which cannot be compared with them, is -1.
func levelRank(l pipeline.Level) int {
	for i, known := range knownLevels() {
		if l == known {
			return i
		}
	}
	return -1
}

func knownLevels() []pipeline.Level {
	return []pipeline.Level{pipeline.LevelClear, pipeline.LevelSuggestive, pipeline.LevelDrawn, pipeline.LevelExplicit}
}
