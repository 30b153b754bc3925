package transcode

import (
	"math"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// VideoPicture is what happens to every frame, in the order of its fields. Scaling comes as early as it can: everything after it
// costs by the delivered pixel, not by the source's.
type VideoPicture struct {
	SourceWidth  int        `json:"source_width"` // as coded; frames of another size are brought to it
	SourceHeight int        `json:"source_height"`
	Flatten      bool       `json:"flatten,omitempty"`     // put transparency on white
	Deinterlace  bool       `json:"deinterlace,omitempty"` // before anything that moves lines
	FPS          float64    `json:"fps,omitempty"`         // make this constant rate, 0 = keep every frame and its time
	Crop         *Rect      `json:"crop,omitempty"`        // coded pixels
	ScaleWidth   int        `json:"scale_width"`           // still in coded orientation; square pixels from here on
	ScaleHeight  int        `json:"scale_height"`          // still in coded orientation
	Alpha        VideoColor `json:"alpha,omitzero"`        // how the colours of a transparent video are read before Flatten
	Color        VideoColor `json:"color"`                 // to BT.709, 8 bit, limited range
	Mirror       bool       `json:"mirror,omitempty"`      // swap left and right, before Turn
	Turn         int        `json:"turn,omitempty"`        // degrees clockwise: 0, 90, 180, 270
	Steps        []Step     `json:"steps,omitempty"`       // adjust, caption, and whatever follows a caption, in pixels of this stage
	Width        int        `json:"width"`                 // delivered, even
	Height       int        `json:"height"`                // delivered, even
}

// Rect is a rectangle in pixels, even on every side.
type Rect struct {
	X int `json:"x"`
	Y int `json:"y"`
	W int `json:"w"`
	H int `json:"h"`
}

// The values of VideoColor.Method.
const (
	ColorMatrix  = "matrix"  // same primaries, another matrix or range
	ColorGamut   = "gamut"   // wide primaries, ordinary brightness
	ColorTonemap = "tonemap" // PQ or HLG
)

// VideoColor says how the source's colour is to be read. The words are ffmpeg's; what the source left out is filled in.
type VideoColor struct {
	Method    string `json:"method"`
	Matrix    string `json:"matrix"`
	Primaries string `json:"primaries"`
	Transfer  string `json:"transfer"`
	Range     string `json:"range"` // "tv" or "pc"
}

// planPicture folds the source's orientation and every crop, turn and flip before the first caption into one crop, one scale and
// one turn; the rest follows in delivered pixels.
func planPicture(edits []pipeline.Edit, m pipeline.Media, p VideoProfile) VideoPicture {
	early, late := splitAtCaption(edits)
	pic := VideoPicture{Color: planColor(m), Flatten: m.Animated}
	if !m.Animated && alphaDecoder(m.Video) != "" {
		pic.Flatten, pic.Alpha, pic.Color = true, pic.Color, flatColor()
	}
	fold := newFold(m)
	steps, w, h := Geometry(early, m.Width, m.Height)
	fw, fh := m.Width, m.Height
	for _, s := range steps {
		fold, fw, fh = fold.apply(s, fw, fh)
		if s.Op == pipeline.OpAdjust {
			pic.Steps = append(pic.Steps, s)
		}
	}
	_, lastW, lastH := Geometry(late, w, h)
	w, h = scaleBy(w, h, shrink(lastW, lastH, p))
	after, lastW, lastH := Geometry(late, w, h)
	pic.Steps = append(pic.Steps, after...)
	pic.Width, pic.Height = even(lastW), even(lastH)

	pic.SourceWidth, pic.SourceHeight = codedSize(m)
	pic.Mirror, pic.Turn, pic.Crop = fold.mirror, fold.turn, fold.rect(codedSize(m))
	pic.ScaleWidth, pic.ScaleHeight = w, h
	if pic.Turn%180 != 0 {
		pic.ScaleWidth, pic.ScaleHeight = h, w
	}
	pic.Deinterlace = !m.Animated && interlaced(m.Video)
	pic.FPS = planFPS(m, p)
	return pic
}

// splitAtCaption parts the edits before the first caption from the rest: what is drawn can be cut or turned by a later edit only.
func splitAtCaption(edits []pipeline.Edit) (early, late []pipeline.Edit) {
	for i, e := range edits {
		if e.Op == pipeline.OpCaption {
			return edits[:i], edits[i:]
		}
	}
	return edits, nil
}

// shrink is the factor, at most 1, that brings the short edge to ShortEdge and the long edge within what phones decode.
func shrink(w, h int, p VideoProfile) float64 {
	short, long := float64(min(w, h)), float64(max(w, h))
	return min(1, float64(p.ShortEdge)/short, float64(p.RemuxMaxLong)/long)
}

func scaleBy(w, h int, factor float64) (int, int) {
	return even(int(math.Round(float64(w) * factor))), even(int(math.Round(float64(h) * factor)))
}

// even rounds down to what 4:2:0 can hold, and never to nothing.
func even(n int) int { return max(2, n-n%2) }

// codedSize is the frame as the decoder gives it.
func codedSize(m pipeline.Media) (w, h int) {
	if m.Video == nil && newFold(m).turn%180 != 0 {
		return m.Height, m.Width
	}
	if m.Video == nil {
		return m.Width, m.Height
	}
	return m.Video.Width, m.Video.Height
}

func interlaced(v *pipeline.Stream) bool {
	switch v.FieldOrder {
	case "tt", "bb", "tb", "bt":
		return true
	}
	return false
}

// planFPS caps the rate, where it is known and where it is not. An animation becomes a constant rate: MP4 has no other way to say how
// long the last frame stays.
func planFPS(m pipeline.Media, p VideoProfile) float64 {
	if m.Animated || m.Video.FPS == 0 || m.Video.FPS > p.OutFPS*fpsSlack {
		return p.OutFPS
	}
	return 0
}

// fold is a part of the coded frame, in fractions of it, and how that part is turned for display: mirrored first, then turned.
type fold struct {
	mirror         bool
	turn           int
	x0, y0, x1, y1 float64
}

// newFold is the source's own orientation. A display matrix with a negative determinant flips top and bottom before it turns,
// as the angle is read off the image of its x axis; that is a mirror and half a turn.
func newFold(m pipeline.Media) fold {
	f := fold{x1: 1, y1: 1}
	if m.Video == nil {
		for _, s := range unturned(m) {
			f, _, _ = f.apply(s, m.Width, m.Height)
		}
		return f
	}
	f.turn = m.Video.Rotation
	if m.Video.Mirrored {
		f.mirror, f.turn = true, (f.turn+180)%360
	}
	return f
}

// unturned is what is to be done to the frames of an animated PNG, which ffmpeg decodes as they are stored. Those of a WebP come turned.
func unturned(m pipeline.Media) []Step {
	if m.MIME != pipeline.TypeAPNG.MIME || m.Image == nil {
		return nil
	}
	return OrientationSteps(m.Image.Orientation)
}

// apply adds one step to f, on a displayed picture of w × h, and returns the size after it.
func (f fold) apply(s Step, w, h int) (fold, int, int) {
	switch s.Op {
	case pipeline.OpRotate:
		f.turn = (f.turn + s.Degrees) % 360
		if s.Degrees != 180 {
			w, h = h, w
		}
	case pipeline.OpFlip:
		f = f.flip(s.Direction)
	case pipeline.OpCrop:
		fw, fh := float64(w), float64(h)
		f = f.crop(float64(s.X)/fw, float64(s.Y)/fh, float64(s.X+s.W)/fw, float64(s.Y+s.H)/fh)
		w, h = s.W, s.H
	}
	return f, w, h
}

// flip after a turn is a mirror before the opposite turn; a vertical flip is a horizontal one and half a turn.
func (f fold) flip(direction string) fold {
	half := 0
	if direction == pipeline.FlipVertical {
		half = 180
	}
	f.mirror = !f.mirror
	f.turn = (360 - f.turn + half) % 360
	return f
}

// crop cuts a rectangle of the displayed picture, in fractions, out of the coded part.
func (f fold) crop(u0, v0, u1, v1 float64) fold {
	ax, ay := f.coded(u0, v0)
	bx, by := f.coded(u1, v1)
	w, h := f.x1-f.x0, f.y1-f.y0
	f.x0, f.x1 = f.x0+w*min(ax, bx), f.x0+w*max(ax, bx)
	f.y0, f.y1 = f.y0+h*min(ay, by), f.y0+h*max(ay, by)
	return f
}

// coded maps a point of the displayed part to the coded part.
func (f fold) coded(u, v float64) (x, y float64) {
	switch f.turn {
	case 90:
		u, v = v, 1-u
	case 180:
		u, v = 1-u, 1-v
	case 270:
		u, v = 1-v, u
	}
	if f.mirror {
		u = 1 - u
	}
	return u, v
}

// rect is the part in coded pixels, on whole chroma samples; nil = the whole frame.
func (f fold) rect(w, h int) *Rect {
	x0, x1 := evenSpan(f.x0, f.x1, w)
	y0, y1 := evenSpan(f.y0, f.y1, h)
	if x0 == 0 && y0 == 0 && x1 >= w-w%2 && y1 >= h-h%2 {
		return nil
	}
	return &Rect{X: x0, Y: y0, W: x1 - x0, H: y1 - y0}
}

func evenSpan(from, to float64, pixels int) (int, int) {
	most := max(2, pixels-pixels%2)
	a := min(2*int(math.Round(from*float64(pixels)/2)), most-2)
	b := min(2*int(math.Round(to*float64(pixels)/2)), most)
	return a, max(b, a+2)
}

// knownMatrices, knownPrimaries and knownTransfers are the words that ffmpeg's filters take; any other reads as not said.
var (
	knownMatrices  = []string{"bt709", "smpte170m", "bt470bg", "fcc", "smpte240m", "bt2020nc"}
	knownPrimaries = []string{"bt709", "smpte170m", "bt470bg", "bt470m", "smpte240m", "bt2020", "smpte431", "smpte432"}
	knownTransfers = []string{"bt709", "smpte170m", "bt470bg", "bt470m", "smpte240m", "iec61966-2-1", "bt2020-10", "bt2020-12", "smpte2084", "arib-std-b67"}
)

// hdHeight is where players begin to assume BT.709 for a video that does not say.
const hdHeight = 720

func planColor(m pipeline.Media) VideoColor {
	if m.Animated || m.Video == nil {
		return flatColor()
	}
	v := m.Video
	c := VideoColor{Method: ColorMatrix, Matrix: "smpte170m", Primaries: "bt709", Transfer: "bt709", Range: "tv"}
	if min(v.Width, v.Height) >= hdHeight {
		c.Matrix = "bt709"
	}
	if v.HDR() || v.Primaries == "bt2020" {
		c.Matrix, c.Primaries = "bt2020nc", "bt2020"
	}
	c.Matrix = known(v.Matrix, knownMatrices, c.Matrix)
	c.Primaries = known(v.Primaries, knownPrimaries, c.Primaries)
	c.Transfer = known(v.Transfer, knownTransfers, c.Transfer)
	if v.Range == "pc" || strings.HasPrefix(v.PixelFormat, "yuvj") {
		c.Range = "pc"
	}
	switch {
	case v.HDR():
		c.Method = ColorTonemap
	case c.Primaries == "bt2020" || c.Primaries == "smpte431" || c.Primaries == "smpte432":
		c.Method = ColorGamut
	}
	return c
}

// flatColor reads what was put on white: sRGB, as animations are.
func flatColor() VideoColor {
	return VideoColor{Method: ColorMatrix, Matrix: "bt709", Primaries: "bt709", Transfer: "iec61966-2-1", Range: "pc"}
}

func known(word string, words []string, other string) string {
	for _, w := range words {
		if w == word {
			return w
		}
	}
	return other
}
