package console

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// recipientView answers what a recipient's client may receive; null is nothing at all.
func (c *console) recipientView(w http.ResponseWriter, r *http.Request) {
	view, err := c.viewFor(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, view)
}

func (c *console) viewFor(r *http.Request) (*pipeline.RecipientView, error) {
	m, err := c.manifest(r.Context(), r.PathValue("job"))
	if err != nil {
		return nil, err
	}
	return pipeline.ViewNow(r.Context(), m, r.PathValue("recipient"), c.Audience, c.Policy, c.Wanted)
}

// recipientMedia answers a rendition that the recipient's view names, and no other.
func (c *console) recipientMedia(w http.ResponseWriter, r *http.Request) {
	view, err := c.viewFor(r)
	if err == nil && view == nil {
		err = errNotShown
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	for _, p := range view.Parts {
		if p.ItemID == r.PathValue("item") {
			c.serve(w, r, p.Renditions)
			return
		}
	}
	c.fail(w, r, errNotShown)
}

// own is what the sender's page shows: what the sender may be told, and the sender's own media.
type own struct {
	pipeline.SenderView
	Caption string    `json:"caption"`
	Media   []ownPart `json:"media"`
}

type ownPart struct {
	ItemID       string               `json:"item_id"`
	Kind         pipeline.Kind        `json:"kind"`
	Caption      string               `json:"caption"`
	Alt          string               `json:"alt"`
	Presentation string               `json:"presentation,omitempty"`
	Width        int                  `json:"width,omitempty"`
	Height       int                  `json:"height,omitempty"`
	DurationMS   int64                `json:"duration_ms,omitempty"`
	Waveform     *pipeline.Waveform   `json:"waveform,omitempty"`
	Renditions   []pipeline.Rendition `json:"renditions,omitempty"`
}

func (c *console) senderView(w http.ResponseWriter, r *http.Request) {
	m, err := c.manifest(r.Context(), r.PathValue("job"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := own{SenderView: pipeline.ViewForSender(m), Caption: m.Caption, Media: []ownPart{}}
	for _, p := range m.Parts {
		v.Media = append(v.Media, ownPart{
			p.ItemID, p.Kind, p.Caption, p.Alt, p.Presentation, p.Width, p.Height, p.DurationMS, p.Waveform, p.Renditions,
		})
	}
	writeJSON(w, http.StatusOK, v)
}

// senderMedia answers a rendition of what the sender sent.
func (c *console) senderMedia(w http.ResponseWriter, r *http.Request) {
	m, err := c.manifest(r.Context(), r.PathValue("job"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	for _, p := range m.Parts {
		if p.ItemID == r.PathValue("item") {
			c.serve(w, r, p.Renditions)
			return
		}
	}
	c.fail(w, r, errNotShown)
}

// serve answers the one of renditions that is asked for by its digest, or a stretch of it.
func (c *console) serve(w http.ResponseWriter, r *http.Request, renditions []pipeline.Rendition) {
	i := slices.IndexFunc(renditions, func(x pipeline.Rendition) bool { return x.SHA256 == r.PathValue("sha256") })
	if i < 0 {
		c.fail(w, r, errNotShown)
		return
	}
	x := renditions[i]
	body := &object{ctx: r.Context(), store: c.Store, key: x.Key, size: x.Size}
	defer body.Close()
	w.Header().Set("Content-Type", x.MIME)
	w.Header().Set("Cache-Control", "private, max-age=300")
	w.Header().Set("ETag", `"`+x.SHA256+`"`)
	http.ServeContent(w, r, "", time.Time{}, body)
}

// object is a stored rendition that can be read from any place on: a browser asks for the middle of a video when somebody seeks. A store
// reads from the beginning only, so what lies before is read and dropped.
type object struct {
	ctx   context.Context
	store pipeline.Store
	key   string
	size  int64 // bytes

	at   int64         // where the next Read begins
	body io.ReadCloser // open, or nil
	read int64         // bytes of body that were read
}

var _ io.ReadSeekCloser = (*object)(nil)

func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, errors.New("a place before the beginning")
	}
	o.at = offset
	return offset, nil
}

func (o *object) Read(p []byte) (int, error) {
	if o.at >= o.size {
		return 0, io.EOF
	}
	if err := o.reach(); err != nil {
		return 0, err
	}
	n, err := o.body.Read(p)
	o.at, o.read = o.at+int64(n), o.read+int64(n)
	return n, err
}

// reach opens the body, again where it is past the place, and drops what lies before.
func (o *object) reach() error {
	if o.body != nil && o.read > o.at {
		if err := o.Close(); err != nil {
			return err
		}
	}
	if o.body == nil {
		body, _, err := o.store.Get(o.ctx, o.key)
		if err != nil {
			return err
		}
		o.body, o.read = body, 0
	}
	n, err := io.CopyN(io.Discard, o.body, o.at-o.read)
	o.read += n
	return err
}

// Close releases the store's reader.
func (o *object) Close() error {
	if o.body == nil {
		return nil
	}
	body := o.body
	o.body = nil
	return body.Close()
}
