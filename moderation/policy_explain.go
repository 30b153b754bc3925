package moderation

import (
	"fmt"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// Explanation is a decision with the facts that its row asked for.
type Explanation struct {
	pipeline.Decision
	Why string // "sender adult, recipient unknown (counts as 16_17), level explicit"
}

// Explain decides as Decide does about media of the given level, and says why.
func (p *Policy) Explain(level pipeline.Level, kind pipeline.Kind, s pipeline.Sender, r pipeline.Recipient) Explanation {
	d, row := p.decide(readCase(level, s, r), kind)
	switch {
	case d.Reason == ReasonNotClassified:
		return Explanation{d, "voice notes are not classified, and no gate refuses this one"}
	case row.Number == 0:
		return Explanation{d, "no row matches"}
	}
	return Explanation{d, row.why(level, s, r)}
}

// why lists what the row asked for, as the job said it and, where that differs, as it was read.
func (r Row) why(level pipeline.Level, s pipeline.Sender, rec pipeline.Recipient) string {
	in := readCase(level, s, rec)
	var out []string
	say := func(asked bool, what, said, read string) {
		switch {
		case asked && said == read:
			out = append(out, what+" "+said)
		case asked:
			out = append(out, fmt.Sprintf("%s %q (counts as %s)", what, said, read))
		}
	}
	say(len(r.Sender) > 0, "sender", string(s.AgeBand), string(in.sender))
	say(len(r.Recipient) > 0, "recipient", string(rec.AgeBand), string(in.recipient))
	say(len(r.Contact) > 0, "contact", string(rec.Contact), string(in.contact))
	say(len(r.Filter) > 0, "filter", string(rec.NudityFilter), string(in.filter))
	say(len(r.Level) > 0, "level", string(level), string(in.level))
	if r.Reason == ReasonScanUnavailable {
		out = append(out, "after the scan was tried again until the last attempt")
	}
	return strings.Join(out, ", ")
}
