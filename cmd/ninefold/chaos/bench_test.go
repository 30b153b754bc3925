package chaos

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// What voice notes may take behind videos, against alone: the 95th percentile from submission to event.
const (
	mostBehind  = 1.3
	benchNotes  = 30
	benchVideos = 4
	benchRounds = 3
)

// TestBenchVoiceBehindVideo prints one JSON line: thirty voice notes at once on an idle worker, and thirty others while that worker has four
// long videos. The rounds alternate, so that both meet the same machine.
func TestBenchVoiceBehindVideo(t *testing.T) {
	if os.Getenv("NINEFOLD_BENCH") == "" {
		t.Skip("a benchmark: run make bench-queue")
	}
	w := newWorld(t)
	clip := video(t, "testsrc2=size=1920x1080:rate=30:duration=20") // ten seconds of CPU each
	for i := range benchRounds * benchVideos {
		w.put(pipeline.KindVideo, append(slices.Clone(clip), freeBox(i)...))
	}
	for i := range 2*benchRounds*benchNotes + 1 {
		w.put(pipeline.KindVoice, voice(i))
	}
	w.listen()
	w.ready(w.start(0))
	client, err := queue.NewClient(w.config())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	next := 0
	notes := func(n int) []float64 {
		t.Helper()
		var ids []string
		began := map[string]time.Time{}
		for range n {
			id := w.send(client, pipeline.KindVoice, w.contents[pipeline.KindVoice][next])
			next++
			ids, began[id] = append(ids, id), time.Now()
		}
		var took []float64
		for _, id := range ids {
			w.until("the event of "+id, func() bool {
				w.mu.Lock()
				defer w.mu.Unlock()
				return len(w.events[id]) > 0
			})
			w.mu.Lock()
			took = append(took, w.events[id][0].Sub(began[id]).Seconds())
			w.mu.Unlock()
		}
		return took
	}
	notes(1) // engines and scripts are warm
	var alone, behind []float64
	for round := range benchRounds {
		alone = append(alone, notes(benchNotes)...)
		var videos []string
		for i := range benchVideos {
			videos = append(videos, w.send(client, pipeline.KindVideo, w.contents[pipeline.KindVideo][round*benchVideos+i]))
		}
		last := videos[benchVideos-1]
		w.until("a video is rendered", func() bool {
			ids, _ := w.hit()
			return len(ids) > 0
		})
		behind = append(behind, notes(benchNotes)...)
		w.mu.Lock()
		early := len(w.events[last]) > 0
		w.mu.Unlock()
		if early {
			t.Error("the videos ended before the notes: nothing was measured")
		}
		w.until("the videos are done", func() bool {
			ids, _ := w.hit()
			s, err := client.Status(t.Context(), last)
			return err == nil && s.State == queue.Done && len(ids) == 0
		})
		for _, id := range videos {
			if m, err := w.manifest(id); err != nil || m.Status != pipeline.StatusReady || m.Parts[0].Method != "transcode" {
				t.Fatalf("%s was no work: %v, %s", id, err, whyNot(m))
			}
		}
	}
	a, b := p95(alone), p95(behind)
	fmt.Printf(`{"bench":"voice behind video","notes":%d,"videos":%d,"rounds":%d,"alone_p95_s":%.2f,"behind_p95_s":%.2f,"ratio":%.2f}`+"\n",
		benchNotes, benchVideos, benchRounds, a, b, b/a)
	if b/a > mostBehind {
		t.Errorf("behind videos the 95th percentile is %.2f times that alone, want at most %.1f", b/a, mostBehind)
	}
}

func p95(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)*95/100]
}
