package transcode

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ninefold/ninefold/pipeline"
)

func voiceMedia() pipeline.Media {
	return pipeline.Media{
		MIME: "audio/ogg", Kind: pipeline.KindVoice, DurationMS: 18_286, BitRate: 20_144, Size: 46_045, Streams: 1, Format: "ogg",
		Audio: &pipeline.Stream{Codec: "opus", SampleRate: 48_000, Channels: 1},
	}
}

func TestOnlyOpusHasASteadyDecoder(t *testing.T) {
	for codec, want := range map[string]string{"opus": "libopus", "aac": "", "": ""} {
		if got := steadyDecoder(&pipeline.Stream{Codec: codec}); got != want {
			t.Errorf("%q is decoded by %q", codec, got)
		}
	}
	if got := steadyDecoder(nil); got != "" {
		t.Errorf("no sound is decoded by %q", got)
	}
}

func TestPlanVoice(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*pipeline.Item, *pipeline.Media)
		want   VoicePlan
		code   pipeline.Code
	}{
		"good Opus":       {nil, VoicePlan{Channels: 1, SourceMS: 18_286, MayCopy: true}, ""},
		"stereo":          {func(_ *pipeline.Item, m *pipeline.Media) { m.Audio.Channels = 2 }, VoicePlan{Channels: 2, SourceMS: 18_286}, ""},
		"surround":        {func(_ *pipeline.Item, m *pipeline.Media) { m.Audio.Channels = 6 }, VoicePlan{Channels: 2, SourceMS: 18_286}, ""},
		"high rate":       {func(_ *pipeline.Item, m *pipeline.Media) { m.BitRate = 40_001 }, VoicePlan{Channels: 1, SourceMS: 18_286}, ""},
		"too long":        {func(_ *pipeline.Item, m *pipeline.Media) { m.DurationMS = 60_001 }, VoicePlan{Channels: 1, SourceMS: 60_001}, ""},
		"unknown length":  {func(_ *pipeline.Item, m *pipeline.Media) { m.DurationMS = 0 }, VoicePlan{Channels: 1}, ""},
		"another stream":  {func(_ *pipeline.Item, m *pipeline.Media) { m.Streams = 2 }, VoicePlan{Channels: 1, SourceMS: 18_286}, ""},
		"another format":  {func(_ *pipeline.Item, m *pipeline.Media) { m.Format = "matroska" }, VoicePlan{Channels: 1, SourceMS: 18_286}, ""},
		"a trim":          {trims(1000, 5000), VoicePlan{StartMS: 1000, EndMS: 5000, Channels: 1, SourceMS: 18_286}, ""},
		"two trims":       {trims(1000, 9000, 500, 3000), VoicePlan{StartMS: 1500, EndMS: 4000, Channels: 1, SourceMS: 18_286}, ""},
		"the inner wins":  {trims(1000, 2000, 500, 9000), VoicePlan{StartMS: 1500, EndMS: 2000, Channels: 1, SourceMS: 18_286}, ""},
		"to the end":      {trims(1000, 0, 500, 0), VoicePlan{StartMS: 1500, Channels: 1, SourceMS: 18_286}, ""},
		"nothing left":    {trims(1000, 2000, 1500, 0), VoicePlan{}, pipeline.CodeTooShort},
		"too little left": {trims(0, 299), VoicePlan{}, pipeline.CodeTooShort},
		"beyond all":      {trims(math.MaxInt64, 0, math.MaxInt64, 0), VoicePlan{StartMS: 1 << 40, Channels: 1, SourceMS: 18_286}, ""},
		"foreign codec":   {func(_ *pipeline.Item, m *pipeline.Media) { m.Audio.Codec = "speex" }, VoicePlan{}, pipeline.CodeUnsupportedType},
		"no sound":        {func(_ *pipeline.Item, m *pipeline.Media) { m.Audio = nil }, VoicePlan{}, pipeline.CodeNoAudio},
		"11 minutes":      {func(_ *pipeline.Item, m *pipeline.Media) { m.DurationMS = 660_000 }, VoicePlan{}, pipeline.CodeTooLong},
		"20 MiB":          {func(_ *pipeline.Item, m *pipeline.Media) { m.Size = 20 * MiB }, VoicePlan{}, pipeline.CodeTooLarge},
		"a video": {func(_ *pipeline.Item, m *pipeline.Media) {
			m.Kind, m.Video = pipeline.KindVideo, &pipeline.Stream{Width: 64, Height: 64}
		}, VoicePlan{}, pipeline.CodeUnsupportedType},
	} {
		t.Run(name, func(t *testing.T) {
			item, m := pipeline.Item{Kind: pipeline.KindVoice}, voiceMedia()
			if c.change != nil {
				c.change(&item, &m)
			}
			plan, err := NewPlan(item, m, DefaultProfile())
			if c.code != "" {
				if err == nil || pipeline.AsError(err).Code != c.code {
					t.Errorf("%v, want %s", err, c.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			c.want.Profile, c.want.Steady = DefaultProfile().Voice, "libopus"
			if diff := cmp.Diff(c.want, *plan.Voice); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// trims makes edits of pairs of start and end, ms.
func trims(ms ...int64) func(*pipeline.Item, *pipeline.Media) {
	return func(item *pipeline.Item, _ *pipeline.Media) {
		for ; len(ms) > 1; ms = ms[2:] {
			item.Edits = append(item.Edits, pipeline.Edit{Op: pipeline.OpTrim, StartMS: ms[0], EndMS: ms[1]})
		}
	}
}

func TestVoicePlanTravelsAsJSON(t *testing.T) {
	plan, err := NewPlan(pipeline.Item{Kind: pipeline.KindVoice}, voiceMedia(), DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(plan)
	if err != nil {
		t.Fatal(err)
	}
	var back Plan
	if err := json.Unmarshal(data, &back); err != nil || back.Digest() != plan.Digest() {
		t.Error("the plan changed on its way", err)
	}
	louder := DefaultProfile()
	louder.Voice.TargetLUFS = -14
	other, err := NewPlan(pipeline.Item{Kind: pipeline.KindVoice}, voiceMedia(), louder)
	if err != nil || other.Digest() == plan.Digest() {
		t.Error("another profile has the same digest", err)
	}
}
