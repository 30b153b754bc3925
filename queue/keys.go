package queue

import (
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// keyPrefix is before every key of ours; asynq's begin with "asynq:".
const keyPrefix = "ninefold:"

// What one script touches lies in one slot of a cluster: those keys carry the hash tag that asynq gives the queue of the class.

// jobKey is the hash that holds the note of a job: what it is, and how far its items are.
func jobKey(jobID string) string { return keyPrefix + "job:" + jobID }

// runKey is the hash that holds the attempts at a job and what came of them.
func runKey(class Class, jobID string) string {
	return keyPrefix + "{" + string(class) + "}:run:" + jobID
}

// outboxKey is the stream of events that were committed and are not yet on the parts queue.
func outboxKey(class Class) string { return keyPrefix + "{" + string(class) + "}:outbox" }

// heldKey is the set of events that are not to be announced yet, by when they are, Unix milliseconds of Redis's clock; heldEventsKey holds
// them by their ids.
func heldKey(class Class) string { return keyPrefix + "{" + string(class) + "}:held" }

func heldEventsKey(class Class) string { return heldKey(class) + ":events" }

// presenceKey exists while a worker lives.
func presenceKey(worker string) string { return keyPrefix + "worker:" + worker }

// reclaimKey is held by the one worker that looks after a class's abandoned jobs for a moment.
func reclaimKey(class Class) string { return keyPrefix + "reclaim:" + string(class) }

// crashKey counts the engines that a content has crashed.
func crashKey(sha256 string) string { return keyPrefix + "crashes:" + sha256 }

// paceKey is the list of what one step of a look has taken lately: its work and the microseconds.
func paceKey(s pipeline.Step) string { return keyPrefix + "pace:" + string(s) }

// knownKey is there for as long as Redis keeps what it is given; its value is another one after every loss. A Redis without it is new, or
// has lost everything.
const knownKey = keyPrefix + "known"

// quarantineKey is the hash of what was put aside.
const quarantineKey = keyPrefix + "quarantine"

// asynq's keys that reclaim.go reads and writes; the layout is v0.26.0's, and TestReclaim holds it.
func asynqKey(class Class, name string) string { return "asynq:{" + string(class) + "}:" + name }

// asynqQueues is asynq's set of the queues that exist: its Inspector denies knowledge of others.
const asynqQueues = "asynq:queues"

// noteTTL outlives the finished task: its id stays known for as long as the task is, and then some.
func (c Config) noteTTL() time.Duration { return 2 * c.Retention }
