// Command bench-video measures what a video costs: our whole path (probe, playback, poster set, verification, reading back every delivered
// frame, scores) through the real engine program and the real classifier; one bare ffmpeg transcode with the same encoder settings; and
// the usual separate runs: probe, transcode, poster, frames at one a second. They run interleaved, round by round, on clips of 20 s in 1080p
// with sound that it makes itself: a talking head and a restless clip, which pans and cuts every second. Clips that may be delivered as they
// are, of 30 and 60 frames a second, are remuxed and transcoded in turn, looked at and not, and a file of the largest size goes through the whole
// pipeline of this process. It reports every figure, and exits 1 when a limit is missed and 2 when something could not be measured.
//
// CPU is user + system time, of this process and of everything it started and has reaped. An engine serves one message: its start is in
// every message's cost. The classifier is loaded once for all messages, as a worker does, and is not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"

	"github.com/ninefold/ninefold/pipeline/measure"
)

// The limits: ratios of CPU to CPU, and memory.
const (
	mostTalking   = 1.25 // of a bare transcode, where every frame is judged
	mostRestless  = 1.50
	mostUnjudged  = 1.05 // where nobody's decision depends on what the clip shows
	mostOfUsual   = 0.75
	mostCopy30    = 0.35 // a remux that is judged, of the transcode of the same file that is judged
	mostCopy60    = 0.55
	mostCopy      = 0.15 // a remux that is not
	mostGrowthMiB = 32   // of the worker's own memory by a file of the largest size
)

func main() { os.Exit(exitCode()) }

func exitCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	rounds := flag.Int("rounds", 5, "interleaved rounds; medians are taken over them")
	engine := flag.String("engine", "bin/ninefold-engine", "path of the engine program")
	models := flag.String("models", "bin/models", "directory of the classifier's models")
	calls := flag.Bool("calls", false, "count the classifier's calls for longer clips, too: minutes")
	flag.Parse()
	b := &bench{out: os.Stdout, rounds: *rounds, calls: *calls}
	err := b.run(ctx, *engine, *models)
	return measure.Conclude(os.Stdout, "bench-video", b.missed, err)
}

// bench is one measurement.
type bench struct {
	out    io.Writer
	rounds int
	calls  bool
	missed int
}

func (b *bench) run(ctx context.Context, engine, models string) error {
	dir, err := os.MkdirTemp("", "bench-video-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	made, err := makeClips(ctx, dir)
	if err != nil {
		return err
	}
	way, err := newOurs(ctx, engine, models, dir)
	if err != nil {
		return err
	}
	defer way.Close()
	fmt.Fprintf(b.out, "%d rounds, interleaved; CPU-seconds are medians, ratios are medians pair by pair; load %s\n", b.rounds, measure.Load())
	err = b.steps(ctx, way, made)
	fmt.Fprintf(b.out, "load at the end %s\n", measure.Load())
	return err
}

// steps takes every measurement, whatever became of the one before.
func (b *bench) steps(ctx context.Context, way *ours, made clips) error {
	var failed []error
	for _, step := range []struct {
		name string
		do   func(context.Context, *ours, clips) error
	}{{"talking", b.talking}, {"restless", b.restless}, {"copied", b.copied}, {"calls", b.longer}, {"large", b.large}} {
		if ctx.Err() != nil {
			break
		}
		if err := step.do(ctx, way, made); err != nil {
			fmt.Fprintf(b.out, "\n%s: MISSED, not measured: %v\n", step.name, err)
			failed = append(failed, fmt.Errorf("%s: %w", step.name, err))
		}
	}
	return errors.Join(append(failed, ctx.Err())...)
}

// talking compares the ways for a clip of which little moves: judged, not judged, one bare transcode, the usual runs.
func (b *bench) talking(ctx context.Context, ours *ours, c clips) error {
	ways := []func() error{
		func() error { return ours.video(ctx, c.talking, transcoded.judged()) },
		func() error { return ours.video(ctx, c.talking, transcoded) },
		func() error { return bare(ctx, c.talking) },
		func() error { return usual(ctx, c.talking) },
	}
	cpu, err := b.interleaved("a talking head, 20 s of 1080p, transcoded: judged, not judged, bare, usual", ours, ways)
	if err != nil {
		return err
	}
	b.row("judged to bare", ratio(cpu[0], cpu[2]), mostTalking)
	b.row("not judged to bare", ratio(cpu[1], cpu[2]), mostUnjudged)
	b.row("not judged to usual", ratio(cpu[1], cpu[3]), mostOfUsual)
	return b.peaks("judged, not judged, bare, usual", ways)
}

// restless compares our path with a bare transcode for a clip that pans, and cuts every second.
func (b *bench) restless(ctx context.Context, ours *ours, c clips) error {
	cpu, err := b.interleaved("restless, 20 s of 1080p, transcoded: judged, bare", ours, []func() error{
		func() error { return ours.video(ctx, c.restless, transcoded.judged()) },
		func() error { return bare(ctx, c.restless) },
	})
	if err != nil {
		return err
	}
	b.row("judged to bare", ratio(cpu[0], cpu[1]), mostRestless)
	return nil
}

// copied compares a copy with the transcode that it spares.
func (b *bench) copied(ctx context.Context, ours *ours, c clips) error {
	cpu, err := b.interleaved("20 s of 1080p that may be delivered as they are, 30 a second: copy judged, copy, transcode judged", ours, []func() error{
		func() error { return ours.video(ctx, c.copy30, remuxed.judged()) },
		func() error { return ours.video(ctx, c.copy30, remuxed) },
		func() error { return ours.video(ctx, c.copy30, transcoded.judged()) },
	})
	if err != nil {
		return err
	}
	b.row("copy to transcode, judged", ratio(cpu[0], cpu[2]), mostCopy30)
	b.row("copy that is not judged to transcode", ratio(cpu[1], cpu[2]), mostCopy)
	cpu, err = b.interleaved("the same, 60 a second: copy judged, transcode judged", ours, []func() error{
		func() error { return ours.video(ctx, c.copy60, remuxed.judged()) },
		func() error { return ours.video(ctx, c.copy60, transcoded.judged()) },
	})
	if err != nil {
		return err
	}
	b.row("copy to transcode, judged", ratio(cpu[0], cpu[1]), mostCopy60)
	return nil
}

// longer counts what the classifier is asked about longer clips.
func (b *bench) longer(ctx context.Context, ours *ours, c clips) error {
	if !b.calls {
		return nil
	}
	fmt.Fprintln(b.out)
	for _, l := range []struct{ name, scene string }{
		{"60 s, a talking head", talkingScene(60, 30)}, {"60 s, restless", restlessScene(60)}, {"180 s of noise", noiseScene(180)},
	} {
		clip := beside(c.talking, "longer.mp4")
		if err := film(ctx, l.scene, phoneSettings, clip); err != nil {
			return err
		}
		if err := ours.video(ctx, clip, transcoded.judged()); err != nil {
			return err
		}
		fmt.Fprintf(b.out, "%-45s %s\n", l.name, ours.seen)
	}
	return nil
}

// large puts a file of the largest size through the whole pipeline and looks at this process, which is the worker.
func (b *bench) large(ctx context.Context, ours *ours, c clips) error {
	growth, err := ours.growth(ctx, c.large)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\na file of %.0f MiB through the pipeline of this process, the worker\n", float64(c.largeBytes)/(1<<20))
	b.row("growth of the worker's memory, MiB", growth, mostGrowthMiB)
	return nil
}

// interleaved runs the ways in turn, says what each cost, and returns it, round by round.
func (b *bench) interleaved(what string, ours *ours, ways []func() error) ([][]float64, error) {
	cpu := make([][]float64, len(ways))
	ours.seen = seen{}
	for range b.rounds {
		for i, way := range ways {
			spent, err := measure.CPUOf(way)
			if err != nil {
				return nil, err
			}
			cpu[i] = append(cpu[i], spent)
		}
	}
	fmt.Fprintf(b.out, "\n%s\nCPU-s", what)
	for _, spent := range cpu {
		fmt.Fprintf(b.out, " %.2f", median(spent))
	}
	fmt.Fprintf(b.out, "; %s\n", ours.seen)
	return cpu, nil
}

// peaks runs every way once more to see how much memory it takes.
func (b *bench) peaks(names string, ways []func() error) error {
	fmt.Fprintf(b.out, "%-45s", "peak MiB "+names)
	for _, way := range ways {
		peak, err := measure.PeakOf(way)
		if err != nil {
			return err
		}
		fmt.Fprintf(b.out, " %.0f", peak)
	}
	fmt.Fprintln(b.out)
	return nil
}

// row prints one figure against its limit.
func (b *bench) row(what string, got, most float64) {
	verdict := "ok"
	if got > most {
		verdict = "MISSED"
		b.missed++
	}
	fmt.Fprintf(b.out, "%-45s %.3f, at most %.2f: %s\n", what, got, most, verdict)
}

// ratio is the median of a/b pair by pair.
func ratio(a, b []float64) float64 {
	var q []float64
	for i := range a {
		q = append(q, a[i]/b[i])
	}
	return median(q)
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
