package queue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/ninefold/ninefold/pipeline"
)

// Client submits jobs and follows them. It is safe for concurrent use.
type Client struct {
	cfg   Config
	rdb   redis.UniversalClient
	tasks *asynq.Client
	look  *asynq.Inspector
}

// NewClient returns a Client without speaking to Redis: see Check. It must be closed.
func NewClient(cfg Config) (*Client, error) {
	rdb, err := connect(cfg)
	if err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, rdb: rdb, tasks: asynq.NewClientFromRedisClient(rdb), look: asynq.NewInspectorFromRedisClient(rdb)}, nil
}

// Close ends the connections.
func (c *Client) Close() error { return c.rdb.Close() }

// Check proves that Redis answers, keeps what it is given and takes writes.
func (c *Client) Check(ctx context.Context) error { return check(ctx, c.cfg, c.rdb) }

// pingWithin is how long an answer may take: somebody waits for it.
const pingWithin = 5 * time.Second

// Ping proves that Redis answers, and says where it was looked for and what to do where it does not.
func (c *Client) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingWithin)
	defer cancel()
	if err := c.rdb.Ping(ctx).Err(); err != nil {
		return c.cfg.unreachable(err)
	}
	return nil
}

// Receipt says what became of a submitted job.
type Receipt struct {
	JobID   string `json:"job_id"`
	Class   Class  `json:"class"`
	State   State  `json:"state"`
	Existed bool   `json:"existed"` // it had been submitted before, perhaps by this very call whose answer was lost
}

// spareRetries are asynq's tries beyond Config.Attempts. The last attempt ends with a manifest; the spare ones are for when it
// was killed, or could not be stored or announced. asynq must not give the job up before that.
const spareRetries = 20

// commitGrace is how long asynq's deadline is behind ours: time to commit and to announce what an attempt ended with.
const commitGrace = 30 * time.Second

// Submit queues the job, once however often it is called. The trace of ctx, see pipeline.WithTrace, goes with it. An invalid job is an
// *pipeline.Error with its code, and so is a job id that was used for another job; any other error is Redis's, and the call may be repeated.
func (c *Client) Submit(ctx context.Context, job pipeline.Job) (Receipt, error) {
	return c.submit(ctx, job, ClassOf(job))
}

func (c *Client) submit(ctx context.Context, job pipeline.Job, class Class) (Receipt, error) {
	payload, err := encodeJob(job)
	if err != nil {
		return Receipt{}, err
	}
	if err := c.reserve(ctx, job, class, payload); err != nil {
		return Receipt{}, err
	}
	receipt := Receipt{JobID: job.JobID, Class: class, State: Queued}
	_, err = c.tasks.EnqueueContext(ctx, newJobTask(ctx, payload), asynq.TaskID(job.JobID), asynq.Queue(string(class)),
		asynq.MaxRetry(c.cfg.Attempts+spareRetries), asynq.Timeout(admitWithin+c.cfg.Timeouts.of(class)+commitGrace), asynq.Retention(c.cfg.Retention))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		receipt.Existed = true
		receipt.State, err = c.stateOf(ctx, class, job.JobID)
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("submit: %w", err)
	}
	return receipt, nil
}

// traceHeader is the header of a task that carries the submitter's trace. It is no part of the job: the same job submitted again, in another
// request, is the same job.
const traceHeader = "traceparent"

func newJobTask(ctx context.Context, payload []byte) *asynq.Task {
	if parent := pipeline.TraceOf(ctx); parent != "" {
		return asynq.NewTaskWithHeaders(jobTask, payload, map[string]string{traceHeader: parent})
	}
	return asynq.NewTask(jobTask, payload)
}

// encodeJob returns the one encoding of a valid job.
func encodeJob(job pipeline.Job) ([]byte, error) {
	if err := job.Validate(); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(job)
	if err != nil {
		return nil, pipeline.Refuse(pipeline.CodeInvalidJob, "the job has no JSON form: %v", err)
	}
	if len(payload) > pipeline.MaxJobBytes {
		return nil, pipeline.Refuse(pipeline.CodeInvalidJob, "the job has %d bytes, at most %d; shorten its captions or recipients",
			len(payload), pipeline.MaxJobBytes)
	}
	return payload, nil
}

// reserveScript notes a job of an id that has no note, and returns what is noted. A client of an older version notes no message.
var reserveScript = redis.NewScript(`
redis.call('HSETNX', KEYS[1], 'class', ARGV[1])
if redis.call('HSETNX', KEYS[1], 'digest', ARGV[2]) == 1 then
  redis.call('HSET', KEYS[1], 'message', ARGV[3])
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return redis.call('HMGET', KEYS[1], 'class', 'digest', 'message')
`)

// reserve notes which message an id stands for and where it is queued: the same job again is the same message, and so is one whose audience
// or deadline has changed. asynq's task ids are per queue: without the note another job of the same id could be queued in another class.
func (c *Client) reserve(ctx context.Context, job pipeline.Job, class Class, payload []byte) error {
	sum := sha256.Sum256(payload)
	digest := hex.EncodeToString(sum[:])
	noted, err := reserveScript.Run(ctx, c.rdb, []string{jobKey(job.JobID)}, string(class), digest, job.MessageDigest(), int(c.cfg.noteTTL().Seconds())).Slice()
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	same := len(noted) == 3 && noted[0] == string(class) && (noted[1] == digest || noted[2] == job.MessageDigest())
	if !same {
		return pipeline.Refuse(pipeline.CodeInvalidJob, "job_id: it was used for another message; give every message an id of its own")
	}
	return nil
}

// stateOf asks for one task. A conflict with a task that is gone by now was with one that has just been deleted. One whose event is held is
// not done.
func (c *Client) stateOf(ctx context.Context, class Class, jobID string) (State, error) {
	info, err := c.look.GetTaskInfo(string(class), jobID)
	if err != nil {
		return "", err
	}
	state := stateNames[info.State]
	if state != Done {
		return state, nil
	}
	until, err := c.heldUntil(ctx, class, jobID)
	if err == nil && time.Now().Before(until) {
		state = Running
	}
	return state, err
}
