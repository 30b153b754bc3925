package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/ninefold/ninefold/cmd/ninefold/reprocess"
)

// reportShows is how many messages and renditions the text report names; --json and the journal have more.
const reportShows = 20

func printReport(w io.Writer, r reprocess.Report) {
	fmt.Fprintf(w, "run %s: %s\n", r.Run, headline(r))
	t := newTable(w, "what", "how many")
	t.row("messages", fmt.Sprintf("%d of %d looked at: %s", r.Messages, r.LookedAt, counts(r.Outcomes)))
	t.row("renditions", fmt.Sprintf("%d new (%s), %d no longer named (%s)", r.Renditions.Added, bytesText(r.Renditions.BytesAdded),
		r.Renditions.Dropped, bytesText(r.Renditions.BytesDropped)))
	t.row("verdicts", counts(r.Verdicts))
	t.row("decisions", fmt.Sprintf("%s; %d stricter, %d milder", counts(r.Decisions), r.Stricter, r.Milder))
	if len(r.Codes) > 0 {
		t.row("kept because", counts(r.Codes))
	}
	if r.Rejected > 0 {
		t.row("left rejected", fmt.Sprintf("%d; do them again with --rejected", r.Rejected))
	}
	t.print()
	for _, p := range r.Problems[:min(len(r.Problems), reportShows)] {
		fmt.Fprintf(w, "%s: %s %s %s\n", p.JobID, p.Outcome, p.Code, p.Why)
	}
	if len(r.Problems) > reportShows {
		fmt.Fprintln(w, strings.TrimSpace("… and more: see --json and the journal "+r.Journal))
	}
	printUnused(w, r.Unused)
}

func headline(r reprocess.Report) string {
	words := "complete"
	if !r.Complete {
		words = "interrupted, the same command goes on"
	}
	if r.DryRun {
		words += "; a dry run, nothing was changed"
	}
	return words
}

func printUnused(w io.Writer, u *reprocess.Unused) {
	if u == nil || u.Count == 0 {
		return
	}
	fmt.Fprintf(w, "%d renditions are named by no manifest in force any more; they were not deleted:\n", u.Count)
	for _, key := range u.Keys[:min(len(u.Keys), reportShows)] {
		fmt.Fprintln(w, " ", key)
	}
	if u.Count > reportShows {
		fmt.Fprintln(w, "  … and more: see --json")
	}
}

func counts[K ~string](m map[K]int) string {
	var words []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		words = append(words, fmt.Sprintf("%d %s", m[k], k))
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
