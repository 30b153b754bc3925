package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// opens is how long an address can be used: a client asks again when it needs the file later.
const opens = 5 * time.Minute

// maxManifest bounds what is read of a manifest, bytes.
const maxManifest = 16 << 20

// read answers what the one who asks may see: the sender how it went, a recipient the parts that are theirs. To everybody else the
// message is not there.
func (a *api) read(w http.ResponseWriter, r *http.Request) {
	m, err := a.manifest(r.Context(), r.PathValue("job"))
	if errors.Is(err, pipeline.ErrNotExist) {
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
	view, err := pipeline.ViewFor(m, user(r))
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

func (a *api) manifest(ctx context.Context, job string) (m pipeline.Manifest, err error) {
	if !pipeline.ValidID(job) {
		return m, pipeline.ErrNotExist
	}
	body, _, err := a.parts.Get(ctx, pipeline.ManifestKey(job))
	if err != nil {
		return m, err
	}
	defer body.Close()
	err = json.NewDecoder(io.LimitReader(body, maxManifest)).Decode(&m)
	return m, err
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
