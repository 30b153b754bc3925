package console_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/cmd/ninefold/console"
	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/memstore"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/queue"
)

// bench is a console over an embedded Redis and a store in memory. No worker serves it.
type bench struct {
	t       *testing.T
	handler http.Handler
	store   *memstore.Store
	client  *queue.Client
	cfg     queue.Config
}

func newBench(t *testing.T, sending bool) bench {
	t.Helper()
	url, stop, err := queue.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	cfg := queue.DefaultConfig()
	cfg.RedisURL, cfg.Embedded, cfg.Log = url, true, slog.New(slog.DiscardHandler)
	client, err := queue.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	policy, err := moderation.NewPolicy(moderation.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	b := bench{t: t, store: memstore.New(), client: client, cfg: cfg}
	ids := 0
	c := console.Config{
		Jobs: client, Store: b.store, Caps: pipeline.ByteCaps{Voice: 10, Photo: 20, Video: 30}, Policy: policy, Log: slog.New(slog.DiscardHandler),
		Audience: byAction{},
		NewID:    func() string { ids++; return fmt.Sprintf("%026d", ids) },
	}
	if sending {
		c.Uploads = b.store
	}
	b.handler = console.New(c)
	return b
}

// byAction knows people by what they get of something drawn.
type byAction struct{}

func (byAction) Audience(_ context.Context, j pipeline.Job) (pipeline.Audience, error) {
	a := pipeline.Audience{Sender: pipeline.Sender{ID: j.Sender.ID, AgeBand: pipeline.Adult}}
	for _, r := range j.Recipients {
		r.AgeBand, r.Contact, r.NudityFilter = pipeline.Adult, pipeline.ContactAccepted, pipeline.FilterOff
		switch pipeline.Action(r.ID) {
		case pipeline.BlurReveal:
			r.NudityFilter = pipeline.FilterBlur
		case pipeline.Blur:
			r.AgeBand = pipeline.Teen
		case pipeline.Withhold:
			r.NudityFilter = pipeline.FilterHide
		}
		a.Recipients = append(a.Recipients, r)
	}
	return a, nil
}

func (b bench) do(method, path, body string, header ...string) *http.Response {
	b.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w.Result()
}

func (b bench) put(key, content string) {
	b.t.Helper()
	data := []byte(content)
	if err := b.store.Put(b.t.Context(), key, bytes.NewReader(data), int64(len(data)), pipelinetest.Digest(data, "")); err != nil {
		b.t.Fatal(err)
	}
}

func read(t *testing.T, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// sha makes a digest that is easy to tell.
func sha(n int) string { return fmt.Sprintf("%064x", n) }

// message is committed to the store: one photo with a full and a safe rendition, and one recipient for each action.
func (b bench) message(id string) {
	b.t.Helper()
	b.put("media/full.jpg", "the whole picture")
	b.put("media/safe.jpg", "a blur")
	m := pipeline.Manifest{
		Schema: pipeline.ManifestSchema, JobID: id, MessageID: "m", ConversationID: "c", SenderID: "s", Status: pipeline.StatusReady, Caption: "to all",
		Parts: []pipeline.Part{{
			ItemID: "i1", Kind: pipeline.KindPhoto, Status: pipeline.StatusReady, Alt: "two kayaks",
			Placeholder: &pipeline.Placeholder{Color: "#112233"},
			Moderation:  &pipeline.Facts{Status: pipeline.Scored, Level: pipeline.LevelDrawn, Scores: &pipeline.Scores{Drawn: 0.9}},
			Renditions: []pipeline.Rendition{
				{Name: "display", Class: pipeline.ClassFull, Key: "media/full.jpg", MIME: "image/jpeg", Size: 17, SHA256: sha(1)},
				{Name: "blurred", Class: pipeline.ClassSafe, Key: "media/safe.jpg", MIME: "image/jpeg", Size: 6, SHA256: sha(2)},
			},
		}},
	}
	for _, action := range []pipeline.Action{pipeline.Deliver, pipeline.BlurReveal, pipeline.Blur, pipeline.Withhold, pipeline.Reject} {
		m.Deliveries = append(m.Deliveries, pipeline.Delivery{
			RecipientID: string(action), Parts: []pipeline.PartDelivery{{ItemID: "i1", Action: action, Reasons: []string{"why"}}},
		})
	}
	data, err := json.Marshal(m)
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(pipeline.ManifestKey(id), string(data))
}

// A viewer gets the files that the view names and learns nothing of the others, not even that they are there.
func TestMediaIsServedByView(t *testing.T) {
	b := newBench(t, false)
	b.message("j1")
	const found, none = http.StatusOK, http.StatusNotFound
	for viewer, want := range map[string][2]int{ // full, safe
		"recipients/deliver": {found, found}, "recipients/blur_reveal": {found, found}, "recipients/blur": {none, found},
		"recipients/withhold": {none, none}, "recipients/reject": {none, none}, "recipients/stranger": {none, none}, "sender": {found, found},
	} {
		for i, digest := range []string{sha(1), sha(2)} {
			resp := b.do("GET", "/media/j1/"+viewer+"/i1/"+digest, "")
			if body := read(t, resp); resp.StatusCode != want[i] || (resp.StatusCode == none && strings.Contains(body, "picture")) {
				t.Errorf("%s asks for %s: %d %q, want %d", viewer, digest[60:], resp.StatusCode, body, want[i])
			}
		}
		for _, wrong := range []string{"/i2/" + sha(1), "/i1/" + sha(3), "/i1/media%2Ffull.jpg"} {
			if resp := b.do("GET", "/media/j1/"+viewer+wrong, ""); resp.StatusCode != none {
				t.Errorf("%s asks for %s: %d", viewer, wrong, resp.StatusCode)
			}
		}
	}
	for _, path := range []string{"/media/absent/sender/i1/" + sha(1), "/media/..%2Fmedia/sender/i1/" + sha(1), "/api/jobs/absent/sender"} {
		if resp := b.do("GET", path, ""); resp.StatusCode != none {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestViews(t *testing.T) {
	b := newBench(t, false)
	b.message("j1")
	for recipient, want := range map[string][]string{ // in it, not in it
		"deliver": {"two kayaks", "why-not"}, "blur": {sha(2), sha(1)}, "withhold": {"withhold", "#112233"}, "reject": {"null", "i1"},
	} {
		body := read(t, b.do("GET", "/api/jobs/j1/recipients/"+recipient, ""))
		if !strings.Contains(body, want[0]) || strings.Contains(body, want[1]) {
			t.Errorf("%s: %s, want %q in it and %q not", recipient, body, want[0], want[1])
		}
	}
	if body := read(t, b.do("GET", "/api/jobs/j1/sender", "")); strings.Contains(body, "deliveries") || strings.Contains(body, "why") {
		t.Errorf("the sender learns of deliveries: %s", body)
	}
	// The queue has forgotten this job; the store has not.
	if body := read(t, b.do("GET", "/api/jobs/j1", "")); !strings.Contains(body, `"state":"done"`) || !strings.Contains(body, `"blur_reveal"`) {
		t.Errorf("detail: %s", body)
	}
}

// Seeking in a video is asking for stretches.
func TestStretches(t *testing.T) {
	b := newBench(t, false)
	b.message("j1")
	for asked, want := range map[string]string{"bytes=4-8": "whole", "bytes=-7": "picture", "bytes=10-": "picture", "bytes=0-2": "the"} {
		resp := b.do("GET", "/media/j1/sender/i1/"+sha(1), "", "Range", asked)
		if body := read(t, resp); resp.StatusCode != http.StatusPartialContent || body != want || resp.Header.Get("Content-Type") != "image/jpeg" {
			t.Errorf("%s: %d %q", asked, resp.StatusCode, body)
		}
	}
	if resp := b.do("GET", "/media/j1/sender/i1/"+sha(1), "", "Range", "bytes=99-"); resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("past the end: %d", resp.StatusCode)
	}
}

func TestUploadCaps(t *testing.T) {
	b := newBench(t, true)
	for kind, most := range map[string]int{"voice": 10, "photo": 20, "video": 30, "auto": 30, "": 30} {
		if resp := b.do("POST", "/api/uploads?kind="+kind, strings.Repeat("x", most)); resp.StatusCode != http.StatusCreated {
			t.Errorf("%d bytes of %q: %d", most, kind, resp.StatusCode)
		}
		resp := b.do("POST", "/api/uploads?kind="+kind, strings.Repeat("x", most+1))
		if body := read(t, resp); resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(body, "too_large") {
			t.Errorf("%d bytes of %q: %d %s", most+1, kind, resp.StatusCode, body)
		}
	}
}

// What can be no file of a message is refused before it is kept.
func TestUploadRefused(t *testing.T) {
	b := newBench(t, true)
	for name, tc := range map[string]struct {
		kind, body string
		code       int
		says       string
	}{
		"a kind there is not": {"gif", "x", http.StatusUnprocessableEntity, "voice, photo, video or auto"},
		"nothing":             {"photo", "", http.StatusUnprocessableEntity, "empty"},
		"a byte":              {"photo", "x", http.StatusCreated, "key"},
	} {
		resp := b.do("POST", "/api/uploads?kind="+tc.kind, tc.body)
		if body := read(t, resp); resp.StatusCode != tc.code || !strings.Contains(body, tc.says) {
			t.Errorf("%s: %d %s, want %d %q", name, resp.StatusCode, body, tc.code, tc.says)
		}
	}
	kept := 0
	if err := b.store.List(t.Context(), "uploads/", func(pipeline.Object) error { kept++; return nil }); err != nil || kept != 1 {
		t.Errorf("%d uploads are kept (%v), want 1", kept, err)
	}
}

const people = `"sender":{"id":"u_s","age_band":"adult"},"recipients":[{"id":"u_r","age_band":"adult","contact":"accepted","nudity_filter":"off"}]`

func TestSend(t *testing.T) {
	b := newBench(t, true)
	var up struct{ Key string }
	if err := json.Unmarshal([]byte(read(t, b.do("POST", "/api/uploads?kind=photo", "a photo"))), &up); err != nil {
		t.Fatal(err)
	}
	b.message("j1")
	for name, tc := range map[string]struct {
		body string
		code int
		says string
	}{
		"a message":          {`{` + people + `,"items":[{"id":"i1","kind":"photo","source":{"key":"` + up.Key + `"}}]}`, 202, "job_id"},
		"not ours":           {`{` + people + `,"items":[{"id":"i1","kind":"photo","source":{"key":"manifests/j1.json"}}]}`, 422, "not uploaded here"},
		"out of the prefix":  {`{` + people + `,"items":[{"id":"i1","kind":"photo","source":{"key":"uploads/../manifests/j1.json"}}]}`, 422, "not uploaded here"},
		"nothing":            {`{` + people + `,"items":[]}`, 422, "invalid_job"},
		"a field of no use":  {`{` + people + `,"job_id":"j1","items":[]}`, 422, "unknown field"},
		"no JSON":            {`<xml/>`, 422, "cannot be read"},
		"an age that is not": {`{"sender":{"id":"u_s","age_band":"40"},"recipients":[],"items":[]}`, 422, "age_band"},
	} {
		resp := b.do("POST", "/api/messages", tc.body)
		if body := read(t, resp); resp.StatusCode != tc.code || !strings.Contains(body, tc.says) {
			t.Errorf("%s: %d %s, want %d %q", name, resp.StatusCode, body, tc.code, tc.says)
		}
	}
	if list := read(t, b.do("GET", "/api/jobs", "")); strings.Count(list, `"state":"queued"`) != 1 {
		t.Errorf("queued: %s", list)
	}
	if resp := b.do("POST", "/api/messages", "{}", "Sec-Fetch-Site", "cross-site"); resp.StatusCode != http.StatusForbidden {
		t.Errorf("another site may send: %d", resp.StatusCode)
	}
}

// Without a store for uploads nothing changes anything.
func TestReadOnly(t *testing.T) {
	b := newBench(t, false)
	for _, path := range []string{"/api/uploads", "/api/messages"} {
		if resp := b.do("POST", path, "{}"); resp.StatusCode != http.StatusMethodNotAllowed && resp.StatusCode != http.StatusNotFound {
			t.Errorf("POST %s: %d", path, resp.StatusCode)
		}
	}
	if body := read(t, b.do("GET", "/api/about", "")); !strings.Contains(body, `"sending":false`) {
		t.Errorf("about: %s", body)
	}
}

// Every file of the page comes with the strict headers, and none of them reaches for another host.
func TestPageIsStrict(t *testing.T) {
	b := newBench(t, true)
	resp := b.do("GET", "/", "")
	page := read(t, resp)
	csp := resp.Header.Get("Content-Security-Policy")
	if resp.StatusCode != 200 || !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("%d, policy %q", resp.StatusCode, csp)
	}
	for _, forbidden := range []string{"https://", "style=", "onclick", "<script>"} {
		if strings.Contains(page, forbidden) {
			t.Errorf("the page holds %q", forbidden)
		}
	}
	if resp := b.do("GET", "/js/main.js", ""); resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Content-Type"), "javascript") {
		t.Errorf("main.js: %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
}
