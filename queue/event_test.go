package queue

import (
	"bytes"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hibiken/asynq"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

func testEvent(t *testing.T) Event {
	t.Helper()
	m, err := new(onceRunner).Run(t.Context(), testJob(), pipeline.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return NewEvent("/ninefold", m)
}

// The envelope is CloudEvents 1.0 in JSON: what any language's SDK reads. The same manifest gives the same bytes.
func TestEventEnvelope(t *testing.T) {
	e := testEvent(t)
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if m, ok := got["data"].(map[string]any); !ok || m["schema"] != pipeline.ManifestSchema || m["job_id"] != "j1" {
		t.Errorf("data: %v", got["data"])
	}
	delete(got, "data")
	want := map[string]any{
		"specversion": "1.0", "id": "parts:j1", "source": "/ninefold", "type": "ninefold.parts.ready", "subject": "m1",
		"time": "2023-11-14T22:13:21Z", "datacontenttype": "application/json",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("envelope (-want +got):\n%s", diff)
	}
	if again, _ := json.Marshal(testEvent(t)); !bytes.Equal(again, data) {
		t.Error("the same manifest gave another event")
	}
	back, err := DecodeEvent(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, back); diff != "" {
		t.Errorf("decoded (-want +got):\n%s", diff)
	}
}

func TestDecodeEventRefuses(t *testing.T) {
	good, err := json.Marshal(testEvent(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"type": {"ninefold.parts.ready", "ninefold.parts.steady"}, "version": {`"specversion":"1.0"`, `"specversion":"7"`},
		"schema": {pipeline.ManifestSchema, "ninefold.parts/9"}, "source": {`"source":"/ninefold"`, `"source":""`}, "json": {"{", "["},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		if bad == string(good) {
			t.Fatalf("%s: nothing changed", name)
		}
		if _, err := DecodeEvent([]byte(bad)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// However many workers announce one manifest at the same time, there is one event.
func TestPublishIsIdempotent(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.RedisURL = pipelinetest.StartRedis(t).URL()
	rdb, err := connect(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer rdb.Close()
	p := &publisher{tasks: asynq.NewClientFromRedisClient(rdb), retention: cfg.Retention}
	event, err := json.Marshal(testEvent(t))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if err := p.publish(t.Context(), EventID("j1"), event); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	info, err := asynq.NewInspectorFromRedisClient(rdb).GetQueueInfo(EventQueue)
	if err != nil || info.Size != 1 {
		t.Errorf("%+v, %v; want one event", info, err)
	}
}
