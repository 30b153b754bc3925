// Command bench-video measures what a video costs: our whole path (probe, playback, poster set, classifier frames and their scores,
// verification) through the real engine program and the real classifier; one bare ffmpeg transcode with the same encoder settings; and
// the usual separate runs: probe, transcode, poster, frames at one a second. The three run interleaved, round by round, on a clip of
// 20 s in 1080p with sound that it makes itself. A second clip, which may be delivered as it is, is remuxed and transcoded in turn, and
// a file of 100 MiB goes through the whole pipeline of this process. It reports every figure, and exits 1 when a limit is missed and 2
// when something could not be measured.
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
	mostOfBare      = 1.10
	mostOfUsual     = 0.75
	mostOfTranscode = 0.10 // a remux of the bare transcode of the same file
	mostGrowthMiB   = 32   // of the worker's own memory by a file of 100 MiB
)

func main() { os.Exit(exitCode()) }

func exitCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	rounds := flag.Int("rounds", 5, "interleaved rounds; medians are taken over them")
	engine := flag.String("engine", "bin/ninefold-engine", "path of the engine program")
	models := flag.String("models", "bin/models", "directory of the classifier's models")
	flag.Parse()
	b := &bench{out: os.Stdout, rounds: *rounds}
	err := b.run(ctx, *engine, *models)
	return measure.Conclude(os.Stdout, "bench-video", b.missed, err)
}

// bench is one measurement.
type bench struct {
	out    io.Writer
	rounds int
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
	}{{"transcoded", b.transcoded}, {"remuxed", b.remuxed}, {"100 MiB", b.large}} {
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

// transcoded compares the three ways on a phone's clip.
func (b *bench) transcoded(ctx context.Context, ours *ours, c clips) error {
	ways := []func() error{
		func() error { return ours.video(ctx, c.phone, "transcode") },
		func() error { return bare(ctx, c.phone) },
		func() error { return usual(ctx, c.phone) },
	}
	cpu, err := b.interleaved(ways)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\n20 s of 1080p, transcoded: ours %.2f, bare %.2f, usual %.2f CPU-s\n", median(cpu[0]), median(cpu[1]), median(cpu[2]))
	b.row("ours to bare", ratio(cpu[0], cpu[1]), mostOfBare)
	b.row("ours to usual", ratio(cpu[0], cpu[2]), mostOfUsual)
	return b.peaks("ours, bare, usual", ways)
}

// remuxed compares a copy with the transcode it spares.
func (b *bench) remuxed(ctx context.Context, ours *ours, c clips) error {
	ways := []func() error{
		func() error { return ours.video(ctx, c.compliant, "remux") },
		func() error { return bare(ctx, c.compliant) },
		func() error { return ours.video(ctx, c.compliant, "transcode") },
	}
	cpu, err := b.interleaved(ways)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\n20 s of 1080p that may be delivered as they are: remuxed %.2f, bare transcode %.2f, our transcode %.2f CPU-s\n",
		median(cpu[0]), median(cpu[1]), median(cpu[2]))
	b.row("remux to our transcode", ratio(cpu[0], cpu[2]), mostOfTranscode)
	fmt.Fprintf(b.out, "%-45s %.3f\n", "for comparison, remux to the bare transcode", ratio(cpu[0], cpu[1]))
	return b.peaks("remux, bare, our transcode", ways)
}

// large puts 100 MiB through the whole pipeline and looks at this process, which is the worker.
func (b *bench) large(ctx context.Context, ours *ours, c clips) error {
	growth, err := ours.growth(ctx, c.large)
	if err != nil {
		return err
	}
	fmt.Fprintf(b.out, "\na file of %.0f MiB through the pipeline of this process, the worker\n", float64(c.largeBytes)/(1<<20))
	b.row("growth of the worker's memory, MiB", growth, mostGrowthMiB)
	return nil
}

// interleaved runs the ways in turn and returns what each cost, round by round.
func (b *bench) interleaved(ways []func() error) ([][]float64, error) {
	cpu := make([][]float64, len(ways))
	for range b.rounds {
		for i, way := range ways {
			spent, err := measure.CPUOf(way)
			if err != nil {
				return nil, err
			}
			cpu[i] = append(cpu[i], spent)
		}
	}
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
