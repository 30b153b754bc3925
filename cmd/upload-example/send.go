package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// maxMessage bounds the first field of the form, bytes.
const maxMessage = 64 << 10

// mostBytes is how large a file of a kind may be: what the workers' profile takes. auto may turn out to be a video.
func mostBytes(kind pipeline.Kind) int64 {
	p := transcode.DefaultProfile()
	switch kind {
	case pipeline.KindVoice:
		return p.Voice.MaxBytes
	case pipeline.KindPhoto:
		return p.Photo.MaxBytes
	}
	return p.Video.MaxBytes
}

// draft is the form's first field, message. The files follow it, one a field, in the order of Files.
type draft struct {
	ID      string   `json:"id"` // the client's own: a request sent twice is one message
	To      []string `json:"to"`
	Caption string   `json:"caption"`
	Files   []struct {
		Kind    pipeline.Kind   `json:"kind"`
		Caption string          `json:"caption"`
		Alt     string          `json:"alt"`
		Edits   []pipeline.Edit `json:"edits"`
	} `json:"files"`
}

// send takes a message and its files and queues the job. The files go to the store while they come in.
func (a *api) send(w http.ResponseWriter, r *http.Request) {
	form, err := r.MultipartReader()
	if err != nil {
		a.refuse(w, r, pipeline.Refuse(pipeline.CodeInvalidJob, "send multipart/form-data"))
		return
	}
	d, err := readDraft(form)
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	job := a.job(user(r), d)
	if err := job.Validate(); err != nil { // before a byte of a file is taken
		a.refuse(w, r, err)
		return
	}
	if err := a.same(r.Context(), job); err != nil { // before a file of another message is written over
		a.refuse(w, r, err)
		return
	}
	if err := a.store(r.Context(), form, job.Items); err != nil {
		a.refuse(w, r, err)
		return
	}
	if err := pipeline.KeepJob(r.Context(), a.parts, job); err != nil { // should Redis lose it, ninefold recover queues it again
		a.refuse(w, r, err)
		return
	}
	receipt, err := a.jobs.Submit(pipeline.WithTrace(r.Context(), r.Header.Get("traceparent")), job) // workers continue the request's trace
	if err != nil {
		a.refuse(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, map[string]any{"message": receipt.JobID, "repeated": receipt.Existed})
}

// same refuses a job whose id was used for another message.
func (a *api) same(ctx context.Context, job pipeline.Job) error {
	kept, err := pipeline.KeptJob(ctx, a.parts, job.JobID)
	switch {
	case errors.Is(err, pipeline.ErrNotExist):
		return nil
	case err == nil && !kept.SameMessage(job):
		return pipeline.Refuse(pipeline.CodeInvalidJob, "id: it was used for another message; give every message an id of its own")
	}
	return err
}

func readDraft(form *multipart.Reader) (d draft, err error) {
	field, err := form.NextPart()
	if err != nil || field.FormName() != "message" {
		return d, pipeline.Refuse(pipeline.CodeInvalidJob, "the form's first field must be message")
	}
	dec := json.NewDecoder(io.LimitReader(field, maxMessage))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return d, pipeline.Refuse(pipeline.CodeInvalidJob, "message: %v", err)
	}
	return d, nil
}

// job is the message as the workers take it. Its id begins with the sender's: nobody can use up or overwrite another one's.
func (a *api) job(sender string, d draft) pipeline.Job {
	id := sender + ":" + d.ID
	j := pipeline.Job{
		Schema: pipeline.JobSchema, JobID: id, MessageID: id, Conversation: pipeline.Conversation{ID: "c:" + id, Kind: pipeline.Direct},
		Sender: pipeline.Sender{ID: sender, AgeBand: a.people[sender].Age}, Caption: d.Caption,
	}
	if len(d.To) > 1 {
		j.Conversation.Kind = pipeline.Group
	}
	for _, to := range d.To {
		j.Recipients = append(j.Recipients, a.people.recipient(to, sender))
	}
	for i, f := range d.Files {
		j.Items = append(j.Items, pipeline.Item{
			ID: fmt.Sprintf("i%d", i+1), Kind: f.Kind, Caption: f.Caption, Alt: f.Alt, Edits: f.Edits,
			Source: pipeline.Source{Key: fmt.Sprintf("uploads/%s/%s/%d", sender, d.ID, i+1)},
		})
	}
	return j
}

// store takes one file for each item.
func (a *api) store(ctx context.Context, form *multipart.Reader, items []pipeline.Item) error {
	for i, it := range items {
		field, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return pipeline.Refuse(pipeline.CodeInvalidJob, "file %d of %d is missing", i+1, len(items))
		}
		if err != nil {
			return err
		}
		if _, err := a.uploads.Upload(ctx, it.Source.Key, field, mostBytes(it.Kind), "application/octet-stream"); err != nil {
			return err
		}
	}
	if _, err := form.NextPart(); !errors.Is(err, io.EOF) {
		return pipeline.Refuse(pipeline.CodeInvalidJob, "there are more files than the message names")
	}
	return nil
}
