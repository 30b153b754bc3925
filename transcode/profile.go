package transcode

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// EngineVersion is part of every plan's digest: raise it when the same plan gives other bytes, so that old records are not reused.
const EngineVersion = "5"

// Overlength says what happens to a voice note above Voice.MaxMS.
type Overlength string

// The choices.
const (
	OverlengthTrim   Overlength = "trim"   // keep the first Voice.MaxMS
	OverlengthReject Overlength = "reject" // too_long
)

// Profile holds every number that shapes a rendition. Its digest is part of every record and of the manifest.
type Profile struct {
	Voice VoiceProfile `json:"voice"`
	Photo PhotoProfile `json:"photo"`
	Video VideoProfile `json:"video"`
}

// VoiceProfile holds the numbers of a voice note.
type VoiceProfile struct {
	MaxMS       int64      `json:"max_ms"` // longest delivered note
	MinMS       int64      `json:"min_ms"` // shorter is too_short
	MaxSourceMS int64      `json:"max_source_ms"`
	MaxBytes    int64      `json:"max_bytes"`
	Overlength  Overlength `json:"overlength"`
	FadeOutMS   int64      `json:"fade_out_ms"` // at a cut only
	OpusBitRate int64      `json:"opus_bit_rate"`
	AACBitRate  int64      `json:"aac_bit_rate"`
	TargetLUFS  float64    `json:"target_lufs"`
	WindowLU    float64    `json:"window_lu"`   // within this of the target nothing is changed
	MaxPeakDB   float64    `json:"max_peak_db"` // true peak, dBTP
	MaxGainDB   float64    `json:"max_gain_db"`
	// A note whose own noise stays below MaxFloorLUFS is made louder by up to MaxCleanGainDB.
	MaxCleanGainDB float64 `json:"max_clean_gain_db"`
	MaxFloorLUFS   float64 `json:"max_floor_lufs"`
	SilenceLUFS    float64 `json:"silence_lufs"` // below it a note is silent and left as it is
	WavePoints     int     `json:"wave_points"`
}

// PhotoProfile holds the numbers of photos and animations.
type PhotoProfile struct {
	MaxBytes       int64 `json:"max_bytes"`
	MaxPixels      int64 `json:"max_pixels"`       // width × height
	MaxJPEGPixels  int64 `json:"max_jpeg_pixels"`  // of a JPEG, which is decoded at a fraction of its size
	MaxSide        int   `json:"max_side"`         // pixels
	MaxFrames      int   `json:"max_frames"`       // of an animation: three minutes of the shortest that browsers show, 20 ms
	MaxFramePixels int64 `json:"max_frame_pixels"` // width × height × frames
	// Renditions are made under all their names, of a small picture too, where several come out as the same picture: a client asks for a
	// name and finds it. The same picture is the same bytes, encoded once, and the store keeps bytes once, under their digest: no duplicate
	// is written, sent or paid for twice.
	Renditions   []ImageSpec `json:"renditions"`
	DisplayBytes int64       `json:"display_bytes"` // budget of the default rendition
	// KeepAlpha delivers transparency where the format has it. Off, every rendition lies on white, which is what the classifier sees: what a
	// client puts behind a transparent picture nobody has judged. Only for deployments that serve no minors.
	KeepAlpha bool `json:"keep_alpha,omitempty"`
	BlurSide  int  `json:"blur_side"` // the safe rendition shows no more than this many pixels a side
	BlurOut   int  `json:"blur_out"`  // its long side, pixels
}

// WithJPEGPixels fills in a limit for JPEG that was not given: a profile that has another limit for pictures means JPEG, too.
func (p PhotoProfile) WithJPEGPixels(defaults PhotoProfile) PhotoProfile {
	switch {
	case p.MaxJPEGPixels != 0:
	case p.MaxPixels == defaults.MaxPixels:
		p.MaxJPEGPixels = defaults.MaxJPEGPixels
	default:
		p.MaxJPEGPixels = p.MaxPixels
	}
	return p
}

// VideoProfile holds the numbers of videos.
type VideoProfile struct {
	MaxMS      int64   `json:"max_ms"`
	MaxBytes   int64   `json:"max_bytes"`
	MaxLong    int     `json:"max_long"`  // source, pixels
	MaxShort   int     `json:"max_short"` // source, pixels
	MaxFPS     float64 `json:"max_fps"`   // source
	MaxStreams int     `json:"max_streams"`
	// MaxWork and MaxMessageWork bound what one video and all videos of a message may cost, in decoded pixels (video_work.go): 605 and 1,760
	// CPU-seconds where a million cost 5.5 ms.
	MaxWork        int64 `json:"max_work"`
	MaxMessageWork int64 `json:"max_message_work"`

	ShortEdge    int         `json:"short_edge"` // playback, pixels, never enlarged
	OutFPS       float64     `json:"out_fps"`    // cap
	CRF          int         `json:"crf"`
	Preset       string      `json:"preset"`
	MaxRate      int64       `json:"max_rate"`    // bit/s
	BufferSize   int64       `json:"buffer_size"` // bits
	GOPSeconds   float64     `json:"gop_seconds"`
	AudioRate    int64       `json:"audio_rate"` // bit/s
	RemuxMaxRate int64       `json:"remux_max_rate"`
	RemuxMaxLong int         `json:"remux_max_long"`
	Poster       []ImageSpec `json:"poster"` // renditions made from the poster frame
	// Optional work, off unless a profile asks for it, and left out where a job's deadline would not be held.
	Sprite SpriteProfile `json:"sprite"`
	Small  SmallProfile  `json:"small"`
}

// Format names an image encoding.
type Format string

// The formats.
const (
	JPEG Format = "jpeg"
	WebP Format = "webp"
	AVIF Format = "avif"
)

// Fit says how a picture meets its box.
type Fit string

// The fits. Neither ever enlarges.
const (
	FitInside Fit = "inside" // whole picture, long edge at most Side
	FitCover  Fit = "cover"  // square of Side, cut from the centre
)

// ImageSpec is one picture to make.
type ImageSpec struct {
	Name    string `json:"name"`
	Format  Format `json:"format"`
	Fit     Fit    `json:"fit"`
	Side    int    `json:"side"` // pixels
	Quality int    `json:"quality"`
	Default bool   `json:"default,omitempty"`
}

// MiB is 2^20 bytes.
const MiB = 1 << 20

// DefaultProfile returns the measured defaults. What each number is, and its unit, stands at its field.
func DefaultProfile() Profile {
	return Profile{Voice: defaultVoice(), Photo: defaultPhoto(), Video: defaultVideo()}
}

func defaultVoice() VoiceProfile {
	return VoiceProfile{
		MaxMS: 60_000, MinMS: 300, MaxSourceMS: 600_000, MaxBytes: 16 * MiB, Overlength: OverlengthTrim, FadeOutMS: 20,
		OpusBitRate: 32_000, AACBitRate: 48_000, TargetLUFS: -16, WindowLU: 1, MaxPeakDB: -1.5, MaxGainDB: 20, MaxCleanGainDB: 30, MaxFloorLUFS: -50,
		SilenceLUFS: -70, WavePoints: 100,
	}
}

func defaultPhoto() PhotoProfile {
	return PhotoProfile{
		MaxBytes: 64 * MiB, MaxPixels: 65_000_000, MaxJPEGPixels: 210_000_000, MaxSide: 20_000,
		MaxFrames: 9_000, MaxFramePixels: 1_000_000_000,
		Renditions: []ImageSpec{
			{Name: "display", Format: JPEG, Fit: FitInside, Side: 2048, Quality: 82, Default: true},
			{Name: "display", Format: WebP, Fit: FitInside, Side: 2048, Quality: 80},
			{Name: "preview", Format: WebP, Fit: FitInside, Side: 1280, Quality: 80},
			{Name: "thumb", Format: WebP, Fit: FitInside, Side: 640, Quality: 80},
			{Name: "grid", Format: WebP, Fit: FitCover, Side: 320, Quality: 80},
		},
		DisplayBytes: 1_500_000, BlurSide: 32, BlurOut: 640,
	}
}

// mostVideoBytes takes what phones film by themselves: a minute of 4K at 60 pictures a second has up to 440 MB on iPhones (HDR), and 525 MB at
// the 70 Mbit/s of Androids.
const mostVideoBytes = 512 * MiB

func defaultVideo() VideoProfile {
	return VideoProfile{
		MaxMS: 180_000, MaxBytes: mostVideoBytes, MaxLong: 8192, MaxShort: 4608, MaxFPS: 960, MaxStreams: 16,
		MaxWork: 110_000_000_000, MaxMessageWork: 320_000_000_000,
		ShortEdge: 720, OutFPS: 30, CRF: 23, Preset: "veryfast", MaxRate: 2_500_000, BufferSize: 5_000_000, GOPSeconds: 2,
		AudioRate: 128_000, RemuxMaxRate: 3_300_000, RemuxMaxLong: 1920,
		Poster: []ImageSpec{
			{Name: "poster", Format: JPEG, Fit: FitInside, Side: 1280, Quality: 82},
			{Name: "thumb", Format: WebP, Fit: FitInside, Side: 640, Quality: 80},
			{Name: "grid", Format: WebP, Fit: FitCover, Side: 320, Quality: 80},
		},
		Sprite: SpriteProfile{EveryMS: 0, Columns: 10, Width: 160, Quality: 60}, // every_ms 2000 is the usual
		Small:  SmallProfile{ShortEdge: 0, MaxRate: 800_000},                    // short_edge 360 is the usual
	}
}

// mostSourceMS bounds what is decoded of a voice note: as 48 kHz stereo in 32-bit floats it fills a file of the largest size that an engine
// may write, 256 MiB.
const mostSourceMS = 690_000

// Validate names every setting that cannot work, all in one error.
func (p Profile) Validate() error {
	var wrong []error
	check := func(ok bool, setting, want string) {
		if !ok {
			wrong = append(wrong, fmt.Errorf("profile: %s: want %s", setting, want))
		}
	}
	v, ph, vi := p.Voice, p.Photo, p.Video
	check(v.MaxMS > v.MinMS && v.MinMS > 0, "voice.max_ms", "more than voice.min_ms, both above 0")
	check(v.MaxSourceMS >= v.MaxMS && v.MaxSourceMS <= mostSourceMS, "voice.max_source_ms", "at least voice.max_ms, at most 690000")
	check(v.Overlength == OverlengthTrim || v.Overlength == OverlengthReject, "voice.overlength", "trim or reject")
	check(v.OpusBitRate >= 6_000 && v.OpusBitRate <= 510_000, "voice.opus_bit_rate", "6000 to 510000")
	check(v.AACBitRate >= 16_000 && v.AACBitRate <= 320_000, "voice.aac_bit_rate", "16000 to 320000")
	check(v.WavePoints > 0 && v.WavePoints <= 1000, "voice.wave_points", "1 to 1000")
	check(ph.MaxBytes > 0 && ph.MaxBytes <= 64*MiB, "photo.max_bytes", "1 to 67108864, the most that is read into memory")
	check(ph.MaxPixels > 0 && ph.MaxJPEGPixels >= ph.MaxPixels, "photo.max_pixels, max_jpeg_pixels", "above 0, and of JPEG not less than of others")
	check(ph.MaxSide > 0 && ph.MaxSide <= 65_535, "photo.max_side", "1 to 65535, which is as far as JPEG goes")
	check(ph.BlurSide > 0 && ph.BlurSide <= 32, "photo.blur_side", "1 to 32: more would show detail")
	check(vi.ShortEdge >= 2 && vi.CRF >= 0 && vi.CRF <= 51 && vi.OutFPS > 0, "video.short_edge, crf, out_fps", "an edge of 2 or more, CRF 0 to 51, fps above 0")
	check(vi.MaxWork > 0 && vi.MaxMessageWork >= vi.MaxWork, "video.max_work, max_message_work", "above 0, the message's at least one video's")
	check(vi.Sprite.EveryMS == 0 || vi.Sprite.EveryMS >= 200 && vi.Sprite.EveryMS <= 60_000, "video.sprite.every_ms", "0 for none, or 200 to 60000")
	sp := vi.Sprite
	check(sp.Columns >= 1 && sp.Columns <= 50 && sp.Width >= 16 && sp.Width <= 320 && sp.Quality >= 1 && sp.Quality <= 100,
		"video.sprite.columns, width, quality", "1 to 50 columns, a width of 16 to 320, a quality of 1 to 100")
	check(vi.Small.ShortEdge == 0 || vi.Small.ShortEdge >= 64 && vi.Small.MaxRate >= minRate, "video.small.short_edge, max_rate",
		"an edge of 0 for none, or 64 or more, and a rate of 100000 or more")
	check(defaults(ph.Renditions) == 1, "photo.renditions", "exactly one with default: true")
	for _, s := range append(append([]ImageSpec{}, ph.Renditions...), vi.Poster...) {
		check(s.valid(), "rendition "+s.Name, "format jpeg, webp or avif; fit inside or cover; side 1 to 8192; quality 1 to 100")
	}
	return errors.Join(wrong...)
}

func defaults(specs []ImageSpec) int {
	n := 0
	for _, s := range specs {
		if s.Default {
			n++
		}
	}
	return n
}

func (s ImageSpec) valid() bool {
	format := s.Format == JPEG || s.Format == WebP || s.Format == AVIF
	fit := s.Fit == FitInside || s.Fit == FitCover
	return s.Name != "" && format && fit && s.Side > 0 && s.Side <= 8192 && s.Quality > 0 && s.Quality <= 100
}

// Digest is "sha256:" and the hex digest of the profile's JSON, as the manifest names it.
func (p Profile) Digest() string { return "sha256:" + digest(p) }

// digest hashes v's JSON; the types hashed here marshal without error and in field order.
func digest(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic("transcode: a plan that is not JSON: " + err.Error()) // programming error: plans are plain data
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
