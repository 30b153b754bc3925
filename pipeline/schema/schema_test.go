package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/memstore"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/pipeline/schema"
)

// compile checks a schema against the 2020-12 meta-schema and makes its formats assert.
func compile(t *testing.T, data []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("urn:test", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("urn:test")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func check(s *jsonschema.Schema, data []byte) error {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(doc)
}

func testdata(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// change is one replacement in an example.
type change struct{ name, old, new string }

func (c change) apply(t *testing.T, text string) []byte {
	t.Helper()
	if !strings.Contains(text, c.old) {
		t.Fatalf("%s: the example has no %q", c.name, c.old)
	}
	return []byte(strings.Replace(text, c.old, c.new, 1))
}

// itemsOf is a list of items of the given kinds, from `"items"` to the end of a job.
func itemsOf(kinds ...string) string {
	var out []string
	for i, kind := range kinds {
		out = append(out, fmt.Sprintf(`{"id": "i%d", "kind": %q, "source": {"key": "k"}}`, i, kind))
	}
	return `"items": [` + strings.Join(out, ",") + "]}"
}

func many(kind string, n int, more ...string) []string {
	return append(strings.Fields(strings.Repeat(kind+" ", n)), more...)
}

// TestJobAgrees: for each changed job the schema and DecodeJob come to the same verdict, so that an integrator may trust either.
func TestJobAgrees(t *testing.T) {
	s, example := compile(t, schema.Job), testdata(t, "job.json")
	items := example[strings.Index(example, `"items"`):]
	tests := []struct {
		change
		ok bool
	}{
		{change{"the example", "", ""}, true},
		{change{"unknown field", `"job_id"`, `"jobid": 1, "job_id"`}, false},
		{change{"field in other letters", `"job_id"`, `"Job_ID"`}, false},
		{change{"no job id", `"job_id": "01JD0000000000000000000000", `, ""}, false},
		{change{"empty job id", "01JD0000000000000000000000", ""}, false},
		{change{"job id of 128", "01JD0000000000000000000000", strings.Repeat("a", 128)}, true},
		{change{"job id of 129", "01JD0000000000000000000000", strings.Repeat("a", 129)}, false},
		{change{"job id that climbs", "01JD0000000000000000000000", ".."}, false},
		{change{"job id with a newline", "01JD0000000000000000000000", `a\n`}, false},
		{change{"wrong schema", "job/1", "job/2"}, false},
		{change{"conversation kind", `"direct"`, `"channel"`}, false},
		{change{"no filter", `, "nudity_filter": "off"`, ""}, false},
		{change{"null filter", `"nudity_filter": "off"`, `"nudity_filter": null`}, false},
		{change{"a recipient's field more", `"contact"`, `"age": 17, "contact"`}, false},
		{change{"unknown age", `"16_17"`, `"unknown"`}, true},
		{change{"age in years", `"16_17"`, `"17"`}, false},
		{change{"two in a direct conversation", `"recipients": [`, `"recipients": [{"id": "u_3", "age_band": "adult", "contact": "new", "nudity_filter": "off"}, `}, false},
		{change{"two in a group", `"kind": "direct"},
  "sender": {"id": "u_1", "age_band": "adult"},
  "recipients": [`, `"kind": "group"},
  "sender": {"id": "u_1", "age_band": "adult"},
  "recipients": [{"id": "u_3", "age_band": "adult", "contact": "new", "nudity_filter": "off"}, `}, true},
		{change{"caption at its limit", "two from the lake", strings.Repeat("🛶", pipeline.MaxCaptionRunes)}, true},
		{change{"caption beyond", "two from the lake", strings.Repeat("🛶", pipeline.MaxCaptionRunes+1)}, false},
		{change{"null caption", `"two from the lake"`, "null"}, true},
		{change{"null expiry", `"caption": "two`, `"expires_at": null, "caption": "two`}, true},
		{change{"expiry", `"caption": "two`, `"expires_at": "2030-01-01T00:00:00+02:00", "caption": "two`}, true},
		{change{"expiry no time", `"caption": "two`, `"expires_at": "2030-13-01", "caption": "two`}, false},
		{change{"alt beyond", "two kayaks on a lake", strings.Repeat("a", pipeline.MaxAltRunes+1)}, false},
		{change{"key with spaces", "uploads/i1", "my uploads/i 1"}, true},
		{change{"key that climbs", "uploads/i1", "uploads/../i1"}, false},
		{change{"key with an empty segment", "uploads/i1", "uploads//i1"}, false},
		{change{"key with a dot", "uploads/i1", "uploads/./i1"}, false},
		{change{"absolute key", "uploads/i1", "/uploads/i1"}, false},
		{change{"key of three dots", "uploads/i1", "uploads/..."}, true},
		{change{"key that is a URL", "uploads/i1", "http://example.org/i1"}, false},
		{change{"key at its limit", "uploads/i1", strings.Repeat("k", pipeline.MaxKeyBytes)}, true},
		{change{"key beyond", "uploads/i1", strings.Repeat("k", pipeline.MaxKeyBytes+1)}, false},
		{change{"no items", items, itemsOf()}, false},
		{change{"nine and a voice note", items, itemsOf(many("photo", 9, "voice")...)}, true},
		{change{"ten autos", items, itemsOf(many("auto", 10)...)}, true},
		{change{"eleven autos", items, itemsOf(many("auto", 11)...)}, false},
		{change{"ten visual", items, itemsOf(many("photo", 5, many("video", 5)...)...)}, false},
		{change{"two voice notes", items, itemsOf("voice", "voice")}, false},
		{change{"item without a source", items, `"items": [{"id": "a", "kind": "photo"}]}`}, false},
		{change{"unknown edit", `"mute"`, `"sharpen"`}, false},
		{change{"edit without op", `"op": "mute"`, ""}, false},
		{change{"a field of another edit", `"degrees": 90`, `"degrees": 90, "x": 0`}, false},
		{change{"a string for a number", `"degrees": 90`, `"degrees": "90"`}, false},
		{change{"null in an edit", `"at_ms": 1200`, `"at_ms": null`}, false},
		{change{"an edit left to its defaults", `, "at_ms": 1200`, ""}, true},
		{change{"not an edit", `{"op": "mute"}`, `"mute"`}, false},
		{change{"null edits", items, `"items": [{"id": "a", "kind": "photo", "source": {"key": "k"}, "edits": null}]}`}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := tt.apply(t, example)
			if err := check(s, data); (err == nil) != tt.ok {
				t.Errorf("the schema: %v, want valid %v", err, tt.ok)
			}
			if _, err := pipeline.DecodeJob(bytes.NewReader(data)); (err == nil) != tt.ok {
				t.Errorf("DecodeJob: %v, want valid %v", err, tt.ok)
			}
		})
	}
}

// TestEditsAgree: the schema takes the edits that ValidateEdits takes. A wrong one costs its item, so DecodeJob lets it pass.
func TestEditsAgree(t *testing.T) {
	s, example := compile(t, schema.Job), testdata(t, "job.json")
	tests := []struct {
		edit string
		ok   bool
	}{
		{`{"op": "crop", "w": 1, "h": 1}`, true},
		{`{"op": "crop", "x": 0, "y": 0, "w": 0, "h": 1}`, false},
		{`{"op": "crop", "x": -0.1, "y": 0, "w": 0.5, "h": 1}`, false},
		{`{"op": "crop", "x": 1.1, "y": 0, "w": 0.5, "h": 1}`, false},
		{`{"op": "rotate", "degrees": 270}`, true},
		{`{"op": "rotate", "degrees": 45}`, false},
		{`{"op": "rotate"}`, false},
		{`{"op": "flip", "direction": "vertical"}`, true},
		{`{"op": "flip", "direction": "both"}`, false},
		{`{"op": "adjust"}`, true},
		{`{"op": "adjust", "contrast": -1, "brightness": 1}`, true},
		{`{"op": "adjust", "saturation": 1.5}`, false},
		{`{"op": "caption", "text": "x", "position": "top", "style": "outline"}`, true},
		{`{"op": "caption", "text": "", "position": "top", "style": "outline"}`, false},
		{`{"op": "caption", "text": "x", "style": "outline"}`, false},
		{`{"op": "caption", "text": "x", "position": "top", "style": "neon"}`, false},
		{`{"op": "caption", "text": "` + strings.Repeat("é", pipeline.MaxBurnedRunes) + `", "position": "top", "style": "bar"}`, true},
		{`{"op": "caption", "text": "` + strings.Repeat("é", pipeline.MaxBurnedRunes+1) + `", "position": "top", "style": "bar"}`, false},
		{`{"op": "trim"}`, true},
		{`{"op": "trim", "start_ms": -1}`, false},
		{`{"op": "poster", "at_ms": -1}`, false},
	}
	for _, tt := range tests {
		data := change{tt.edit, `{"op": "mute"}`, tt.edit}.apply(t, example)
		if err := check(s, data); (err == nil) != tt.ok {
			t.Errorf("%s: the schema: %v, want valid %v", tt.edit, err, tt.ok)
		}
		j, err := pipeline.DecodeJob(bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", tt.edit, err)
			continue
		}
		if err := j.Items[1].ValidateEdits(); (err == nil) != tt.ok {
			t.Errorf("%s: ValidateEdits: %v, want valid %v", tt.edit, err, tt.ok)
		}
	}
}

func TestParts(t *testing.T) {
	s, example := compile(t, schema.Parts), testdata(t, "parts.json")
	if err := check(s, []byte(example)); err != nil {
		t.Fatalf("the example: %v", err)
	}
	wrong := []change{
		{"unknown field", `"job_id"`, `"url": "x", "job_id"`},
		{"status of no end", `"status": "partial"`, `"status": "processing"`},
		{"rejected without an error", `"status": "partial"`, `"status": "rejected"`},
		{"ready with an error", `"error": null,
 "created_at"`, `"error": {"code": "corrupt", "message": ""},
 "created_at"`},
		{"no error field", `"error": null,
 "created_at"`, `"created_at"`},
		{"unheard-of code", `"invalid_edit"`, `"bad_luck"`},
		{"a time that is none", "2026-01-31T12:00:00Z", "yesterday"},
		{"ready and never identified", `"kind": "photo"`, `"kind": "auto"`},
		{"edits null", `"edits": []`, `"edits": null`},
		{"a scratch path", `"class": "safe"`, `"path": "out/x", "class": "safe"`},
		{"a rendition without a key", `"key": "media/dd`, `"code": "media/dd`},
		{"an empty rendition", `"size": 214233`, `"size": 0`},
		{"a class more", `"safe"`, `"hidden"`},
		{"a short digest", strings.Repeat("a", 64), "aa"},
		{"a colour by name", "#7a8f9c", "grey"},
		{"a score above 1", `"suggestive": 0.2`, `"suggestive": 1.2`},
		{"a level more", `"level": "clear"`, `"level": "safe"`},
		{"skipped and clear", `"level": "unknown"`, `"level": "clear"`},
		{"not needed and scored", `"status": "scored"`, `"status": "not_needed"`},
		{"not needed and of a level", `"status": "skipped",
    "level": "unknown"`, `"status": "not_needed",
    "level": "clear"`},
		{"reviewed, of nothing", `"status": "skipped",
    "level": "unknown"`, `"status": "reviewed",
    "level": "clear"`},
		{"a coverage above 1", `"coverage": 0.875`, `"coverage": 1.01`},
		{"a moment below none unseen", `"unseen_ms": 400`, `"unseen_ms": -1`},
		{"half a frame unseen", `"unseen_frames": 12`, `"unseen_frames": 0.5`},
		{"evidence of no judge", `"judge": "2",`, ""},
		{"evidence that is no digest", strings.Repeat("2", 64) + `"
     ],`, `22"],`},
		{"the same evidence twice", strings.Repeat("2", 64) + `"
     ],`, strings.Repeat("1", 64) + `"],`},
		{"segments null", `"segments": [`, `"segments": null, "more": [`},
		{"an action more", `"blur_reveal"`, `"hide"`},
		{"no reason", `"reasons": [
      "clear"
     ]`, `"reasons": []`},
		{"a notice that tells", `"not_delivered"`, `"teen_filter"`},
		{"a fraction of a pixel", `"width": 2048`, `"width": 2048.5`},
	}
	taken := change{"not needed", `"status": "skipped"`, `"status": "not_needed"`}
	if err := check(s, taken.apply(t, example)); err != nil {
		t.Errorf("%s: %v", taken.name, err)
	}
	for _, c := range wrong {
		if err := check(s, c.apply(t, example)); err == nil {
			t.Errorf("%s: it was taken", c.name)
		}
	}
}

// TestRejectedPartShowsNothing: neither renditions nor a placeholder.
func TestRejectedPartShowsNothing(t *testing.T) {
	s := compile(t, schema.Parts)
	for _, shown := range []string{"renditions", "placeholder"} {
		var m map[string]any
		if err := json.Unmarshal([]byte(testdata(t, "parts.json")), &m); err != nil {
			t.Fatal(err)
		}
		parts := m["parts"].([]any)
		parts[3].(map[string]any)[shown] = parts[0].(map[string]any)[shown]
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(s, data); err == nil {
			t.Errorf("%s of a rejected part were taken", shown)
		}
	}
}

// TestUnrenderedPart: a ready part may be without renditions where its method says so, and then has none.
func TestUnrenderedPart(t *testing.T) {
	s := compile(t, schema.Parts)
	for name, c := range map[string]struct {
		method string
		drop   []string
		taken  bool
	}{
		"nothing to show":               {pipeline.MethodNone, []string{"renditions", "placeholder"}, true},
		"renditions that are not there": {pipeline.MethodNone, []string{"placeholder"}, false},
		"a placeholder":                 {pipeline.MethodNone, []string{"renditions"}, false},
		"rendered, and nothing to show": {"transcode", []string{"renditions", "placeholder"}, false},
	} {
		var m map[string]any
		if err := json.Unmarshal([]byte(testdata(t, "parts.json")), &m); err != nil {
			t.Fatal(err)
		}
		part := m["parts"].([]any)[0].(map[string]any)
		part["method"] = c.method
		for _, field := range c.drop {
			delete(part, field)
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(s, data); (err == nil) != c.taken {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestExamplesAreTyped: the examples hold nothing that the Go types lose.
func TestExamplesAreTyped(t *testing.T) {
	for name, v := range map[string]any{"job.json": &pipeline.Job{}, "parts.json": &pipeline.Manifest{}} {
		text := testdata(t, name)
		dec := json.NewDecoder(strings.NewReader(text))
		dec.DisallowUnknownFields()
		if err := dec.Decode(v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "job.json" {
			continue // optional fields that are empty are not written again
		}
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read and written again it is\n%s", name, data)
		}
	}
}

// TestRunWritesValidManifests runs the real pipeline over fakes: what it commits fits the schema, ready, partial and rejected.
func TestRunWritesValidManifests(t *testing.T) {
	s := compile(t, schema.Parts)
	policy, err := moderation.NewPolicy(moderation.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	sources, store := memstore.New(), memstore.New()
	put := func(key string, data []byte) {
		if err := sources.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), pipelinetest.Digest(data, "")); err != nil {
			t.Fatal(err)
		}
	}
	put("photo", pipelinetest.JPEG("lake"))
	put("text", []byte("Dear Sir or Madam"))
	facts := moderation.Aggregate([]moderation.Frame{{}, {AtMS: 500}}, pipeline.ScreenInput{Frames: 2, Scored: 2, Covered: 2}, moderation.Thresholds{})
	p, err := pipeline.New(pipeline.Config{
		Scratch: t.TempDir(), ItemsAtOnce: 2, Version: "test", Profile: "sha256:00", Engine: "1",
		MaxBytes: pipeline.ByteCaps{Voice: 100, Photo: 100, Video: 100},
	}, pipeline.Deps{
		Sources: sources, Store: store,
		Processors: &pipelinetest.Processors{}, Moderator: &pipelinetest.Moderator{Facts: facts}, Policy: policy,
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]struct {
		keys   []string
		status pipeline.Status
	}{
		"ready": {[]string{"photo"}, pipeline.StatusReady}, "partial": {[]string{"photo", "text", "absent"}, pipeline.StatusPartial},
		"rejected": {[]string{"text"}, pipeline.StatusRejected}, "invalid": {nil, pipeline.StatusRejected},
	} {
		job := pipeline.Job{
			Schema: pipeline.JobSchema, JobID: id, MessageID: "m", Conversation: pipeline.Conversation{ID: "c", Kind: pipeline.Direct},
			Sender:     pipeline.Sender{ID: "s", AgeBand: pipeline.Adult},
			Recipients: []pipeline.Recipient{{ID: "r", AgeBand: pipeline.Teen, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff}},
		}
		for i, key := range want.keys {
			job.Items = append(job.Items, pipeline.Item{ID: fmt.Sprint("i", i), Kind: pipeline.KindAuto, Source: pipeline.Source{Key: key}})
		}
		m, err := p.Run(t.Context(), job, pipeline.RunOptions{})
		if err != nil || m.Status != want.status {
			t.Errorf("%s: %s %v", id, m.Status, err)
			continue
		}
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(s, data); err != nil {
			t.Errorf("%s: %v\n%s", id, err, data)
		}
	}
}
