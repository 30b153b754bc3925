package main

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/hibiken/asynqmon"

	"github.com/ninefold/ninefold/queue"
)

// queuesPath is where asynq's own pages are.
const queuesPath = "/queues"

// openQueues returns asynq's pages, to look at only. They must be closed.
func openQueues(cfg queue.Config) (*asynqmon.HTTPHandler, error) {
	redis, err := queue.Connector(cfg)
	if err != nil {
		return nil, err
	}
	return asynqmon.New(asynqmon.Options{
		RootPath: queuesPath, RedisConnOpt: redis, ReadOnly: true, PayloadFormatter: asynqmon.PayloadFormatterFunc(idsOf),
	}), nil
}

// readOnly lets nothing through that could change something, whatever the pages behind it think.
func readOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "these pages are to look at only", http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// idsOf shows of a task's payload whose it is, and nothing that anybody wrote: captions are the console's to show.
func idsOf(_ string, payload []byte) string {
	var job struct {
		JobID      string            `json:"job_id"`
		MessageID  string            `json:"message_id"`
		Items      []json.RawMessage `json:"items"`
		Recipients []json.RawMessage `json:"recipients"`
		ID         string            `json:"id"`      // of an event
		Subject    string            `json:"subject"` // of an event: the message's id
	}
	switch err := json.Unmarshal(payload, &job); {
	case err != nil:
		return "no JSON"
	case job.ID != "":
		return fmt.Sprintf("event %s, message %s", job.ID, job.Subject)
	}
	return fmt.Sprintf("job %s, message %s, %d items, %d recipients", job.JobID, job.MessageID, len(job.Items), len(job.Recipients))
}
