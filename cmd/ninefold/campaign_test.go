package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// oneFrame is the campaign that hides one red frame in each of many clips.
type oneFrame struct {
	clips, seconds int // how many, and the length of the longest
}

// oneFramePlan is twelve short clips, or what NINEFOLD_CAMPAIGN and NINEFOLD_CAMPAIGN_SECONDS say: make campaign-frame.
func oneFramePlan(t *testing.T) oneFrame {
	t.Helper()
	if os.Getenv("NINEFOLD_CAMPAIGN") == "" {
		return oneFrame{clips: 12, seconds: 5}
	}
	number := func(name string, otherwise int) int {
		n, err := strconv.Atoi(os.Getenv(name))
		if err != nil || n < 1 {
			return otherwise
		}
		return n
	}
	return oneFrame{clips: number("NINEFOLD_CAMPAIGN", 200), seconds: number("NINEFOLD_CAMPAIGN_SECONDS", 180)}
}

// make writes clip i: still or restless, copied or transcoded, one frame of it red.
func (c oneFrame) make(t *testing.T, dir string, i int) attack {
	t.Helper()
	r := rand.New(rand.NewPCG(16, uint64(i)))
	seconds := 1 + r.IntN(c.seconds)
	at, source, file, args := r.IntN(30*seconds), "color=0x405060:s=160x120:r=30", fmt.Sprintf("%d.mp4", i), copied
	if i%2 == 0 {
		source = "testsrc2=s=160x120:r=30"
	}
	if i%4 < 2 {
		file, args = fmt.Sprintf("%d.webm", i), []string{"-c:v", "libvpx", "-b:v", "1M", "-deadline", "realtime", "-cpu-used", "8"}
	}
	redClip(t, filepath.Join(dir, file), fmt.Sprintf("%s:d=%d", source, seconds), fmt.Sprintf("eq(n,%d)", at), args...)
	return attack{name: fmt.Sprintf("%s, %d s, frame %d", file, seconds, at), file: file}
}

// TestCampaignOfOneFrame hides one red frame at a random place in clips, still and restless, copied and transcoded. Each is to be seen, or
// said to be unseen.
func TestCampaignOfOneFrame(t *testing.T) {
	setUp(t)
	plan, model, found := oneFramePlan(t), redModel(t), map[string]int{}
	numbers := make([]int, plan.clips)
	for i := range numbers {
		numbers[i] = i
	}
	for part := range slices.Chunk(numbers, 6) {
		dir := t.TempDir()
		var attacks []attack
		for _, i := range part {
			attacks = append(attacks, plan.make(t, dir, i))
		}
		m := sendAll(t, dir, model, attacks)
		wantHeld(t, m, attacks)
		for i := range m.Parts {
			found[held(m, i)]++
		}
		_ = os.RemoveAll(dir)
		line, err := json.Marshal(map[string]any{"campaign": "one frame", "clips": part[len(part)-1] + 1, "of": plan.clips, "found": found})
		if err != nil {
			t.Fatal(err)
		}
		if plan.clips > 12 {
			fmt.Println(string(line))
		}
	}
	if found["missed"] > 0 {
		t.Errorf("%v", found)
	}
}

// held says how a part of which nothing may be delivered ended.
func held(m pipeline.Manifest, i int) string {
	p := m.Parts[i]
	f := p.Moderation
	switch {
	case p.Status == pipeline.StatusRejected && p.Error != nil && p.Error.Code != "":
		return "rejected"
	case f != nil && f.Level == pipeline.LevelExplicit:
		return "seen"
	case f != nil && f.Level == pipeline.LevelUnknown && f.Coverage < 1:
		return "said to be unseen"
	}
	return "missed"
}
