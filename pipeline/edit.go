package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
)

// MaxBurnedRunes is the longest caption that is burned into pixels, in Unicode code points.
const MaxBurnedRunes = 500

// Op names an edit.
type Op string

// The edits. Coordinates are fractions 0..1 of the picture as it stands when the edit is reached, after EXIF orientation.
const (
	OpCrop    Op = "crop"    // keep the rectangle x, y, w, h
	OpRotate  Op = "rotate"  // clockwise by degrees: 90, 180 or 270
	OpFlip    Op = "flip"    // mirror along direction: horizontal swaps left and right
	OpAdjust  Op = "adjust"  // brightness, contrast, saturation, each -1..1, 0 leaves it
	OpCaption Op = "caption" // burn text into the pixels
	OpTrim    Op = "trim"    // keep start_ms up to end_ms (0 = to the end)
	OpMute    Op = "mute"    // drop a video's sound
	OpPoster  Op = "poster"  // take the poster at at_ms, counted after any trim
)

// The values of Edit.Direction.
const (
	FlipHorizontal = "horizontal"
	FlipVertical   = "vertical"
)

// The values of Edit.Position and Edit.Style.
const (
	CaptionTop     = "top"
	CaptionMiddle  = "middle"
	CaptionBottom  = "bottom"
	CaptionBar     = "bar"     // white text on a translucent black bar across the picture
	CaptionOutline = "outline" // white text with a dark outline
)

// Edit is one step of an item's edits. Only the fields of its Op are read from or written to JSON; any other is an error.
type Edit struct {
	Op Op `json:"op"`

	X float64 `json:"x,omitempty"`
	Y float64 `json:"y,omitempty"`
	W float64 `json:"w,omitempty"`
	H float64 `json:"h,omitempty"`

	Degrees   int    `json:"degrees,omitempty"`
	Direction string `json:"direction,omitempty"`

	Brightness float64 `json:"brightness,omitempty"`
	Contrast   float64 `json:"contrast,omitempty"`
	Saturation float64 `json:"saturation,omitempty"`

	Text     string `json:"text,omitempty"`
	Position string `json:"position,omitempty"`
	Style    string `json:"style,omitempty"`

	StartMS int64 `json:"start_ms,omitempty"`
	EndMS   int64 `json:"end_ms,omitempty"`
	AtMS    int64 `json:"at_ms,omitempty"`
}

// opRule is what one Op takes and where it may stand.
type opRule struct {
	fields []string
	kinds  []Kind
	check  func(Edit) string // what is wrong, or ""
}

// opRules is the visible list of edits. A new edit: a constant above, a row here, a step in transcode's plans.
var opRules = map[Op]opRule{
	OpCrop:    {[]string{"x", "y", "w", "h"}, []Kind{KindPhoto, KindVideo}, checkCrop},
	OpRotate:  {[]string{"degrees"}, []Kind{KindPhoto, KindVideo}, checkRotate},
	OpFlip:    {[]string{"direction"}, []Kind{KindPhoto, KindVideo}, checkFlip},
	OpAdjust:  {[]string{"brightness", "contrast", "saturation"}, []Kind{KindPhoto, KindVideo}, checkAdjust},
	OpCaption: {[]string{"text", "position", "style"}, []Kind{KindPhoto, KindVideo}, checkCaption},
	OpTrim:    {[]string{"start_ms", "end_ms"}, []Kind{KindVideo, KindVoice}, checkTrim},
	OpMute:    {nil, []Kind{KindVideo}, nil},
	OpPoster:  {[]string{"at_ms"}, []Kind{KindVideo}, checkPoster},
}

// allowed reports whether op may be applied to kind; an auto item may carry any edit until it is identified.
func (op Op) allowed(kind Kind) bool {
	return kind == KindAuto || slices.Contains(opRules[op].kinds, kind)
}

// CheckEdits refuses edits that a kind cannot take: what an item is called, and again what an auto item turned out to be.
func CheckEdits(edits []Edit, kind Kind) error {
	for i, e := range edits {
		if !e.Op.allowed(kind) {
			return Refuse(CodeInvalidEdit, "edits[%d]: %q cannot be applied to a %s item; remove it", i, e.Op, kind)
		}
	}
	return nil
}

func (e Edit) validate(at string) error {
	rule, ok := opRules[e.Op]
	if !ok {
		return Refuse(CodeInvalidEdit, "%s.op: unknown edit %q", at, clip(string(e.Op)))
	}
	if rule.check == nil {
		return nil
	}
	if wrong := rule.check(e); wrong != "" {
		return Refuse(CodeInvalidEdit, "%s: %s", at, wrong)
	}
	return nil
}

// cropSlack forgives the last bit of a client's float arithmetic, such as 0.7 + 0.3.
const cropSlack = 1e-6

func checkCrop(e Edit) string {
	if !finite(e.X, e.Y, e.W, e.H) || e.X < 0 || e.Y < 0 || e.W <= 0 || e.H <= 0 || e.X+e.W > 1+cropSlack || e.Y+e.H > 1+cropSlack {
		return "the crop leaves the picture; keep x, y >= 0, w, h > 0, x+w <= 1 and y+h <= 1"
	}
	return ""
}

func checkRotate(e Edit) string {
	if e.Degrees != 90 && e.Degrees != 180 && e.Degrees != 270 {
		return "degrees: want 90, 180 or 270"
	}
	return ""
}

func checkFlip(e Edit) string {
	if e.Direction != FlipHorizontal && e.Direction != FlipVertical {
		return "direction: want horizontal or vertical"
	}
	return ""
}

func checkAdjust(e Edit) string {
	for _, v := range []float64{e.Brightness, e.Contrast, e.Saturation} {
		if !finite(v) || v < -1 || v > 1 {
			return "brightness, contrast and saturation: want -1 to 1"
		}
	}
	return ""
}

func checkCaption(e Edit) string {
	if err := validateText("text", e.Text, MaxBurnedRunes); err != nil {
		return AsError(err).Message
	}
	if e.Text == "" {
		return "text: empty; remove the edit"
	}
	if !slices.Contains([]string{CaptionTop, CaptionMiddle, CaptionBottom}, e.Position) {
		return "position: want top, middle or bottom"
	}
	if e.Style != CaptionBar && e.Style != CaptionOutline {
		return "style: want bar or outline"
	}
	return ""
}

func checkTrim(e Edit) string {
	if e.StartMS < 0 || e.EndMS < 0 || (e.EndMS != 0 && e.EndMS <= e.StartMS) {
		return "trim: want 0 <= start_ms < end_ms (end_ms 0 = to the end)"
	}
	return ""
}

func checkPoster(e Edit) string {
	if e.AtMS < 0 {
		return "at_ms: want 0 or more"
	}
	return ""
}

func finite(vs ...float64) bool {
	for _, v := range vs {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}

// plainEdit is Edit without its methods.
type plainEdit Edit

// UnmarshalJSON reads one edit and refuses a field that its op does not have.
func (e *Edit) UnmarshalJSON(data []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil || fields == nil {
		return Refuse(CodeInvalidJob, "edits: an edit is not a JSON object")
	}
	var p plainEdit
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return Refuse(CodeInvalidJob, "edits: an edit does not fit: %v", explainJSON(err))
	}
	rule, ok := opRules[p.Op]
	if !ok {
		return Refuse(CodeInvalidEdit, "edits: unknown edit %q", clip(string(p.Op)))
	}
	for name, value := range fields {
		if name != "op" && !slices.Contains(rule.fields, name) {
			return Refuse(CodeInvalidJob, "edits: %q has no field %q", p.Op, clip(name))
		}
		if string(value) == "null" {
			return Refuse(CodeInvalidJob, "edits: %q: %s is null; leave it out or give a value", p.Op, name)
		}
	}
	*e = Edit(p)
	return nil
}

// MarshalJSON writes all the fields of the edit's op, zeros included, and no other.
func (e Edit) MarshalJSON() ([]byte, error) {
	rule, ok := opRules[e.Op]
	if !ok {
		return nil, fmt.Errorf("unknown edit %q", e.Op)
	}
	all := e.values()
	out := map[string]any{"op": e.Op}
	for _, f := range rule.fields {
		out[f] = all[f]
	}
	return json.Marshal(out)
}

func (e Edit) values() map[string]any {
	return map[string]any{
		"x": e.X, "y": e.Y, "w": e.W, "h": e.H, "degrees": e.Degrees, "direction": e.Direction,
		"brightness": e.Brightness, "contrast": e.Contrast, "saturation": e.Saturation,
		"text": e.Text, "position": e.Position, "style": e.Style, "start_ms": e.StartMS, "end_ms": e.EndMS, "at_ms": e.AtMS,
	}
}
