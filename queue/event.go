package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/hibiken/asynq"

	"github.com/ninefold/ninefold/pipeline"
)

// EventType is the CloudEvents type of a finished message, and the type of the task that carries it.
const EventType = "ninefold.parts.ready"

// UpdateType is the CloudEvents type of a message that was done again: its manifest stands in the place of the one before.
const UpdateType = "ninefold.parts.updated"

// Event says that a message is ready to be delivered, or was refused: see its manifest's status.
type Event struct {
	Type     string // EventType or UpdateType
	ID       string // from the job's id: a consumer that has seen it has seen the message
	Source   string
	Subject  string // the message's id
	Time     time.Time
	Trace    string // W3C traceparent of the attempt that made it, "" = not traced; CloudEvents' extension for distributed tracing
	Manifest pipeline.Manifest
}

// traceExtension is the attribute of the CloudEvents distributed tracing extension.
const traceExtension = "traceparent"

// EventID is the id of a job's one event.
func EventID(jobID string) string { return "parts:" + jobID }

// eventID is the id of a manifest's one event. No job id has a tilde.
func eventID(m pipeline.Manifest) string {
	if m.Revision == nil {
		return EventID(m.JobID)
	}
	return fmt.Sprintf("%s~r%d", EventID(m.JobID), m.Number())
}

func eventType(m pipeline.Manifest) string {
	if m.Revision == nil {
		return EventType
	}
	return UpdateType
}

// NewEvent returns the event of a committed manifest. The same manifest gives the same event.
func NewEvent(source string, m pipeline.Manifest) Event {
	return Event{Type: eventType(m), ID: eventID(m), Source: source, Subject: m.MessageID, Time: m.FinishedAt, Manifest: m}
}

// MarshalJSON writes the CloudEvents 1.0 JSON envelope.
func (e Event) MarshalJSON() ([]byte, error) {
	ce := event.New(event.CloudEventsVersionV1)
	ce.SetID(e.ID)
	ce.SetSource(e.Source)
	ce.SetType(e.Type)
	ce.SetSubject(e.Subject)
	ce.SetTime(e.Time)
	if e.Trace != "" {
		ce.SetExtension(traceExtension, e.Trace)
	}
	if err := ce.SetData(event.ApplicationJSON, e.Manifest); err != nil {
		return nil, err
	}
	return ce.MarshalJSON()
}

// DecodeEvent reads an envelope and refuses one that is not a finished message's.
func DecodeEvent(data []byte) (Event, error) {
	var ce event.Event
	if err := json.Unmarshal(data, &ce); err != nil {
		return Event{}, fmt.Errorf("event: %w", err)
	}
	if err := ce.Validate(); err != nil {
		return Event{}, fmt.Errorf("event: %w", err)
	}
	if ce.Type() != EventType && ce.Type() != UpdateType {
		return Event{}, fmt.Errorf("event: type %q, want %q or %q", ce.Type(), EventType, UpdateType)
	}
	e := Event{Type: ce.Type(), ID: ce.ID(), Source: ce.Source(), Subject: ce.Subject(), Time: ce.Time()}
	if parent, ok := ce.Extensions()[traceExtension].(string); ok && pipeline.ValidTrace(parent) {
		e.Trace = parent
	}
	if err := ce.DataAs(&e.Manifest); err != nil {
		return Event{}, fmt.Errorf("event: data: %w", err)
	}
	return e, e.Manifest.Validate()
}

// The life of a published event: a consumer that is down for a day or two finds it still there.
const (
	eventTries   = 1000
	eventTimeout = time.Minute
)

// publisher puts events on the parts queue, and on the webhook's where there is one.
type publisher struct {
	tasks     *asynq.Client
	retention time.Duration
	webhook   bool
}

// publish is done when the event is on its queues, whoever put it there.
func (p *publisher) publish(ctx context.Context, id string, event []byte) error {
	if p.webhook {
		if err := p.enqueue(ctx, webhookQueue, id, event, asynq.MaxRetry(webhookTries), asynq.Timeout(webhookTimeout)); err != nil {
			return err
		}
	}
	return p.enqueue(ctx, EventQueue, id, event, asynq.MaxRetry(eventTries), asynq.Timeout(eventTimeout))
}

func (p *publisher) enqueue(ctx context.Context, queue, id string, event []byte, opts ...asynq.Option) error {
	_, err := p.tasks.EnqueueContext(ctx, asynq.NewTask(EventType, event), append(opts, asynq.TaskID(id), asynq.Queue(queue), asynq.Retention(p.retention))...)
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}
