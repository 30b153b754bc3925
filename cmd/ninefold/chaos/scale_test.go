package chaos

import (
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// scaleJobs are the messages whose cost is measured, each of one item, n of them with different media, one after the other.
var scaleJobs = []struct {
	name string
	kind pipeline.Kind
	n    int
	args func(i int) []string // ffmpeg's, up to the name
	ext  string
}{
	{"voice 18 s", pipeline.KindVoice, 6, func(i int) []string { return note(18, i) }, ".ogg"},
	{"voice 60 s", pipeline.KindVoice, 4, func(i int) []string { return note(60, i) }, ".ogg"},
	{"photo 12 MP", pipeline.KindPhoto, 4, func(i int) []string {
		return []string{"-f", "lavfi", "-i", fmt.Sprintf("mandelbrot=s=4032x3024:start_scale=%.1f", 3-0.2*float64(i)), "-frames:v", "1", "-q:v", "3"}
	}, ".jpg"},
	{"video 20 s 1080p", pipeline.KindVideo, 2, func(i int) []string {
		return []string{
			"-f", "lavfi", "-i", "testsrc2=s=1920x1080:r=30:d=20", "-f", "lavfi", "-i", fmt.Sprintf("sine=f=%d:d=20", 300+i*50),
			"-vf", fmt.Sprintf("noise=alls=%d:allf=t,hue=h=%d", 8+i, i*30), "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "8M", "-pix_fmt", "yuv420p", "-c:a", "aac",
		}
	}, ".mp4"},
}

func note(seconds, seed int) []string {
	source := fmt.Sprintf("aevalsrc='0.3*sin(2*PI*(180+%d*7)*t)*(0.6+0.4*sin(2*PI*3*t))+0.05*random(%d)':s=48000:d=%d", seed, seed, seconds)
	return []string{"-f", "lavfi", "-i", source, "-c:a", "libopus", "-b:a", "24k"}
}

// cost is what has been used up by a moment.
type cost struct {
	cpu      float64 // seconds, of the worker and all it started
	commands int     // that Redis has had
	at       time.Time
}

// TestBenchScale prints a JSON line for each kind of message: what one costs a deployment of one worker that does one at a time. What the worker
// costs while it has nothing to do is a line of its own; its CPU is taken off, its polling is told beside each count of commands: a queue whose
// jobs are all taken is not polled, so that a long video has less of it.
func TestBenchScale(t *testing.T) {
	if os.Getenv("NINEFOLD_BENCH") == "" {
		t.Skip("a benchmark: run make bench-scale")
	}
	w := newWorld(t)
	w.put(pipeline.KindPhoto, photo(t, 1))
	one := w.start(0, "--concurrency-voice", "1", "--concurrency-photo", "1", "--concurrency-video", "1", "--log-level", "info")
	w.until("the worker starts", func() bool { return strings.Contains(one.log.String(), "worker starts") })
	client, err := queue.NewClient(w.config())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	w.finished(w.send(client, pipeline.KindPhoto, w.contents[pipeline.KindPhoto][0])) // everything is warm
	const still = 10
	a := w.cost(one.cmd.Process.Pid)
	<-time.After(still * time.Second)
	b := w.cost(one.cmd.Process.Pid)
	idle := cost{cpu: (b.cpu - a.cpu) / b.at.Sub(a.at).Seconds(), commands: int(float64(b.commands-a.commands) / b.at.Sub(a.at).Seconds())}
	fmt.Printf(`{"bench":"scale","job":"none","redis_commands_a_second":%d,"cores":%.3f}`+"\n", idle.commands, idle.cpu)
	for _, kind := range scaleJobs {
		first := len(w.contents[kind.kind])
		in := 0
		for i := range kind.n {
			data := made(t, kind.args(i), kind.ext)
			in += len(data)
			w.put(kind.kind, data)
		}
		a := w.cost(one.cmd.Process.Pid)
		out := int64(0)
		for _, key := range w.contents[kind.kind][first:] {
			out += w.finished(w.send(client, kind.kind, key))
		}
		b := w.cost(one.cmd.Process.Pid)
		took, n := b.at.Sub(a.at).Seconds(), float64(kind.n)
		cpu := (b.cpu - a.cpu - idle.cpu*took) / n
		fmt.Printf(`{"bench":"scale","job":%q,"jobs":%d,"cpu_s":%.2f,"jobs_a_day_and_core":%.0f,"redis_commands":%.0f,"of_them_polling_at_most":%.0f,"bytes_in":%d,"bytes_out":%d}`+"\n",
			kind.name, kind.n, cpu, math.Floor(86400/cpu), float64(b.commands-a.commands)/n, float64(idle.commands)*took/n, in/kind.n, out/int64(kind.n))
	}
}

// settled is how long the engines that are started ahead of need take to be there again, and the last events to be announced.
const settled = 2500 * time.Millisecond

// finished waits for a job's manifest in the store, without asking Redis, and returns the bytes of its renditions.
func (w *world) finished(id string) (bytes int64) {
	w.t.Helper()
	var m pipeline.Manifest
	w.until("the manifest of "+id, func() (ok bool) {
		var err error
		m, err = w.manifest(id)
		return err == nil
	})
	if m.Status != pipeline.StatusReady {
		w.t.Fatalf("%s: %s", id, m.Status)
	}
	for _, p := range m.Parts {
		for _, r := range p.Renditions {
			bytes += r.Size
		}
	}
	<-time.After(settled)
	return bytes
}

func made(t *testing.T, args []string, ext string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "original"+ext)
	if out, err := exec.CommandContext(t.Context(), "ffmpeg", append(append([]string{"-v", "error"}, args...), path)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (w *world) cost(pid int) cost {
	w.t.Helper()
	info, err := w.rdb.InfoMap(w.t.Context(), "stats").Result()
	if err != nil {
		w.t.Fatal(err)
	}
	commands := 0
	for section := range maps.Values(info) {
		if n, err := strconv.Atoi(section["total_commands_processed"]); err == nil {
			commands = n
		}
	}
	const ticks = 100 // a second, of every Linux
	return cost{cpu: float64(cpuTicks(strconv.Itoa(pid))) / ticks, commands: commands, at: time.Now()}
}

// cpuTicks is the processor time of a process, of its ended children, and of its living ones.
func cpuTicks(pid string) (ticks int) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.Atoi(f)
		ticks += n
	}
	tasks, _ := filepath.Glob("/proc/" + pid + "/task/*/children")
	for _, path := range tasks {
		children, _ := os.ReadFile(path)
		for child := range strings.FieldsSeq(string(children)) {
			ticks += cpuTicks(child)
		}
	}
	return ticks
}
