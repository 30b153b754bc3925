package console

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"

	"github.com/ninefold/ninefold/pipeline"
)

// uploadPrefix is before the keys of everything that was uploaded here.
const uploadPrefix = "uploads/"

// upload keeps one original: the body is the file, ?kind= what it is called, which bounds it.
func (c *console) upload(w http.ResponseWriter, r *http.Request) {
	most, err := c.cap(pipeline.Kind(r.URL.Query().Get("kind")))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	key := uploadPrefix + c.NewID()
	size, err := c.keep(r, key, http.MaxBytesReader(w, r.Body, most))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusCreated, map[string]any{"key": key, "size": size})
}

// cap is the most that an upload may have; a file that says nothing of itself may be the largest.
func (c *console) cap(kind pipeline.Kind) (int64, error) {
	switch kind {
	case pipeline.KindVoice:
		return c.Caps.Voice, nil
	case pipeline.KindPhoto:
		return c.Caps.Photo, nil
	case pipeline.KindVideo:
		return c.Caps.Video, nil
	case pipeline.KindAuto, "":
		return max(c.Caps.Voice, c.Caps.Photo, c.Caps.Video), nil
	}
	return 0, pipeline.Refuse(pipeline.CodeUnsupportedType, "kind: want voice, photo, video or auto")
}

// keep writes the body to a file without a name first: a store wants to know size and digest before the first byte.
func (c *console) keep(r *http.Request, key string, body io.Reader) (int64, error) {
	f, err := os.CreateTemp("", "ninefold-upload-")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return 0, err
	}
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(f, sum), body)
	if err != nil {
		return 0, err
	}
	if size == 0 {
		return 0, pipeline.Refuse(pipeline.CodeCorrupt, "the file is empty; choose it again")
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	opts := pipeline.PutOptions{ContentType: "application/octet-stream", SHA256: hex.EncodeToString(sum.Sum(nil))}
	return size, c.Uploads.Put(r.Context(), key, f, size, opts)
}

// draft is a message as the page sends it: a job without its names.
type draft struct {
	Sender     pipeline.Sender      `json:"sender"`
	Recipients []pipeline.Recipient `json:"recipients"`
	Caption    string               `json:"caption"`
	Items      []pipeline.Item      `json:"items"`
}

// uploadKey is what upload gives out; no other object of the store can be sent.
var uploadKey = regexp.MustCompile(`^uploads/[0-9A-Z]{26}$`)

// send queues a message.
func (c *console) send(w http.ResponseWriter, r *http.Request) {
	job, err := c.readDraft(http.MaxBytesReader(w, r.Body, pipeline.MaxJobBytes))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	receipt, err := c.Jobs.Submit(r.Context(), job)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusAccepted, receipt)
}

func (c *console) readDraft(body io.Reader) (pipeline.Job, error) {
	var d draft
	dec := json.NewDecoder(body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return pipeline.Job{}, pipeline.Refuse(pipeline.CodeInvalidJob, "the message cannot be read: %v", err)
	}
	for _, it := range d.Items {
		if !uploadKey.MatchString(it.Source.Key) {
			return pipeline.Job{}, pipeline.Refuse(pipeline.CodeInvalidJob, "an item was not uploaded here; add the file again")
		}
	}
	id := c.NewID()
	job := pipeline.Job{
		Schema: pipeline.JobSchema, JobID: id, MessageID: "m_" + id, Conversation: pipeline.Conversation{ID: "c_console", Kind: pipeline.Direct},
		Sender: d.Sender, Recipients: d.Recipients, Caption: d.Caption, Items: d.Items,
	}
	if len(d.Recipients) > 1 {
		job.Conversation.Kind = pipeline.Group
	}
	return job, job.Validate()
}
