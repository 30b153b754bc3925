package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
)

// Runner does the work of one job; *pipeline.Pipeline is one. It returns only when everything it started has ended.
type Runner interface {
	Run(ctx context.Context, job pipeline.Job, opts pipeline.RunOptions) (pipeline.Manifest, error)
}

// handler carries out the tasks of one class.
type handler struct {
	cfg       Config
	class     Class
	rdb       redis.UniversalClient
	books     *ledger
	recent    *announcements
	dead      *quarantine
	runner    Runner
	admission *admission
	waits     *seldom
	held      *releaser
	stop      context.Context // ends when running jobs must be handed back
	running   *sync.WaitGroup
}

var _ asynq.Handler = (*handler)(nil)

// admitWithin is how long a job may wait on one worker before it goes back to the queue, where another may take it.
const admitWithin = 5 * time.Minute

// ProcessTask makes one attempt at a job. It returns after the Runner has, with what asynq is to do about it.
func (h *handler) ProcessTask(ctx context.Context, task *asynq.Task) error {
	h.running.Add(1)
	defer h.running.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(h.stop, func() { cancel(errHandBack) })()

	leave, err := h.enter(ctx)
	if err != nil {
		return h.cfg.asynqError(judge(ctx, err), err, 0)
	}
	defer leave()
	a := &attempt{handler: h, task: task}
	id, _ := asynq.GetTaskID(ctx)
	ctx, end := h.cfg.observer().Attempt(pipeline.WithTrace(ctx, task.Headers()[traceHeader]), h.class, id)
	if task.Type() == redoTask {
		err = a.redo(ctx)
	} else {
		err = a.run(ctx)
	}
	o := judge(ctx, err)
	end(string(o), err)
	a.conclude(ctx, o, err)
	return h.cfg.asynqError(o, err, time.Since(a.since))
}

func (h *handler) enter(ctx context.Context) (leave func(), err error) {
	wait, cancel := context.WithTimeoutCause(ctx, admitWithin, errWaited)
	defer cancel()
	if leave, err = h.admission.enter(wait, h.class); err != nil {
		return nil, errors.Join(context.Cause(wait), err)
	}
	return leave, nil
}

// attempt is one attempt at a job.
type attempt struct {
	*handler
	task *asynq.Task
	job  pipeline.Job // ids at least, once begun
	start
}

// run does the work between admission and verdict. A panic is our own trouble.
func (a *attempt) run(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = pipeline.Trouble(pipeline.CodeInternal, "run", fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
	}()
	ctx, cancel := context.WithTimeout(pipeline.WithNice(ctx, a.class.nice()), a.cfg.Timeouts.of(a.class))
	defer cancel()
	var refusal *pipeline.Error
	if a.job, err = decode(ctx, a.task); err != nil {
		if a.job, refusal = salvage(ctx, a.task, err); refusal == nil {
			return err
		}
	}
	if a.start, err = a.books.begin(ctx, a.class, a.job.JobID); err != nil || a.told {
		return err
	}
	if a.open >= int64(a.cfg.Crashes) {
		refusal = a.poisoned(ctx)
	}
	m, err := a.media(ctx, refusal)
	if err != nil {
		return err
	}
	return a.announce(ctx, m)
}

func (a *attempt) media(ctx context.Context, refusal *pipeline.Error) (pipeline.Manifest, error) {
	progress := newReporter(a.cfg, a.rdb, a.job.JobID)
	defer progress.close()
	return a.runner.Run(ctx, a.job, pipeline.RunOptions{Final: a.final(ctx), Refusal: refusal, Progress: progress.report})
}

// final: no further attempt follows, because all are spent, or because a job that says no deadline of its own has waited long enough.
func (a *attempt) final(ctx context.Context) bool {
	retried, _ := asynq.GetRetryCount(ctx)
	return retried+1 >= a.cfg.Attempts || time.Since(a.since) > a.cfg.Patience
}

// poisoned puts a job aside whose attempts have taken their workers with them, and has it rejected: its consumer must hear of it.
func (a *attempt) poisoned(ctx context.Context) *pipeline.Error {
	e := pipeline.Refuse(pipeline.CodeEngineCrashed, "processing this message ended the worker %d times; send its files in another form", a.open)
	if err := a.dead.putJob(ctx, a.class, a.job.JobID, e, int(a.open), a.task.Payload()); err != nil {
		a.cfg.log().Error("job was not put into quarantine", slog.String("job_id", a.job.JobID), slog.Any("error", err))
	}
	return e
}

// announce puts the event of a committed manifest into the outbox, which nothing may hold up any more: not a shutdown, not the deadline.
func (a *attempt) announce(ctx context.Context, m pipeline.Manifest) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitGrace/2)
	defer cancel()
	event := NewEvent(a.cfg.Source, m)
	event.Trace = pipeline.TraceOf(ctx)
	payload, err := json.Marshal(event)
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "announce", err)
	}
	answer, err := a.books.announce(ctx, a.class, a.job.JobID, a.fence, m, payload)
	if err != nil {
		return err
	}
	if answer == stale || answer == staleTold {
		a.cfg.log().Warn("stale publish refused", slog.String("job_id", a.job.JobID), slog.Int64("fence", a.fence))
	}
	if answer == stale {
		return errStale
	}
	a.held.soon()
	a.recent.add(announcedJob{class: a.class, id: a.job.JobID, jobID: m.JobID, number: m.Number()})
	return nil
}

// conclude logs a failure, keeps a record of what asynq will put aside, and closes the books on an attempt that ended by itself.
func (a *attempt) conclude(ctx context.Context, o outcome, err error) {
	if o == done {
		return
	}
	id, _ := asynq.GetTaskID(ctx)
	retried, _ := asynq.GetRetryCount(ctx)
	a.logFailure(id, retried+1, o, err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitGrace/3)
	defer cancel()
	most, known := asynq.GetMaxRetry(ctx)
	if o == permanent || (o == retryable && known && retried >= most) {
		if err := a.dead.putJob(ctx, a.class, id, pipeline.AsError(err), 0, a.task.Payload()); err != nil {
			a.cfg.log().Error("job was not put into quarantine", slog.String("job_id", id), slog.Any("error", err))
		}
	}
	if a.fence > 0 {
		if err := a.books.end(ctx, a.class, a.job.JobID, a.fence); err != nil {
			a.cfg.log().Debug("end of attempt not noted", slog.String("job_id", id), slog.Any("error", err))
		}
	}
}

// logFailure says why an attempt failed. What waits for a store or a Redis that is away would say so again and again: one job a minute does for
// all of its class.
func (a *attempt) logFailure(id string, number int, o outcome, err error) {
	if o == handedBack { // nothing failed: another worker goes on
		a.cfg.log().Info("job handed back", slog.String("job_id", id))
		return
	}
	code, level, kept := pipeline.AsError(err).Code, slog.LevelWarn, 0
	if o == busy {
		var fresh bool
		if fresh, kept = a.waits.say(string(a.class)+" "+string(code), time.Now()); !fresh {
			level = slog.LevelDebug
		}
	}
	a.cfg.log().Log(context.Background(), level, "attempt failed", slog.String("job_id", id), slog.Int("attempt", number), slog.String("outcome", string(o)),
		slog.String("code", string(code)), slog.Int("lines_held_back", kept), slog.Any("error", err))
}

// decode believes no payload: it must be one valid job, and the one that the task's id says.
func decode(ctx context.Context, task *asynq.Task) (pipeline.Job, error) {
	job, err := pipeline.DecodeJob(bytes.NewReader(task.Payload()))
	if err != nil {
		return pipeline.Job{}, err
	}
	if id, ok := asynq.GetTaskID(ctx); !ok || id != job.JobID {
		return pipeline.Job{}, pipeline.Refuse(pipeline.CodeInvalidJob, "job_id: differs from the task's id; submit jobs through queue.Client")
	}
	return job, nil
}

// salvage reads just enough of a payload that is no valid job, from a newer client for one, that its consumer hears of it: the
// message is rejected with err instead of vanishing. Without the ids of the task's own job there is nobody to tell.
func salvage(ctx context.Context, task *asynq.Task, err error) (pipeline.Job, *pipeline.Error) {
	var coded *pipeline.Error
	if !errors.As(err, &coded) || coded.Code.Trouble() {
		return pipeline.Job{}, nil
	}
	job, ok := readIDs(task.Payload())
	if id, known := asynq.GetTaskID(ctx); !ok || !known || id != job.JobID {
		return pipeline.Job{}, nil
	}
	return job, coded
}

// readIDs takes the ids, and nothing else, out of a payload.
func readIDs(payload []byte) (job pipeline.Job, ok bool) {
	var ids struct {
		JobID        string `json:"job_id"`
		MessageID    string `json:"message_id"`
		Conversation struct {
			ID string `json:"id"`
		} `json:"conversation"`
		Sender struct {
			ID string `json:"id"`
		} `json:"sender"`
	}
	if len(payload) > pipeline.MaxJobBytes || json.Unmarshal(payload, &ids) != nil {
		return job, false
	}
	for _, id := range []string{ids.JobID, ids.MessageID, ids.Conversation.ID, ids.Sender.ID} {
		if !pipeline.ValidID(id) {
			return job, false
		}
	}
	job.JobID, job.MessageID, job.Conversation.ID, job.Sender.ID = ids.JobID, ids.MessageID, ids.Conversation.ID, ids.Sender.ID
	return job, true
}
