package transcode

import (
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// What phones make by themselves is taken; what is larger is refused by its header.
func TestPhotoLimits(t *testing.T) {
	t.Parallel()
	const jpeg, heic, png = "image/jpeg", "image/heic", "image/png"
	for _, c := range []struct {
		name string
		mime string
		w, h int
		size int64
		want pipeline.Code
	}{
		{"iPhone panorama", heic, 16_382, 3_846, 20 * MiB, ""},
		{"50 MP sensor", heic, 8_192, 6_144, 12 * MiB, ""},
		{"64 MP sensor", png, 9_248, 6_936, 60 * MiB, ""},
		{"64 MP, JPEG", jpeg, 9_280, 6_944, 30 * MiB, ""},
		{"108 MP", jpeg, 12_000, 9_000, 40 * MiB, ""},
		{"200 MP", jpeg, 16_320, 12_240, 64 * MiB, ""},
		{"200 MP, upright", jpeg, 12_240, 16_320, 64 * MiB, ""},
		{"longest side", jpeg, 20_000, 100, 1 * MiB, ""},
		{"200 MP, not JPEG", heic, 16_320, 12_240, 1 * MiB, pipeline.CodeTooManyPixels},
		{"more than 65 MP", png, 9_500, 7_000, 1 * MiB, pipeline.CodeTooManyPixels},
		{"more than 210 MP", jpeg, 17_000, 12_500, 1 * MiB, pipeline.CodeTooManyPixels},
		{"too long a side", jpeg, 20_001, 100, 1 * MiB, pipeline.CodeTooManyPixels},
		{"too many bytes", jpeg, 100, 100, 64*MiB + 1, pipeline.CodeTooLarge},
	} {
		m := pipeline.Media{Kind: pipeline.KindPhoto, MIME: c.mime, Width: c.w, Height: c.h, Size: c.size, Frames: 1}
		var got pipeline.Code
		if err := CheckLimits(m, DefaultProfile()); err != nil {
			got = pipeline.AsError(err).Code
		}
		if got != c.want {
			t.Errorf("%s: code %q, want %q", c.name, got, c.want)
		}
	}
}

// A deployment that allows fewer pixels means JPEG, too, unless it says otherwise.
func TestJPEGPixelsFollow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pixels, jpeg, want int64 }{{65_000_000, 0, 210_000_000}, {1000, 0, 1000}, {1000, 5000, 5000}} {
		p := defaultPhoto()
		p.MaxPixels, p.MaxJPEGPixels = c.pixels, c.jpeg
		if got := p.WithJPEGPixels(defaultPhoto()).MaxJPEGPixels; got != c.want {
			t.Errorf("max_pixels %d, max_jpeg_pixels %d: %d, want %d", c.pixels, c.jpeg, got, c.want)
		}
	}
}

// What phones film by themselves is within the limits: a minute of 4K at 60 pictures a second in HDR, beside eight photos.
func TestAMinuteOf4K60(t *testing.T) {
	prof := DefaultProfile()
	for name, size := range map[string]int64{"iPhone, HDR": 440_000_000, "Android, 70 Mbit/s": 60 * 70_000_000 / 8} {
		m := phoneVideo()
		m.Size, m.DurationMS, m.BitRate, m.Width, m.Height = size, 60_000, size*8/60, 3840, 2160
		m.Video.Codec, m.Video.Width, m.Video.Height, m.Video.FPS, m.Video.PixelFormat = "hevc", 3840, 2160, 60, "yuv420p10le"
		m.Video.Transfer, m.Video.Primaries, m.Video.Matrix = "arib-std-b67", "bt2020", "bt2020nc"
		if err := CheckLimits(m, prof); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindVideo}, m, prof); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
