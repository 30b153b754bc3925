package vips

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/h2non/bimg"
)

// The limits of issue 4, as ratios.
const (
	benchTools = 1.15 // our CPU to that of libvips' own tools
	benchBimg  = 0.5  // our CPU to that of one bimg call per rendition
	benchNine  = 1.1  // wall of nine at once to CPU of nine singles over the cores
)

const (
	benchRounds = 5
	benchDirEnv = "NINEFOLD_BENCH_BIN"  // where both programs are
	benchBimgOf = "NINEFOLD_BENCH_BIMG" // in a child: the file to render with bimg alone
)

// TestMain lets this program be its own child: the bench needs one that calls bimg alone, the tests of bombs one whose memory is its own.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(benchBimgOf) != "":
		os.Exit(bimgEach(os.Getenv(benchBimgOf)))
	case os.Getenv(refuseEnv) != "":
		os.Exit(refuse(os.Getenv(refuseEnv)))
	case os.Getenv(tightEnv) != "":
		os.Exit(tight(os.Getenv(tightEnv)))
	}
	os.Exit(m.Run())
}

// TestBenchPhoto is make bench-photo: CPU of our whole path, file to stored renditions, against libvips' tools and against bimg alone.
// The three take turns, round by round, so that whatever else the machine does falls on all of them. Engines kept warm for later
// messages are not this photo's, so none are; its own engine's start is counted.
func TestBenchPhoto(t *testing.T) {
	bin := os.Getenv(benchDirEnv)
	if bin == "" {
		t.Skip("a measurement, not a test: make bench-photo runs it")
	}
	say("%d rounds, medians; load average before: %s", benchRounds, loadAverage())
	idle := toolStart(t)
	for _, in := range benchInputs(t) {
		ours, tools, naive := spent{}, spent{}, spent{}
		for range benchRounds {
			ours = append(ours, processFiles(t, bin, in.path))
			tools = append(tools, byTools(t, in.path))
			naive = append(naive, byBimg(t, in.path))
		}
		cpu := ours.median()
		say("%s: ours %.0f ms, vips tools %.0f ms, bimg per rendition %.0f ms; peak memory %d, %d and %d MiB", in.name, 1000*cpu,
			1000*tools.median(), 1000*naive.median(), ours.peak(), tools.peak(), naive.peak())
		row(t, in.name+": ours to vips tools", cpu/tools.median(), benchTools)
		row(t, in.name+": ours to bimg per rendition", cpu/naive.median(), benchBimg)
		say("%s: for comparison, with the start of the tools' %d processes taken off: %.2f", in.name, toolRuns,
			cpu/(tools.median()-toolRuns*idle))
	}
	nine(t, bin)
	say("load average after: %s", loadAverage())
}

// say prints a line as it is: this is a report, not a test's log.
func say(format string, args ...any) { fmt.Printf(format+"\n", args...) }

// row prints one figure and fails where it is beyond its limit.
func row(t *testing.T, what string, got, limit float64) {
	t.Helper()
	verdict := "ok"
	if got > limit {
		verdict = "MISSED"
		t.Fail()
	}
	say("%-55s %.2f, at most %.2f: %s", what, got, limit, verdict)
}

// nine compares a message of nine photos with nine messages of one. Its wall time means something on a machine that does nothing else
// only: what other programs took of the cores meanwhile is printed with it.
func nine(t *testing.T, bin string) {
	in := benchInputs(t)[0]
	singles, batch, others := spent{}, spent{}, 0.0
	for range 3 {
		sum := cost{}
		for range 9 {
			sum.add(processFiles(t, bin, in.path))
		}
		singles = append(singles, sum)
		before := busySeconds(t)
		run := processFiles(t, bin, slices.Repeat([]string{in.path}, 9)...)
		others = max(others, (busySeconds(t)-before-run.cpu)/run.wall)
		batch = append(batch, run)
	}
	cores := float64(runtime.NumCPU())
	say("nine of %s: at once %.2f s wall and %.2f s CPU, one by one %.2f s CPU; others kept up to %.2f of %.0f cores busy", in.name,
		batch.medianWall(), batch.median(), singles.median(), others, cores)
	row(t, "nine at once: wall to CPU of nine singles over cores", batch.medianWall()/(singles.median()/cores), benchNine)
}

// busySeconds is what all programs together have used of all cores since the machine started.
func busySeconds(t *testing.T) (busy float64) {
	t.Helper()
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Skip("the machine does not say how busy it is: ", err)
	}
	const hertz, idle, waiting, fields = 100, 3, 4, 8 // clock ticks a second; columns of the first line
	for i, f := range strings.Fields(string(data))[1 : 1+fields] {
		ticks, err := strconv.ParseFloat(f, 64)
		if err != nil {
			t.Fatal(err)
		}
		if i != idle && i != waiting {
			busy += ticks / hertz
		}
	}
	return busy
}

// cost is what one run took.
type cost struct {
	cpu, wall float64 // seconds, of the process and all its children
	peak      int64   // MiB, of the largest single process
}

type spent []cost

func (s spent) median() float64     { return middleOf(s, func(c cost) float64 { return c.cpu }) }
func (s spent) medianWall() float64 { return middleOf(s, func(c cost) float64 { return c.wall }) }
func (s spent) peak() (most int64) {
	for _, c := range s {
		most = max(most, c.peak)
	}
	return most
}

func middleOf(s spent, of func(cost) float64) float64 {
	var values []float64
	for _, c := range s {
		values = append(values, of(c))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// measured runs a command and says what it and its children took, as the kernel counts it.
func measured(t *testing.T, cmd *exec.Cmd) cost {
	t.Helper()
	start := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", cmd.Args, err, out)
	}
	use := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return cost{
		cpu:  (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(),
		wall: time.Since(start).Seconds(), peak: use.Maxrss >> 10,
	}
}

func (c *cost) add(d cost) {
	c.cpu, c.wall, c.peak = c.cpu+d.cpu, c.wall+d.wall, max(c.peak, d.peak)
}

func processFiles(t *testing.T, bin string, files ...string) cost {
	t.Helper()
	args := append([]string{"process", "--model", "none", "--engine-warm", "0", "--log-level", "error", "--out", filepath.Join(t.TempDir(), "out")}, files...)
	return measured(t, exec.Command(filepath.Join(bin, "ninefold"), args...))
}

// toolLines make the default profile's pictures from one decode: the master is written once, each picture from the next larger.
var toolLines = [][]string{
	{"vipsthumbnail", "IN", "--size", "2048x2048>", "--eprofile", "srgb", "-o", "DIR/m.v"},
	{"vips", "jpegsave", "DIR/m.v", "DIR/display.jpg", "--Q", "82", "--interlace", "--strip"},
	{"vips", "webpsave", "DIR/m.v", "DIR/display.webp", "--Q", "80", "--strip"},
	{"vipsthumbnail", "DIR/m.v", "--size", "1280x1280>", "-o", "DIR/p.v"},
	{"vips", "webpsave", "DIR/p.v", "DIR/preview.webp", "--Q", "80", "--strip"},
	{"vipsthumbnail", "DIR/p.v", "--size", "640x640>", "-o", "DIR/t.v"},
	{"vips", "webpsave", "DIR/t.v", "DIR/thumb.webp", "--Q", "80", "--strip"},
	{"vipsthumbnail", "DIR/t.v", "--size", "320x320", "--smartcrop", "centre", "-o", "DIR/grid.webp[Q=80,strip]"},
	{"vipsthumbnail", "DIR/t.v", "--size", "32x32", "-o", "DIR/tiny.v"},
	{"vips", "gaussblur", "DIR/tiny.v", "DIR/soft.v", "2.2"},
	{"vipsthumbnail", "DIR/soft.v", "--size", "640x640", "-o", "DIR/blurred.jpg[Q=70,interlace,strip]"},
}

const toolRuns = 11

func byTools(t *testing.T, in string) (sum cost) {
	t.Helper()
	dir := t.TempDir()
	for _, line := range toolLines {
		var args []string
		for _, a := range line[1:] {
			args = append(args, strings.Replace(strings.Replace(a, "IN", in, 1), "DIR", dir, 1))
		}
		cmd := exec.Command(line[0], args...)
		cmd.Env = append(os.Environ(), "VIPS_CONCURRENCY=1")
		sum.add(measured(t, cmd))
	}
	return sum
}

// toolStart is the CPU of a vips process that does nothing worth mentioning.
func toolStart(t *testing.T) float64 {
	t.Helper()
	if len(toolLines) != toolRuns {
		t.Fatal("toolRuns is not the number of toolLines")
	}
	dir := t.TempDir()
	var s spent
	for range 2 * benchRounds {
		s = append(s, measured(t, exec.Command("vips", "black", filepath.Join(dir, "one.v"), "1", "1")))
	}
	return s.median()
}

func byBimg(t *testing.T, in string) cost {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchBimgOf+"="+in, "VIPS_CONCURRENCY=1")
	return measured(t, cmd)
}

// bimgEach is the obvious program: one bimg call per rendition, each from the original.
func bimgEach(path string) (exit int) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 1
	}
	size, err := bimg.NewImage(data).Size()
	if err != nil {
		return 1
	}
	meta, err := bimg.Metadata(data)
	if err != nil {
		return 1
	}
	if meta.Orientation > 4 {
		size.Width, size.Height = size.Height, size.Width
	}
	inside := func(side int, o bimg.Options) bimg.Options {
		if size.Width >= size.Height {
			o.Width = side
		} else {
			o.Height = side
		}
		return o
	}
	for _, o := range []bimg.Options{
		inside(2048, bimg.Options{Type: bimg.JPEG, Quality: 82, Interlace: true}), inside(2048, bimg.Options{Type: bimg.WEBP, Quality: 80}),
		inside(1280, bimg.Options{Type: bimg.WEBP, Quality: 80}), inside(640, bimg.Options{Type: bimg.WEBP, Quality: 80}),
		{Type: bimg.WEBP, Quality: 80, Width: 320, Height: 320, Crop: true},
		inside(32, bimg.Options{Type: bimg.JPEG, Quality: 70, GaussianBlur: bimg.GaussianBlur{Sigma: 2.2}}),
	} {
		o.OutputICC, o.StripMetadata = "srgb", true
		if _, err := bimg.Resize(data, o); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

type benchInput struct{ name, path string }

// benchInputs are the three pictures of issue 4: real ones where the fixtures are, made ones of the same size where not.
func benchInputs(t *testing.T) []benchInput {
	t.Helper()
	dir := t.TempDir()
	jpg, heic, png := filepath.Join(dir, "portrait.jpg"), filepath.Join(dir, "photo.heic"), filepath.Join(dir, "large.png")
	if data, err := os.ReadFile(filepath.Join(fixtures, "photo/phone-portrait-gps.jpg")); err == nil {
		write(t, jpg, data)
	} else {
		made := filepath.Join(dir, "made.jpg")
		vipsTool(t, "fractsurf", filepath.Join(dir, "f.v"), "4032", "3024", "2.3")
		vipsTool(t, "scale", filepath.Join(dir, "f.v"), made)
		data, err := os.ReadFile(made)
		if err != nil {
			t.Fatal(err)
		}
		write(t, jpg, withSegment(data, 0xe1, exifBlock(6)))
	}
	if data, err := os.ReadFile(filepath.Join(fixtures, "photo/iphone.heic")); err == nil {
		write(t, heic, data)
	} else {
		vipsTool(t, "copy", jpg, heic)
	}
	upright := filepath.Join(dir, "upright.v")
	vipsTool(t, "autorot", jpg, upright)
	soft := filepath.Join(dir, "soft.v") // a photograph's noise would make the PNG larger than is taken
	vipsTool(t, "gaussblur", upright, soft, "1.5")
	vipsTool(t, "resize", soft, png+"[strip,filter=all]", fmt.Sprint(math.Sqrt2))
	return []benchInput{{"12 MP portrait JPEG", jpg}, {"12 MP HEIC", heic}, {"24 MP PNG", png}}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}
