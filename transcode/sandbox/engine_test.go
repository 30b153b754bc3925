package sandbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/transcode"
)

// realEngine is the path of ninefold-engine with ninefold-voice-engine beside it, built once.
var realEngine = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "engines-")
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, engineName), errors.Join(build(dir+"/", "../../cmd/ninefold-engine", "../../cmd/ninefold-voice-engine"), os.Chmod(dir, 0o755))
})

func openReal(t *testing.T) *Pool {
	t.Helper()
	path, err := realEngine()
	if err != nil {
		t.Fatal(err)
	}
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
}

// TestRealEngine holds the pool and the real engine program together to the contract of a Processor.
func TestRealEngine(t *testing.T) {
	pipelinetest.TestProcessor(t, photo(t), func(t *testing.T) pipeline.Processors { return openReal(t) })
}

// TestEachEngineServesItsOwn sends a photo and a voice note through one message: libvips is started for the photo only.
func TestEachEngineServesItsOwn(t *testing.T) {
	for _, tc := range []struct {
		name    string
		sources [][]byte
		want    []string // programs, in the order in which they were started: one for what was sent, one for what is delivered
	}{
		{"a voice note", [][]byte{tone()}, []string{voiceEngineName, voiceEngineName}},
		{"a photo", [][]byte{photo(t)}, []string{engineName, engineName}},
		{"a note and a photo", [][]byte{tone(), photo(t)}, []string{voiceEngineName, voiceEngineName, engineName, engineName}},
		{"a photo's engine serves the note after it", [][]byte{photo(t), tone()}, []string{engineName, engineName}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := openMessage(t, openReal(t))
			for i, data := range tc.sources {
				s.deliver(t, i, data)
			}
			if got := s.programs(); !slices.Equal(got, tc.want) {
				t.Errorf("served by %v, want %v", got, tc.want)
			}
		})
	}
}

// message is an open session with its workspace.
type message struct {
	*session
}

func openMessage(t *testing.T, pool *Pool) message {
	t.Helper()
	ws, err := pipeline.NewWorkspace(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	proc, err := pool.Open(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proc.Close(); err != nil {
			t.Error(err)
		}
		if err := ws.Close(); err != nil {
			t.Error(err)
		}
	})
	return message{proc.(*session)}
}

// deliver takes data through every call, as the pipeline does.
func (m message) deliver(t *testing.T, n int, data []byte) {
	t.Helper()
	f, err := pipeline.StageFile(m.ws, "in/"+string(rune('0'+n)), bytes.NewReader(data), int64(len(data)), 32<<20)
	if err != nil {
		t.Fatal(err)
	}
	media, err := m.Identify(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := m.Plan(pipeline.Item{ID: "i", Kind: media.Kind}, media)
	if err != nil {
		t.Fatal(err)
	}
	r, err := m.Render(t.Context(), f, plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func (m message) programs() []string {
	var names []string
	for _, e := range m.all {
		names = append(names, filepath.Base(e.cmd.Path))
	}
	return names
}

// TestInspectSpeaksOfTheVoiceEngine: that it answers, that it is missing, that it is broken.
func TestInspectSpeaksOfTheVoiceEngine(t *testing.T) {
	engine, err := realEngine()
	if err != nil {
		t.Fatal(err)
	}
	alone, broken := t.TempDir(), t.TempDir()
	for _, dir := range []string{alone, broken} {
		if err := os.Symlink(engine, filepath.Join(dir, engineName)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(broken, voiceEngineName), []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		dir  string
		ok   bool
		says string
	}{{filepath.Dir(engine), true, "answers"}, {alone, true, "not beside the engine"}, {broken, false, "make build"}} {
		cfg := DefaultConfig()
		cfg.Engine, cfg.Warm, cfg.Log = filepath.Join(tc.dir, engineName), 0, slog.New(slog.DiscardHandler)
		pool, err := NewPool(cfg, transcode.DefaultProfile())
		if err != nil {
			t.Fatal(err)
		}
		checks, err := pool.Inspect(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(checks, func(c Check) bool { return c.Name == "voice engine" })
		if at < 0 || checks[at].OK != tc.ok || !strings.Contains(checks[at].Detail, tc.says) {
			t.Errorf("%+v, want a voice engine that is %t and says %q", checks, tc.ok, tc.says)
		}
	}
}

// TestVoiceEngineLinksNoC is why there is a second program: whatever it comes to import, libvips must not be in it.
func TestVoiceEngineLinksNoC(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-f", "{{if .CgoFiles}}{{.ImportPath}}{{end}}", "../../cmd/ninefold-voice-engine")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pkg := range strings.Fields(string(out)) {
		if !slices.Contains([]string{"runtime/cgo", "net", "os/user"}, pkg) { // the standard library's have a form without C
			t.Errorf("%s is linked, and it has C in it", pkg)
		}
	}
}

func TestWhatARequestNeeds(t *testing.T) {
	file := func(typ pipeline.Type) *pipeline.File { return &pipeline.File{Type: typ} }
	rendered := func(kind pipeline.Kind) *pipeline.Rendered {
		return &pipeline.Rendered{Part: pipeline.Part{Kind: kind}}
	}
	for _, tc := range []struct {
		name string
		req  Request
		want skill
	}{
		{"a header of sound", Request{Op: OpIdentify, File: file(pipeline.TypeOgg)}, sound},
		{"a header that may be a video's", Request{Op: OpIdentify, File: file(pipeline.TypeWebM)}, sound},
		{"a header of a picture", Request{Op: OpIdentify, File: file(pipeline.TypeGIF)}, all},
		{"a voice note", Request{Op: OpRender, Plan: &transcode.Plan{Voice: &transcode.VoicePlan{}}}, sound},
		{"a video", Request{Op: OpRender, Plan: &transcode.Plan{Video: &transcode.VideoPlan{}}}, all},
		{"a photo", Request{Op: OpRender, Plan: &transcode.Plan{Photo: &transcode.PhotoPlan{}}}, all},
		{"a rendered note", Request{Op: OpVerify, Rendered: rendered(pipeline.KindVoice)}, sound},
		{"a rendered video", Request{Op: OpVerify, Rendered: rendered(pipeline.KindVideo)}, all},
		{"libraries", Request{Op: OpInspect}, all},
		{"nothing", Request{Op: OpRender}, all},
	} {
		if got := tc.req.skill(); got != tc.want {
			t.Errorf("%s: needs %d, want %d", tc.name, got, tc.want)
		}
	}
}

// tone is a WAV file: a second of 440 Hz, mono, 16 bits at 16 kHz.
func tone() []byte {
	const rate = 16_000
	var b bytes.Buffer
	b.WriteString("RIFF")
	le := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) } // a buffer takes everything
	le(uint32(36 + 2*rate))
	b.WriteString("WAVEfmt ")
	le(uint32(16))
	le([]uint16{1, 1})
	le([]uint32{rate, 2 * rate})
	le([]uint16{2, 16})
	b.WriteString("data")
	le(uint32(2 * rate))
	for i := range rate {
		le(int16(8000 * math.Sin(2*math.Pi*440*float64(i)/rate)))
	}
	return b.Bytes()
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
