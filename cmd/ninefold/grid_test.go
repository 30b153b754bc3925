package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/ninefold/ninefold/pipeline"
)

// terminal opens a pseudo terminal this wide and returns it, and what ends it and tells what was printed.
func terminal(t *testing.T, wide uint16) (*os.File, func() []string) {
	t.Helper()
	keeper, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo terminals here: %v", err)
	}
	number, err := unix.IoctlGetInt(int(keeper.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(keeper.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: wide}); err != nil {
		t.Fatal(err)
	}
	printed := make(chan []string, 1)
	go func() {
		var lines []string
		for scan := bufio.NewScanner(keeper); scan.Scan(); { // ends with an error when the terminal is closed
			lines = append(lines, strings.TrimRight(scan.Text(), "\r"))
		}
		printed <- lines
	}()
	return tty, func() []string {
		tty.Close()
		defer keeper.Close()
		return <-printed
	}
}

// fullMessage has something wide in every column of what is printed of a message.
func fullMessage(t *testing.T) pipeline.Manifest {
	t.Helper()
	m := pipeline.Manifest{MessageID: "m1", Status: pipeline.StatusPartial}
	for i := range 9 {
		m.Parts = append(m.Parts, pipeline.Part{
			ItemID: fmt.Sprintf("i%d", i+1), Kind: pipeline.KindVideo, Presentation: "gif", Status: pipeline.StatusReady, Width: 1280, Height: 720, DurationMS: 59_999,
			Source: &pipeline.SourceFacts{MIME: "video/quicktime", Size: 17 << 20}, Method: "transcode", Warnings: []string{"truncated: the file ends early"},
			Renditions: []pipeline.Rendition{{Name: "playback", Default: true, Key: "media/7c/" + strings.Repeat("7c", 32) + ".mp4", MIME: "video/mp4", Size: 1384753, Width: 1280, Height: 720}},
		})
	}
	m.Parts[8].Error = pipeline.Refuse(pipeline.CodeSourceMissing, "the store has no object under the item's key; upload it, then send the message again").Failure()
	for _, who := range []string{"u_teen", "u_with_an_id_that_is_rather_long_for_a_column"} {
		d := pipeline.Delivery{RecipientID: who}
		for i, p := range m.Parts {
			action, why := pipeline.Withhold, "teen_filter"
			if i == 3 {
				action, why = pipeline.BlurReveal, "recipient_filter"
			}
			d.Parts = append(d.Parts, pipeline.PartDelivery{ItemID: p.ItemID, Action: action, Reasons: []string{why}})
		}
		m.Deliveries = append(m.Deliveries, d)
	}
	return m
}

// Nothing that is printed as a table is wider than the terminal, and nothing is left out for it.
func TestTablesFitTheTerminal(t *testing.T) {
	m := fullMessage(t)
	explained := make([]explained, 1)
	explained[0].Why = strings.Repeat("because the recipient is an adult ", 6)
	for _, wide := range []uint16{80, 60, 200} {
		for name, write := range map[string]func(io.Writer) error{
			"message": func(w io.Writer) error { printManifest(w, m, "/var/lib/ninefold/scratch/parts"); return nil },
			"explain": func(w io.Writer) error { return printExplained(w, explained) },
			"policy": func(w io.Writer) error {
				return (&policyShowCmd{}).Run(&app{ctx: t.Context(), stdout: w, stderr: io.Discard})
			},
		} {
			if name != "message" && wide < 80 {
				continue // a table of rules has more columns than that holds words
			}
			tty, done := terminal(t, wide)
			if err := write(tty); err != nil {
				t.Fatal(err)
			}
			lines := done()
			if len(lines) < 5 {
				t.Fatalf("%s: %d lines", name, len(lines))
			}
			for _, line := range lines {
				table := strings.ContainsAny(line, "│┌├└")
				if n := utf8.RuneCountInString(line); table && n > int(wide) {
					t.Errorf("%s on %d columns: a line of %d:\n%s", name, wide, n, line)
				}
			}
			if words := strings.Join(lines, "\n"); name == "message" && wide == 80 {
				t.Log("\n" + words)
				for _, want := range []string{"video/quicktime", "source_missing:", "i1 i2 i3 i5 i6 i7", "blur_reveal", "recipient_filter", "media/7c/7c7c7c7c7c7c….mp4"} {
					if !strings.Contains(words, want) {
						t.Errorf("the tables lack %q", want)
					}
				}
			}
		}
	}
}

// Where there is no terminal, nothing is cut: a program may be reading.
func TestTablesAreWholeInAFile(t *testing.T) {
	var out strings.Builder
	if err := printExplained(&out, []explained{{Why: strings.Repeat("word ", 100)}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), strings.TrimSpace(strings.Repeat("word ", 100))) {
		t.Errorf("a cell was wrapped:\n%s", out.String())
	}
}
