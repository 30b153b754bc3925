package queue_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/memstore"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/queue"
)

// TestAdultsLeaveNoScoreInRedis sends one message between two adults without filters and one to somebody of 16 or 17. Redis, and the log,
// know scores of the second and none of the first.
func TestAdultsLeaveNoScoreInRedis(t *testing.T) {
	t.Parallel()
	url := pipelinetest.StartRedis(t).URL()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opts)
	t.Cleanup(func() { _ = rdb.Close() })
	if err := rdb.ConfigSet(t.Context(), "rdbcompression", "no").Err(); err != nil { // DUMP can be searched then
		t.Fatal(err)
	}
	log := &pipelinetest.Log{}
	cfg := config(url)
	cfg.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	start(t, cfg, scoring(t, cfg.Log))
	c := client(t, cfg)
	for _, tt := range []struct {
		id    string
		age   pipeline.AgeBand
		found bool
	}{{"adults", pipeline.Adult, false}, {"protected", pipeline.Teen, true}} {
		j := job(tt.id, pipeline.KindPhoto)
		j.Items[0].Source.Key, j.Recipients[0].AgeBand = "a", tt.age
		submit(t, c, j)
		if s := wait(t, c, tt.id); s.State != queue.Done {
			t.Fatalf("%s: %+v", tt.id, s)
		}
		all := dump(t, rdb)
		for _, trace := range []string{"telltale", "0.98765", `\"scores\"`, `"scores"`} {
			if strings.Contains(all, trace) && !tt.found {
				t.Errorf("Redis has %q after a message between adults", trace)
			}
		}
		if tt.found && !strings.Contains(all, "telltale") {
			t.Error("the search finds nothing even where there are scores")
		}
		if text := log.String(); strings.Contains(text, "telltale") || strings.Contains(text, "0.98765") {
			t.Errorf("%s: the log has scores", tt.id)
		}
	}
}

// scoring is a pipeline over fakes whose moderator finds the same in everything.
func scoring(t *testing.T, log *slog.Logger) *pipeline.Pipeline {
	t.Helper()
	policy, err := moderation.NewPolicy(moderation.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	sources, photo := memstore.New(), pipelinetest.JPEG("lake")
	if err := sources.Put(t.Context(), "a", bytes.NewReader(photo), int64(len(photo)), pipelinetest.Digest(photo, "image/jpeg")); err != nil {
		t.Fatal(err)
	}
	facts := pipeline.Facts{
		Status: pipeline.Scored, Level: pipeline.LevelExplicit, Scores: &pipeline.Scores{Explicit: 0.987654321},
		Raw: map[string]float64{"telltale-label": 0.5}, Model: &pipeline.ModelRef{ID: "telltale-model", SHA256: "00"},
	}
	p, err := pipeline.New(pipeline.Config{
		Scratch: t.TempDir(), ItemsAtOnce: 1, Version: "test", Profile: "sha256:00", Engine: "1",
		MaxBytes: pipeline.ByteCaps{Voice: 100, Photo: 100, Video: 100},
	}, pipeline.Deps{
		Sources: sources, Store: memstore.New(), Processors: &pipelinetest.Processors{}, Moderator: &pipelinetest.Moderator{Facts: facts},
		Policy: policy, Log: log, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// dump is everything that Redis keeps.
func dump(t *testing.T, rdb *redis.Client) string {
	t.Helper()
	var all strings.Builder
	keys := rdb.Scan(t.Context(), 0, "*", 1000).Iterator()
	for keys.Next(t.Context()) {
		value, err := rdb.Dump(t.Context(), keys.Val()).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			t.Fatal(err)
		}
		all.WriteString(keys.Val() + "\n" + value + "\n")
	}
	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(all.String(), "adults") {
		t.Error("nothing of the message was found at all")
	}
	return all.String()
}
