package main

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// restless makes a video of which every frame is another one, so that all of them must be scored, and that is red or not.
func restless(t *testing.T, file string, red bool) {
	t.Helper()
	picture := "mandelbrot=s=640x360:r=30:end_scale=0.05,noise=alls=40:allf=t"
	if red {
		picture += ",colorchannelmixer=rr=1:gg=0:bb=0,lutrgb=r=255:g=0:b=0"
	}
	tool(t, "ffmpeg", "-v", "error", "-f", "lavfi", "-i", picture, "-t", "1.5", "-c:v", "libvpx", "-b:v", "3M", "-g", "30", "-deadline", "realtime", file)
}

// TestNoClockTellsInADeployment sends real videos through a real worker to every kind of person. None is announced, and no status says that one
// is done, before its time. How long that is goes by the machine, which may be too busy to keep to what it has measured.
func TestNoClockTellsInADeployment(t *testing.T) {
	d := deploy(t)
	model := redModel(t)
	for i := 0; i < len(model); i += 2 {
		t.Setenv(map[string]string{"--models-dir": "NINEFOLD_MODELS_DIR", "--model": "NINEFOLD_MODEL", "--onnxruntime": "NINEFOLD_ONNXRUNTIME"}[model[i]], model[i+1])
	}
	dir := t.TempDir()
	for _, name := range []string{"clear", "red"} {
		restless(t, filepath.Join(dir, name+".webm"), name == "red")
		if err := uploadFile(t.Context(), d.uploads, name+".webm", filepath.Join(dir, name+".webm")); err != nil {
			t.Fatal(err)
		}
	}
	d.work(t)
	cfg := queue.DefaultConfig()
	cfg.RedisURL = d.redis.URL()
	client, err := queue.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	waited := 0
	for _, shows := range []string{"clear", "red"} {
		for i, who := range []pipeline.Recipient{
			{AgeBand: pipeline.Teen}, {AgeBand: pipeline.Adult}, {AgeBand: pipeline.Under16},
		} {
			who.ID, who.Contact, who.NudityFilter = "r", pipeline.ContactAccepted, pipeline.FilterOff
			j := pipeline.Job{
				Schema: pipeline.JobSchema, JobID: fmt.Sprintf("%s-%d", shows, i), MessageID: "m", Conversation: pipeline.Conversation{ID: "c", Kind: pipeline.Direct},
				Sender: pipeline.Sender{ID: "s", AgeBand: pipeline.Adult}, Recipients: []pipeline.Recipient{who},
				Items: []pipeline.Item{{ID: "i", Kind: pipeline.KindVideo, Source: pipeline.Source{Key: shows + ".webm"}, Edits: []pipeline.Edit{{Op: pipeline.OpTrim, EndMS: int64(1400 - i)}}}},
			}
			if dueAfter(t, client, j) > 0 {
				waited++
			}
		}
	}
	if waited == 0 {
		t.Error("no message was held back")
	}
}

// dueAfter sends a message, holds what is said of it against its time, and returns how long after it was taken up that is; 0 = it had none.
func dueAfter(t *testing.T, client *queue.Client, j pipeline.Job) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), jobWithin)
	defer cancel()
	if _, err := client.Submit(ctx, j); err != nil {
		t.Fatal(err)
	}
	s, err := client.Wait(ctx, j.JobID, nil)
	at := time.Now()
	if err != nil || s.Manifest == nil {
		t.Fatalf("%s: %+v, %v", j.JobID, s, err)
	}
	m := s.Manifest
	if m.NotBefore == nil {
		t.Logf("%s: %s, announced as soon as it was done, after %v", j.JobID, m.Status, m.FinishedAt.Sub(m.CreatedAt))
		return 0
	}
	if early := m.NotBefore.Sub(at); early > 0 {
		t.Errorf("%s: announced %v early", j.JobID, early)
	}
	t.Logf("%s: %s, due after %v, seen after %v", j.JobID, m.Status, m.NotBefore.Sub(m.CreatedAt), at.Sub(m.CreatedAt))
	return m.NotBefore.Sub(m.CreatedAt)
}
