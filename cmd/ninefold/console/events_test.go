package console_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

type runnerFunc func(context.Context, pipeline.Job, pipeline.RunOptions) (pipeline.Manifest, error)

func (f runnerFunc) Run(ctx context.Context, j pipeline.Job, o pipeline.RunOptions) (pipeline.Manifest, error) {
	return f(ctx, j, o)
}

// The stream tells where the items are and ends when the job has; no manifest is in it.
func TestEvents(t *testing.T) {
	b := newBench(t, true)
	seen := make(chan struct{})
	server, err := queue.NewServer(b.cfg, runnerFunc(func(_ context.Context, j pipeline.Job, o pipeline.RunOptions) (pipeline.Manifest, error) {
		o.Progress(pipeline.Progress{ItemID: "i1", Stage: "render", Percent: 40})
		<-seen
		return pipeline.Manifest{
			Schema: pipeline.ManifestSchema, JobID: j.JobID, MessageID: j.MessageID, Status: pipeline.StatusRejected,
			Error: &pipeline.Failure{Code: pipeline.CodeCorrupt, Message: "the file is empty"}, FinishedAt: time.Now(),
		}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	sent := read(t, b.do("POST", "/api/messages", `{`+people+`,"items":[{"id":"i1","kind":"photo","source":{"key":"uploads/`+strings.Repeat("0", 26)+`"}}]}`))
	var receipt queue.Receipt
	if err := json.Unmarshal([]byte(sent), &receipt); err != nil {
		t.Fatalf("%v: %s", err, sent)
	}

	stream := &flushed{ResponseRecorder: httptest.NewRecorder(), on: `"stage":"render"`, then: func() { close(seen) }}
	b.handler.ServeHTTP(stream, httptest.NewRequest("GET", "/api/jobs/"+receipt.JobID+"/events", nil))
	body := stream.Body.String()
	if !strings.HasSuffix(body, "\n\n") || !strings.Contains(body, `"state":"done"`) || strings.Contains(body, "manifest") {
		t.Errorf("the stream: %s", body)
	}
	if got := stream.Result().Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("type %s", got)
	}
	if resp := b.do("GET", "/api/jobs/absent/events", ""); resp.StatusCode != 404 {
		t.Errorf("of an absent job: %d", resp.StatusCode)
	}
}

// flushed calls then once when on has been flushed to the reader.
type flushed struct {
	*httptest.ResponseRecorder
	on   string
	then func()
}

func (f *flushed) Flush() {
	if f.then != nil && strings.Contains(f.Body.String(), f.on) {
		f.then()
		f.then = nil
	}
}
