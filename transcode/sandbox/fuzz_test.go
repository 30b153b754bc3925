package sandbox

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// frames joins documents as an engine would send them.
func frames(docs ...string) []byte {
	var out []byte
	for _, d := range docs {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(d))), d...)
	}
	return out
}

// FuzzAnswer: whatever an engine answers, the worker does not panic, and what it takes of it is inside the room, bounded, of a code that
// is an engine's to give, and free of everything that is the worker's to say.
func FuzzAnswer(f *testing.F) {
	const rendition = `{"name":"display","class":"full","mime":"image/jpeg","path":"out/0/a.jpg","width":1,"height":1}`
	for _, doc := range []string{
		`{"done":true,"rendered":{"part":{"kind":"photo","renditions":[` + rendition + `]},"samples":[{"path":"out/0/s","width":1,"height":1}]}}`,
		`{"done":true,"media":{"kind":"photo","width":1,"height":1}}`, `{"done":true,"failure":{"code":"corrupt","message":"m","op":"o"}}`,
		`{"done":true,"samples":[{"path":"out/0/x/s","width":1,"height":1,"offset":0}]}`, `{"progress":50}`,
		`{"done":true,"rendered":{"part":{"kind":"photo","renditions":[{"path":"../../etc/passwd"}]}}}`, `{"done":true,"failure":{"code":"blocked_nudity"}}`,
	} {
		for kind := range byte(3) {
			f.Add(kind, frames(doc))
			f.Add(kind, frames(`{"progress":1}`, doc))
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, data []byte) {
		file := &pipeline.File{Path: "in/0", Type: pipeline.TypeJPEG}
		req := []Request{
			{Op: OpIdentify, File: file}, {Op: OpRender, File: file, Out: "out/0", Plan: &transcode.Plan{}}, {Op: OpLook, File: file, Out: "out/0"},
		}[kind%3]
		e := &engine{in: discard{}, out: bufio.NewReader(bytes.NewReader(data))}
		resp, err := e.exchange(req, func(p float64) {
			if !(p >= 0 && p <= 100) {
				t.Errorf("progress of %v", p)
			}
		})
		if err != nil {
			return
		}
		if resp.Failure != nil {
			checkFailed(t, (&session{}).failed(resp.Failure))
			return
		}
		if err := resp.check(req); err != nil {
			checkFailed(t, err)
			return
		}
		checkTaken(t, req, resp)
	})
}

func checkFailed(t *testing.T, err error) {
	t.Helper()
	var e *pipeline.Error
	if !errors.As(err, &e) || !engineCodes[e.Code] || len(e.Message) > 512 {
		t.Errorf("%v is not an engine's to say", err)
	}
}

func checkTaken(t *testing.T, req Request, resp Response) {
	t.Helper()
	inside := func(path string) {
		if !filepath.IsLocal(path) || !strings.HasPrefix(path, req.Out+"/") || strings.Contains(path, "..") {
			t.Errorf("the path %q was taken", path)
		}
	}
	samples := resp.Samples
	if req.Op == OpRender {
		p := resp.Rendered.Part
		if p.ItemID != "" || p.Status != "" || p.Error != nil || p.Moderation != nil || p.Source != nil {
			t.Errorf("the engine's own %+v was taken", p)
		}
		for _, r := range p.Renditions {
			inside(r.Path)
			if r.Key != "" || r.Class == pipeline.ClassSafe && r.Name != "blurred" {
				t.Errorf("the rendition %+v was taken", r)
			}
		}
	}
	if req.Op == OpIdentify {
		return
	}
	for _, s := range samples {
		inside(s.Path)
	}
}

// FuzzReadFrame: no length makes the reader take more memory than a frame may have.
func FuzzReadFrame(f *testing.F) {
	f.Add(frames(`{"done":true}`))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var resp Response
		if n, err := readFrame(bytes.NewReader(data), &resp); err == nil && n > len(data)-4 {
			t.Errorf("%d bytes out of %d", n, len(data))
		}
	})
}

// discard is where a request goes that nobody reads.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }
