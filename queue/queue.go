// Package queue decides when a job runs: it carries jobs from the upload API to the workers and events from the workers to the
// API, on Redis. It is the only importer of asynq, go-redis, the CloudEvents SDK and miniredis.
//
// An upload API imports queue and pipeline, without cgo:
//
//	client, err := queue.NewClient(cfg)
//	receipt, err := client.Submit(ctx, job)       // twice is once
//	status, err := client.Wait(ctx, job.JobID, show)
//	err = queue.Subscribe(ctx, cfg, deliver)      // the finished messages
//
// What holds, whatever is killed when:
//
//  1. The job's id is the task's id: a job submitted twice is one job.
//  2. A handler returns only after its Runner has: nothing runs on behind a task that was given back.
//  3. The event's id comes from the job's id, and the event is published before the task is done: one event a job, which a
//     repeated publish finds already there.
//  4. An attempt that a shutdown ended is not counted.
package queue

import (
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// Class is a cost class of jobs: the name of its queue. Each class has its own asynq server inside a worker, so that a voice
// note never waits behind videos.
type Class string

// The classes, cheapest first. Bulk is for reprocessing: never chosen by Submit.
const (
	ClassVoice Class = "voice"
	ClassPhoto Class = "photo"
	ClassVideo Class = "video"
	ClassBulk  Class = "bulk"
)

// Classes returns every class, cheapest first.
func Classes() []Class { return []Class{ClassVoice, ClassPhoto, ClassVideo, ClassBulk} }

// EventQueue is the queue that events are published to.
const EventQueue = "parts"

// jobTask is the type of the tasks that carry jobs.
const jobTask = "ninefold.job"

// ClassOf returns the class of the costliest item. An auto item may be a video and counts as one.
func ClassOf(job pipeline.Job) Class {
	cost := 0
	for _, item := range job.Items {
		cost = max(cost, slices.Index(Classes(), classOfKind(item.Kind)))
	}
	return Classes()[cost]
}

func classOfKind(k pipeline.Kind) Class {
	switch k {
	case pipeline.KindVoice:
		return ClassVoice
	case pipeline.KindPhoto:
		return ClassPhoto
	}
	return ClassVideo
}
