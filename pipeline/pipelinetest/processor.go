package pipelinetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// processTogether is how many files TestProcessor has in work at once.
const processTogether = 4

// TestProcessor holds an implementation to the numbered cases of pipeline.Processor. good is a small photo that it takes; open
// returns the implementation under test, whose end open sees to.
func TestProcessor(t *testing.T, good []byte, open func(*testing.T) pipeline.Processors) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *desk, []byte)
	}{
		{"a good photo", goodPhoto},
		{"what was rendered is read back", readsBack},
		{"garbage is a result", garbageIsAResult},
		{"a file cut short is never silently whole", cutShort},
		{"several at once", severalAtOnce},
		{"an ended context ends the call", endedContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newDesk(t, open(t)), good) })
	}
}

// desk is one message's processor and workspace.
type desk struct {
	proc pipeline.Processor
	ws   *pipeline.Workspace
}

func newDesk(t *testing.T, procs pipeline.Processors) *desk {
	t.Helper()
	ws, err := pipeline.NewWorkspace(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	proc, err := procs.Open(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(proc.Close(), ws.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &desk{proc, ws}
}

// process takes data through all calls, as the pipeline does.
func (d *desk) process(ctx context.Context, n int, data []byte) (*pipeline.Rendered, error) {
	f, err := pipeline.StageFile(d.ws, fmt.Sprintf("in/%d", n), bytes.NewReader(data), int64(len(data)), 1<<30)
	if err != nil {
		return nil, err
	}
	m, err := d.proc.Identify(ctx, f)
	if err != nil {
		return nil, err
	}
	plan, err := d.proc.Plan(pipeline.Item{ID: "i", Kind: pipeline.KindPhoto}, m)
	if err != nil {
		return nil, err
	}
	if keys, err := d.proc.KeyFrames(ctx, f, plan); err != nil || len(keys) > 0 {
		return nil, fmt.Errorf("a still has %d frames: %w", len(keys), err)
	}
	r, err := d.proc.Render(ctx, f, plan, func(float64) {})
	if err != nil {
		return nil, err
	}
	return r, d.proc.Verify(ctx, r)
}

// readBack has what was rendered read back.
func (d *desk) readBack(t *testing.T, part pipeline.Part, made bool, side int) *pipeline.ReadBack {
	t.Helper()
	back, err := d.proc.ReadBack(t.Context(), pipeline.ReadOrder{Part: part, Out: fmt.Sprintf("out/0/read-%t-%d", made, side), Make: made, Side: side})
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func readsBack(t *testing.T, d *desk, good []byte) {
	r, err := d.process(t.Context(), 0, good)
	if err != nil {
		t.Fatal(err)
	}
	const side = 32
	back := d.readBack(t, r.Part, true, side)
	s := back.Screen
	if s.Frames < len(r.Part.Renditions) || s.Covered != s.Frames || s.Scored < 1 || len(s.Samples) < s.Scored {
		t.Errorf("of %d renditions there is to see %+v", len(r.Part.Renditions), s)
	}
	for _, s := range s.Samples {
		if err := d.ws.ReadFull(s.Path, s.Offset, make([]byte, s.Width*s.Height*3), 1<<30); err != nil {
			t.Errorf("sample %s: %v", s.Path, err)
		}
	}
	if len(back.Safe) != 1 || back.Safe[0].Class != pipeline.ClassSafe || back.Placeholder == nil {
		t.Errorf("in the picture's place stand %+v and %+v", back.Safe, back.Placeholder)
	}
	if back := d.readBack(t, r.Part, true, 0); len(back.Screen.Samples) > 0 || len(back.Safe) != 1 {
		t.Errorf("nobody judges, and there is to see %+v, %+v", back.Screen, back.Safe)
	}
	if back := d.readBack(t, r.Part, false, side); len(back.Safe) > 0 || back.Placeholder != nil {
		t.Errorf("made, unasked: %+v, %+v", back.Safe, back.Placeholder)
	}
}

func goodPhoto(t *testing.T, d *desk, good []byte) {
	r, err := d.process(t.Context(), 0, good)
	if err != nil {
		t.Fatal(err)
	}
	if r.Part.Kind != pipeline.KindPhoto || len(r.Part.Renditions) == 0 {
		t.Fatalf("rendered %+v", r)
	}
	for _, rend := range r.Part.Renditions {
		f, size, err := d.ws.Open(rend.Path, 1<<30)
		if err != nil || size == 0 {
			t.Errorf("%s: %v, %d bytes", rend.Name, err, size)
			continue
		}
		_ = f.Close()
		if rend.Key != "" || rend.MIME == "" || (rend.Class != pipeline.ClassFull && rend.Class != pipeline.ClassSafe) {
			t.Errorf("%s: key %q, type %q, class %q", rend.Name, rend.Key, rend.MIME, rend.Class)
		}
	}
}

// isResult reports what keeps err from being a coded result that says what to do.
func isResult(err error) error {
	if err == nil {
		return errors.New("want a result with a message, got none")
	}
	e := pipeline.AsError(err)
	if e.Code.Trouble() || e.Message == "" || pipeline.Retryable(err) {
		return fmt.Errorf("want a result with a message, got: %w", err)
	}
	return nil
}

func garbageIsAResult(t *testing.T, d *desk, good []byte) {
	garbage := append(bytes.Clone(good[:4]), "refuse corrupt"...) // magic bytes, then what a fake takes for an order
	_, err := d.process(t.Context(), 0, garbage)
	if wrong := isResult(err); wrong != nil {
		t.Error(wrong)
	}
	if _, err := d.process(t.Context(), 1, good); err != nil {
		t.Errorf("after it a good photo gives %v", err)
	}
}

func cutShort(t *testing.T, d *desk, good []byte) {
	r, err := d.process(t.Context(), 0, good[:len(good)/3])
	if err == nil && len(r.Part.Warnings) == 0 && bytes.HasPrefix(good, JPEG("")) && len(good) > 100 {
		t.Error("a third of a photo passed without a warning")
	}
	if err != nil {
		if wrong := isResult(err); wrong != nil {
			t.Error(wrong)
		}
	}
}

func severalAtOnce(t *testing.T, d *desk, good []byte) {
	errs := make([]error, processTogether)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { _, errs[i] = d.process(t.Context(), i, good) })
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
}

func endedContext(t *testing.T, d *desk, good []byte) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.process(ctx, 0, good); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}
