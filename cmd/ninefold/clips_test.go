package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// mostUnknown is the share of honest clips that may end unknown for somebody of 16 or 17: what is withheld from them for nothing.
const mostUnknown = 0.02

// honestClip is a line of the report.
type honestClip struct {
	File     string               `json:"file"`
	Method   string               `json:"method,omitempty"`
	Code     pipeline.Code        `json:"code,omitempty"` // of a rejection
	Level    pipeline.Level       `json:"level,omitempty"`
	Coverage float64              `json:"coverage"`
	Unseen   int                  `json:"unseen_frames,omitempty"`
	UnseenMS int64                `json:"unseen_ms,omitempty"`
	MS       int64                `json:"ms,omitempty"` // of the delivered clip
	Scored   int                  `json:"scored"`
	Covered  int                  `json:"covered"`
	Score    float64              `json:"explicit"`
	Status   pipeline.FactsStatus `json:"status,omitempty"`
}

// TestHonestClips sends every file below the directories that NINEFOLD_CLIPS names to somebody of 16 or 17, through the real engine and the
// default model, and prints what was seen of each: make campaign-clips.
func TestHonestClips(t *testing.T) {
	dirs := filepath.SplitList(os.Getenv("NINEFOLD_CLIPS"))
	if len(dirs) == 0 {
		t.Skip("a measurement: NINEFOLD_CLIPS=DIRECTORY make campaign-clips")
	}
	setUp(t)
	out, unknown, judged := json.NewEncoder(os.Stdout), 0, 0
	for _, file := range filesBelow(t, dirs) {
		clip := sendHonest(t, file)
		if err := out.Encode(clip); err != nil {
			t.Fatal(err)
		}
		if clip.Level != "" {
			judged++
		}
		if clip.Level != "" && clip.Coverage < 1 { // what has an explicit frame has that level all the same
			unknown++
		}
	}
	fmt.Printf("{\"clips\":%d,\"unknown\":%d}\n", judged, unknown)
	if float64(unknown) > mostUnknown*float64(judged) {
		t.Errorf("%d of %d clips end unknown, at most %.0f %% wanted", unknown, judged, 100*mostUnknown)
	}
}

func filesBelow(t *testing.T, dirs []string) []string {
	t.Helper()
	var files []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(files)
	return files
}

func sendHonest(t *testing.T, file string) honestClip {
	t.Helper()
	clip := honestClip{File: filepath.Base(file)}
	dir := t.TempDir()
	defer os.RemoveAll(dir)
	data, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "clip"), data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Somebody receives it whatever it shows: it is judged to its end.
	grown := pipeline.Recipient{ID: "a", AgeBand: pipeline.Adult, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterBlur}
	p := sendTo(t, dir, nil, []attack{{name: clip.File, file: "clip"}}, teen, grown).Parts[0]
	if p.Status == pipeline.StatusRejected {
		clip.Code = p.Error.Code
		return clip
	}
	clip.Method, clip.MS = p.Method, p.DurationMS
	if f := p.Moderation; p.Kind == pipeline.KindVideo && f != nil {
		clip.Status, clip.Level, clip.Coverage, clip.Unseen, clip.UnseenMS = f.Status, f.Level, f.Coverage, f.UnseenFrames, f.UnseenMS
		if f.Evidence != nil {
			clip.Scored, clip.Covered = f.Evidence.Scored, f.Evidence.Frames
		}
		if f.Scores != nil {
			clip.Score = f.Scores.Explicit
		}
	}
	return clip
}
