package sandbox

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"log/slog"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/transcode"
)

// TestRealEngine holds the pool and the real engine program together to the contract of a Processor.
func TestRealEngine(t *testing.T) {
	path := filepath.Join(t.TempDir(), engineName)
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/ninefold-engine").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	pipelinetest.TestProcessor(t, photo(t), func(t *testing.T) pipeline.Processors {
		cfg := DefaultConfig()
		cfg.Engine, cfg.Warm, cfg.Parallel, cfg.Log = path, 1, 2, slog.New(slog.DiscardHandler)
		pool, err := NewPool(cfg, transcode.DefaultProfile())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := pool.Close(); err != nil {
				t.Error(err)
			}
		})
		return pool
	})
}

// photo is a small JPEG with something to see in it.
func photo(t *testing.T) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 96, 64))
	for y := range 64 {
		for x := range 96 {
			img.Set(x, y, color.RGBA{uint8(2 * x), uint8(4 * y), uint8(x * y), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
