package pipeline

// Media is what a header read found out about a source: facts, no pixels. It is untrusted until CheckMedia passed it.
type Media struct {
	MIME     string `json:"mime"`               // of the sniffed type, such as "image/heic"
	Kind     Kind   `json:"kind"`               // voice, photo or video; an animation is a video
	Animated bool   `json:"animated,omitempty"` // GIF, APNG, WebP or HEIC sequence with more than one frame

	Width  int `json:"width,omitempty"`  // pixels as displayed: after orientation, rotation and pixel aspect
	Height int `json:"height,omitempty"` // pixels as displayed
	Frames int `json:"frames,omitempty"` // pages of an image, 1 for a still
	Plays  int `json:"plays,omitempty"`  // how often an animation is meant to be shown, 0 = for ever

	DurationMS int64   `json:"duration_ms,omitempty"` // as the container says, 0 = it does not; never trusted for voice
	StartMS    int64   `json:"start_ms,omitempty"`    // first timestamp
	BitRate    int64   `json:"bit_rate,omitempty"`    // bit/s of the whole file, 0 = unknown
	Size       int64   `json:"size"`                  // bytes
	Streams    int     `json:"streams,omitempty"`     // of every type
	Format     string  `json:"format,omitempty"`      // demuxer that is to be forced: "mov", "matroska", "ogg"
	Image      *Image  `json:"image,omitempty"`
	Video      *Stream `json:"video,omitempty"` // the picture that a player would show; a cover picture is none
	Audio      *Stream `json:"audio,omitempty"` // the sound that a player would play, of a codec that is taken

	LeftOut []LeftOut `json:"left_out,omitempty"` // pictures and sound beside those
}

// LeftOut is a stream that is not delivered.
type LeftOut struct {
	Kind  Kind   `json:"kind"`            // video or voice: its pictures or its sound
	Codec string `json:"codec"`           // ffmpeg's name, else the container's
	Taken bool   `json:"taken,omitempty"` // another stream was chosen over it; else its codec is not taken
}

// Image holds what only pictures have.
type Image struct {
	Orientation int    `json:"orientation"` // EXIF 1..8, 1 where absent or already applied by the container
	HasAlpha    bool   `json:"has_alpha"`
	HasProfile  bool   `json:"has_profile"` // carries an ICC profile
	Space       string `json:"space"`       // libvips interpretation: "srgb", "cmyk", "b-w", "rgb16"
}

// Stream is one audio or video stream. Fields that do not apply are zero.
type Stream struct {
	Index   int    `json:"index"` // of the stream in its file
	Codec   string `json:"codec"` // ffmpeg's name: "h264", "opus"
	Profile string `json:"profile,omitempty"`
	Level   int    `json:"level,omitempty"` // 40 = 4.0
	BitRate int64  `json:"bit_rate,omitempty"`

	Width       int     `json:"width,omitempty"`  // coded pixels
	Height      int     `json:"height,omitempty"` // coded pixels
	PixelFormat string  `json:"pixel_format,omitempty"`
	SARNum      int     `json:"sar_num,omitempty"` // sample aspect ratio, 0 = unknown (square)
	SARDen      int     `json:"sar_den,omitempty"`
	Rotation    int     `json:"rotation,omitempty"` // degrees clockwise to display: 0, 90, 180, 270
	Mirrored    bool    `json:"mirrored,omitempty"` // the display matrix flips
	FPS         float64 `json:"fps,omitempty"`      // average frames per second
	Frames      int64   `json:"frames,omitempty"`   // pictures there are, 0 = not known
	Alpha       bool    `json:"alpha,omitempty"`    // carries transparency beside its pictures
	Transfer    string  `json:"transfer,omitempty"` // "smpte2084", "arib-std-b67", "bt709"
	Primaries   string  `json:"primaries,omitempty"`
	Matrix      string  `json:"matrix,omitempty"`
	Range       string  `json:"range,omitempty"` // "tv" or "pc"
	FieldOrder  string  `json:"field_order,omitempty"`

	SampleRate int `json:"sample_rate,omitempty"` // Hz
	Channels   int `json:"channels,omitempty"`
}

// HDR reports whether the stream must be tone-mapped: PQ or HLG transfer.
func (s *Stream) HDR() bool {
	return s != nil && (s.Transfer == "smpte2084" || s.Transfer == "arib-std-b67")
}
