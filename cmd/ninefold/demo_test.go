package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

func TestDemo(t *testing.T) {
	scratch := setUp(t)
	media, out := filepath.Join(t.TempDir(), "demo"), t.TempDir()
	if text, err := exec.Command("../../docker/demo-media.sh", media).CombinedOutput(); err != nil {
		t.Fatalf("demo-media.sh: %v\n%s", err, text)
	}
	r := call(t.Context(), "demo", "--media", media, "--out", out).want(t, exitOK)
	data, err := os.ReadFile(filepath.Join(out, "event.json"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := queue.DecodeEvent(data)
	if err != nil {
		t.Fatal(err)
	}
	m := e.Manifest
	if m.Status != pipeline.StatusReady || len(m.Parts) != 6 || len(m.Deliveries) != 3 {
		t.Fatalf("status %s, %d parts, %d deliveries", m.Status, len(m.Parts), len(m.Deliveries))
	}
	for i, want := range []struct {
		kind          pipeline.Kind
		width, height int
		durationMS    int64
	}{
		{pipeline.KindVoice, 0, 0, 60_000},    // 75 s of speech, cut
		{pipeline.KindPhoto, 2048, 1536, 0},   // 2400×1800 HEIC
		{pipeline.KindPhoto, 2048, 2048, 0},   // 3024×4032 upright, cropped to 2419×2419
		{pipeline.KindPhoto, 800, 800, 0},     // PNG with alpha
		{pipeline.KindVideo, 320, 240, 3000},  // GIF
		{pipeline.KindVideo, 1280, 720, 6000}, // 1080p, trimmed
	} {
		p := m.Parts[i]
		if p.Kind != want.kind || p.Width != want.width || p.Height != want.height || abs(p.DurationMS-want.durationMS) > frameMS {
			t.Errorf("%s: %s %d×%d %d ms, want %+v", p.ItemID, p.Kind, p.Width, p.Height, p.DurationMS, want)
		}
		checkPart(t, out, p)
	}
	for _, want := range []string{"u_teen", "u_filtered", "u_open", "trimmed from 75.0 s", "manifests/" + m.JobID} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, r.stdout)
		}
	}
	leavesNothing(t, scratch)
}

// frameMS is one frame at 25 per second: what a trim between frames may be off by.
const frameMS = 40

func abs(n int64) int64 { return max(n, -n) }
