package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// attack is what somebody sends who wants one red frame to pass.
type attack struct {
	name, file string
	edits      []pipeline.Edit
}

// teen is who is to be protected.
var teen = pipeline.Recipient{ID: "r", AgeBand: pipeline.Teen, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterHide}

// sendAll sends files as one message, from an adult to somebody of 16 or 17, and returns the manifest.
func sendAll(t *testing.T, dir string, model []string, attacks []attack) pipeline.Manifest {
	t.Helper()
	return sendTo(t, dir, model, attacks, teen)
}

func sendTo(t *testing.T, dir string, model []string, attacks []attack, recipients ...pipeline.Recipient) pipeline.Manifest {
	t.Helper()
	return sendOut(t, dir, t.TempDir(), model, attacks, recipients...)
}

// sendOut is sendTo with the store in a directory that can be looked at.
func sendOut(t *testing.T, dir, out string, options []string, attacks []attack, recipients ...pipeline.Recipient) pipeline.Manifest {
	t.Helper()
	job := pipeline.Job{
		Schema: pipeline.JobSchema, JobID: "j", MessageID: "m", Conversation: pipeline.Conversation{ID: "c", Kind: pipeline.Group},
		Sender: pipeline.Sender{ID: "s", AgeBand: pipeline.Adult}, Recipients: recipients,
	}
	for i, a := range attacks {
		job.Items = append(job.Items, pipeline.Item{ID: fmt.Sprintf("i%d", i), Kind: pipeline.KindAuto, Source: pipeline.Source{Key: a.file}, Edits: a.edits})
	}
	if err := writeJSON(filepath.Join(dir, "job.json"), job); err != nil {
		t.Fatal(err)
	}
	r := call(t.Context(), append([]string{"process", "--job", filepath.Join(dir, "job.json"), "--out", out, "--json"}, options...)...)
	var m pipeline.Manifest
	if err := json.Unmarshal([]byte(r.stdout), &m); err != nil || len(m.Parts) != len(attacks) {
		t.Fatalf("exit %d: %v\n%s%s", r.code, err, r.stdout, r.stderr)
	}
	return m
}

// wantHeld wants no part to be delivered: each is withheld, or rejected with a code.
func wantHeld(t *testing.T, m pipeline.Manifest, attacks []attack) {
	t.Helper()
	for i, p := range m.Parts {
		if p.Status == pipeline.StatusRejected && p.Error != nil && p.Error.Code != "" {
			t.Logf("%s: rejected, %s", attacks[i].name, p.Error.Code)
			continue
		}
		for _, d := range m.Deliveries[0].Parts {
			if d.ItemID == p.ItemID && d.Action != pipeline.Withhold {
				t.Errorf("%s: %s (%s), %s; facts %+v", attacks[i].name, d.Action, d.Reasons, p.Method, p.Moderation)
			}
		}
		t.Logf("%s: %s, level %s", attacks[i].name, p.Method, p.Moderation.Level)
	}
}

// redClip makes a video of which some frames are red; shown is an expression of them.
func redClip(t *testing.T, file, source, shown string, args ...string) {
	t.Helper()
	in := source + fmt.Sprintf(",drawbox=c=red:t=fill:enable='%s'", shown)
	tool(t, "ffmpeg", slices.Concat([]string{"-v", "error", "-f", "lavfi", "-i", in, "-pix_fmt", "yuv420p"}, args, []string{file})...)
}

// copied are the options of a file whose packets are copied.
var copied = []string{"-c:v", "libx264", "-preset", "ultrafast", "-g", "60", "-profile:v", "baseline", "-movflags", "+faststart"}

// TestAttacksAreHeld sends red where somebody hopes that nobody looks.
func TestAttacksAreHeld(t *testing.T) {
	setUp(t)
	model, dir := redModel(t), t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	const plain = "color=0x405060:s=160x120:r=30"
	redClip(t, in("last.mp4"), plain+":d=3", "eq(n,89)", copied...)
	redClip(t, in("short.mp4"), plain+":d=3,settb=1/90000,setpts=N*3000+if(gt(N\\,45)\\,-2999)", "eq(n,45)",
		slices.Concat(copied, []string{"-fps_mode", "passthrough", "-enc_time_base", "1/90000", "-video_track_timescale", "90000"})...)
	redClip(t, in("between.mp4"), plain+":d=5", "mod(n,60)", copied...)
	redClip(t, in("last.webm"), plain+":d=3", "eq(n,89)", "-c:v", "libvpx", "-b:v", "1M", "-deadline", "realtime")
	attacks := []attack{
		{"the last frame, copied", "last.mp4", nil},
		{"a frame of 1/90000 s", "short.mp4", nil},
		{"all but key frames", "between.mp4", nil},
		{"a poster between two key frames", "between.mp4", []pipeline.Edit{{Op: pipeline.OpPoster, AtMS: 2500}}},
		{"the last frame, transcoded", "last.webm", nil},
	}
	wantHeld(t, sendAll(t, dir, model, attacks), attacks)
}
