package vips

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// The ways in which a JPEG ends early, and what is said of them.
const (
	saysWhole  = "truncated: the file lacks its last bytes; the picture is whole"
	saysShare  = "% of the picture is there"
	saysCoarse = "truncated: the file ends early; its finest detail is missing"
	saysFoot   = "truncated: the file does not end as a JPEG does"
)

// Many senders' JPEGs lack their end, or some of the last blocks: every viewer shows them, at every size and sampling.
func TestJPEGWithoutItsEnd(t *testing.T) {
	t.Parallel()
	kinds := map[string]string{
		"half the colour": "[Q=85,subsample_mode=on]", "all the colour": "[Q=85,subsample_mode=off]",
		"progressive": "[Q=85,interlace]",
	}
	for kind, options := range kinds {
		for _, side := range []int{64, 250} {
			whole := converted(t, pngOf(t, gradient(side, side)), ".jpg", options, "copy")
			dir, f := staged(t, whole)
			want := mustProcess(t, dir, f)
			n := len(whole)
			share, lost := saysShare, 60.0
			if kind == "progressive" {
				share, lost = saysCoarse, 8
			}
			for name, c := range map[string]struct {
				data []byte
				says string
				far  float64 // mean levels from the whole picture
			}{
				"no end mark":         {whole[:n-2], saysWhole, 0},
				"half an end mark":    {whole[:n-1], saysWhole, 0},
				"last blocks missing": {whole[:n-2-n/100], share, lost},
			} {
				t.Run(kind+", "+name, func(t *testing.T) { checkCut(t, c.data, want, c.says, c.far) })
			}
		}
	}
}

func checkCut(t *testing.T, data []byte, want rendered, says string, far float64) {
	t.Helper()
	dir, f := staged(t, data)
	got, err := process(t, dir, f)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Part.Warnings) != 1 || !strings.Contains(got.Part.Warnings[0], says) {
		t.Errorf("warnings %q, want %q", got.Part.Warnings, says)
	}
	if d := apart(t, got.sampled(t), want.sampled(t)); d > far {
		t.Errorf("%.1f levels from the whole picture, at most %.1f", d, far)
	}
}

// What is filled up with zeros, as some transfers leave it, is no picture, and more than the foot of a small one is not made up.
func TestJPEGWithoutItsFoot(t *testing.T) {
	t.Parallel()
	whole := converted(t, pngOf(t, gradient(64, 64)), ".jpg", "[Q=85,subsample_mode=off]", "copy")
	dir, f := staged(t, whole)
	want := mustProcess(t, dir, f)
	zeros := append(bytes.Clone(whole[:len(whole)-2]), make([]byte, 500)...)
	checkCut(t, zeros, want, saysFoot, 0)
	scan := bytes.Index(whole, []byte{0xff, 0xda})
	dir, f = staged(t, whole[:scan+(len(whole)-scan)/2])
	if _, err := process(t, dir, f); codeOf(err) != pipeline.CodeCorrupt {
		t.Errorf("half of a small picture: %v, want corrupt", err)
	}
}
