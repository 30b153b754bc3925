package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// about answers what the page is a console of.
func (c *console) about(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"version": c.About.Version, "model": c.About.Model, "note": c.About.Note, "sending": c.Uploads != nil, "stages": pipeline.StageNames(),
		"caps":   map[string]int64{"voice": c.Caps.Voice, "photo": c.Caps.Photo, "video": c.Caps.Video},
		"limits": map[string]int{"visual": pipeline.MaxVisualItems, "voice": pipeline.MaxVoiceItems, "burned": pipeline.MaxBurnedRunes},
	})
}

// listed is how many jobs the page lists.
const listed = 50

func (c *console) recent(w http.ResponseWriter, r *http.Request) {
	jobs, err := c.Jobs.Recent(r.Context(), listed)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, jobs)
}

// detail is all that is known of a job.
type detail struct {
	queue.Status
	Job       *pipeline.Job `json:"job"` // null when the queue has forgotten it
	Decisions []decision    `json:"decisions"`
}

func (c *console) detail(w http.ResponseWriter, r *http.Request) {
	d, err := c.find(r.Context(), r.PathValue("job"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, d)
}

// find asks the queue, and where it has forgotten the job, the store.
func (c *console) find(ctx context.Context, id string) (detail, error) {
	status, err := c.Jobs.Status(ctx, id)
	if errors.Is(err, queue.ErrUnknownJob) {
		m, err := c.manifest(ctx, id)
		return detail{Status: queue.Status{JobID: id, State: queue.Done, Items: []pipeline.Progress{}, Manifest: &m}, Decisions: recorded(m)}, err
	}
	if err != nil {
		return detail{}, err
	}
	d := detail{Status: status, Decisions: []decision{}}
	job, err := c.Jobs.Job(ctx, id)
	if err != nil && pipeline.Retryable(err) { // a payload that is no job is nothing more to show
		return detail{}, err
	}
	if err == nil {
		d.Job = &job
	}
	if status.Manifest != nil {
		d.Decisions = c.explain(*status.Manifest, d.Job)
	}
	return d, nil
}

// manifest reads the manifest in force. It is the store's, and no job's word, that says who sees what.
func (c *console) manifest(ctx context.Context, id string) (m pipeline.Manifest, err error) {
	if !pipeline.ValidID(id) {
		return m, pipeline.ErrNotExist
	}
	return pipeline.Current(ctx, c.Store, id)
}

// pulse is how often a quiet stream says that it is alive.
const pulse = 15 * time.Second

// events streams a job's status as it changes, then ends. The manifest is not in it: it is asked for when it is there.
func (c *console) events(w http.ResponseWriter, r *http.Request) {
	if _, err := c.Jobs.Status(r.Context(), r.PathValue("job")); err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	ctx, cancel := context.WithCancel(r.Context())
	changes, ended := make(chan queue.Status), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(changes)
		_, err := c.Jobs.Wait(ctx, r.PathValue("job"), func(s queue.Status) {
			select {
			case changes <- s:
			case <-ctx.Done():
			}
		})
		if err != nil && ctx.Err() == nil {
			c.Log.Warn("console: a job can no longer be followed", slog.Any("error", err))
		}
	}()
	stream(w, changes)
	cancel()
	<-ended
}

// stream writes what comes until nothing more does or nobody reads.
func stream(w http.ResponseWriter, changes <-chan queue.Status) {
	out := http.NewResponseController(w)
	alive := time.NewTicker(pulse)
	defer alive.Stop()
	for {
		var frame bytes.Buffer
		select {
		case s, ok := <-changes:
			if !ok {
				return
			}
			s.Manifest = nil
			data, _ := json.Marshal(s) // plain data marshals
			fmt.Fprintf(&frame, "event: status\ndata: %s\n\n", data)
		case <-alive.C:
			frame.WriteString(": alive\n\n")
		}
		if _, err := w.Write(frame.Bytes()); err != nil || out.Flush() != nil {
			return
		}
	}
}
