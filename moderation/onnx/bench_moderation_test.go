package onnx

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/ninefold/ninefold/moderation"
)

// benchLimit is the most that a picture may cost, preprocessing included, as a multiple of the CPU of the bare call on a ready tensor.
const benchLimit = 1.25

const (
	benchRounds  = 15                     // the two ways take turns; medians of the rounds
	benchRound   = 300 * time.Millisecond // of each way, about
	benchAtOnce  = 3 * time.Second        // of all cores
	benchDirEnv  = "NINEFOLD_BENCH_MODELS"
	benchThisEnv = "NINEFOLD_BENCH_MODEL" // in a child: the one model to measure
)

// TestBenchModeration is make bench-moderation: what a picture costs with each fetched model, against ONNX Runtime's bare call. Each model
// is measured in a process of its own, so that its memory is its own.
func TestBenchModeration(t *testing.T) {
	dir := os.Getenv(benchDirEnv)
	if dir == "" {
		t.Skip("a measurement, not a test: make bench-moderation runs it")
	}
	if id := os.Getenv(benchThisEnv); id != "" {
		benchModel(t, Options{ModelDir: filepath.Join(dir, id), Library: filepath.Join(dir, LibraryName)})
		return
	}
	manifests, err := filepath.Glob(filepath.Join(dir, "*", manifestName))
	if err != nil || len(manifests) == 0 {
		t.Fatalf("no models in %s: run make models (%v)", dir, err)
	}
	fmt.Printf("%d cores, load average %s; %d rounds, the bare call and ours by turns; CPU is user and system time of the process\n", runtime.NumCPU(), loadAverage(), benchRounds)
	for _, m := range manifests {
		child := exec.Command(os.Args[0], "-test.run=^TestBenchModeration$", "-test.timeout=20m")
		child.Env = append(os.Environ(), benchThisEnv+"="+filepath.Base(filepath.Dir(m)))
		child.Stdout, child.Stderr = os.Stdout, os.Stderr
		if err := child.Run(); err != nil {
			t.Errorf("%s: %v", filepath.Base(filepath.Dir(m)), err)
		}
	}
	fmt.Println("load average after:", loadAverage())
}

func benchModel(t *testing.T, o Options) {
	before, cpu, start := memoryMiB(t, "VmRSS"), cpuSeconds(t), time.Now()
	c := mustOpen(t, o)
	fmt.Printf("\n%s, %d×%d\n", c.manifest.ID, c.manifest.Input.Size, c.manifest.Input.Size)
	fmt.Printf("  start, self-test included       %.2f s wall, %.2f s CPU\n", time.Since(start).Seconds(), cpuSeconds(t)-cpu)
	picture := photoLike(2 * c.manifest.Input.Size)
	bare, ours, ratio := benchTurns(t, c, picture)
	perSecond, each := benchEverything(t, c, picture)
	fmt.Printf("  CPU per picture                 %.2f ms, bare call %.2f ms\n", 1000*ours, 1000*bare)
	fmt.Printf("  all %d slots at once             %.0f pictures/s, %.2f ms CPU each\n", c.count, perSecond, 1000*each)
	fmt.Printf("  memory of the session           %.0f MiB, peak of the process %.0f MiB\n", memoryMiB(t, "VmRSS")-before, memoryMiB(t, "VmHWM"))
	verdict := "ok"
	if ratio > benchLimit {
		verdict = "MISSED"
		t.Fail()
	}
	fmt.Printf("  CPU to that of the bare call    %.3f, at most %.2f: %s\n", ratio, benchLimit, verdict)
}

// photoLike is a picture as production classifies one: 4:3, its short side given, with something in every place.
func photoLike(short int) moderation.Raster {
	r := moderation.Raster{Width: short, Height: short * 4 / 3}
	r.Pix = make([]byte, r.Width*r.Height*3)
	for i := range r.Pix {
		r.Pix[i] = byte(i*7 + i/r.Width*3)
	}
	return r
}

// benchTurns gives the median CPU seconds of a picture by either way, and the median of the rounds' ratios.
func benchTurns(t *testing.T, c *Classifier, picture moderation.Raster) (bare, ours, ratio float64) {
	t.Helper()
	s := <-c.slots
	err := s.pre.Fill(s.in.GetData(), picture)
	c.slots <- s
	if err != nil {
		t.Fatal(err)
	}
	ready := func() error { return c.session.Run([]ort.Value{s.in}, []ort.Value{s.out}) }
	whole := func() error { _, err := c.Classify(context.Background(), picture); return err }
	once := cpuOf(t, 5, ready)
	n := max(2, int(benchRound.Seconds()/once))
	var bares, wholes, ratios []float64
	for range benchRounds {
		b, w := cpuOf(t, n, ready), cpuOf(t, n, whole)
		bares, wholes, ratios = append(bares, b), append(wholes, w), append(ratios, w/b)
	}
	return median(bares), median(wholes), median(ratios)
}

// cpuOf is what one of n calls costs, CPU seconds.
func cpuOf(t *testing.T, n int, call func() error) float64 {
	t.Helper()
	before := cpuSeconds(t)
	for range n {
		if err := call(); err != nil {
			t.Fatal(err)
		}
	}
	return (cpuSeconds(t) - before) / float64(n)
}

// benchEverything keeps every slot busy.
func benchEverything(t *testing.T, c *Classifier, picture moderation.Raster) (perSecond, cpuEach float64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), benchAtOnce)
	defer cancel()
	counts := make([]int, c.count)
	cpu, start := cpuSeconds(t), time.Now()
	var all sync.WaitGroup
	for i := range counts {
		all.Go(func() {
			for ctx.Err() == nil {
				if _, err := c.Classify(ctx, picture); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				counts[i]++
			}
		})
	}
	all.Wait()
	done := 0
	for _, n := range counts {
		done += n
	}
	return float64(done) / time.Since(start).Seconds(), (cpuSeconds(t) - cpu) / float64(done)
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// cpuSeconds is the user and system time of this process.
func cpuSeconds(t *testing.T) float64 {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// memoryMiB reads one line of the process's status.
func memoryMiB(t *testing.T, name string) float64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); f[0] == name+":" {
			kib, err := strconv.ParseFloat(f[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib / 1024
		}
	}
	t.Fatalf("no %s", name)
	return 0
}

func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}
