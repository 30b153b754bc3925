package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// What is kept of a job, beside its manifest:
//
//	manifests/ID.json          what it first ended with; never changed
//	jobs/ID.json               the job itself, which doing it again needs
//	revisions/ID/000002.json   what stands in the manifest's place since a reprocessing, put where there is none: its commit

// JobPrefix is what the keys of all kept jobs begin with, those whose ids begin with idPrefix.
func JobPrefix(idPrefix string) string { return "jobs/" + keyName(idPrefix) }

// KeptJobID is the id of the job that is kept under key.
func KeptJobID(key string) (jobID string, ok bool) { return idIn(key, "jobs/") }

// JobKey is where a job is kept for being done again.
func JobKey(jobID string) string { return "jobs/" + keyName(jobID) + ".json" }

// ManifestPrefix is what the keys of all first manifests begin with, those of the jobs whose ids begin with idPrefix.
func ManifestPrefix(idPrefix string) string { return "manifests/" + keyName(idPrefix) }

// ManifestJobID is the id of the job whose first manifest lies under key.
func ManifestJobID(key string) (jobID string, ok bool) { return idIn(key, "manifests/") }

// idIn takes the id out of the key of a document about one job.
func idIn(key, prefix string) (jobID string, ok bool) {
	name, ok := strings.CutPrefix(key, prefix)
	if !ok {
		return "", false
	}
	name, ok = strings.CutSuffix(name, ".json")
	jobID = strings.ReplaceAll(name, "~", ":")
	return jobID, ok && ValidID(jobID)
}

func revisionPrefix(jobID string) string { return "revisions/" + keyName(jobID) + "/" }

// RevisionKey is where a job's manifest of the given number lies; 1 is the first.
func RevisionKey(jobID string, number int) string {
	if number <= 1 {
		return ManifestKey(jobID)
	}
	return fmt.Sprintf("%s%06d.json", revisionPrefix(jobID), number)
}

// Number is the manifest's place among those of its job; 1 is the first.
func (m Manifest) Number() int {
	if m.Revision == nil {
		return 1
	}
	return m.Revision.Number
}

// Current returns the manifest of a job that is in force: the one of the highest number. Of a job that has not ended, or is not to be
// announced yet, it is an error that wraps ErrNotExist.
func Current(ctx context.Context, s Store, jobID string) (Manifest, error) {
	m, err := Latest(ctx, s, jobID)
	if err == nil && m.Held(time.Now()) {
		return Manifest{}, fmt.Errorf("%w: the message of %s is announced at %s", ErrNotExist, jobID, m.NotBefore)
	}
	return m, err
}

// Latest is Current for whoever shows nothing of it to anybody: a manifest that is not to be announced yet is returned, too.
func Latest(ctx context.Context, s Store, jobID string) (Manifest, error) {
	if err := validateID("job_id", jobID); err != nil {
		return Manifest{}, err
	}
	number, err := currentNumber(ctx, s, jobID)
	if err != nil {
		return Manifest{}, err
	}
	return readManifest(ctx, s, RevisionKey(jobID, number))
}

func currentNumber(ctx context.Context, s Store, jobID string) (int, error) {
	number := 1
	err := s.List(ctx, revisionPrefix(jobID), func(o Object) error {
		name := strings.TrimSuffix(strings.TrimPrefix(o.Key, revisionPrefix(jobID)), ".json")
		if n, err := strconv.Atoi(name); err == nil && RevisionKey(jobID, n) == o.Key {
			number = max(number, n)
		}
		return nil
	})
	return number, err
}

func readManifest(ctx context.Context, s Store, key string) (Manifest, error) {
	var m Manifest
	if err := readJSON(ctx, s, key, &m); err != nil {
		return Manifest{}, err
	}
	return m, m.Validate()
}

// KeepJob stores a job beside what it ends with: Redo needs it, and so does a recovery after Redis has lost the job. A worker keeps it before
// its first attempt does anything else; an API that calls KeepJob before it queues the job loses none that no worker has taken up yet.
// What is no valid job cannot be done again and is not kept. An id under which another message is kept is CodeInvalidJob.
func KeepJob(ctx context.Context, s Store, job Job) error {
	if !job.valid() {
		return nil
	}
	data, opts, err := encode(job)
	if err != nil {
		return Trouble(CodeInternal, "keep job", err)
	}
	created, err := s.PutNew(ctx, JobKey(job.JobID), bytes.NewReader(data), int64(len(data)), opts)
	if err != nil || created {
		return err
	}
	kept, err := KeptJob(ctx, s, job.JobID)
	if err == nil && !kept.SameMessage(job) {
		return usedID()
	}
	return err
}

// usedID refuses a job whose id stands for another message.
func usedID() *Error {
	return Refuse(CodeInvalidJob, "job_id: it was used for another message; give every message an id of its own")
}

func (j Job) valid() bool { return j.Validate() == nil }

// KeptJob returns a job as it was kept; where it was not, an error that wraps ErrNotExist.
func KeptJob(ctx context.Context, s Store, jobID string) (Job, error) {
	if err := validateID("job_id", jobID); err != nil {
		return Job{}, err
	}
	var job Job
	if err := readJSON(ctx, s, JobKey(jobID), &job); err != nil {
		return Job{}, err
	}
	return job, job.Validate()
}

// errOvertaken says that another reprocessing has put a manifest of the same number first.
var errOvertaken = errors.New("another reprocessing of the message was faster")

// revise commits m in the place of the manifest before it.
func (p *Pipeline) revise(ctx context.Context, m Manifest) error {
	if err := m.Validate(); err != nil {
		return Trouble(CodeInternal, "revise", err)
	}
	data, opts, err := encode(m)
	if err != nil {
		return Trouble(CodeInternal, "revise", err)
	}
	created, err := p.Store.PutNew(ctx, RevisionKey(m.JobID, m.Number()), bytes.NewReader(data), int64(len(data)), opts)
	if err == nil && !created {
		return Trouble(CodeInternal, "revise", errOvertaken)
	}
	return err
}
