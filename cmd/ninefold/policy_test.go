package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/filestore"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/pipeline/webhooksign"
)

const (
	exampleJob   = "../../pipeline/schema/testdata/job.json"
	exampleParts = "../../pipeline/schema/testdata/parts.json"
)

// ask runs a command that needs no engine and returns what it prints.
func ask(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return out.String(), errs.String(), code
}

func askJSON(t *testing.T, v any, args ...string) {
	t.Helper()
	out, errs, code := ask(t, args...)
	if code != exitOK {
		t.Fatalf("%q: exit %d: %s", args, code, errs)
	}
	if err := json.Unmarshal([]byte(out), v); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
}

func policyFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPolicyNamesTheTiming: show and explain say when messages are announced.
func TestPolicyNamesTheTiming(t *testing.T) {
	for _, timing := range []string{"even", "plain"} {
		file := policyFile(t, "schema: ninefold.policy/1\nversion: '2'\ntiming: "+timing+"\n")
		for _, args := range [][]string{{"policy", "show"}, {"policy", "explain", "--job", exampleJob}} {
			if r := call(t.Context(), append(args, "--policy", file)...); r.code != exitOK || !strings.Contains(r.stdout, "timing: "+timing) {
				t.Errorf("%v: exit %d, %s", args, r.code, r.stdout)
			}
		}
	}
}

func TestPolicyExplain(t *testing.T) {
	blur := policyFile(t, "schema: ninefold.policy/1\nversion: '2'\nteen_explicit: blur\n")
	tests := []struct {
		name string
		args []string
		rows map[string][]int // by item, in the order of the levels
	}{
		{"every level", nil, map[string][]int{"i1": {15, 8, 7, 6, 9}, "i2": {15, 8, 7, 6, 9}}},
		{"one level", []string{"--level", "explicit"}, map[string][]int{"i1": {6}, "i2": {6}}},
		{"a level for one item", []string{"--level", "clear", "--item", "i2=drawn"}, map[string][]int{"i1": {15}, "i2": {7}}},
		{"another policy", []string{"--level", "explicit", "--policy", blur}, map[string][]int{"i1": {6}, "i2": {6}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var lines []explained
			askJSON(t, &lines, append([]string{"policy", "explain", "--json", "--job", exampleJob}, tt.args...)...)
			got := map[string][]int{}
			for _, l := range lines {
				got[l.Item] = append(got[l.Item], l.Row)
				if l.Why == "" || l.Recipient != "u_2" {
					t.Errorf("%+v", l)
				}
				if l.Row == 6 && (l.Action == pipeline.Blur) != (tt.name == "another policy") {
					t.Errorf("row 6: %s", l.Action)
				}
			}
			for item, rows := range tt.rows {
				if !slices.Equal(got[item], rows) {
					t.Errorf("%s: rows %v, want %v", item, got[item], rows)
				}
			}
		})
	}
	if out, _, _ := ask(t, "policy", "explain", "--job", exampleJob, "--level", "explicit"); !strings.Contains(out, "sender adult, recipient 16_17, level explicit") {
		t.Errorf("the table says not why:\n%s", out)
	}
}

// TestPolicyMistakes: what is wrong is named, and nothing runs.
func TestPolicyMistakes(t *testing.T) {
	const head = "schema: ninefold.policy/1\nversion: a\n"
	tests := []struct{ name, text, says string }{
		{"an unknown key", head + "teen_drawn: deliver\n", `"teen_drawn"`},
		{"a guarantee weakened", head + "teen_explicit: blur_reveal\n", "teen_explicit"},
		{"a key twice", head + "version: b\n", "version"},
		{"no YAML", "{", "policy"},
		{"two documents", head + "---\n" + head, "another"},
		{"a number for a version", "schema: ninefold.policy/1\nversion: 7\n", "version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, errs, code := ask(t, "policy", "show", "--policy", policyFile(t, tt.text)); code != exitUsage || !strings.Contains(errs, tt.says) {
				t.Errorf("exit %d, %q, want 2 and %q", code, errs, tt.says)
			}
		})
	}
	for _, args := range [][]string{
		{"policy", "show", "--policy", "/no/such/file"},
		{"policy", "explain", "--job", exampleJob, "--level", "safe"},
		{"policy", "explain", "--job", exampleJob, "--item", "zz=clear"},
		{"policy", "explain", "--job", exampleJob, "--item", "i1=safe"},
		{"worker", "--audience-url", "http://127.0.0.1:1/", "--model", "none", "--store", t.TempDir(), "--scratch", t.TempDir()}, // no secret
	} {
		if _, errs, code := ask(t, args...); code != exitUsage && !strings.Contains(errs, "audience-secret") {
			t.Errorf("%q: exit %d, %s", args, code, errs)
		}
	}
}

// TestPolicyShowIsAFile: what show prints can be saved, and is then the same policy.
func TestPolicyShowIsAFile(t *testing.T) {
	var first, again struct {
		Digest string
		Rows   []rowView
	}
	askJSON(t, &first, "policy", "show", "--json")
	out, _, _ := ask(t, "policy", "show")
	if !strings.Contains(out, "# ┌") || len(first.Rows) != 15 || first.Rows[5].Action != pipeline.Withhold {
		t.Fatalf("no table of 15 rows: %s", out)
	}
	askJSON(t, &again, "policy", "show", "--json", "--policy", policyFile(t, out))
	if again.Digest != first.Digest {
		t.Errorf("digest %s, read again %s", first.Digest, again.Digest)
	}
	config, _, code := ask(t, "config", "--policy", policyFile(t, strings.Replace(out, "withhold", "blur", 1)))
	if code != exitOK || !strings.Contains(config, "#   teen_explicit: blur") || strings.Contains(config, first.Digest) {
		t.Errorf("config prints no policy: %s", config)
	}
}

func TestParts(t *testing.T) {
	var view pipeline.RecipientView
	askJSON(t, &view, "parts", "--recipient", "u_2", exampleParts)
	if view.RecipientID != "u_2" || len(view.Parts) == 0 {
		t.Errorf("%+v", view)
	}
	var sender pipeline.SenderView
	askJSON(t, &sender, "parts", "--sender", exampleParts)
	if len(sender.Items) != 4 || sender.Schema != pipeline.SenderSchema {
		t.Errorf("%+v", sender)
	}
	for _, args := range [][]string{{exampleParts}, {"--sender", "--recipient", "u_2", exampleParts}, {"--recipient", "nobody", exampleParts}, {"--sender", exampleJob + "x"}} {
		if _, errs, code := ask(t, append([]string{"parts", "--store", t.TempDir()}, args...)...); code != exitUsage {
			t.Errorf("%q: exit %d, %s", args, code, errs)
		}
	}
}

// TestPartsFromTheStore finds a manifest by its job's id.
func TestPartsFromTheStore(t *testing.T) {
	data, err := os.ReadFile(exampleParts)
	if err != nil {
		t.Fatal(err)
	}
	var m pipeline.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	store, err := filestore.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.PutNew(t.Context(), pipeline.ManifestKey(m.JobID), bytes.NewReader(data), int64(len(data)), pipelinetest.Digest(data, "")); err != nil {
		t.Fatal(err)
	}
	var sender pipeline.SenderView
	askJSON(t, &sender, "parts", "--sender", "--store", dir, m.JobID)
	if sender.MessageID != m.MessageID {
		t.Errorf("%+v", sender)
	}
	if _, errs, code := ask(t, "parts", "--sender", "--store", dir, "another"); code != exitUsage || !strings.Contains(errs, "--store") {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// replayRig runs messages through the real pipeline into a directory store, over fake media.
type replayRig struct {
	dir   string
	store pipeline.Store
	facts pipeline.Facts
	now   time.Time
}

func (r *replayRig) send(t *testing.T, id string, recipients ...pipeline.Recipient) {
	t.Helper()
	policy, err := moderation.NewPolicy(moderation.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	p, err := pipeline.New(pipeline.Config{
		Scratch: t.TempDir(), ItemsAtOnce: 1, Version: "test", MaxBytes: pipeline.ByteCaps{Voice: 100, Photo: 100, Video: 100},
	}, pipeline.Deps{
		Sources: r.store, Store: r.store, Processors: &pipelinetest.Processors{}, Moderator: &pipelinetest.Moderator{Facts: r.facts}, Policy: policy,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return r.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	data, key := pipelinetest.JPEG(id), "up/"+strings.ReplaceAll(id, ":", "_")
	if err := r.store.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), pipelinetest.Digest(data, "")); err != nil {
		t.Fatal(err)
	}
	job := pipeline.Job{
		Schema: pipeline.JobSchema, JobID: id, MessageID: "m", Conversation: pipeline.Conversation{ID: "c", Kind: pipeline.Group},
		Sender: pipeline.Sender{ID: "s", AgeBand: pipeline.Adult}, Recipients: recipients,
		Items: []pipeline.Item{{ID: "i1", Kind: pipeline.KindPhoto, Source: pipeline.Source{Key: key}}},
	}
	if _, err := p.Run(t.Context(), job, pipeline.RunOptions{}); err != nil {
		t.Fatal(err)
	}
}

func newReplayRig(t *testing.T) *replayRig {
	t.Helper()
	r := &replayRig{dir: t.TempDir(), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	store, err := filestore.Open(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r.store = store
	return r
}

// explicit are facts of a photo with that score, by the bounds 0.3 and 0.5.
func explicit(score float64) pipeline.Facts {
	bounds := moderation.Thresholds{Explicit: moderation.Threshold{Low: 0.3, High: 0.5}}
	f := moderation.Aggregate([]moderation.Frame{{Scores: pipeline.Scores{Explicit: score}}}, pipeline.ScreenInput{Frames: 1, Scored: 1, Covered: 1}, bounds)
	f.Evidence, f.Coverage = nil, 0 // about whatever it stands beside
	f.Model = &pipeline.ModelRef{ID: "test", SHA256: "00", Thresholds: bounds.String()}
	return f
}

func TestPolicyReplay(t *testing.T) {
	r := newReplayRig(t)
	person := func(id string, age pipeline.AgeBand, f pipeline.NudityFilter) pipeline.Recipient {
		return pipeline.Recipient{ID: id, AgeBand: age, Contact: pipeline.ContactAccepted, NudityFilter: f}
	}
	teen, adult, hides := person("t", pipeline.Teen, pipeline.FilterOff), person("a", pipeline.Adult, pipeline.FilterOff), person("h", pipeline.Adult, pipeline.FilterHide)
	r.facts = explicit(0.9)
	r.send(t, "first", teen, adult, hides)
	r.facts, r.now = explicit(0.4), r.now.AddDate(0, 0, 1)
	r.send(t, "second.job:2", teen, adult, hides)
	r.facts, r.now = explicit(0.1), r.now.AddDate(0, 1, 0)
	r.send(t, "third", teen, adult, hides)

	strict := policyFile(t, "schema: ninefold.policy/1\nversion: strict\nteen_explicit: blur\nthresholds: {explicit: {low: 0.2, high: 0.35}}\n")
	tests := []struct {
		name                                           string
		args                                           []string
		messages, decisions, changed, milder, stricter int
		changes                                        map[string]int
	}{
		{"all", nil, 3, 9, 3, 1, 2, map[string]int{"16_17 withhold 6 blur 6": 1, "16_17 deliver 15 blur 6": 1, "adult deliver 15 withhold 12": 1}},
		{"a day", []string{"--since", "2026-01-02", "--until", "2026-01-02"}, 1, 3, 1, 1, 0, map[string]int{"16_17 withhold 6 blur 6": 1}},
		{"since", []string{"--since", "2026-01-03"}, 2, 6, 2, 0, 2, map[string]int{"16_17 deliver 15 blur 6": 1, "adult deliver 15 withhold 12": 1}},
		{"until", []string{"--until", "2026-01-01"}, 0, 0, 0, 0, 0, map[string]int{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got replayReport
			askJSON(t, &got, append([]string{"policy", "replay", "--json", "--policy", strict, "--store", r.dir}, tt.args...)...)
			if got.Messages != tt.messages || got.Decisions != tt.decisions || got.Changed != tt.changed || got.Milder != tt.milder || got.Stricter != tt.stricter {
				t.Errorf("%+v, want %+v", got, tt)
			}
			changes := map[string]int{}
			for _, c := range got.Changes {
				changes[fmt.Sprintf("%s %s %d %s %d", c.Recipient, c.From, c.FromRow, c.To, c.ToRow)] += c.Count
			}
			if !maps.Equal(changes, tt.changes) {
				t.Errorf("changes %v, want %v", changes, tt.changes)
			}
		})
	}
	out, _, _ := ask(t, "policy", "replay", "--policy", strict, "--store", r.dir)
	if !strings.Contains(out, "policy strict: messages 3, decisions 9, of which 3 would change: 1 show more, 2 show less") {
		t.Errorf("printed %s", out)
	}
	if _, errs, code := ask(t, "policy", "replay", "--policy", strict, "--store", r.dir, "--since", "yesterday"); code != exitUsage {
		t.Errorf("exit %d, %s", code, errs)
	}
}

// TestPolicyReplayStrays: records of an attempt that was not committed are not counted.
func TestPolicyReplayStrays(t *testing.T) {
	r := newReplayRig(t)
	r.facts = explicit(0.9)
	r.send(t, "job", pipeline.Recipient{ID: "t", AgeBand: pipeline.Teen, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff})
	stray := []byte("not even a record")
	for _, digest := range []string{"000000000000", "ffffffffffff"} {
		key := pipeline.AuditPrefix + "2026/01/02/job." + digest + ".ndjson"
		if err := r.store.Put(t.Context(), key, bytes.NewReader(stray), int64(len(stray)), pipelinetest.Digest(stray, "")); err != nil {
			t.Fatal(err)
		}
	}
	var got replayReport
	same := policyFile(t, "schema: ninefold.policy/1\nversion: same\n")
	askJSON(t, &got, "policy", "replay", "--json", "--policy", same, "--store", r.dir)
	if got.Messages != 1 || got.Strays != 2 || got.Changed != 0 || got.Decisions != 1 {
		t.Errorf("%+v", got)
	}
}

// TestAudienceSettings: what is set is what is asked, signed so that the other side can tell.
func TestAudienceSettings(t *testing.T) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	signer, err := webhooksign.New(secret)
	if err != nil {
		t.Fatal(err)
	}
	var verified error
	directory := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		verified = errors.Join(err, signer.Verify(r.Header, body))
		w.WriteHeader(http.StatusTeapot)
	}))
	defer directory.Close()
	var deps pipeline.Deps
	if err := (AudienceSettings{}).directory(&deps); err != nil || deps.Audience != nil {
		t.Errorf("with nothing set: %v, %v", deps.Audience, err)
	}
	set := AudienceSettings{AudienceURL: directory.URL, AudienceSecret: secret, AudienceTimeout: time.Second}
	if err := set.directory(&deps); err != nil {
		t.Fatal(err)
	}
	_, err = deps.Audience.Audience(t.Context(), pipeline.Job{JobID: "j"})
	if err == nil || !strings.Contains(err.Error(), "418") || verified != nil {
		t.Errorf("error %v, signature %v", err, verified)
	}
}

func TestAuditSettings(t *testing.T) {
	const refused = -1
	for key, want := range map[string]int{
		"": 0, base64.StdEncoding.EncodeToString(make([]byte, 32)): 32, base64.StdEncoding.EncodeToString(make([]byte, 31)): refused, "not base64!": refused,
	} {
		var deps pipeline.Deps
		err := AuditSettings{AuditKey: key}.key(&deps)
		if (err == nil) != (want != refused) || (err == nil && len(deps.AuditKey) != want) {
			t.Errorf("%q: %v, %d bytes, want %d", key, err, len(deps.AuditKey), want)
		}
		if err != nil && strings.Contains(err.Error(), key) {
			t.Errorf("%v repeats the key", err)
		}
	}
	secret := base64.StdEncoding.EncodeToString(make([]byte, 32))
	out, _, _ := ask(t, "config", "--audit-key", secret, "--audience-secret", "whsec_"+secret)
	if strings.Contains(out, secret) || !strings.Contains(out, "# audit-key is set") || !strings.Contains(out, "# audience-secret is set") {
		t.Errorf("config prints\n%s", out)
	}
}
