package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// plainVideos are files of phones and editors by name; true = ffprobe is not needed for them.
var plainVideos = map[string]struct {
	args  []string
	plain bool
}{
	"high.mp4":       {nil, true},
	"main.mp4":       {[]string{"-profile:v", "main", "-movflags", "+faststart", "-bf", "2"}, true},
	"baseline.mp4":   {[]string{"-profile:v", "baseline", "-an"}, true},
	"hd.mp4":         {[]string{"-vf", "scale=1280:720,setsar=1", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"}, true},
	"sd.mp4":         {[]string{"-colorspace", "smpte170m", "-color_primaries", "smpte170m", "-color_trc", "smpte170m"}, true},
	"cropped.mp4":    {[]string{"-vf", "scale=322:182,setsar=1", "-r", "24000/1001"}, true},
	"tagged.mp4":     {[]string{"-metadata", "title=x", "-metadata:s:v", "handler_name=Someone"}, true},
	"offset.mp4":     {[]string{"-output_ts_offset", "2"}, false},
	"full.mp4":       {[]string{"-pix_fmt", "yuvj420p", "-color_range", "pc"}, false},
	"ten.mp4":        {[]string{"-pix_fmt", "yuv420p10le"}, false},
	"wide.mp4":       {[]string{"-vf", "setsar=4/3"}, false},
	"fields.mp4":     {[]string{"-flags", "+ildct+ilme", "-x264-params", "tff=1"}, false},
	"bt2020.mp4":     {[]string{"-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", "arib-std-b67"}, false},
	"fragmented.mp4": {[]string{"-movflags", "frag_keyframe+empty_moov"}, false},
	"telephone.mp4":  {[]string{"-ar", "22050"}, false},
	"mpeg4.mp4":      {[]string{"-c:v", "mpeg4"}, false},
	"two.mp4":        {[]string{"-map", "0:v", "-map", "1:a", "-map", "1:a"}, false},
	"said.mp4":       {[]string{"-c:a", "libmp3lame"}, false},
}

// TestPlainVideosSayWhatFFprobeSays holds our reading of headers to ffprobe's.
func TestPlainVideosSayWhatFFprobeSays(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	for name, c := range plainVideos {
		k.clip(name, c.args...)
		k.agreesOnVideo(name, c.plain)
	}
	k.agreesOnVideo(k.fixture("video/talking-head.mp4"), false)
	k.agreesOnVideo(k.fixture("video/quicktime-hvc1.mov"), false)
}

func (k *videoKit) agreesOnVideo(name string, plain bool) {
	k.Helper()
	f := k.file(name)
	got, ok := see(k.dir, f)
	if ok != plain {
		k.Errorf("%s: read here: %v, want %v", name, ok, plain)
	}
	if !ok {
		return
	}
	want, err := k.tools.askProbe(k.Context(), k.dir, f)
	if err != nil {
		k.Fatal(name, err)
	}
	if d := got.DurationMS - want.DurationMS; abs(d) > headersWithinMS || math.Abs(got.Video.FPS-want.Video.FPS) > 0.01*want.Video.FPS ||
		!near(got.BitRate, want.BitRate) || !near(got.Video.BitRate, want.Video.BitRate) {
		k.Errorf("%s: %d ms, %.2f fps, %d and %d bit/s; ffprobe: %d ms, %.2f fps, %d and %d bit/s", name, got.DurationMS, got.Video.FPS, got.BitRate,
			got.Video.BitRate, want.DurationMS, want.Video.FPS, want.BitRate, want.Video.BitRate)
	}
	for _, m := range []*pipeline.Media{&got, &want} { // the rest must be the same
		m.DurationMS, m.StartMS, m.BitRate, m.Video.BitRate, m.Video.FPS = 0, 0, 0, 0, 0
		if m.Audio != nil {
			m.Audio.BitRate = 0
		}
	}
	if got.Audio != nil && want.Audio != nil && *got.Audio != *want.Audio || (got.Audio == nil) != (want.Audio == nil) {
		k.Errorf("%s: sound %+v, ffprobe: %+v", name, got.Audio, want.Audio)
	}
	if *got.Video != *want.Video {
		k.Errorf("%s: picture %+v, ffprobe: %+v", name, *got.Video, *want.Video)
	}
	got.Video, want.Video, got.Audio, want.Audio = nil, nil, nil, nil
	if !reflect.DeepEqual(got, want) {
		k.Errorf("%s: %+v, ffprobe: %+v", name, got, want)
	}
}

// near allows a hundredth.
func near(a, b int64) bool { return abs(a-b)*100 <= b }

// TestHeadersThatLie changes single bytes of a plain file: it is read here as something else, or not at all, and never panics.
func TestHeadersThatLie(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.clip("a.mp4", "-movflags", "+faststart", "-t", "0.2")
	data, err := os.ReadFile(filepath.Join(k.dir, "a.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	end := bytes.Index(data, []byte("mdat"))
	for at := range end {
		for _, flip := range []byte{0xff, 0x80, 0x01} {
			broken := bytes.Clone(data[:end+1000])
			broken[at] ^= flip
			info, err := parseMP4(bytes.NewReader(broken), int64(len(broken)))
			if err != nil || info.durationMS <= 0 || !info.plain() {
				continue
			}
			for i := range info.tracks {
				if v := info.tracks[i].picture(i); v != nil && (v.Width < 1 || v.Height < 1 || math.IsNaN(v.FPS) || math.IsInf(v.FPS, 0)) {
					t.Fatalf("byte %d: %+v", at, v)
				}
				info.tracks[i].sound(i)
			}
		}
	}
}

// TestMediaOutsideAreRefused points the data reference of a file elsewhere, in each of the three ways there are.
func TestMediaOutsideAreRefused(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.clip("a.mp4")
	whole, err := os.ReadFile(filepath.Join(k.dir, "a.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range map[string]string{"url.mp4": "url ", "urn.mp4": "urn ", "alias.mp4": "alis"} {
		data := bytes.Clone(whole)
		at := bytes.Index(data, []byte("dref")) + 4 + 8 // version, flags, count
		copy(data[at+4:], kind)
		binary.BigEndian.PutUint32(data[at+8:], 0) // no flag: not in this file
		k.write(name, data)
		_, err := k.tools.Probe(t.Context(), k.dir, k.file(name))
		wantCode(t, err, pipeline.CodeUnsupportedType)
	}
}
