package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/filestore"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
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
	text, _, ok := strings.Cut(out, "┌")
	if !ok || len(first.Rows) != 15 || first.Rows[5].Action != pipeline.Withhold {
		t.Fatalf("no table of 15 rows: %s", out)
	}
	askJSON(t, &again, "policy", "show", "--json", "--policy", policyFile(t, text))
	if again.Digest != first.Digest {
		t.Errorf("digest %s, read again %s", first.Digest, again.Digest)
	}
	config, _, code := ask(t, "config", "--policy", policyFile(t, strings.Replace(text, "withhold", "blur", 1)))
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
