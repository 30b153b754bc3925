package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// opens is how long an address can be used: a client asks again when it needs the file later.
const opens = 5 * time.Minute

// read answers what the one who asks may see: the sender how it went, a recipient the parts that are theirs. To everybody else the
// message is not there.
func (a *api) read(w http.ResponseWriter, r *http.Request) {
	m, err := pipeline.Current(r.Context(), a.parts, r.PathValue("job")) // the manifest in force, not the first one
	if errors.Is(err, pipeline.ErrNotExist) || !pipeline.ValidID(r.PathValue("job")) {
		answer(w, http.StatusNotFound, map[string]string{"error": "no such message, or not ready yet"})
		return
	}
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	if m.SenderID == user(r) {
		answer(w, http.StatusOK, pipeline.ViewForSender(m))
		return
	}
	view, err := pipeline.ViewNow(r.Context(), m, user(r), a.people, a.policy, a)
	if err != nil || view == nil { // a stranger, or somebody it is kept from: they read alike
		answer(w, http.StatusNotFound, map[string]string{"error": "no such message, or not ready yet"})
		return
	}
	out, err := a.sign(r.Context(), *view)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	answer(w, http.StatusOK, out)
}

// WantScreening queues a look at a message that was delivered without one: by now somebody who reads it is protected. The view is the
// stricter one until that is done.
func (a *api) WantScreening(ctx context.Context, order pipeline.RedoOrder) {
	if err := a.jobs.SubmitRedo(ctx, order); err != nil {
		a.log.Warn("no screening was queued", slog.String("job_id", order.JobID), slog.Any("error", err))
	}
}

// signed is a view and, by the digest of each rendition in it, where that is.
type signed struct {
	pipeline.RecipientView
	URLs map[string]string `json:"urls"`
}

// sign makes an address for each rendition that the view names, and so for no other.
func (a *api) sign(ctx context.Context, view pipeline.RecipientView) (signed, error) {
	out := signed{view, map[string]string{}}
	for _, p := range view.Parts {
		for _, rendition := range p.Renditions {
			url, err := a.parts.Presign(ctx, rendition.Key, opens)
			if err != nil {
				return out, err
			}
			out.URLs[rendition.SHA256] = url
		}
	}
	return out, nil
}
