package pipeline_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// others are jobs that are another message than j, by what they change.
func others() map[string]func(*pipeline.Job) {
	return map[string]func(*pipeline.Job){
		"an item more":         func(j *pipeline.Job) { j.Items = append(j.Items, job("x", "a", "b").Items[1]) },
		"another source":       func(j *pipeline.Job) { j.Items[0].Source.Key = "b" },
		"another kind":         func(j *pipeline.Job) { j.Items[0].Kind = pipeline.KindAuto },
		"another item id":      func(j *pipeline.Job) { j.Items[0].ID = "other" },
		"an edit":              func(j *pipeline.Job) { j.Items[0].Edits = []pipeline.Edit{{Op: pipeline.OpRotate, Degrees: 90}} },
		"an item's caption":    func(j *pipeline.Job) { j.Items[0].Caption = "hello" },
		"an item's alt":        func(j *pipeline.Job) { j.Items[0].Alt = "hello" },
		"the message's":        func(j *pipeline.Job) { j.Caption = "hello" },
		"another sender":       func(j *pipeline.Job) { j.Sender.ID = "mallory" },
		"another message id":   func(j *pipeline.Job) { j.MessageID = "m2" },
		"another conversation": func(j *pipeline.Job) { j.Conversation.ID = "c2" },
	}
}

// same are jobs that are the same message as j.
func same() map[string]func(*pipeline.Job) {
	return map[string]func(*pipeline.Job){
		"nothing":           func(*pipeline.Job) {},
		"an age":            func(j *pipeline.Job) { j.Recipients[0].AgeBand = pipeline.Teen },
		"a filter":          func(j *pipeline.Job) { j.Recipients[0].NudityFilter = pipeline.FilterHide },
		"a contact":         func(j *pipeline.Job) { j.Recipients[0].Contact = pipeline.ContactBlocked },
		"another recipient": func(j *pipeline.Job) { j.Recipients[0].ID = "r9" },
		"the sender's age":  func(j *pipeline.Job) { j.Sender.AgeBand = pipeline.Teen },
		"a deadline":        func(j *pipeline.Job) { j.Deadline = new(time.Now().Add(time.Hour)) },
		"an expiry":         func(j *pipeline.Job) { j.ExpiresAt = new(time.Now().Add(time.Hour)) },
		"empty edits":       func(j *pipeline.Job) { j.Items[0].Edits = []pipeline.Edit{} },
	}
}

// TestAnIDIsForOneMessage: whoever comes with the id of another message gets a code and nothing of that message, and changes nothing, whether
// it has ended, is under way, was refused as a whole, or is of a version that kept no jobs.
func TestAnIDIsForOneMessage(t *testing.T) {
	before := map[string]func(*testing.T, *rig){
		"ended": func(t *testing.T, r *rig) { r.run(t, job("j", "a"), pipeline.RunOptions{}) },
		"under way": func(t *testing.T, r *rig) {
			if err := pipeline.KeepJob(t.Context(), r.store, job("j", "a")); err != nil {
				t.Fatal(err)
			}
		},
		"ended, job not kept": func(t *testing.T, r *rig) {
			r.run(t, job("j", "a"), pipeline.RunOptions{})
			r.Pipeline = r.With(without{r.store, pipeline.JobKey("j")})
		},
	}
	for state, prepare := range before {
		for name, change := range others() {
			r := newRig(t)
			r.upload(t, "a", "lake")
			r.upload(t, "b", "hill")
			prepare(t, r)
			keys, j := r.keys(t, ""), job("j", "a")
			change(&j)
			m, err := r.Run(t.Context(), j, pipeline.RunOptions{Final: true})
			blind := state == "ended, job not kept" && (name == "another source" || name == "another kind") // no manifest says them
			if blind {
				continue
			}
			var coded *pipeline.Error
			if !errors.As(err, &coded) || coded.Code != pipeline.CodeInvalidJob || pipeline.Retryable(err) || m.JobID != "" {
				t.Errorf("%s, %s: %v, manifest of %q", state, name, err, m.JobID)
			}
			if got := r.keys(t, ""); len(got) != len(keys) {
				t.Errorf("%s, %s: the store holds %v, was %v", state, name, got, keys)
			}
		}
		for name, change := range same() {
			r := newRig(t)
			r.upload(t, "a", "lake")
			prepare(t, r)
			j := job("j", "a")
			change(&j)
			if m := r.run(t, j, pipeline.RunOptions{}); m.JobID != "j" {
				t.Errorf("%s, %s: %+v", state, name, m)
			}
		}
	}
}

// TestAnUnreadableJobIsAnsweredAgain: what was rejected because it could not be read as a whole is that message again on the next attempt.
func TestAnUnreadableJobIsAnsweredAgain(t *testing.T) {
	r := newRig(t)
	j := job("j")
	j.Sender.AgeBand, j.Recipients = "", nil
	refusal := pipeline.RunOptions{Refusal: pipeline.Refuse(pipeline.CodeInvalidJob, "a field of a newer client")}
	first := r.run(t, j, refusal)
	if again := r.run(t, j, refusal); again.Status != pipeline.StatusRejected || !again.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("%+v", again)
	}
	j.Sender.ID = "mallory"
	if _, err := r.Run(t.Context(), j, refusal); pipeline.AsError(err).Code != pipeline.CodeInvalidJob {
		t.Errorf("another sender is answered: %v", err)
	}
}
