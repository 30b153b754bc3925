package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// printManifest prints what a person wants to know of a message: its parts, what each recipient gets, and where the files are.
func printManifest(w io.Writer, m pipeline.Manifest, root string) {
	fmt.Fprintf(w, "message %s: %s%s\n", m.MessageID, m.Status, because(m.Error))
	if len(m.Parts) > 0 {
		printParts(w, m.Parts)
		printDeliveries(w, m)
		printFiles(w, m.Parts, root)
	}
}

func because(f *pipeline.Failure) string {
	if f == nil {
		return ""
	}
	return fmt.Sprintf(" (%s: %s)", f.Code, f.Message)
}

func printParts(w io.Writer, parts []pipeline.Part) {
	t := newTable(w, "item", "from", "status", "size", "notes")
	for _, p := range parts {
		t.row(p.ItemID, linesOf(kindName(p), source(p)), linesOf(string(p.Status), shows(p)), linesOf(dimensions(p), length(p)), notes(p))
	}
	t.print()
}

// linesOf puts what there is below each other.
func linesOf(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), "\n")
}

func kindName(p pipeline.Part) string {
	if p.Presentation == "gif" {
		return "video (gif)"
	}
	return string(p.Kind)
}

func source(p pipeline.Part) string {
	if p.Source == nil {
		return ""
	}
	return p.Source.MIME + "\n" + bytesText(p.Source.Size)
}

func dimensions(p pipeline.Part) string {
	if p.Width == 0 {
		return ""
	}
	return fmt.Sprintf("%d×%d", p.Width, p.Height)
}

func length(p pipeline.Part) string {
	if p.DurationMS == 0 {
		return ""
	}
	return fmt.Sprintf("%.3f s", float64(p.DurationMS)/1000)
}

func shows(p pipeline.Part) string {
	f := p.Moderation
	if f == nil || f.Status == pipeline.Skipped {
		return ""
	}
	if f.Scores == nil {
		return fmt.Sprintf("%s (%s)", f.Level, f.Status)
	}
	return fmt.Sprintf("%s (%.2f)", f.Level, f.Scores.Explicit)
}

// wrap joins words with spaces into lines of about width characters.
func wrap(words []string, width int) string {
	var b strings.Builder
	line := 0
	for i, word := range words {
		switch {
		case i == 0:
		case line+len(word) > width:
			b.WriteByte('\n')
			line = 0
		default:
			b.WriteByte(' ')
		}
		b.WriteString(word)
		line += len(word) + 1
	}
	return b.String()
}

func notes(p pipeline.Part) string {
	var words []string
	if p.Error != nil {
		words = append(words, string(p.Error.Code)+":")
		words = append(words, strings.Fields(p.Error.Message)...)
	}
	if p.Trimmed {
		words = append(words, fmt.Sprintf("trimmed from %.1f s", float64(p.SourceDurationMS)/1000))
	}
	if p.Loudness != nil && p.Loudness.InputLUFS != nil && p.Loudness.OutputLUFS != nil {
		words = append(words, fmt.Sprintf("%.1f → %.1f LUFS", *p.Loudness.InputLUFS, *p.Loudness.OutputLUFS))
	}
	if p.Method != "" {
		words = append(words, p.Method)
	}
	for _, e := range p.Edits {
		words = append(words, "+"+string(e.Op))
	}
	return wrap(append(words, p.Warnings...), 30)
}

// printDeliveries prints for each recipient what becomes of which items; those that fare alike stand together.
func printDeliveries(w io.Writer, m pipeline.Manifest) {
	t := newTable(w, "recipient", "items", "action", "why")
	for _, d := range m.Deliveries {
		type fate struct{ action, why string }
		var fates []fate
		items := map[fate][]string{}
		for _, p := range d.Parts {
			f := fate{string(p.Action), strings.Join(p.Reasons, ", ")}
			if items[f] == nil {
				fates = append(fates, f)
			}
			items[f] = append(items[f], p.ItemID)
		}
		for _, f := range fates {
			t.row(d.RecipientID, wrap(items[f], 20), f.action, f.why)
		}
	}
	t.print()
}

func printFiles(w io.Writer, parts []pipeline.Part, root string) {
	if !slices.ContainsFunc(parts, func(p pipeline.Part) bool { return len(p.Renditions) > 0 }) {
		return
	}
	t := newTable(w, "item", "rendition", "size", "bytes", "file")
	for _, p := range parts {
		for _, r := range p.Renditions {
			size := ""
			if r.Width > 0 {
				size = fmt.Sprintf("%d×%d", r.Width, r.Height)
			}
			name := r.Name
			if r.Default {
				name += " *"
			}
			t.row(p.ItemID, name, size, r.Size, shorten(r.Key))
		}
	}
	t.print()
	if root != "" {
		root = "; files are below " + root
	}
	fmt.Fprintf(w, "* plays everywhere%s\n", root)
}

// shorten cuts the middle of a digest: the beginning finds the file.
func shorten(path string) string {
	base := filepath.Base(path)
	if len(base) < 24 {
		return path
	}
	return filepath.Join(filepath.Dir(path), base[:12]+"…"+filepath.Ext(base))
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
