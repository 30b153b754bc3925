package transcode

import (
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// filmed is what a phone films.
func filmed(w, h int, fps, seconds float64, hdr bool) pipeline.Media {
	m := phoneVideo()
	m.Width, m.Height, m.DurationMS = w, h, int64(seconds*1000)
	v := *m.Video
	v.Codec, v.Width, v.Height, v.FPS, v.Frames = "hevc", w, h, fps, int64(fps*seconds)
	if hdr {
		v.PixelFormat, v.Transfer, v.Primaries, v.Matrix = "yuv420p10le", "arib-std-b67", "bt2020", "bt2020nc"
	}
	m.Video = &v
	return m
}

// TestWhatPhonesFilmIsWithinTheBudget, and what nobody's phone does is refused with words before anything is decoded.
func TestWhatPhonesFilmIsWithinTheBudget(t *testing.T) {
	photo := pipeline.Media{MIME: "image/jpeg", Kind: pipeline.KindPhoto, Width: 4032, Height: 3024, Frames: 1, Image: &pipeline.Image{Orientation: 1}}
	for name, c := range map[string]struct {
		m      pipeline.Media
		trimTo int64 // ms, 0 = not trimmed
		ok     bool
	}{
		"4K 60 HDR for a minute":             {filmed(3840, 2160, 60, 60, true), 0, true},
		"4K 30 HDR for three minutes":        {filmed(3840, 2160, 30, 180, true), 0, true},
		"4K 60 for three minutes":            {filmed(3840, 2160, 60, 180, false), 0, true},
		"1080p slow motion, three minutes":   {filmed(1920, 1080, 240, 180, false), 0, true},
		"4K slow motion for a minute":        {filmed(3840, 2160, 120, 60, true), 0, true},
		"DCI 4K":                             {filmed(4096, 2160, 24, 180, false), 0, true},
		"8K for a minute":                    {filmed(7680, 4320, 30, 60, true), 0, true},
		"8K upright":                         {filmed(4320, 7680, 24, 30, false), 0, true},
		"8K for three minutes":               {filmed(7680, 4320, 30, 180, false), 0, false},
		"8K for three minutes, half of it":   {filmed(7680, 4320, 30, 180, false), 80_000, true},
		"4K 120 HDR for three minutes":       {filmed(3840, 2160, 120, 180, true), 0, false},
		"the same, ten seconds of it":        {filmed(3840, 2160, 120, 180, true), 10_000, true},
		"4K at 960, no rate in its header":   {unrated(filmed(3840, 2160, 960, 60, false)), 0, false},
		"two minutes that promise one":       {longer(filmed(3840, 2160, 240, 60, true)), 0, false},
		"a photo beside it, which is no sum": {photo, 0, true},
	} {
		item := pipeline.Item{ID: "i", Kind: pipeline.KindAuto}
		if c.trimTo > 0 {
			item.Edits = []pipeline.Edit{{Op: pipeline.OpTrim, EndMS: c.trimTo}}
		}
		plan, err := NewPlan(item, c.m, DefaultProfile())
		if c.ok && err != nil || !c.ok && (err == nil || pipeline.AsError(err).Code != pipeline.CodeTooManyPixels) {
			t.Errorf("%s: %v", name, err)
		}
		if !c.ok && err != nil && !strings.Contains(err.Error(), "send at most") {
			t.Errorf("%s: %v does not say what to do", name, err)
		}
		if cost, most := plan.Work(); c.ok && (cost > DefaultProfile().Video.MaxWork || most < cost) {
			t.Errorf("%s: costs %d of %d", name, cost, most)
		}
	}
}

func unrated(m pipeline.Media) pipeline.Media { m.Video.FPS = 0; return m }

func longer(m pipeline.Media) pipeline.Media { m.Video.Frames *= 2; m.Video.FPS = 30; return m }

// TestWorkByDepth: more bits, transparency and tone mapping cost more, a trim less.
func TestWorkByDepth(t *testing.T) {
	cost := func(m pipeline.Media, edits ...pipeline.Edit) int64 {
		t.Helper()
		plan, err := NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindAuto, Edits: edits}, m, DefaultProfile())
		if err != nil {
			t.Fatal(err)
		}
		work, _ := plan.Work()
		return work
	}
	plain := cost(filmed(1920, 1080, 30, 10, false))
	if want := int64(1920*1080*300 + 2.5*1280*720*300); plain != want {
		t.Errorf("ten seconds of 1080p cost %d, want %d", plain, want)
	}
	seeThrough := filmed(1920, 1080, 30, 10, false)
	seeThrough.Video.Codec, seeThrough.Video.Alpha = "vp9", true
	for name, more := range map[string]int64{"HDR": cost(filmed(1920, 1080, 30, 10, true)), "alpha": cost(seeThrough), "slow motion": cost(filmed(1920, 1080, 240, 10, false))} {
		if more < plain*3/2 {
			t.Errorf("%s costs %d, a plain clip %d", name, more, plain)
		}
	}
	if half := cost(filmed(1920, 1080, 30, 10, false), pipeline.Edit{Op: pipeline.OpTrim, EndMS: 5000}); half != plain/2 {
		t.Errorf("half of it costs %d of %d", half, plain)
	}
}
