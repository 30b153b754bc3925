package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/s3store"
	"github.com/ninefold/ninefold/queue"
)

// api answers the messaging product's clients. It keeps nothing: what it knows is in the queue and in the two buckets.
type api struct {
	people  directory
	uploads *s3store.Store
	parts   *s3store.Store
	jobs    *queue.Client
	policy  *moderation.Policy // the workers'
	log     *slog.Logger
}

func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /messages", a.known(a.send))
	mux.HandleFunc("GET /messages/{job}", a.known(a.read))
	return mux
}

// user is who asks, as your gateway has found out. Put your own authentication here.
func user(r *http.Request) string { return r.Header.Get("X-User") }

// known lets only people of the directory ask.
func (a *api) known(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, ok := a.people[user(r)]; !ok {
			answer(w, http.StatusUnauthorized, map[string]string{"error": "log in first"})
			return
		}
		next(w, r)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has gone
}

// refuse turns an error into an answer: a result has a code and says what to do, our own trouble is logged and may be tried again.
func (a *api) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var coded *pipeline.Error
	switch {
	case errors.As(err, &coded) && coded.Code == pipeline.CodeTooLarge:
		answer(w, http.StatusRequestEntityTooLarge, coded.Failure())
	case errors.As(err, &coded) && !coded.Code.Trouble():
		answer(w, http.StatusUnprocessableEntity, coded.Failure())
	default:
		a.log.Warn("request failed", slog.String("path", r.URL.Path), slog.Any("error", err))
		answer(w, http.StatusServiceUnavailable, map[string]string{"error": "try again"})
	}
}

// deliver is called once for every finished message, again only after a crash. Here a product writes the message into its
// conversations and rings its recipients' phones; their clients then ask for what is theirs.
func (a *api) deliver(ctx context.Context, e queue.Event) error {
	for _, d := range e.Manifest.Deliveries {
		view, err := pipeline.ViewNow(ctx, e.Manifest, d.RecipientID, a.people, a.policy, a)
		if err != nil {
			return err
		}
		if view != nil { // else nothing of it is for them, and they do not learn of it
			a.log.Info("ring", slog.String("recipient", d.RecipientID), slog.String("job_id", e.Manifest.JobID), slog.Int("parts", len(view.Parts)),
				slog.String("traceparent", e.Trace)) // of the worker's attempt: what you do about the event belongs below it
		}
	}
	return nil
}
