package queue

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// announcements remembers the jobs that this worker announced a moment ago. A Redis that comes back from a crash may have lost its last writes:
// then the manifest in the store is the truth, and the event is put into the outbox again.
type announcements struct {
	mu   sync.Mutex
	jobs []announcedJob
}

type announcedJob struct {
	class  Class
	id     string // in the books
	jobID  string
	number int // of the manifest
	at     time.Time
}

// What Redis may lose: a second with appendfsync everysec, more after a failover. remember is far beyond either, and an event twice in the
// outbox is one event.
const (
	remember     = 2 * time.Minute
	rememberMost = 10_000
)

func (r *announcements) add(job announcedJob) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	for len(r.jobs) > 0 && (len(r.jobs) >= rememberMost || now.Sub(r.jobs[0].at) > remember) {
		r.jobs = r.jobs[1:]
	}
	job.at = now
	r.jobs = append(r.jobs, job)
}

func (r *announcements) list() []announcedJob {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]announcedJob(nil), r.jobs...)
}

// committed is a Runner that can say what it committed before; *pipeline.Pipeline can.
type committed interface {
	CommittedRevision(ctx context.Context, jobID string, number int) (pipeline.Manifest, error)
}

// announceAgain looks for recent jobs whose event Redis has lost. asynq writes its list of queues once a process: it may be lost, too.
func (s *Server) announceAgain(ctx context.Context) {
	if err := s.own.SAdd(ctx, asynqQueues, string(ClassVoice), string(ClassPhoto), string(ClassVideo), string(ClassBulk), EventQueue).Err(); err != nil {
		s.cfg.log().Debug("queues not listed", slog.Any("error", err))
	}
	runner, ok := s.runner.(committed)
	if !ok {
		return
	}
	for _, job := range s.recent.list() {
		told, err := s.own.HExists(ctx, runKey(job.class, job.id), fieldEvent).Result()
		if err != nil || told {
			continue
		}
		if err := s.announceLost(ctx, runner, job); err != nil {
			s.cfg.log().Error("a lost event was not announced again", slog.String("job_id", job.id), slog.Any("error", err))
			continue
		}
		s.cfg.log().Warn("redis had lost an event; it is announced again", slog.String("job_id", job.id))
	}
}

func (s *Server) announceLost(ctx context.Context, runner committed, job announcedJob) error {
	m, err := runner.CommittedRevision(ctx, job.jobID, job.number)
	if err != nil {
		return err
	}
	_, err = s.books.announceCommitted(ctx, s.cfg.Source, job.class, job.id, m)
	return err
}
