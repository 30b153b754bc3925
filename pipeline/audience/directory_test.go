package audience_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/audience"
	"github.com/ninefold/ninefold/pipeline/memstore"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/pipeline/webhooksign"
)

var secret = "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))

// directory is a real HTTP server that answers with what is known now, or with whatever answer says.
type directory struct {
	*httptest.Server
	people atomic.Pointer[pipeline.Audience]
	answer func(http.ResponseWriter, *http.Request)
	asked  atomic.Int64
}

func startDirectory(t *testing.T) *directory {
	t.Helper()
	d := &directory{}
	signer, err := webhooksign.New(secret)
	if err != nil {
		t.Fatal(err)
	}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.asked.Add(1)
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = signer.Verify(r.Header, body)
		}
		if err != nil || r.Method != http.MethodPost {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if d.answer != nil {
			d.answer(w, r)
			return
		}
		_, _ = w.Write(answerOf(*d.people.Load()))
	}))
	t.Cleanup(d.Close)
	return d
}

func answerOf(a pipeline.Audience) []byte {
	data, _ := json.Marshal(struct { // plain data marshals
		Schema string `json:"schema"`
		pipeline.Audience
	}{pipeline.AudienceSchema, a})
	return data
}

func (d *directory) client(t *testing.T, change func(*audience.Config)) *audience.Directory {
	t.Helper()
	c := audience.DefaultConfig()
	c.URL, c.Secret = d.URL, secret
	if change != nil {
		change(&c)
	}
	a, err := audience.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func groupJob() pipeline.Job {
	return pipeline.Job{
		Schema: pipeline.JobSchema, JobID: "j.1", MessageID: "m1", Conversation: pipeline.Conversation{ID: "c1", Kind: pipeline.Group},
		Sender: pipeline.Sender{ID: "s1", AgeBand: pipeline.Adult},
		Recipients: []pipeline.Recipient{
			{ID: "r1", AgeBand: pipeline.Adult, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff},
			{ID: "r2", AgeBand: pipeline.Teen, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff},
		},
		Items: []pipeline.Item{{ID: "i1", Kind: pipeline.KindPhoto, Source: pipeline.Source{Key: "a"}}},
	}
}

func peopleOf(j pipeline.Job) pipeline.Audience {
	return pipeline.Audience{Sender: j.Sender, Recipients: append([]pipeline.Recipient(nil), j.Recipients...)}
}

func TestDirectoryAnswers(t *testing.T) {
	d, job := startDirectory(t), groupJob()
	now := peopleOf(job)
	now.Recipients[0].Contact = pipeline.ContactBlocked
	shuffled := pipeline.Audience{Sender: now.Sender, Recipients: []pipeline.Recipient{now.Recipients[1], now.Recipients[0]}}
	d.people.Store(&shuffled)
	got, err := d.client(t, nil).Audience(t.Context(), job)
	if err != nil || !reflect.DeepEqual(got, now) {
		t.Errorf("got %+v, %v; want %+v in the job's order", got, err, now)
	}
}

// TestDirectoryRefusals: whatever is not exactly the answer is no answer.
func TestDirectoryRefusals(t *testing.T) {
	job := groupJob()
	good := string(answerOf(peopleOf(job)))
	body := func(text string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	replaced := func(old, text string) func(http.ResponseWriter, *http.Request) {
		if !strings.Contains(good, old) {
			t.Fatalf("the answer has no %q", old)
		}
		return body(strings.Replace(good, old, text, 1))
	}
	tests := []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
	}{
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500); _, _ = io.WriteString(w, good) }},
		{"404", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}},
		{"nothing", body("")},
		{"no JSON", body("<html>")},
		{"another schema", replaced("audience/1", "audience/2")},
		{"an unknown field", replaced(`"sender":`, `"note":1,"sender":`)},
		{"a field twice", replaced(`"contact":"accepted"`, `"contact":"blocked","contact":"accepted"`)},
		{"an age that is none", replaced(`"16_17"`, `"17"`)},
		{"a contact that is none", replaced(`"accepted"`, `"friend"`)},
		{"no filter", replaced(`,"nudity_filter":"off"`, ``)},
		{"another sender", replaced(`"s1"`, `"s2"`)},
		{"somebody else", replaced(`"r1"`, `"r3"`)},
		{"one twice", replaced(`"r1"`, `"r2"`)},
		{"one too few", replaced(`{"id":"r1","age_band":"adult","contact":"accepted","nudity_filter":"off"},`, ``)},
		{"two documents", body(good + good)},
		{"too long", body(good + strings.Repeat(" ", audience.MaxAnswerBytes))},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(good)+1))
			_, _ = io.WriteString(w, good)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := startDirectory(t)
			d.answer = tt.answer
			if a, err := d.client(t, nil).Audience(t.Context(), job); err == nil {
				t.Errorf("it was believed: %+v", a)
			}
			if d.asked.Load() != 1 {
				t.Errorf("asked %d times, want once", d.asked.Load())
			}
		})
	}
	d := startDirectory(t)
	d.answer = body(good)
	if _, err := d.client(t, nil).Audience(t.Context(), job); err != nil {
		t.Errorf("the answer that all were made of: %v", err)
	}
}

func TestDirectoryTimeout(t *testing.T) {
	d, release := startDirectory(t), make(chan struct{})
	d.answer = func(http.ResponseWriter, *http.Request) { <-release }
	defer close(release)
	client := d.client(t, func(c *audience.Config) { c.Timeout = 20 * time.Millisecond })
	if _, err := client.Audience(t.Context(), groupJob()); err == nil || !strings.Contains(err.Error(), "Client.Timeout") {
		t.Errorf("error %v, want its timeout", err)
	}
}

func TestDirectorySigns(t *testing.T) {
	d, job := startDirectory(t), groupJob()
	now := peopleOf(job)
	d.people.Store(&now)
	other := "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 32)))
	if _, err := d.client(t, func(c *audience.Config) { c.Secret = other }).Audience(t.Context(), job); err == nil {
		t.Error("a question with another secret's signature was answered")
	}
}

func TestCheck(t *testing.T) {
	for status, ok := range map[int]bool{200: true, 404: true, 422: true, 302: false, 403: false, 500: false} {
		d := startDirectory(t)
		d.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
		if err := d.client(t, nil).Check(t.Context()); (err == nil) != ok {
			t.Errorf("%d: %v, want ok %v", status, err, ok)
		}
		d.Close()
		if err := d.client(t, nil).Check(t.Context()); err == nil {
			t.Error("a directory that is down passed")
		}
	}
}

func TestConfigValidate(t *testing.T) {
	err := audience.Config{URL: "ftp://x", Secret: "hunter2"}.Validate()
	for _, setting := range []string{"audience-url", "audience-secret", "audience-timeout"} {
		if err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%v does not name %s", err, setting)
		}
	}
}

// rig is the real pipeline and the real policy over a real HTTP directory; media and classifier are fakes.
type rig struct {
	*pipeline.Pipeline
	directory *directory
	store     *memstore.Store
}

func newRig(t *testing.T, level pipeline.Level) *rig {
	t.Helper()
	policy, err := moderation.NewPolicy(moderation.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{directory: startDirectory(t), store: memstore.New()}
	source := pipelinetest.JPEG("one")
	if err := r.store.Put(t.Context(), "a", strings.NewReader(string(source)), int64(len(source)), pipelinetest.Digest(source, "")); err != nil {
		t.Fatal(err)
	}
	r.Pipeline, err = pipeline.New(pipeline.Config{
		Scratch: t.TempDir(), ItemsAtOnce: 1, Version: "test", Profile: "sha256:00", Engine: "1",
		MaxBytes: pipeline.ByteCaps{Voice: 100, Photo: 100, Video: 100},
	}, pipeline.Deps{
		Sources: r.store, Store: r.store, Processors: &pipelinetest.Processors{}, Policy: policy,
		Moderator: &pipelinetest.Moderator{Facts: pipeline.Facts{
			Status: pipeline.Scored, Level: level, Scores: &pipeline.Scores{}, Model: &pipeline.ModelRef{ID: "test", SHA256: "00"},
		}},
		Audience: r.directory.client(t, nil), Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func directJob() pipeline.Job {
	j := groupJob()
	j.Conversation.Kind, j.Recipients = pipeline.Direct, j.Recipients[:1]
	return j
}

// TestRecheck: what changed between submit and publish changes the outcome, in either direction.
func TestRecheck(t *testing.T) {
	recipient := func(change func(*pipeline.Recipient)) func(*pipeline.Audience) {
		return func(a *pipeline.Audience) { change(&a.Recipients[0]) }
	}
	tests := []struct {
		name      string
		level     pipeline.Level
		submitted func(*pipeline.Job)
		now       func(*pipeline.Audience)
		want      pipeline.Action
		reason    string
	}{
		{"nothing", pipeline.LevelExplicit, nil, func(*pipeline.Audience) {}, pipeline.Deliver, "filter_off"},
		{"blocked since", pipeline.LevelClear, nil, recipient(func(r *pipeline.Recipient) { r.Contact = pipeline.ContactBlocked }), pipeline.Reject, "not_deliverable"},
		{"contact taken back", pipeline.LevelClear, nil, recipient(func(r *pipeline.Recipient) { r.Contact = pipeline.ContactNew }), pipeline.Reject, "media_first_contact"},
		{"found to be 16", pipeline.LevelExplicit, nil, recipient(func(r *pipeline.Recipient) { r.AgeBand = pipeline.Teen }), pipeline.Withhold, "teen_filter"},
		{"found to be 15", pipeline.LevelClear, nil, recipient(func(r *pipeline.Recipient) { r.AgeBand = pipeline.Under16 }), pipeline.Reject, "recipient_under_age"},
		{"filter turned on", pipeline.LevelExplicit, nil, recipient(func(r *pipeline.Recipient) { r.NudityFilter = pipeline.FilterHide }), pipeline.Withhold, "recipient_filter"},
		{
			"filter turned off", pipeline.LevelExplicit, func(j *pipeline.Job) { j.Recipients[0].NudityFilter = pipeline.FilterHide },
			recipient(func(r *pipeline.Recipient) { r.NudityFilter = pipeline.FilterOff }), pipeline.Deliver, "filter_off",
		},
		{
			"had a birthday", pipeline.LevelDrawn, func(j *pipeline.Job) { j.Recipients[0].AgeBand = pipeline.Teen },
			recipient(func(r *pipeline.Recipient) { r.AgeBand = pipeline.Adult }), pipeline.Deliver, "filter_off",
		},
		{"the sender is found to be 16", pipeline.LevelExplicit, nil, func(a *pipeline.Audience) { a.Sender.AgeBand = pipeline.Teen }, pipeline.Reject, "blocked_nudity"},
		{"the sender is found to be 15", pipeline.LevelClear, nil, func(a *pipeline.Audience) { a.Sender.AgeBand = pipeline.Under16 }, pipeline.Reject, "sender_under_age"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, job := newRig(t, tt.level), directJob()
			now := peopleOf(job)
			tt.now(&now)
			r.directory.people.Store(&now)
			if tt.submitted != nil {
				tt.submitted(&job)
			}
			m, err := r.Run(t.Context(), job, pipeline.RunOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if action, reason := outcome(m); action != tt.want || reason != tt.reason {
				t.Errorf("%s (%s), want %s (%s)", action, reason, tt.want, tt.reason)
			}
			if shown := len(m.Parts) > 0 && len(m.Parts[0].Renditions) > 0; shown != (tt.want != pipeline.Reject) {
				t.Errorf("renditions named: %v", shown)
			}
			if n := r.directory.asked.Load(); n != 1 {
				t.Errorf("the directory was asked %d times, want once, at publish time", n)
			}
		})
	}
}

// outcome is what the one recipient of a message with one item gets.
func outcome(m pipeline.Manifest) (pipeline.Action, string) {
	switch {
	case m.Error != nil:
		return pipeline.Reject, string(m.Error.Code)
	case len(m.Deliveries) == 0:
		return "", ""
	}
	d := m.Deliveries[0].Parts[0]
	return d.Action, d.Reasons[0]
}

// TestGateNeedsNoDirectory: what the job's own word refuses is refused before anybody is asked.
func TestGateNeedsNoDirectory(t *testing.T) {
	r, job := newRig(t, pipeline.LevelClear), directJob()
	job.Recipients[0].Contact = pipeline.ContactBlocked
	m, err := r.Run(t.Context(), job, pipeline.RunOptions{})
	if err != nil || m.Error == nil || r.directory.asked.Load() != 0 {
		t.Errorf("%v, %+v, asked %d times", err, m.Error, r.directory.asked.Load())
	}
}

// TestUnreachable: while attempts are left the message waits; then the stricter of two answers counts, the job's word and a person of
// unknown age with the strictest filter. The job's contact stands.
func TestUnreachable(t *testing.T) {
	adult := func(f pipeline.NudityFilter) pipeline.Recipient {
		return pipeline.Recipient{ID: "r1", AgeBand: pipeline.Adult, Contact: pipeline.ContactAccepted, NudityFilter: f}
	}
	tests := []struct {
		name      string
		level     pipeline.Level
		recipient pipeline.Recipient
		want      pipeline.Action
		reasons   []string
	}{
		{"clear", pipeline.LevelClear, adult(pipeline.FilterOff), pipeline.Deliver, []string{"filter_off"}},
		{"suggestive", pipeline.LevelSuggestive, adult(pipeline.FilterOff), pipeline.BlurReveal, []string{"teen_suggestive", "audience_unavailable"}},
		{"drawn", pipeline.LevelDrawn, adult(pipeline.FilterOff), pipeline.Blur, []string{"teen_filter", "audience_unavailable"}},
		{"drawn, where the job is the stricter", pipeline.LevelDrawn, adult(pipeline.FilterHide), pipeline.Withhold, []string{"recipient_filter"}},
		{"explicit, the sender's age being unknown too", pipeline.LevelExplicit, adult(pipeline.FilterOff), pipeline.Reject, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, job := newRig(t, tt.level), directJob()
			job.Recipients[0] = tt.recipient
			r.directory.answer = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
			if _, err := r.Run(t.Context(), job, pipeline.RunOptions{}); !pipeline.Retryable(err) {
				t.Fatalf("error %v, want another attempt", err)
			}
			m, err := r.Run(t.Context(), job, pipeline.RunOptions{Final: true})
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == pipeline.Reject {
				if m.Error == nil || m.Error.Code != pipeline.CodeBlockedNudity || len(m.Parts[0].Renditions) > 0 {
					t.Errorf("%+v, want it rejected", m)
				}
				return
			}
			if d := m.Deliveries[0].Parts[0]; d.Action != tt.want || !reflect.DeepEqual(d.Reasons, tt.reasons) {
				t.Errorf("%s %q, want %s %q", d.Action, d.Reasons, tt.want, tt.reasons)
			}
		})
	}
}

// TestHeals: a directory that comes back is believed, and what was rendered meanwhile is not rendered again.
func TestHeals(t *testing.T) {
	r, job := newRig(t, pipeline.LevelExplicit), directJob()
	down := true
	now := peopleOf(job)
	r.directory.answer = func(w http.ResponseWriter, _ *http.Request) {
		if down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = w.Write(answerOf(now))
	}
	if _, err := r.Run(t.Context(), job, pipeline.RunOptions{}); !pipeline.Retryable(err) {
		t.Fatalf("error %v, want another attempt", err)
	}
	down = false
	m, err := r.Run(t.Context(), job, pipeline.RunOptions{})
	if action, _ := outcome(m); err != nil || action != pipeline.Deliver {
		t.Errorf("after it healed: %s, %v", action, err)
	}
	if n := r.Processors.(*pipelinetest.Processors).Rendered.Load(); n != 1 {
		t.Errorf("rendered %d times, want once", n)
	}
}

// TestCancelled: a worker that shuts down while it asks hands the job back, its last attempt included.
func TestCancelled(t *testing.T) {
	r, job := newRig(t, pipeline.LevelClear), directJob()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r.directory.answer = func(http.ResponseWriter, *http.Request) { cancel() }
	if _, err := r.Run(ctx, job, pipeline.RunOptions{Final: true}); !errors.Is(err, context.Canceled) || !pipeline.Retryable(err) {
		t.Errorf("error %v, want a cancelled, retryable run", err)
	}
}
