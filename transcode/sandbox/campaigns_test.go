package sandbox

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ninefold/ninefold/pipeline"
)

// Bounds of the campaigns.
const (
	workerGrowth = 64 << 20 // bytes, C7
	refuseWithin = 250 * time.Millisecond
	refuseMemory = 200 << 20 // bytes, H4
	// loadedMachine is what the short form allows instead of refuseWithin: tests run beside others.
	loadedMachine = 5 * time.Second
)

// pick is the number of a campaign's rounds: short or long form.
func pick(short, many int) int {
	if long() {
		return many
	}
	return short
}

// TestCampaignC7: whatever an engine does to itself or to the machine, the worker lives, stays small and names the right code.
func TestCampaignC7(t *testing.T) {
	r := newHall(t, func(c *Config) { c.Limits.Photo = 3 * time.Second })
	if _, err := r.render(t.Context(), t, 1000, "fine"); err != nil {
		t.Fatal(err)
	}
	before := residentMemory(t)
	n := 0
	for _, fault := range []struct {
		word   string
		code   pipeline.Code
		rounds int
	}{
		{"segv", pipeline.CodeEngineCrashed, pick(2, 50)},
		{"hang", pipeline.CodeDecodeTimeout, pick(2, 50)},
		{"memory", pipeline.CodeEngineCrashed, pick(2, 50)},
		{"try|children|", pipeline.CodeEngineCrashed, pick(2, 50)},
		{"stderr", pipeline.CodeEngineCrashed, pick(2, 50)},
		{"output", pipeline.CodeEngineCrashed, pick(2, 50)},
		{"try|files|", pipeline.CodeEngineCrashed, pick(1, 40)},
		{"try|disk|", pipeline.CodeEngineCrashed, pick(1, 10)}, // a gigabyte each
	} {
		for range fault.rounds {
			n++
			start := time.Now()
			_, err := r.render(t.Context(), t, n, fault.word)
			got := pipeline.AsError(err)
			// A flood that a loaded machine has not let end by the limit is a hang.
			floods := []string{"stderr", "try|files|", "try|disk|"}
			slow := slices.Contains(floods, fault.word) && got.Code == pipeline.CodeDecodeTimeout
			ok := err != nil && (got.Code == fault.code || slow) && !pipeline.Retryable(err)
			if !ok {
				t.Errorf("%s: %v, want %s", fault.word, err, fault.code)
			}
			record(t, "C7", fault.word, map[string]any{"code": got.Code, "ms": time.Since(start).Milliseconds(), "ok": ok})
		}
	}
	if _, err := r.render(t.Context(), t, 1001, "fine"); err != nil {
		t.Errorf("after all that an honest file gives %v", err)
	}
	grown := residentMemory(t) - before
	record(t, "C7", "worker", map[string]any{"grown_bytes": grown, "ok": grown <= workerGrowth})
	if t.Logf("the worker grew by %d KiB", grown>>10); grown > workerGrowth {
		t.Errorf("the worker grew by %d bytes, at most %d", grown, workerGrowth)
	}
}

func residentMemory(t *testing.T) int64 {
	t.Helper()
	p, ok := readProcess(os.Getpid())
	if !ok {
		t.Fatal("this process has no line in /proc")
	}
	return int64(p.memory)
}

// TestCampaignH1: every file of the hostile collection ends in a part or a code.
func TestCampaignH1(t *testing.T) {
	files := fixtureFiles(t, "hostile")
	if len(files) == 0 {
		t.Skip("the hostile fixtures are absent")
	}
	newRig(t, nil).sendAll(t, "H1", files, nil)
}

// TestCampaignH2: mutants of real files. Those of one batch share a message, as items do, so most share an engine.
func TestCampaignH2(t *testing.T) {
	r, all := newRig(t, nil), sharedSeeds(t)
	if long() {
		for _, folder := range []string{"photo", "voice", "hostile"} {
			all = append(all, fixtureFiles(t, folder)...)
		}
	}
	const batch = 50
	var count tally
	var wait sync.WaitGroup
	todo := make(chan int)
	for range 2 {
		wait.Go(func() {
			for from := range todo {
				r.mutants(t, all, from, from+batch, &count)
			}
		})
	}
	for n := 0; n < pick(500, 6000); n += batch {
		todo <- n
	}
	close(todo)
	wait.Wait()
	count.report(t, "H2")
}

// mutants takes mutants through one open message.
func (r *rig) mutants(t *testing.T, all []input, from, to int, count *tally) {
	t.Helper()
	m := openMessage(t, r.pool)
	defer m.Close()
	for n := from; n < to; n++ {
		in := mutant(all, n)
		o := outcome{name: fmt.Sprintf("mutant %d of %s", n, in.name)}
		start := time.Now()
		err := m.attempt(t, n, in.data, &o.part)
		o.took = time.Since(start)
		if err != nil {
			o.part.Error = pipeline.AsError(err).Failure()
			if pipeline.Retryable(err) || o.part.Error.Code.Trouble() {
				o.err = err
			}
		}
		if o.part.Error != nil && o.part.Error.Code == pipeline.CodeEngineCrashed {
			keep(t, in, n)
		}
		count.add(t, "H2", o)
	}
}

// attempt is what the pipeline's stages ask of a Processor, one after the other.
func (m message) attempt(t *testing.T, n int, data []byte, part *pipeline.Part) error {
	t.Helper()
	name := fmt.Sprintf("in/%d", n)
	f, err := pipeline.StageFile(m.ws, name, bytes.NewReader(data), int64(len(data)), 64<<20)
	if err == nil {
		err = f.Known()
	}
	if err != nil {
		return err
	}
	defer func() {
		if err := m.ws.Remove(name); err != nil {
			t.Error(err)
		}
		if err := m.ws.Remove(outOf(f)); err != nil {
			t.Error(err)
		}
	}()
	media, err := m.Identify(t.Context(), f)
	if err != nil {
		return err
	}
	plan, err := m.Plan(pipeline.Item{ID: "i", Kind: media.Kind}, media)
	if err != nil {
		return err
	}
	rendered, err := m.Render(t.Context(), f, plan, nil)
	if err != nil {
		return err
	}
	*part = rendered.Part
	return m.Verify(t.Context(), rendered)
}

// keep writes a mutant that crashed a decoder to where it can be looked at, and says so: it belongs into testdata/crashes.
func keep(t *testing.T, in input, n int) {
	t.Helper()
	path := filepath.Join(os.TempDir(), fmt.Sprintf("ninefold-crash-%d-%s", n, in.name))
	if err := os.WriteFile(path, in.data, 0o600); err != nil {
		t.Error(err)
	}
	t.Logf("a decoder crashed: %s; shrink it and put it into testdata/crashes", path)
}

// TestCampaignH3: playlists and references disguised as media open no other file and no socket, in the sandbox and, so that the sandbox
// is not all that holds them, outside of it.
func TestCampaignH3(t *testing.T) {
	for name, change := range map[string]func(*Config){"sandboxed": nil, "bare": func(c *Config) { c.Warm = 0 }} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, change)
			if change != nil {
				r.pool.cell.support = support{}
			}
			bait := layBait(t)
			inputs := disguises(t, bait)
			if change != nil && !long() {
				inputs = slices.DeleteFunc(inputs, func(in input) bool { return !strings.Contains(in.name, "film.mp4") })
			}
			r.sendAll(t, "H3 "+name, inputs, func(o outcome) {
				if o.part.Status == pipeline.StatusReady {
					t.Errorf("%s was delivered", o.name)
				}
			})
			touched := bait.touched(t)
			if len(touched) > 0 {
				t.Errorf("opened: %v", touched)
			}
			record(t, "H3", name, map[string]any{"files_and_sockets_opened": len(touched), "ok": !t.Failed()})
		})
	}
}

// bait is what disguises refer to: files that the kernel watches, and ports where somebody listens.
type bait struct {
	dir      string
	watch    int
	listener net.Listener
	packets  net.PacketConn
}

func layBait(t *testing.T) *bait {
	t.Helper()
	b := &bait{dir: t.TempDir()}
	for _, in := range sharedSeeds(t) {
		if err := os.WriteFile(filepath.Join(b.dir, in.name), in.data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if b.watch, err = unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(b.watch) })
	if _, err = unix.InotifyAddWatch(b.watch, b.dir, unix.IN_OPEN|unix.IN_ACCESS); err != nil {
		t.Fatal(err)
	}
	if b.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.listener.Close() })
	if b.packets, err = net.ListenPacket("udp", b.listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.packets.Close() })
	return b
}

// touched names what was opened and who connected.
func (b *bait) touched(t *testing.T) (all []string) {
	t.Helper()
	buf := make([]byte, 64<<10)
	if n, err := unix.Read(b.watch, buf); err == nil && n > 0 {
		all = append(all, fmt.Sprintf("%d bytes of file events", n))
	}
	_ = b.listener.(*net.TCPListener).SetDeadline(time.Now().Add(aMoment))
	if conn, err := b.listener.Accept(); err == nil {
		all = append(all, "a connection from "+conn.RemoteAddr().String())
		conn.Close()
	}
	_ = b.packets.SetReadDeadline(time.Now().Add(aMoment))
	if n, _, err := b.packets.ReadFrom(make([]byte, 8)); err == nil {
		all = append(all, fmt.Sprintf("%d bytes by UDP", n))
	}
	return all
}

// TestBaitNotices: the watch of H3 sees what it must see.
func TestBaitNotices(t *testing.T) {
	b := layBait(t)
	if got := b.touched(t); len(got) > 0 {
		t.Errorf("before anything: %v", got)
	}
	if _, err := os.ReadFile(filepath.Join(b.dir, "a.png")); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", b.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := b.touched(t); len(got) != 2 {
		t.Errorf("a file was read and a connection made: %v", got)
	}
}

// TestCampaignH4: what claims to be large is refused by its header.
func TestCampaignH4(t *testing.T) {
	r := newRig(t, nil)
	r.send(t, "to warm up", named(t, sharedSeeds(t), "a.jpg"))
	within := loadedMachine
	if long() {
		within = refuseWithin
	}
	var count tally
	for _, in := range bombs(t) {
		best := outcome{took: time.Hour}
		for try := range 3 { // the quickest of three: the bound is about the file, not about the machine
			r.peaks.take()
			o := r.send(t, fmt.Sprintf("%s, try %d", in.name, try), in.data)
			o.memory = r.peaks.take()
			if o.took < best.took {
				best = o
			}
		}
		count.add(t, "H4", best)
		if best.part.Status != pipeline.StatusRejected || best.part.Error.Code == pipeline.CodeEngineCrashed {
			t.Errorf("%s: %s, want it refused", in.name, best.code())
		}
		if best.took > within || best.memory > refuseMemory || best.memory == 0 {
			t.Errorf("%s: %v and %d MiB, at most %v and %d MiB", in.name, best.took, best.memory>>20, within, refuseMemory>>20)
		}
		t.Logf("%-40s %-16s %4d ms %4d MiB", in.name, best.code(), best.took.Milliseconds(), best.memory>>20)
		record(t, "H4", in.name, map[string]any{"code": best.code(), "ms": best.took.Milliseconds(), "mib": best.memory >> 20, "ok": !t.Failed()})
	}
	count.report(t, "H4")
}

// TestCampaignH5: a file cut short is never delivered without saying so.
func TestCampaignH5(t *testing.T) {
	whole := sharedSeeds(t)
	if long() {
		for _, folder := range []string{"photo", "voice", "video"} {
			whole = append(whole, fixtureFiles(t, folder)...)
		}
	}
	var cuts []input
	for _, in := range whole {
		for _, percent := range []int{25, 50, 75, 99} {
			cuts = append(cuts, input{fmt.Sprintf("%s cut at %d %%", in.name, percent), in.data[:len(in.data)*percent/100]})
		}
	}
	newRig(t, nil).sendAll(t, "H5", cuts, func(o outcome) {
		if o.code() == "ready" && !wholeAllTheSame(o) {
			t.Errorf("%s: delivered without a word", o.name)
		}
	})
}

// wholeAllTheSame are cuts that lose nothing, or that no reader of the format could see: frames of a stream that says nowhere how long it is.
func wholeAllTheSame(o outcome) bool {
	for _, endless := range []string{"note.aac", "note.mp3"} {
		if strings.HasPrefix(o.name, endless) {
			return true
		}
	}
	return false
}

// TestCampaignH7: of markers planted in files' metadata, none is in anything published.
func TestCampaignH7(t *testing.T) {
	r := newRig(t, nil)
	inputs, markers := planted(t)
	r.sendAll(t, "H7", inputs, func(o outcome) {
		if o.part.Status != pipeline.StatusReady {
			t.Errorf("%s: %s, want it delivered", o.name, o.code())
		}
		for _, f := range o.part.Renditions {
			if found := markersIn(r.object(t, f.Key), markers); len(found) > 0 {
				t.Errorf("%s: %s %s holds %q", o.name, f.Name, f.MIME, found)
			}
		}
	})
}
