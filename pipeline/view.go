package pipeline

import (
	"errors"
	"slices"
)

// The schema names of the views.
const (
	ViewSchema   = "ninefold.view/1"
	SenderSchema = "ninefold.sender/1"
)

// RecipientView is all that one recipient's client may receive of a message. It names no other recipient, no score and no original.
type RecipientView struct {
	Schema         string     `json:"schema"`
	MessageID      string     `json:"message_id"`
	ConversationID string     `json:"conversation_id"`
	SenderID       string     `json:"sender_id"`
	RecipientID    string     `json:"recipient_id"`
	Caption        string     `json:"caption"`
	Parts          []PartView `json:"parts"` // in the message's order; what was rejected is not among them
}

// PartView is one part as its recipient may see it. What an action lets through:
//
//   - deliver and blur_reveal: everything; for blur_reveal the client shows the class safe until it is asked for more
//   - blur: the kind, the caption and renditions of class safe; their own width and height are all that is said of its size
//   - withhold: the kind and the caption
//
// A caption that is a drawing goes with the full renditions, the message's with those of all its parts.
//
// What describes the picture in words (alt), its size, its length, its sound and its placeholder go with the full renditions.
type PartView struct {
	ItemID  string `json:"item_id"`
	Kind    Kind   `json:"kind"`
	Action  Action `json:"action"`
	Reason  string `json:"reason"` // for the recipient's own client: "hidden by your filter"
	Caption string `json:"caption"`

	Presentation string       `json:"presentation,omitempty"`
	Plays        int          `json:"plays,omitempty"` // of a gif, 0 = for ever
	Alt          string       `json:"alt,omitempty"`
	Width        int          `json:"width,omitempty"`  // pixels as displayed
	Height       int          `json:"height,omitempty"` // pixels as displayed
	DurationMS   int64        `json:"duration_ms,omitempty"`
	Trimmed      bool         `json:"trimmed,omitempty"`
	Silent       bool         `json:"silent,omitempty"`
	HasAudio     *bool        `json:"has_audio,omitempty"`
	Waveform     *Waveform    `json:"waveform,omitempty"`
	Waveforms    *Waveforms   `json:"waveforms,omitempty"`
	Placeholder  *Placeholder `json:"placeholder,omitempty"`
	Renditions   []Rendition  `json:"renditions,omitempty"`
}

// ErrNoRecipient says that a message was not for the person asked about.
var ErrNoRecipient = errors.New("the message has no such recipient")

// ViewFor returns what the recipient's client could receive of a message when it was published. It is nil when that is nothing at all: the
// message was rejected for this recipient, who is not to learn of it. A manifest of a message rejected as a whole names no recipients; the
// view is nil for everybody. An action nobody knows shows nothing. Whoever answers a client asks ViewNow: ages, contacts and filters change.
func ViewFor(m Manifest, recipientID string) (*RecipientView, error) {
	if m.Status == StatusRejected {
		return nil, nil
	}
	i := slices.IndexFunc(m.Deliveries, func(d Delivery) bool { return d.RecipientID == recipientID })
	if i < 0 {
		return nil, ErrNoRecipient
	}
	v := &RecipientView{
		Schema: ViewSchema, MessageID: m.MessageID, ConversationID: m.ConversationID, SenderID: m.SenderID,
		RecipientID: recipientID, Caption: m.Caption,
	}
	for _, p := range m.Parts {
		if pv, ok := p.viewBy(m.Deliveries[i]); ok {
			v.Parts = append(v.Parts, pv)
			v.Caption = shownWith(v.Caption, pv.Action)
		}
	}
	if len(v.Parts) == 0 {
		return nil, nil
	}
	return v, nil
}

// viewBy is p as d lets it be seen; ok is false when nothing of it is sent.
func (p Part) viewBy(d Delivery) (v PartView, ok bool) {
	i := slices.IndexFunc(d.Parts, func(pd PartDelivery) bool { return pd.ItemID == p.ItemID })
	if i < 0 || p.Status != StatusReady {
		return PartView{}, false
	}
	v = PartView{ItemID: p.ItemID, Kind: p.Kind, Action: d.Parts[i].Action}
	v.Caption = shownWith(p.Caption, v.Action)
	if reasons := d.Parts[i].Reasons; len(reasons) > 0 {
		v.Reason = reasons[0]
	}
	switch v.Action {
	case Deliver, BlurReveal:
		p.showIn(&v)
	case Blur:
		v.Renditions = p.safeRenditions()
	case Withhold:
	default:
		return PartView{}, false
	}
	return v, true
}

// showIn adds what shows or describes the media.
func (p Part) showIn(v *PartView) {
	v.Presentation, v.Plays, v.Alt, v.Width, v.Height, v.DurationMS = p.Presentation, p.Plays, p.Alt, p.Width, p.Height, p.DurationMS
	v.Trimmed, v.Silent, v.HasAudio = p.Trimmed, p.Silent, p.HasAudio
	v.Waveform, v.Waveforms, v.Placeholder, v.Renditions = p.Waveform, p.Waveforms, p.Placeholder, p.Renditions
}

func (p Part) safeRenditions() []Rendition {
	return slices.DeleteFunc(slices.Clone(p.Renditions), func(r Rendition) bool { return r.Class != ClassSafe })
}

// SenderView is all that the sender may be told of a message. It depends on the files and on whether everybody got them, and on nothing
// else: withheld, filtered, blocked and otherwise undelivered read alike, byte for byte, and it carries no time.
//
// A product must hold to that, too: it asks Current for the manifest, which is not there before Manifest.NotBefore.
type SenderView struct {
	Schema         string     `json:"schema"`
	MessageID      string     `json:"message_id"`
	ConversationID string     `json:"conversation_id"`
	Items          []ItemView `json:"items"` // empty where the message was refused for a reason of its own: see Error
	Error          *Failure   `json:"error"` // what the sender's side can mend about the message as a whole; null otherwise
}

// ItemView is what the sender may be told of one item.
type ItemView struct {
	ItemID string     `json:"item_id"`
	Status ItemStatus `json:"status"`
	Error  *Failure   `json:"error"` // of a rejected item: what to do about the file; null otherwise
}

// ItemStatus is how an item ended, as far as its sender may know.
type ItemStatus string

// The statuses. An item that somebody did not get is not_delivered for the sender, whoever and why.
const (
	ItemDelivered    ItemStatus = "delivered"
	ItemNotDelivered ItemStatus = "not_delivered"
	ItemRejected     ItemStatus = "rejected"
)

// ViewForSender returns what the sender of a committed message may be told.
func ViewForSender(m Manifest) SenderView {
	v := SenderView{Schema: SenderSchema, MessageID: m.MessageID, ConversationID: m.ConversationID, Items: []ItemView{}}
	undelivered := map[string]bool{}
	for _, n := range m.SenderNotices {
		undelivered[n.ItemID] = undelivered[n.ItemID] || n.Code == NoticeNotDelivered
	}
	if len(m.Parts) == 0 {
		return v.withoutParts(m)
	}
	for _, p := range m.Parts {
		switch {
		case p.Status != StatusReady && p.Error != nil && !p.Error.Code.aboutPeople():
			v.Items = append(v.Items, ItemView{p.ItemID, ItemRejected, p.Error})
		case p.Status != StatusReady || undelivered[p.ItemID]:
			v.Items = append(v.Items, ItemView{ItemID: p.ItemID, Status: ItemNotDelivered})
		default:
			v.Items = append(v.Items, ItemView{ItemID: p.ItemID, Status: ItemDelivered})
		}
	}
	return v
}

// withoutParts is the view of a message that was refused before its media were looked at.
func (v SenderView) withoutParts(m Manifest) SenderView {
	for _, n := range m.SenderNotices {
		if n.ItemID != "" {
			v.Items = append(v.Items, ItemView{ItemID: n.ItemID, Status: ItemNotDelivered})
		}
	}
	if m.Error != nil && !m.Error.Code.aboutPeople() {
		v.Error = m.Error
	}
	return v
}

// aboutPeople reports whether a code says something about a sender or a recipient. Such codes are for the integrator only.
func (c Code) aboutPeople() bool {
	switch c {
	case CodeSenderUnderAge, CodeRecipientUnderAge, CodeMediaFirstContact, CodeNotDeliverable:
		return true
	}
	return false
}
