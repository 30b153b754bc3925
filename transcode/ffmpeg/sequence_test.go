package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// A sequence of pictures that are predicted from others is clean only while those are there; Nokia's conformance file C046 is not.
func TestSequencesThatDecodeCleanly(t *testing.T) {
	t.Parallel()
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=5:d=2", "-c:v", "libx265", "-x265-params", "log-level=none:keyint=10", "-pix_fmt", "yuv420p",
		"-tag:v", "hvc1", "-f", "mp4", "sound.heic")
	sound, err := os.ReadFile(filepath.Join(k.dir, "sound.heic"))
	if err != nil {
		t.Fatal(err)
	}
	// The first two pictures become the third: what the others are predicted from is missing.
	broken := bytes.Clone(sound)
	sizes, first := bytes.Index(broken, []byte("stsz")), bytes.Index(broken, []byte("mdat"))+4
	if at := bytes.Index(broken, []byte("stco")); at > 0 {
		first = int(binary.BigEndian.Uint32(broken[at+12:]))
	}
	skip := int(binary.BigEndian.Uint32(broken[sizes+16:]))
	binary.BigEndian.PutUint32(broken[bytes.Index(broken, []byte("stco"))+12:], uint32(first+skip))
	copy(broken[sizes+16:], broken[sizes+20:sizes+20+4*9])
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{"sound": {sound, true}, "broken": {broken, false}} {
		if err := os.WriteFile(filepath.Join(k.dir, name+".heic"), c.data, 0o600); err != nil {
			t.Fatal(err)
		}
		f := pipeline.File{Path: name + ".heic", Type: pipeline.TypeHEIC, Size: int64(len(c.data))}
		got, err := k.tools.DecodesCleanly(t.Context(), k.dir, f)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
}
