package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// boxOf makes a box of its parts.
func boxOf(kind string, parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), kind...), body...)
}

// referring is a movie whose one data reference has these flags.
func referring(flags byte) []byte {
	url := boxOf("url ", []byte{0, 0, 0, flags}, []byte("file:///etc/passwd\x00"))
	dref := boxOf("dref", []byte{0, 0, 0, 0, 0, 0, 0, 1}, url)
	return boxOf("moov", boxOf("trak", boxOf("mdia", boxOf("minf", boxOf("dinf", dref)))))
}

func TestCheckSource(t *testing.T) {
	head := boxOf("ftyp", []byte("isom\x00\x00\x02\x00"))
	nested := boxOf("trak")
	for range maxBoxDepth {
		nested = boxOf("trak", nested)
	}
	for _, tc := range []struct {
		name string
		data []byte
		typ  pipeline.Type
		want pipeline.Code
	}{
		{"self-contained", append(head, referring(1)...), pipeline.TypeMP4, ""},
		{"refers elsewhere", append(head, referring(0)...), pipeline.TypeMP4, pipeline.CodeUnsupportedType},
		{"another type is not looked at", referring(0), pipeline.TypeMKV, ""},
		{"many boxes", append(head, bytes.Repeat(boxOf("free"), maxBoxes)...), pipeline.TypeMOV, pipeline.CodeCorrupt},
		{"few enough boxes", append(head, bytes.Repeat(boxOf("free"), maxBoxes-1)...), pipeline.TypeMOV, ""},
		{"too deep", append(head, boxOf("moov", nested)...), pipeline.TypeM4A, pipeline.CodeCorrupt},
		{"a box of 7 bytes", append(head, boxOf("moov", []byte("\x00\x00\x00\x07trak"))...), pipeline.Type3GP, pipeline.CodeCorrupt},
		{"bytes behind the last box", append(append(head, referring(1)...), "\x00\x00\x00\x03SEFT"...), pipeline.TypeMP4, ""},
		{"cut short", append(head, "\x00\x00\xff\xffmdat"...), pipeline.TypeMP4, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "in"), tc.data, 0o600); err != nil {
				t.Fatal(err)
			}
			err := checkSource(dir, pipeline.File{Path: "in", Type: tc.typ})
			if got := pipeline.AsError(err); err == nil != (tc.want == "") || err != nil && got.Code != tc.want {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestEndsEarly(t *testing.T) {
	whole := append(boxOf("ftyp", []byte("isom\x00\x00\x02\x00")), boxOf("mdat", make([]byte, 100))...)
	for name, tc := range map[string]struct {
		data []byte
		want bool
	}{
		"whole":            {whole, false},
		"cut":              {whole[:len(whole)-1], true},
		"to the end":       {append(whole[:16:16], "\x00\x00\x00\x00mdat and so on"...), false},
		"something behind": {append(whole[:len(whole):len(whole)], "\x7f\x00\x00\x00SEFT"...), false},
	} {
		path := filepath.Join(t.TempDir(), "in")
		if err := os.WriteFile(path, tc.data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := endsEarly(path, pipeline.TypeMP4); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
