package sandbox

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// tamperer is a pool whose renditions are changed behind its back: after they were made, or after they were verified.
type tamperer struct {
	*Pool
	after string // "render" or "verify"
	mime  string
	alter func(t *testing.T, path string, r *pipeline.Rendition)
	t     *testing.T
	done  bool
}

func (p *tamperer) Open(ctx context.Context, ws *pipeline.Workspace) (pipeline.Processor, error) {
	proc, err := p.Pool.Open(ctx, ws)
	return &tampering{proc, p, ws}, err
}

type tampering struct {
	pipeline.Processor
	*tamperer
	ws *pipeline.Workspace
}

func (p *tampering) Render(ctx context.Context, f pipeline.File, plan pipeline.Plan, progress func(float64)) (*pipeline.Rendered, error) {
	r, err := p.Processor.Render(ctx, f, plan, progress)
	if err == nil && p.after == "render" {
		p.tamper(r)
	}
	return r, err
}

func (p *tampering) Verify(ctx context.Context, r *pipeline.Rendered) error {
	err := p.Processor.Verify(ctx, r)
	if err == nil && p.after == "verify" {
		p.tamper(r)
	}
	return err
}

func (p *tampering) tamper(r *pipeline.Rendered) {
	for i := range r.Part.Renditions {
		f := &r.Part.Renditions[i]
		if f.MIME != p.mime || p.done {
			continue
		}
		path, err := p.ws.Abs(f.Path)
		if err != nil {
			p.t.Fatal(err)
		}
		p.alter(p.t, path, f)
		p.done = true
	}
}

// change rewrites a file and, so that size is not what gives it away, what is recorded of its size.
func change(with func(data []byte) []byte) func(*testing.T, string, *pipeline.Rendition) {
	return func(t *testing.T, path string, r *pipeline.Rendition) {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		data = with(data)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r.Size = int64(len(data))
	}
}

// remade has ffmpeg write the file anew.
func remade(args ...string) func(*testing.T, string, *pipeline.Rendition) {
	return func(t *testing.T, path string, r *pipeline.Rendition) {
		t.Helper()
		out := path + ".remade" + map[string]string{"video/mp4": ".mp4", "audio/mp4": ".m4a", "audio/ogg": ".ogg", "image/jpeg": ".jpg"}[r.MIME]
		line := append([]string{"-v", "error", "-nostdin", "-y", "-i", path}, args...)
		if said, err := exec.Command("ffmpeg", append(line, out)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		data, err := os.ReadFile(out)
		if err = errors.Join(err, os.Remove(out), os.WriteFile(path, data, 0o600)); err != nil {
			t.Fatal(err)
		}
		r.Size = int64(len(data))
	}
}

func half(data []byte) []byte { return data[:len(data)/2] }

// TestATamperedRenditionIsNotPublished: of every kind, in what a viewer or an eavesdropper would notice.
func TestATamperedRenditionIsNotPublished(t *testing.T) {
	comment := func(data []byte) []byte { return append([]byte("\xff\xd8\xff\xfe\x00\x0ahome 48N"), data[2:]...) }
	later := func(data []byte) []byte { data[len(data)/2] ^= 1; return data }
	title := func(data []byte) []byte { return append(data, "\x00\x00\x00\x10udtaSecretXX"...) }
	for _, tc := range []struct {
		name, source, mime, after string
		alter                     func(*testing.T, string, *pipeline.Rendition)
	}{
		{"a JPEG cut in half", "a.png", "image/jpeg", "render", change(half)},
		{"a JPEG with a comment", "a.png", "image/jpeg", "render", change(comment)},
		{"a JPEG of another size", "a.png", "image/jpeg", "render", remade("-vf", "scale=16:16")},
		{"a JPEG that is a text", "a.png", "image/jpeg", "render", change(func([]byte) []byte { return []byte("hello") })},
		{"a JPEG not of the size recorded", "a.png", "image/jpeg", "render", func(_ *testing.T, _ string, r *pipeline.Rendition) { r.Size++ }},
		{"a JPEG not as wide as recorded", "a.png", "image/jpeg", "render", func(_ *testing.T, _ string, r *pipeline.Rendition) { r.Width++ }},
		{"a WebP cut in half", "a.png", "image/webp", "render", change(half)},
		{"a WebP with a chunk more", "a.png", "image/webp", "render", change(func(d []byte) []byte { return append(d, "EXIF\x04\x00\x00\x00home"...) })},
		{"a video without faststart", "film.mp4", "video/mp4", "render", remade("-c", "copy")},
		{"a video with a title", "film.mp4", "video/mp4", "render", remade("-c", "copy", "-movflags", "+faststart", "-metadata", "title=home")},
		{"a video with a box more", "film.mp4", "video/mp4", "render", change(title)},
		{"a video of half the length", "film.mp4", "video/mp4", "render", remade("-c:v", "libx264", "-t", "0.4", "-movflags", "+faststart", "-fflags", "+bitexact")},
		{"a video cut in half", "film.mp4", "video/mp4", "render", change(half)},
		{"a poster of another size", "film.mp4", "image/jpeg", "render", remade("-vf", "scale=16:16")},
		{"an Ogg cut in half", "note.wav", "audio/ogg", "render", change(half)},
		{"an Ogg with tags", "note.wav", "audio/ogg", "render", remade("-c", "copy", "-metadata", "title=home")},
		{"an M4A cut in half", "note.wav", "audio/mp4", "render", change(half)},
		{"an M4A with a title", "note.wav", "audio/mp4", "render", remade("-c", "copy", "-movflags", "+faststart", "-metadata", "title=home")},
		{"an M4A with a box more", "note.wav", "audio/mp4", "render", change(title)},
		{"a JPEG changed after it was verified", "a.png", "image/jpeg", "verify", change(later)},
		{"a WebP changed after it was verified", "a.png", "image/webp", "verify", change(later)},
		{"a video changed after it was verified", "film.mp4", "video/mp4", "verify", change(later)},
		{"an Ogg changed after it was verified", "note.wav", "audio/ogg", "verify", change(later)},
		{"an M4A changed after it was verified", "note.wav", "audio/mp4", "verify", change(later)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, nil)
			p := &tamperer{Pool: r.pool, after: tc.after, mime: tc.mime, alter: tc.alter, t: t}
			r.Processors = p
			o := r.send(t, tc.name, named(t, sharedSeeds(t), tc.source))
			if !p.done {
				t.Fatalf("there was no %s to change: %s", tc.mime, o.code())
			}
			if o.err == nil && (o.part.Error == nil || o.part.Error.Code != pipeline.CodeEncodeFailed) {
				t.Errorf("%s, want encode_failed", o.code())
			}
			if o.err != nil && tc.after == "render" && !errors.Is(o.err, pipeline.ErrUnverified) {
				t.Errorf("%v, want what an operator is alarmed by", o.err)
			}
			if tc.after == "verify" && !pipeline.Retryable(o.err) {
				t.Errorf("%s, want another attempt: the file is not to blame", o.code())
			}
			r.publishedNothing(t, tc.mime)
		})
	}
}

// publishedNothing: no rendition of the type is in the store, and no manifest or record names one.
func (r *rig) publishedNothing(t *testing.T, mime string) {
	t.Helper()
	extension := map[string]string{"image/jpeg": ".jpg", "image/webp": ".webp", "video/mp4": ".mp4", "audio/ogg": ".ogg", "audio/mp4": ".m4a"}[mime]
	err := r.store.List(t.Context(), "", func(o pipeline.Object) error {
		switch {
		case strings.HasPrefix(o.Key, "uploads/"):
		case strings.HasPrefix(o.Key, "media/"):
			if sum := digest(r.object(t, o.Key)); !strings.Contains(o.Key, sum) {
				t.Errorf("%s holds %s", o.Key, sum)
			}
		case bytes.Contains(r.object(t, o.Key), []byte(`"media/`)):
			t.Errorf("%s names renditions (%s was tampered with)", o.Key, filepath.Ext(extension))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestABytePastTheAnswer: an engine that goes on writing to what it has handed over changes nothing of what is published.
func TestABytePastTheAnswer(t *testing.T) {
	r := newHall(t, nil)
	got, err := r.render(t.Context(), t, 0, "later")
	if err != nil {
		t.Fatal(err)
	}
	path, err := r.ws.Abs(got.Part.Renditions[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.render(t.Context(), t, 1, "fine"); err != nil { // the engine runs again
		t.Fatal(err)
	}
	second, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("%q became %q (%v)", first, second, err)
	}
}
