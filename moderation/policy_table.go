package moderation

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// Row is one rule of the table. An empty list matches everything. 16_17 stands for unknown ages too.
type Row struct {
	Number    int
	Gate      bool // decided before any byte is fetched, for voice notes too
	Sender    []pipeline.AgeBand
	Recipient []pipeline.AgeBand
	Filter    []pipeline.NudityFilter
	Contact   []pipeline.Contact
	Level     []pipeline.Level
	Action    pipeline.Action
	Reason    string
}

// policyCase is what a row is held against. All its values are ones the table knows.
type policyCase struct {
	sender, recipient pipeline.AgeBand
	contact           pipeline.Contact
	filter            pipeline.NudityFilter
	level             pipeline.Level
}

type (
	ages     = []pipeline.AgeBand
	filters  = []pipeline.NudityFilter
	contacts = []pipeline.Contact
	levels   = []pipeline.Level
)

// table is the whole policy. The first row that matches decides; rows 5 to 15 are reached with an accepted contact and nobody under 16.
// Row 9 is withhold only when no attempt is left: until then the run asks for another scan.
func table(c Config) []Row {
	const (
		under16, teen, adult              = pipeline.Under16, pipeline.Teen, pipeline.Adult
		off, blur, hide                   = pipeline.FilterOff, pipeline.FilterBlur, pipeline.FilterHide
		suggestive, drawn, explicit, none = pipeline.LevelSuggestive, pipeline.LevelDrawn, pipeline.LevelExplicit, pipeline.LevelUnknown
	)
	code := func(c pipeline.Code) string { return string(c) }
	return []Row{
		{Number: 1, Gate: true, Sender: ages{under16}, Action: pipeline.Reject, Reason: code(pipeline.CodeSenderUnderAge)},
		{Number: 2, Gate: true, Recipient: ages{under16}, Action: pipeline.Reject, Reason: code(pipeline.CodeRecipientUnderAge)},
		{Number: 3, Gate: true, Contact: contacts{pipeline.ContactBlocked}, Action: pipeline.Reject, Reason: code(pipeline.CodeNotDeliverable)},
		{Number: 4, Gate: true, Contact: contacts{pipeline.ContactNew}, Action: pipeline.Reject, Reason: code(pipeline.CodeMediaFirstContact)},
		{Number: 5, Sender: ages{teen}, Level: levels{explicit}, Action: pipeline.Reject, Reason: code(pipeline.CodeBlockedNudity)},
		{Number: 6, Sender: ages{adult}, Recipient: ages{teen}, Level: levels{explicit}, Action: c.TeenExplicit, Reason: ReasonTeenFilter},
		{Number: 7, Recipient: ages{teen}, Level: levels{drawn}, Action: pipeline.Blur, Reason: ReasonTeenFilter},
		{Number: 8, Recipient: ages{teen}, Level: levels{suggestive}, Action: pipeline.BlurReveal, Reason: ReasonTeenSuggestive},
		{Number: 9, Recipient: ages{teen}, Level: levels{none}, Action: pipeline.Withhold, Reason: ReasonScanUnavailable},
		{Number: 10, Recipient: ages{adult}, Filter: filters{off}, Action: pipeline.Deliver, Reason: ReasonFilterOff},
		{Number: 11, Recipient: ages{adult}, Filter: filters{blur}, Level: levels{explicit, drawn}, Action: pipeline.BlurReveal, Reason: ReasonRecipientFilter},
		{Number: 12, Recipient: ages{adult}, Filter: filters{hide}, Level: levels{explicit, drawn}, Action: pipeline.Withhold, Reason: ReasonRecipientFilter},
		{Number: 13, Recipient: ages{adult}, Filter: filters{blur, hide}, Level: levels{suggestive}, Action: c.AdultSuggestive, Reason: ReasonBelowLevel},
		{Number: 14, Recipient: ages{adult}, Filter: filters{blur, hide}, Level: levels{none}, Action: pipeline.BlurReveal, Reason: ReasonScanUnavailable},
		{Number: 15, Level: levels{pipeline.LevelClear}, Action: pipeline.Deliver, Reason: ReasonClear},
	}
}

func (r Row) matches(in policyCase) bool {
	return among(r.Sender, in.sender) && among(r.Recipient, in.recipient) && among(r.Filter, in.filter) &&
		among(r.Contact, in.contact) && among(r.Level, in.level)
}

func among[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

func (r Row) decision() pipeline.Decision {
	return pipeline.Decision{Action: r.Action, Reason: r.Reason, Row: r.Number}
}

// String says the row in one line, as the console shows it.
func (r Row) String() string {
	return fmt.Sprintf("row %d: sender %s, recipient %s, filter %s, contact %s, level %s: %s (%s)", r.Number,
		list(r.Sender), list(r.Recipient), list(r.Filter), list(r.Contact), list(r.Level), r.Action, r.Reason)
}

func list[T ~string](vs []T) string {
	if len(vs) == 0 {
		return "any"
	}
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = string(v)
	}
	return strings.Join(out, "|")
}
