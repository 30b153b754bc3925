package transcode

import (
	"fmt"
	"math"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// The values of VideoPlan.Method and of a part's method.
const (
	MethodRemux     = "remux"     // packets copied into a clean, faststart MP4
	MethodTranscode = "transcode" // decoded once, encoded once
)

// The values of VideoPlan.Presentation and of a part's presentation.
const (
	PresentVideo = "video"
	PresentGIF   = "gif" // silent loop
)

// VideoPlan is the work order for a video or an animation. Times are milliseconds, sizes pixels, rates bit/s.
// Picture, Encode and Posters are complete for both methods: a remux whose result does not hold is transcoded.
type VideoPlan struct {
	Presentation string       `json:"presentation"`
	Plays        int          `json:"plays,omitempty"` // of an animation, 0 = for ever
	Method       string       `json:"method"`
	Why          string       `json:"why"`         // what decided the method, for a log
	VideoIndex   int          `json:"video_index"` // stream of the picture in its file
	AudioIndex   int          `json:"audio_index"` // stream of the sound, -1 = none is delivered
	AudioDecoder string       `json:"audio_decoder,omitempty"`
	VideoDecoder string       `json:"video_decoder,omitempty"` // "" = ffmpeg's own choice
	Time         VideoTime    `json:"time"`
	Picture      VideoPicture `json:"picture"`
	Encode       VideoEncode  `json:"encode"`
	Animated     bool         `json:"animated,omitempty"` // every frame is kept, at a constant rate
	Frames       int          `json:"frames,omitempty"`   // of an animation, as counted: no more are decoded
	Keys         KeyPlan      `json:"keys"`
	Posters      PosterTimes  `json:"posters"`
	Poster       *PhotoPlan   `json:"poster"` // what is made of the chosen poster, which is Picture.Width × Picture.Height
	Sprite       *SpritePlan  `json:"sprite,omitempty"`
	Small        *SmallPlan   `json:"small,omitempty"`
	LeftOut      []string     `json:"left_out,omitempty"` // warnings: what of the file is not delivered
}

// VideoTime says which stretch of the source is read.
type VideoTime struct {
	OriginMS int64 `json:"origin_ms"` // the source's first timestamp, on its own clock
	StartMS  int64 `json:"start_ms"`  // from the source's first timestamp
	LengthMS int64 `json:"length_ms"` // 0 = to the end
	LimitMS  int64 `json:"limit_ms"`  // more than this delivered is too_long, whatever the container claimed
	ExpectMS int64 `json:"expect_ms"` // what the container promises to leave, 0 = it does not say
}

// VideoEncode holds the encoder's numbers.
type VideoEncode struct {
	CRF        int     `json:"crf"`
	Preset     string  `json:"preset"`
	MaxRate    int64   `json:"max_rate"`    // bit/s
	BufferSize int64   `json:"buffer_size"` // bits
	GOPSeconds float64 `json:"gop_seconds"`
	AudioRate  int64   `json:"audio_rate"`        // bit/s
	Channels   int     `json:"channels"`          // of the sound: 1 stays 1, for two of them would be quieter by 3 dB where they are played
	Downmix    bool    `json:"downmix,omitempty"` // more than two channels are mixed, none of them to beyond full scale
}

// planVideo decides what to make of a video or an animation that passed CheckLimits.
func planVideo(item pipeline.Item, m pipeline.Media, prof Profile) (*VideoPlan, error) {
	if !m.Animated {
		if err := checkStream(m, prof.Video); err != nil {
			return nil, err
		}
	}
	when, err := planTime(item.Edits, m, prof.Video)
	if err != nil {
		return nil, err
	}
	plan := &VideoPlan{
		Presentation: PresentVideo, VideoIndex: 0, AudioIndex: audioIndex(item.Edits, m), Time: when, LeftOut: leftOutWarnings(m, muted(item.Edits)),
	}
	if plan.AudioIndex >= 0 {
		plan.AudioDecoder = steadyDecoder(m.Audio)
	}
	plan.Animated = m.Animated
	if m.Animated {
		plan.Frames = m.Frames
		plan.Presentation, plan.Plays = PresentGIF, m.Plays
	} else {
		plan.VideoIndex, plan.VideoDecoder = m.Video.Index, alphaDecoder(m.Video)
	}
	plan.Picture = planPicture(item.Edits, m, prof.Video)
	plan.Encode = planEncode(m, prof.Video)
	plan.Method, plan.Why = planMethod(item.Edits, m, prof.Video)
	plan.Keys = planKeys(when, plan.Picture)
	if plan.Posters, err = planPosters(item.Edits, when, m.Animated); err != nil {
		return nil, err
	}
	plan.Poster = PosterPlan(plan.Picture.Width, plan.Picture.Height, prof)
	planOptional(plan, m, prof.Video)
	return plan, nil
}

// videoCodecs are the codecs that are taken, by ffmpeg's names.
var videoCodecs = []string{"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "h263"}

// alphaDecoder is the decoder that gives the transparency of VP8 and VP9, which WebM keeps beside the pictures; ffmpeg's own drop it.
func alphaDecoder(v *pipeline.Stream) string {
	if !v.Alpha {
		return ""
	}
	return map[string]string{"vp8": "libvpx", "vp9": "libvpx-vp9"}[v.Codec]
}

// fpsSlack forgives a container's rounding of its own frame rate.
const fpsSlack = 1.05

func checkStream(m pipeline.Media, p VideoProfile) error {
	if m.Video.FPS > p.MaxFPS*fpsSlack {
		return pipeline.Refuse(pipeline.CodeTooManyPixels, "the video has %.0f frames a second; at most %.0f, export it with fewer", m.Video.FPS, p.MaxFPS)
	}
	return nil
}

func muted(edits []pipeline.Edit) bool {
	return slices.ContainsFunc(edits, func(e pipeline.Edit) bool { return e.Op == pipeline.OpMute })
}

// audioIndex is the sound to deliver, unless the edits or the medium are silent or it cannot be decoded.
func audioIndex(edits []pipeline.Edit, m pipeline.Media) int {
	if muted(edits) || m.Animated || m.Audio == nil || m.Audio.Codec == "" || m.Audio.SampleRate == 0 {
		return -1
	}
	return m.Audio.Index
}

// limitSlackMS is read beyond the limit, so that a container that lies is caught and not cut.
const limitSlackMS = 1000

// planTime reads the trim edits, each counted on what the one before left.
func planTime(edits []pipeline.Edit, m pipeline.Media, p VideoProfile) (VideoTime, error) {
	t := VideoTime{OriginMS: m.StartMS, LimitMS: p.MaxMS, ExpectMS: m.DurationMS}
	for _, e := range edits {
		if e.Op != pipeline.OpTrim {
			continue
		}
		if t.ExpectMS > 0 && e.StartMS >= t.ExpectMS {
			return t, pipeline.Refuse(pipeline.CodeTooShort, "nothing is left after the trim: it begins at %d ms of %d ms", e.StartMS, t.ExpectMS)
		}
		t = t.trim(e.StartMS, e.EndMS)
	}
	if !m.Animated && t.ExpectMS > t.LimitMS && t.ExpectMS <= t.LimitMS+LimitGraceMS {
		t.LengthMS, t.ExpectMS = t.LimitMS, t.LimitMS
	}
	return t, nil
}

func (t VideoTime) trim(start, end int64) VideoTime {
	t.StartMS += start
	left := int64(0)
	if t.ExpectMS > 0 {
		left = t.ExpectMS - start
	}
	switch length := end - start; {
	case end == 0 && t.LengthMS > 0:
		t.LengthMS -= start
	case end == 0: // to the end, as before
	case t.LengthMS > 0:
		t.LengthMS = min(length, t.LengthMS-start)
	default:
		t.LengthMS = length
	}
	if t.LengthMS > 0 && (left == 0 || t.LengthMS < left) {
		left = t.LengthMS
	}
	t.ExpectMS = left
	return t
}

// ReadMS is how much of the source is read at most.
func (t VideoTime) ReadMS() int64 {
	most := t.LimitMS + limitSlackMS
	if t.LengthMS > 0 {
		return min(t.LengthMS, most)
	}
	return most
}

const (
	// rateHeadroom lets the output spend this much more than the source did: enough for a second generation.
	rateHeadroom = 1.2
	// minRate keeps thumbnails of videos from becoming mush, bit/s.
	minRate = 100_000
)

// thrift is how many bits of H.264 one bit of a codec is worth. Clips that are shared again come from encoders twice as thrifty as ours: HEVC
// of 311 kb/s needs 559 in H.264 to look the same (SSIM .950), and looks blurred at 186 (.916).
var thrift = map[string]float64{"hevc": 2, "vp9": 2, "av1": 2.5}

// planEncode takes the encoder's numbers from the profile. The quality decides what a video costs; the cap holds it to what its source spent,
// so that no file grows by much. It is not scaled with the picture: fewer pixels need fewer bits by themselves.
func planEncode(m pipeline.Media, p VideoProfile) VideoEncode {
	e := VideoEncode{CRF: p.CRF, Preset: p.Preset, MaxRate: p.MaxRate, BufferSize: p.BufferSize, GOPSeconds: p.GOPSeconds, AudioRate: p.AudioRate}
	if m.Animated {
		return e // a GIF's bit rate says nothing about what a video of it needs
	}
	if m.Audio != nil {
		e.Channels, e.Downmix = min(max(1, m.Audio.Channels), 2), m.Audio.Channels > 2
	}
	if rate := videoRate(m); rate > 0 {
		ceiling := max(minRate, int64(rateHeadroom*max(1, thrift[m.Video.Codec])*float64(rate)))
		if ceiling < e.MaxRate {
			e.MaxRate, e.BufferSize = ceiling, 2*ceiling
		}
	}
	return e
}

// videoRate is the picture's share of the source's bit rate as far as the container tells, bit/s, 0 = unknown.
func videoRate(m pipeline.Media) int64 {
	if m.Video != nil && m.Video.BitRate > 0 {
		return m.Video.BitRate
	}
	whole := wholeRate(m)
	if m.Audio != nil && m.Audio.BitRate < whole {
		return whole - m.Audio.BitRate
	}
	return whole
}

func wholeRate(m pipeline.Media) int64 {
	if m.BitRate > 0 || m.DurationMS <= 0 {
		return m.BitRate
	}
	return int64(math.Round(float64(m.Size) * 8000 / float64(m.DurationMS)))
}

// remuxLevel and remuxFPS are the H.264 level and the frame rate that are delivered as they come: phones of the last ten years
// decode them in hardware.
const (
	remuxLevel = 42
	remuxFPS   = 60
)

// remuxProfiles are the H.264 profiles every phone decodes.
var remuxProfiles = []string{"Constrained Baseline", "Baseline", "Main", "High"}

// planMethod says whether the packets may be copied, and the first thing that forbids it.
func planMethod(edits []pipeline.Edit, m pipeline.Media, p VideoProfile) (method, why string) {
	if m.Animated {
		return MethodTranscode, "animation"
	}
	v, a := m.Video, m.Audio
	rate := wholeRate(m)
	for _, rule := range []struct {
		breaks bool
		why    string
	}{
		{shapes(edits), "edits"},
		{v.Codec != "h264", "codec " + v.Codec},
		{!slices.Contains(remuxProfiles, v.Profile), "h264 profile"},
		{v.Level <= 0 || v.Level > remuxLevel, "h264 level"},
		{v.PixelFormat != "yuv420p" || v.Range == "pc", "pixel format"},
		{v.HDR() || v.Primaries == "bt2020" || v.Matrix == "bt2020nc", "wide colour"},
		{v.Rotation != 0 || v.Mirrored, "rotation"},
		{v.SARNum != v.SARDen, "pixel aspect"},
		{interlaced(v), "interlaced"},
		{v.Width%2 != 0 || v.Height%2 != 0 || v.Width != m.Width || v.Height != m.Height, "odd size"},
		{max(v.Width, v.Height) > p.RemuxMaxLong, "size"},
		{v.FPS <= 0 || v.FPS > remuxFPS*fpsSlack, "frame rate"},
		{m.DurationMS > p.MaxMS, "longer than the limit"},
		{m.DurationMS <= 0 || rate <= 0 || rate > p.RemuxMaxRate, "bit rate"},
		{a != nil && (a.Codec != "aac" || a.Profile != "LC" || a.Channels > 2), "audio"},
	} {
		if rule.breaks {
			return MethodTranscode, rule.why
		}
	}
	return MethodRemux, fmt.Sprintf("h264 level %d, %d bit/s", v.Level, rate)
}

// shapes reports whether an edit touches picture, sound or time: all do but the choice of the poster.
func shapes(edits []pipeline.Edit) bool {
	return slices.ContainsFunc(edits, func(e pipeline.Edit) bool { return e.Op != pipeline.OpPoster })
}
