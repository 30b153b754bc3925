package transcode

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ninefold/ninefold/pipeline"
)

// phoneVideo is what a phone sends after another messenger has had it: everything a remux asks for.
func phoneVideo() pipeline.Media {
	return pipeline.Media{
		MIME: "video/mp4", Kind: pipeline.KindVideo, Width: 1280, Height: 720, DurationMS: 10_000, BitRate: 2_000_000, Size: 2_500_000,
		Streams: 2, Format: "mov",
		Video: &pipeline.Stream{
			Index: 0, Codec: "h264", Profile: "High", Level: 31, BitRate: 1_900_000, Width: 1280, Height: 720, PixelFormat: "yuv420p",
			SARNum: 1, SARDen: 1, FPS: 30, Transfer: "bt709", Primaries: "bt709", Matrix: "bt709", Range: "tv", FieldOrder: "progressive",
		},
		Audio: &pipeline.Stream{Index: 1, Codec: "aac", Profile: "LC", BitRate: 96_000, SampleRate: 48_000, Channels: 2},
	}
}

// portraitVideo is the same as a camera wrote it: turned by its display matrix, HEVC, tracks in front.
func portraitVideo() pipeline.Media {
	m := phoneVideo()
	m.Width, m.Height = 1080, 1920
	m.Video = &pipeline.Stream{
		Index: 2, Codec: "hevc", Profile: "Main", Level: 120, BitRate: 8_000_000, Width: 1920, Height: 1080, PixelFormat: "yuv420p",
		SARNum: 1, SARDen: 1, Rotation: 90, FPS: 60, Transfer: "bt709", Primaries: "bt709", Matrix: "bt709", Range: "tv",
	}
	m.Audio = &pipeline.Stream{Index: 5, Codec: "aac", Profile: "LC", SampleRate: 44_100, Channels: 1}
	return m
}

func mustPlanVideo(t *testing.T, m pipeline.Media, edits ...pipeline.Edit) *VideoPlan {
	t.Helper()
	plan, err := NewPlan(pipeline.Item{ID: "i1", Kind: pipeline.KindVideo, Edits: edits}, m, DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	return plan.Video
}

func TestVideoMethod(t *testing.T) {
	if p := mustPlanVideo(t, phoneVideo()); p.Method != MethodRemux {
		t.Fatalf("a compliant file is a %s: %s", p.Method, p.Why)
	}
	poster := pipeline.Edit{Op: pipeline.OpPoster, AtMS: 100}
	if p := mustPlanVideo(t, phoneVideo(), poster); p.Method != MethodRemux {
		t.Fatalf("the choice of a poster made it a %s: %s", p.Method, p.Why)
	}
	for why, change := range map[string]func(*pipeline.Media){
		"codec vp9":    func(m *pipeline.Media) { m.Video.Codec = "vp9" },
		"h264 profile": func(m *pipeline.Media) { m.Video.Profile = "High 10" },
		"h264 level":   func(m *pipeline.Media) { m.Video.Level = 50 },
		"pixel format": func(m *pipeline.Media) { m.Video.Range = "pc" },
		"wide colour":  func(m *pipeline.Media) { m.Video.Transfer = "arib-std-b67" },
		"rotation":     func(m *pipeline.Media) { m.Video.Mirrored = true },
		"pixel aspect": func(m *pipeline.Media) { m.Video.SARNum, m.Video.SARDen = 16, 11 },
		"interlaced":   func(m *pipeline.Media) { m.Video.FieldOrder = "tb" },
		"odd size":     func(m *pipeline.Media) { m.Video.Width, m.Width = 1279, 1279 },
		"size":         func(m *pipeline.Media) { m.Video.Width, m.Width = 1922, 1922 },
		"frame rate":   func(m *pipeline.Media) { m.Video.FPS = 100 },
		"bit rate":     func(m *pipeline.Media) { m.BitRate = 3_300_001 },
		"audio":        func(m *pipeline.Media) { m.Audio.Codec = "opus" },
	} {
		m := phoneVideo()
		change(&m)
		if p := mustPlanVideo(t, m); p.Method != MethodTranscode || p.Why != why {
			t.Errorf("%s: got %s because of %q", why, p.Method, p.Why)
		}
	}
	if p := mustPlanVideo(t, phoneVideo(), pipeline.Edit{Op: pipeline.OpMute}); p.Method != MethodTranscode || p.AudioIndex != -1 {
		t.Errorf("muted: %s with stream %d", p.Method, p.AudioIndex)
	}
	silent := phoneVideo()
	silent.Audio = nil
	if p := mustPlanVideo(t, silent); p.Method != MethodRemux || p.AudioIndex != -1 {
		t.Errorf("without sound: %s with stream %d", p.Method, p.AudioIndex)
	}
}

func TestVideoPlanGolden(t *testing.T) {
	p := mustPlanVideo(t, portraitVideo(),
		pipeline.Edit{Op: pipeline.OpTrim, StartMS: 1000, EndMS: 4000},
		pipeline.Edit{Op: pipeline.OpCrop, X: 0, Y: 0.25, W: 1, H: 0.5},
		pipeline.Edit{Op: pipeline.OpAdjust, Brightness: 0.1},
		pipeline.Edit{Op: pipeline.OpCaption, Text: "hi", Position: pipeline.CaptionTop, Style: pipeline.CaptionBar},
		pipeline.Edit{Op: pipeline.OpFlip, Direction: pipeline.FlipHorizontal},
	)
	poster := p.Poster
	p.Poster = nil
	want := &VideoPlan{
		Presentation: PresentVideo, Method: MethodTranscode, Why: "edits", VideoIndex: 2, AudioIndex: 5,
		Time: VideoTime{StartMS: 1000, LengthMS: 3000, LimitMS: 180_000, ExpectMS: 3000},
		Picture: VideoPicture{
			SourceWidth: 1920, SourceHeight: 1080, FPS: 30, Crop: &Rect{X: 480, Y: 0, W: 960, H: 1080}, ScaleWidth: 720, ScaleHeight: 810, Turn: 90,
			Color: VideoColor{Method: ColorMatrix, Matrix: "bt709", Primaries: "bt709", Transfer: "bt709", Range: "tv"},
			Steps: []Step{
				{Op: pipeline.OpAdjust, Brightness: 0.1},
				{Op: pipeline.OpCaption, Text: "hi", Position: pipeline.CaptionTop, Style: pipeline.CaptionBar},
				{Op: pipeline.OpFlip, Direction: pipeline.FlipHorizontal},
			},
			Width: 810, Height: 720,
		},
		Encode:  VideoEncode{CRF: 23, Preset: "veryfast", MaxRate: 2_500_000, BufferSize: 5_000_000, GOPSeconds: 2, AudioRate: 128_000, Channels: 1},
		Keys:    KeyPlan{Width: 504, Height: 448, Most: 128, Apart: 0.4},
		Posters: PosterTimes{WantedTick: -1, Ticks: []int{0, 21, 45, 71}, Bright: 2},
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
	if poster == nil || poster.SourceWidth != 810 || poster.SourceHeight != 720 {
		t.Errorf("poster plan %+v", poster)
	}
}

// TestVideoRateCap holds the rule that no video grows by much: 1.2 times what the source spent, in bits of H.264.
func TestVideoRateCap(t *testing.T) {
	for _, c := range []struct {
		codec            string
		w, h, rate, want int64
	}{
		{"h264", 1280, 720, 1_000_000, 1_200_000},
		{"h264", 1920, 1080, 1_500_000, 1_800_000},
		{"h264", 1280, 720, 9_000_000, 2_500_000},
		{"h264", 1280, 720, 10_000, minRate},
		{"mpeg4", 1280, 720, 1_000_000, 1_200_000},
		{"vp8", 1280, 720, 1_000_000, 1_200_000},
		{"hevc", 1920, 1080, 311_000, 746_400},
		{"vp9", 1280, 720, 500_000, 1_200_000},
		{"av1", 1920, 1080, 503_000, 1_509_000},
	} {
		m := phoneVideo()
		m.Video.Codec = c.codec
		m.Width, m.Height, m.Video.Width, m.Video.Height, m.Video.BitRate = int(c.w), int(c.h), int(c.w), int(c.h), c.rate
		if e := mustPlanVideo(t, m).Encode; e.MaxRate != c.want || e.BufferSize != 2*c.want {
			t.Errorf("%+v: got %+v", c, e)
		}
	}
}

func TestVideoPlanIsPureJSON(t *testing.T) {
	a, b := mustPlanVideo(t, portraitVideo()), mustPlanVideo(t, portraitVideo())
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("two plans of the same: %s", diff)
	}
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var back VideoPlan
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, &back); diff != "" {
		t.Errorf("after JSON: %s", diff)
	}
}

func TestVideoRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*pipeline.Media)
		edits  []pipeline.Edit
		want   pipeline.Code
	}{
		"codec":           {func(m *pipeline.Media) { m.Video.Codec = "mjpeg" }, nil, pipeline.CodeUnsupportedType},
		"frame rate":      {func(m *pipeline.Media) { m.Video.FPS = 1100 }, nil, pipeline.CodeTooManyPixels},
		"ten hours":       {func(m *pipeline.Media) { m.DurationMS = 36_000_000 }, nil, pipeline.CodeTooLong},
		"16K":             {func(m *pipeline.Media) { m.Video.Width, m.Video.Height = 15360, 8640 }, nil, pipeline.CodeTooManyPixels},
		"no picture":      {func(m *pipeline.Media) { m.Video = nil }, nil, pipeline.CodeNoVideo},
		"trim behind end": {nil, []pipeline.Edit{{Op: pipeline.OpTrim, StartMS: 10_000}}, pipeline.CodeTooShort},
		"poster behind":   {nil, []pipeline.Edit{{Op: pipeline.OpPoster, AtMS: 20_000}}, pipeline.CodeInvalidEdit},
	} {
		m := phoneVideo()
		if c.change != nil {
			c.change(&m)
		}
		_, err := NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindVideo, Edits: c.edits}, m, DefaultProfile())
		if pipeline.AsError(err).Code != c.want {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func TestVideoTime(t *testing.T) {
	trim := func(start, end int64) pipeline.Edit {
		return pipeline.Edit{Op: pipeline.OpTrim, StartMS: start, EndMS: end}
	}
	for _, c := range []struct {
		source                int64
		edits                 []pipeline.Edit
		start, length, expect int64
	}{
		{10_000, nil, 0, 0, 10_000},
		{10_000, []pipeline.Edit{trim(2000, 0)}, 2000, 0, 8000},
		{10_000, []pipeline.Edit{trim(2000, 5000)}, 2000, 3000, 3000},
		{10_000, []pipeline.Edit{trim(2000, 50_000)}, 2000, 48_000, 8000},
		{10_000, []pipeline.Edit{trim(2000, 5000), trim(1000, 0)}, 3000, 2000, 2000},
		{10_000, []pipeline.Edit{trim(2000, 5000), trim(1000, 2000)}, 3000, 1000, 1000},
		{0, []pipeline.Edit{trim(2000, 5000)}, 2000, 3000, 3000},
		{0, []pipeline.Edit{trim(2000, 0)}, 2000, 0, 0},
	} {
		m := phoneVideo()
		m.DurationMS = c.source
		got, err := planTime(c.edits, m, DefaultProfile().Video)
		want := VideoTime{StartMS: c.start, LengthMS: c.length, LimitMS: 180_000, ExpectMS: c.expect}
		if err != nil || got != want {
			t.Errorf("%d ms, %v: got %+v %v, want %+v", c.source, c.edits, got, err, want)
		}
	}
}

func TestVideoSize(t *testing.T) {
	for _, c := range []struct{ w, h, wantW, wantH int }{
		{1920, 1080, 1280, 720},
		{1080, 1920, 720, 1280},
		{320, 240, 320, 240},
		{321, 241, 320, 240},
		{1, 1, 2, 2},
		{3840, 720, 1920, 360},
		{1280, 722, 1276, 720},
		{3, 2000, 2, 1920},
	} {
		m := phoneVideo()
		m.Width, m.Height, m.Video.Width, m.Video.Height = c.w, c.h, c.w, c.h
		p := planPicture(nil, m, DefaultProfile().Video)
		if p.Width != c.wantW || p.Height != c.wantH {
			t.Errorf("%d×%d became %d×%d, want %d×%d", c.w, c.h, p.Width, p.Height, c.wantW, c.wantH)
		}
	}
}

// TestFold holds the one crop, mirror and turn against the steps carried out one by one on a raster of points.
func TestFold(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		m := phoneVideo()
		m.Video.Width, m.Video.Height = 64, 32
		m.Video.Rotation, m.Video.Mirrored = 90*rng.IntN(4), rng.IntN(2) == 0
		shown := newRaster(64, 32)
		if m.Video.Mirrored {
			shown = shown.flip(pipeline.FlipVertical)
		}
		shown = shown.turn(m.Video.Rotation)
		m.Width, m.Height = shown.w, shown.h

		edits := randomGeometry(rng)
		steps, _, _ := Geometry(edits, m.Width, m.Height)
		for _, s := range steps {
			shown = shown.step(s)
		}
		pic := planPicture(edits, m, DefaultProfile().Video)
		folded := newRaster(64, 32)
		if c := pic.Crop; c != nil {
			folded = folded.crop(c.X, c.Y, c.W, c.H)
		}
		if pic.Mirror {
			folded = folded.flip(pipeline.FlipHorizontal)
		}
		folded = folded.turn(pic.Turn)
		if folded.w != shown.w || folded.h != shown.h || !slices.Equal(folded.at, shown.at) {
			t.Fatalf("rotation %d mirrored %v, %+v: fold %+v gives %d×%d, want %d×%d",
				m.Video.Rotation, m.Video.Mirrored, edits, pic, folded.w, folded.h, shown.w, shown.h)
		}
	}
}

// randomGeometry makes crops by halves, which stay on whole chroma samples of a 64 × 32 picture.
func randomGeometry(rng *rand.Rand) []pipeline.Edit {
	var edits []pipeline.Edit
	for crops := 0; len(edits) < 5; {
		switch rng.IntN(3) {
		case 0:
			edits = append(edits, pipeline.Edit{Op: pipeline.OpRotate, Degrees: 90 * (1 + rng.IntN(3))})
		case 1:
			edits = append(edits, pipeline.Edit{Op: pipeline.OpFlip, Direction: []string{pipeline.FlipHorizontal, pipeline.FlipVertical}[rng.IntN(2)]})
		case 2:
			if crops++; crops <= 2 {
				edits = append(edits, pipeline.Edit{Op: pipeline.OpCrop, X: 0.5 * float64(rng.IntN(2)), Y: 0.25 * float64(rng.IntN(3)), W: 0.5, H: 0.5})
			}
		}
	}
	return edits
}

// raster is a picture whose points know where they came from.
type raster struct {
	w, h int
	at   []int
}

func newRaster(w, h int) raster {
	r := raster{w, h, make([]int, w*h)}
	for i := range r.at {
		r.at[i] = i
	}
	return r
}

func (r raster) remap(w, h int, from func(x, y int) (int, int)) raster {
	out := raster{w, h, make([]int, w*h)}
	for y := range h {
		for x := range w {
			sx, sy := from(x, y)
			out.at[y*w+x] = r.at[sy*r.w+sx]
		}
	}
	return out
}

func (r raster) crop(x0, y0, w, h int) raster {
	return r.remap(w, h, func(x, y int) (int, int) { return x0 + x, y0 + y })
}

func (r raster) flip(direction string) raster {
	if direction == pipeline.FlipVertical {
		return r.remap(r.w, r.h, func(x, y int) (int, int) { return x, r.h - 1 - y })
	}
	return r.remap(r.w, r.h, func(x, y int) (int, int) { return r.w - 1 - x, y })
}

func (r raster) turn(degrees int) raster {
	for ; degrees > 0; degrees -= 90 {
		old := r
		r = old.remap(old.h, old.w, func(x, y int) (int, int) { return y, old.h - 1 - x })
	}
	return r
}

func (r raster) step(s Step) raster {
	switch s.Op {
	case pipeline.OpCrop:
		return r.crop(s.X, s.Y, s.W, s.H)
	case pipeline.OpRotate:
		return r.turn(s.Degrees)
	}
	return r.flip(s.Direction)
}

func TestVideoColor(t *testing.T) {
	for name, c := range map[string]struct {
		stream pipeline.Stream
		want   VideoColor
	}{
		"says nothing, small": {pipeline.Stream{Width: 640, Height: 480}, VideoColor{ColorMatrix, "smpte170m", "bt709", "bt709", "tv"}},
		"says nothing, HD":    {pipeline.Stream{Width: 720, Height: 1280}, VideoColor{ColorMatrix, "bt709", "bt709", "bt709", "tv"}},
		"full range":          {pipeline.Stream{Width: 64, Height: 64, PixelFormat: "yuvj420p"}, VideoColor{ColorMatrix, "smpte170m", "bt709", "bt709", "pc"}},
		"HLG": {
			pipeline.Stream{Width: 64, Height: 64, Transfer: "arib-std-b67", Primaries: "bt2020", Matrix: "bt2020nc"},
			VideoColor{ColorTonemap, "bt2020nc", "bt2020", "arib-std-b67", "tv"},
		},
		"PQ that says no more": {pipeline.Stream{Width: 64, Height: 64, Transfer: "smpte2084"}, VideoColor{ColorTonemap, "bt2020nc", "bt2020", "smpte2084", "tv"}},
		"P3":                   {pipeline.Stream{Width: 64, Height: 720, Primaries: "smpte432"}, VideoColor{ColorGamut, "smpte170m", "smpte432", "bt709", "tv"}},
		"nonsense":             {pipeline.Stream{Width: 64, Height: 64, Matrix: "a,b", Primaries: "]", Transfer: ";"}, VideoColor{ColorMatrix, "smpte170m", "bt709", "bt709", "tv"}},
	} {
		if got := planColor(pipeline.Media{Video: &c.stream}); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

func TestAnimationPlan(t *testing.T) {
	m := pipeline.Media{MIME: "image/webp", Kind: pipeline.KindVideo, Animated: true, Width: 301, Height: 200, Frames: 12}
	for _, kind := range []pipeline.Kind{pipeline.KindPhoto, pipeline.KindAuto, pipeline.KindVideo} {
		plan, err := NewPlan(pipeline.Item{ID: "i", Kind: kind}, m, DefaultProfile())
		if err != nil {
			t.Fatal(err)
		}
		p := plan.Video
		if p.Presentation != PresentGIF || p.Method != MethodTranscode || p.AudioIndex != -1 || !p.Animated || p.Frames != 12 {
			t.Errorf("%s: %+v", kind, p)
		}
		if p.Picture.Width != 300 || p.Picture.Height != 200 || !p.Picture.Flatten || p.Picture.FPS != 30 || !slices.Equal(p.Posters.Ticks, []int{0}) {
			t.Errorf("%s: %+v %+v", kind, p.Picture, p.Posters)
		}
	}
}
