// Command bench-voice measures what a voice note costs: our whole path, from a file to verified renditions, waveform and loudness,
// through the real engine program; a bare ffmpeg process that decodes once and encodes the same two outputs; and the usual way of
// five processes. The three run interleaved, round by round, over speech that it makes itself. It exits 1 when a limit is missed.
//
// Against the bare process the limit is judged on notes of the product's full length, a minute. What is dearer on our path hardly grows with
// a note: it is the start of a second ffmpeg, which must wait for the loudness of the whole, and of the engine. That is printed in
// milliseconds for every note, and it alone is more than 15 % of a short note's bare process, whose ratio is printed and not judged.
//
// A 75-second note is decoded to its end by us, for source_duration_ms, and left at 60 s by the bare process, which need not know.
//
// CPU is user + system time, of this process and of everything it started and has reaped. An engine serves one message: its start
// is in every message's cost, and the judged ratio has it. The figure without it is given beside it.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/ninefold/ninefold/pipeline/measure"
)

// The limits of the ratios, CPU to CPU.
const (
	mostOfBare  = 1.15
	mostOfUsual = 0.5
)

func main() { os.Exit(exitCode()) }

func exitCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	rounds := flag.Int("rounds", 7, "interleaved rounds; medians are taken over them")
	engine := flag.String("engine", "bin/ninefold-engine", "path of the engine program")
	only := flag.String("only", "", "measure only the notes whose label begins so, such as 75")
	flag.Parse()
	missed, err := run(ctx, os.Stdout, *rounds, *engine, *only)
	return measure.Conclude(os.Stdout, "bench-voice", missed, err)
}

func run(ctx context.Context, w io.Writer, rounds int, engine, only string) (missed int, err error) {
	dir, err := os.MkdirTemp("", "bench-voice-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	notes, err := makeNotes(ctx, dir)
	if err != nil {
		return 0, err
	}
	ours, err := newOurs(engine, dir)
	if err != nil {
		return 0, err
	}
	defer ours.Close()
	start, err := ours.startCPU(ctx, 2*rounds+1)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(w, "%d rounds, interleaved; CPU-seconds are medians, ratios are medians pair by pair; load %s\n", rounds, measure.Load())
	fmt.Fprintf(w, "an engine's start is %.3f CPU-s and is in \"ours\": one engine serves one message\n\n", start)
	fmt.Fprintf(w, "%-14s %7s %7s %7s   %-18s %-14s %-18s %-18s %s\n", "note", "ours", "bare", "usual", "ours/bare", "ours-bare",
		"without start", "ours/usual", "peak MiB ours, bare, usual")
	for _, n := range notes {
		if !strings.HasPrefix(n.label, only) {
			continue
		}
		r, err := measureNote(ctx, n, ours, rounds)
		if err != nil {
			return missed, fmt.Errorf("%s: %w", n.label, err)
		}
		missed += r.print(w, n, start)
	}
	fmt.Fprintf(w, "\nload at the end %s\n", measure.Load())
	return missed, nil
}

// row is one note's costs, round by round.
type row struct {
	ours, bare, usual []float64 // CPU-seconds
	peak              [3]float64
}

// measureNote runs the three ways in turn, rounds times, and once more each to see how much memory they take.
func measureNote(ctx context.Context, n note, ours *ours, rounds int) (row, error) {
	var r row
	ways := []struct {
		do  func(context.Context, note) error
		cpu *[]float64
	}{{ours.note, &r.ours}, {bare, &r.bare}, {usual, &r.usual}}
	for round := range rounds {
		for i := range ways {
			way := ways[(round+i)%len(ways)] // none is always the first, after another note's work
			cpu, err := measure.CPUOf(func() error { return way.do(ctx, n) })
			if err != nil {
				return r, err
			}
			*way.cpu = append(*way.cpu, cpu)
		}
	}
	for i, way := range ways {
		var err error
		if r.peak[i], err = measure.PeakOf(func() error { return way.do(ctx, n) }); err != nil {
			return r, err
		}
	}
	return r, nil
}

// print writes the row and returns how many limits it missed.
func (r row) print(w io.Writer, n note, start float64) (missed int) {
	verdict := func(ratio, most float64) string {
		if ratio <= most {
			return fmt.Sprintf("%.2f ≤ %.2f", ratio, most)
		}
		missed++
		return fmt.Sprintf("%.2f > %.2f MISSED", ratio, most)
	}
	bare := fmt.Sprintf("%.2f, not judged", ratio(r.ours, r.bare, 0))
	if n.judged {
		bare = verdict(ratio(r.ours, r.bare, 0), mostOfBare)
	}
	fmt.Fprintf(w, "%-14s %7.3f %7.3f %7.3f   %-18s %-14s %-18s %-18s %.0f, %.0f, %.0f\n", n.label,
		median(r.ours), median(r.bare), median(r.usual), bare,
		fmt.Sprintf("%+.0f ms", 1000*median(differences(r.ours, r.bare))), fmt.Sprintf("%.2f", ratio(r.ours, r.bare, start)),
		verdict(ratio(r.ours, r.usual, 0), mostOfUsual), r.peak[0], r.peak[1], r.peak[2])
	return missed
}

// ratio is the median of a/b pair by pair, with less taken from every a.
func ratio(a, b []float64, less float64) float64 {
	var q []float64
	for i := range a {
		q = append(q, (a[i]-less)/b[i])
	}
	return median(q)
}

// differences are a-b, pair by pair.
func differences(a, b []float64) []float64 {
	var d []float64
	for i := range a {
		d = append(d, a[i]-b[i])
	}
	return d
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
