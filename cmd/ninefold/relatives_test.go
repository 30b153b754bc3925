package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// relative is a file that shows red to some decoder, somewhere, somehow.
type relative struct {
	name, file string
	make       func(t *testing.T, file string)
}

// made has ffmpeg make a file of a source.
func made(source string, args ...string) func(*testing.T, string) {
	return func(t *testing.T, file string) {
		t.Helper()
		tool(t, "ffmpeg", slices.Concat([]string{"-v", "error", "-y", "-f", "lavfi", "-i", source}, args, []string{file})...)
	}
}

// altered changes the bytes of a file that was made.
func altered(first func(*testing.T, string), change func(data []byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, file string) {
		t.Helper()
		first(t, file)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, change(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	grey160  = "color=0x405060:s=160x120:r=30:d=2"
	redFrame = grey160 + ",drawbox=c=red:t=fill:enable='eq(n,31)'"
	// A checkerboard of red and cyan: grey on the mean.
	checker = "geq=r='255*mod(floor(X/4)+floor(Y/4),2)':g='255-255*mod(floor(X/4)+floor(Y/4),2)':b='255-255*mod(floor(X/4)+floor(Y/4),2)'"
)

// relatives of the ways by which somebody got a picture past the filter.
func relatives() []relative {
	vp8 := []string{"-pix_fmt", "yuv420p", "-c:v", "libvpx", "-b:v", "1M", "-deadline", "realtime"}
	packets := append([]string{"-pix_fmt", "yuv420p"}, copied...)
	small := "color=0x405060:s=640x360:r=30:d=2,drawbox=c=red:t=fill:x=500:y=40:w=96:h=60:enable='eq(n,31)'"
	fragments := []string{"-pix_fmt", "yuv420p", "-g", "10", "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-f", "mp4"}
	return []relative{
		{"sync samples that name P-pictures", "sync.mp4", altered(made(redFrame, packets...), func(d []byte) []byte {
			return bytes.Replace(d, []byte("stss"), []byte("free"), 1) // no list: every sample is one
		})},
		{"2.5 % of one frame, copied", "spot.mp4", made(small, packets...)},
		{"2.5 % of one frame, transcoded", "spot.webm", made(small, vp8...)},
		{"2.5 % of a photo", "spot.png", made("color=0x405060:s=1600x1200,drawbox=c=red:t=fill:x=1200:y=100:w=253:h=190", "-frames:v", "1")},
		{"2.5 % of a panorama", "wide.png", made("color=0x405060:s=3000x300,drawbox=c=red:t=fill:x=2700:y=75:w=150:h=150", "-frames:v", "1")},
		{"a still of contrast", "contrast.png", made("color=black:s=1024x1024,format=gbrp,"+checker, "-frames:v", "1")},
		{"one frame of contrast", "contrast.mp4", made("color=gray:s=512x512:r=10:d=2,format=gbrp,"+checker+":enable='eq(n,11)'",
			slices.Concat(packets, []string{"-qp", "4"})...)},
		{"a picture that only another ground shows, PNG", "alpha.png", made("color=red:s=512x512,format=rgba,colorchannelmixer=aa=0.02", "-frames:v", "1")},
		{"a picture that only another ground shows, WebP", "alpha.webp", made("color=red:s=512x512,format=bgra,colorchannelmixer=aa=0.02",
			"-frames:v", "1", "-c:v", "libwebp", "-lossless", "1")},
		{"a HEIC sequence of fragments", "sequence.heic", altered(made(redFrame, slices.Concat([]string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none", "-tag:v", "hvc1"}, fragments)...), brand("hevc"))},
		{"an AVIF sequence of fragments", "sequence.avif", altered(made(redFrame, slices.Concat([]string{"-c:v", "libaom-av1", "-cpu-used", "8"}, fragments)...), brand("avis"))},
		{"a GIF behind a GIF's trailer", "trailer.gif", func(t *testing.T, file string) {
			t.Helper()
			made(strings.Replace(redFrame, "eq(n,31)", "1", 1), "-frames:v", "20")(t, file+".red.gif")
			altered(made(grey160, "-frames:v", "20"), func(d []byte) []byte {
				red, err := os.ReadFile(file + ".red.gif")
				if err != nil {
					t.Fatal(err)
				}
				return append(d, red...)
			})(t, file)
		}},
		{"an APNG that counts too few", "few.png", altered(made(redFrame, "-f", "apng", "-frames:v", "40"), saysFrames(3))},
		{"an APNG that counts too many", "many.png", altered(made(redFrame, "-f", "apng", "-frames:v", "40"), saysFrames(290))},
		{"an APNG that counts one", "one.png", altered(made(redFrame, "-f", "apng", "-frames:v", "40"), saysFrames(1))},
	}
}

// brand says another major brand.
func brand(as string) func([]byte) []byte {
	return func(d []byte) []byte {
		copy(d[8:], as)
		copy(d[16:], as)
		return d
	}
}

// saysFrames has an APNG say how many frames it holds.
func saysFrames(n uint32) func([]byte) []byte {
	return func(d []byte) []byte {
		at := bytes.Index(d, []byte("acTL"))
		binary.BigEndian.PutUint32(d[at+4:], n)
		binary.BigEndian.PutUint32(d[at+12:], crc32.ChecksumIEEE(d[at:at+12]))
		return d
	}
}

// TestRelativesAreHeld wants of each that it is withheld, rejected with a code, or delivered without red and without transparency.
func TestRelativesAreHeld(t *testing.T) {
	setUp(t)
	dir, model := t.TempDir(), spotModel(t)
	for part := range slices.Chunk(relatives(), 5) {
		var attacks []attack
		for _, r := range part {
			r.make(t, filepath.Join(dir, r.file))
			attacks = append(attacks, attack{name: r.name, file: r.file})
		}
		out := t.TempDir()
		m := sendOut(t, dir, out, model, attacks, teen)
		for i, p := range m.Parts {
			switch how := held(m, i); {
			case how == "rejected":
				t.Logf("%s: rejected, %s", attacks[i].name, p.Error.Code)
			case how != "missed":
				t.Logf("%s: %s", attacks[i].name, how)
			case p.Status == pipeline.StatusReady:
				showsNone(t, out, attacks[i].name, p)
			default:
				t.Errorf("%s: %s, %+v", attacks[i].name, p.Status, p.Error)
			}
		}
	}
}

// showsNone wants every delivered file to show no red, and to have no transparency.
func showsNone(t *testing.T, out, name string, p pipeline.Part) {
	t.Helper()
	for _, r := range p.Renditions {
		if !strings.HasPrefix(r.MIME, "image/") && r.MIME != "video/mp4" {
			continue
		}
		file := filepath.Join(out, r.Key)
		const side = 64
		raw, err := exec.Command("ffmpeg", "-v", "error", "-i", file, "-vf", fmt.Sprintf("scale=%d:%d:flags=neighbor,format=rgba", side, side), "-f", "rawvideo", "-").Output()
		if err != nil || len(raw) == 0 {
			t.Errorf("%s: %s: %d bytes, %v", name, r.Name, len(raw), err)
		}
		for frame := range slices.Chunk(raw, side*side*4) {
			red := 0
			for px := range slices.Chunk(frame, 4) {
				if px[3] != 255 {
					t.Fatalf("%s: %s is transparent", name, r.Name)
				}
				if int(px[0])-int(px[1])-int(px[2]) > 60 {
					red++
				}
			}
			if red > side*side/100 {
				t.Errorf("%s: MARKER DELIVERED, %d of %d pixels of %s", name, red, side*side, r.Name)
				break
			}
		}
	}
	t.Logf("%s: delivered without it", name)
}
