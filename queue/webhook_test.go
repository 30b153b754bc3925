package queue_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/pipeline/webhooksign"
	"github.com/ninefold/ninefold/queue"
)

const webhookSecret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="

// posted is what a receiver got.
type posted struct {
	header http.Header
	body   []byte
}

// receiver answers with the statuses in turn, the last one for ever, and passes on what it took.
func receiver(t *testing.T, statuses ...int) (url string, got chan posted, calls *atomic.Int32) {
	t.Helper()
	got, calls = make(chan posted, 20), new(atomic.Int32)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		status := statuses[min(int(calls.Add(1)), len(statuses))-1]
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		got <- posted{r.Header, body}
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/hook", got, calls
}

// The webhook gets each event, signed over what it reads, until it takes it; a worker that ends in between changes nothing; the parts queue
// has the event as well.
func TestWebhook(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	url, got, calls := receiver(t, http.StatusInternalServerError, http.StatusNoContent)
	cfg.Webhook = queue.Webhook{URL: url, Secrets: webhookSecret, AllowPrivate: true}
	c := client(t, cfg)
	var runs atomic.Int32
	stop := start(t, cfg, counted(&runs))
	submit(t, c, job("j1", pipeline.KindVoice))
	first := received(t, got)
	stop()
	start(t, cfg, counted(&runs))
	second := received(t, got)
	signer, err := webhooksign.New(webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []posted{first, second} {
		if err := signer.Verify(p.header, p.body); err != nil {
			t.Errorf("signature: %v", err)
		}
		if e, err := queue.DecodeEvent(p.body); err != nil || e.ID != queue.EventID("j1") {
			t.Errorf("body %v: %s", err, p.body)
		}
		if ct := p.header.Get("Content-Type"); !strings.HasPrefix(ct, "application/cloudevents+json") {
			t.Errorf("content type %q", ct)
		}
	}
	if first.header.Get(webhooksign.HeaderID) != second.header.Get(webhooksign.HeaderID) {
		t.Error("two attempts have two ids")
	}
	if wait(t, c, "j1").State != queue.Done || runs.Load() != 1 || calls.Load() != 2 {
		t.Errorf("%d runs, %d calls", runs.Load(), calls.Load())
	}
	wantOneEvent(t, cfg.RedisURL, "j1")
}

// logTo is a logger whose lines come out of a channel; what nobody reads is dropped.
func logTo(lines chan string) *slog.Logger {
	return slog.New(slog.NewTextHandler(lineWriter(lines), nil))
}

type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	select {
	case w <- string(p):
	default:
	}
	return len(p), nil
}

// Private targets are refused when they are dialled, whatever their name; redirects are not followed.
func TestWebhookRefusesPrivateTargetsAndRedirects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		allow bool
		want  string // part of the log
		calls int32
	}{
		{"private", false, "address is private", 0},
		{"redirect", true, "302", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, _, calls := receiver(t, http.StatusFound)
			cfg := config(pipelinetest.StartRedis(t).URL())
			cfg.Webhook = queue.Webhook{URL: strings.Replace(url, "127.0.0.1", "localhost", 1), Secrets: webhookSecret, AllowPrivate: c.allow}
			if !c.allow {
				cfg.Webhook.URL = strings.Replace(cfg.Webhook.URL, "http:", "https:", 1)
			}
			lines := make(chan string, 100)
			cfg.Log = logTo(lines)
			var runs atomic.Int32
			start(t, cfg, counted(&runs))
			submit(t, client(t, cfg), job("j1", pipeline.KindVoice))
			line := received(t, lines)
			for !strings.Contains(line, "webhook did not take") {
				line = received(t, lines)
			}
			if !strings.Contains(line, c.want) {
				t.Errorf("log line %q, want %q in it", line, c.want)
			}
			if got := calls.Load(); got != c.calls {
				t.Errorf("%d requests, want %d", got, c.calls)
			}
		})
	}
}

func TestWebhookValidate(t *testing.T) {
	for name, c := range map[string]struct {
		hook queue.Webhook
		want string
	}{
		"none":           {queue.Webhook{}, ""},
		"good":           {queue.Webhook{URL: "https://api.example.com/hook", Secrets: webhookSecret}, ""},
		"two secrets":    {queue.Webhook{URL: "https://api.example.com/hook", Secrets: webhookSecret + " " + webhookSecret}, ""},
		"plain, private": {queue.Webhook{URL: "http://api/hook", Secrets: webhookSecret, AllowPrivate: true}, ""},
		"plain":          {queue.Webhook{URL: "http://api.example.com/hook", Secrets: webhookSecret}, "webhook_url"},
		"no secret":      {queue.Webhook{URL: "https://api.example.com/hook"}, "webhook_secret"},
		"a password":     {queue.Webhook{URL: "https://u:hunter2@api.example.com", Secrets: webhookSecret}, "webhook_url"},
		"no address":     {queue.Webhook{URL: "example.com/hook", Secrets: webhookSecret}, "webhook_url"},
	} {
		err := c.hook.Validate()
		if (err == nil) != (c.want == "") || (err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2"))) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the webhook never takes is kept, and delivered when it is released.
func TestWebhookGivesUpIntoQuarantine(t *testing.T) {
	t.Parallel()
	cfg := config(pipelinetest.StartRedis(t).URL())
	url, got, _ := receiver(t, http.StatusNoContent)
	c := client(t, cfg)
	var runs atomic.Int32
	stop := start(t, cfg, counted(&runs))
	submit(t, c, job("j1", pipeline.KindVoice))
	m := wait(t, c, "j1").Manifest
	stop()
	event, err := json.Marshal(queue.NewEvent(cfg.Source, *m))
	if err != nil {
		t.Fatal(err)
	}
	queue.PutQuarantined(t, cfg, queue.Quarantined{ID: queue.EventID("j1"), Kind: queue.QuarantinedWebhook, Reason: "answer 500", Payload: event})
	ctx, cancel := context.WithTimeout(t.Context(), settle)
	defer cancel()
	if _, err := c.Release(ctx, queue.EventID("j1")); err != nil {
		t.Fatal(err)
	}
	cfg.Webhook = queue.Webhook{URL: url, Secrets: webhookSecret, AllowPrivate: true}
	start(t, cfg, counted(&runs))
	if e, err := queue.DecodeEvent(received(t, got).body); err != nil || e.ID != queue.EventID("j1") {
		t.Errorf("%+v, %v", e, err)
	}
}
