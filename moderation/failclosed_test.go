package moderation

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/memstore"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// moody is a classifier that is broken in one way until it is mended.
type moody struct {
	markClassifier
	broken func(ctx context.Context) (map[string]float64, error)
	mended atomic.Bool
}

func (m *moody) Classify(ctx context.Context, r Raster) (map[string]float64, error) {
	if m.mended.Load() {
		return m.markClassifier.Classify(ctx, r)
	}
	return m.broken(ctx)
}

// TestFailClosed runs one group message through the whole pipeline while the classifier is broken, and again once it is mended. Who is
// protected gets nothing that shows the picture, who is not is served, and the message is tried again until no attempt is left.
func TestFailClosed(t *testing.T) {
	for name, broken := range map[string]func(context.Context) (map[string]float64, error){
		"missing": nil,
		"fails":   func(context.Context) (map[string]float64, error) { return nil, errors.New("out of memory") },
		"crashes": func(context.Context) (map[string]float64, error) { panic("index out of range") },
		"too slow": func(ctx context.Context) (map[string]float64, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		"answers NaN": func(context.Context) (map[string]float64, error) {
			return map[string]float64{"porn": math.NaN(), "hentai": 0, "sexy": 0}, nil
		},
		"answers too few scores": func(context.Context) (map[string]float64, error) { return map[string]float64{"porn": 0}, nil },
		"answers too many scores": func(context.Context) (map[string]float64, error) {
			return map[string]float64{"porn": 0, "hentai": 0, "sexy": 0, "more": 0}, nil
		},
		"answers no probabilities": func(context.Context) (map[string]float64, error) {
			return map[string]float64{"porn": -3, "hentai": 0, "sexy": 4}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			classifier := &moody{broken: broken}
			screener := newScreener(t, classifier, func(c *ScreenConfig) { c.Timeout = 50 * time.Millisecond })
			var moderator pipeline.Moderator = screener
			if broken == nil {
				moderator = NewUnavailable(errors.New("no model"))
			}
			run := groupMessage(t, moderator)
			if _, err := run("first try", false); !pipeline.Retryable(err) || pipeline.AsError(err).Code != pipeline.CodeClassifierUnavailable {
				t.Errorf("first try: %v, want classifier_unavailable, to be tried again", err)
			}
			m, err := run("last try", true)
			if err != nil {
				t.Fatal(err)
			}
			wantProtected(t, m)
			if broken == nil {
				return
			}
			classifier.mended.Store(true)
			if m, err = run("mended", false); err != nil {
				t.Fatal(err)
			}
			for _, d := range m.Deliveries {
				if d.Parts[0].Action != pipeline.Deliver {
					t.Errorf("mended, and %s gets %+v", d.RecipientID, d.Parts[0])
				}
			}
		})
	}
}

// wantProtected holds what each recipient may get of a picture nobody could scan.
func wantProtected(t *testing.T, m pipeline.Manifest) {
	t.Helper()
	want := map[string]pipeline.Action{
		"teen": pipeline.Withhold, "unknown": pipeline.Withhold, "blurs": pipeline.BlurReveal, "hides": pipeline.BlurReveal, "open": pipeline.Deliver,
	}
	for _, d := range m.Deliveries {
		if d.Parts[0].Action != want[d.RecipientID] {
			t.Errorf("%s: %+v, want %s", d.RecipientID, d.Parts[0], want[d.RecipientID])
		}
		view, err := pipeline.ViewFor(m, d.RecipientID)
		if err != nil {
			t.Fatal(err)
		}
		if v := view.Parts[0]; want[d.RecipientID] == pipeline.Withhold && (len(v.Renditions) > 0 || v.Placeholder != nil || v.Width > 0) {
			t.Errorf("%s receives %+v", d.RecipientID, v)
		}
	}
}

// groupMessage returns a run of a message with one photo to everybody there is.
func groupMessage(t *testing.T, moderator pipeline.Moderator) func(jobID string, final bool) (pipeline.Manifest, error) {
	t.Helper()
	policy, err := NewPolicy(DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	sources := memstore.New()
	photo := pipelinetest.JPEG("lake")
	if err := sources.Put(t.Context(), "photo", bytes.NewReader(photo), int64(len(photo)), pipelinetest.Digest(photo, "")); err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.New(pipeline.Config{
		Scratch: t.TempDir(), ItemsAtOnce: 1, Version: "test", Profile: "sha256:00", Engine: "1",
		MaxBytes: pipeline.ByteCaps{Voice: 100, Photo: 100, Video: 100},
	}, pipeline.Deps{
		Sources: sources, Store: memstore.New(), Processors: &pipelinetest.Processors{}, Moderator: moderator, Policy: policy,
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	to := func(id string, age pipeline.AgeBand, filter pipeline.NudityFilter) pipeline.Recipient {
		return pipeline.Recipient{ID: id, AgeBand: age, Contact: pipeline.ContactAccepted, NudityFilter: filter}
	}
	return func(jobID string, final bool) (pipeline.Manifest, error) {
		return p.Run(t.Context(), pipeline.Job{
			Schema: pipeline.JobSchema, JobID: strings.ReplaceAll(jobID, " ", "-"), MessageID: "m", Conversation: pipeline.Conversation{ID: "c", Kind: pipeline.Group},
			Sender: pipeline.Sender{ID: "s", AgeBand: pipeline.Adult},
			Recipients: []pipeline.Recipient{
				to("teen", pipeline.Teen, pipeline.FilterOff), to("unknown", pipeline.AgeUnknown, pipeline.FilterOff),
				to("blurs", pipeline.Adult, pipeline.FilterBlur), to("hides", pipeline.Adult, pipeline.FilterHide), to("open", pipeline.Adult, pipeline.FilterOff),
			},
			Items: []pipeline.Item{{ID: "i", Kind: pipeline.KindPhoto, Source: pipeline.Source{Key: "photo"}}},
		}, pipeline.RunOptions{Final: final})
	}
}
