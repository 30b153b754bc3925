package pipeline_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ninefold/ninefold/pipeline"
)

// designJob is the example of the design, its ids written out.
const designJob = `{
  "schema": "ninefold.job/1", "job_id": "01JD0000000000000000000000", "message_id": "m_1",
  "conversation": {"id": "c_1", "kind": "direct"},
  "sender": {"id": "u_1", "age_band": "adult"},
  "recipients": [{"id": "u_2", "age_band": "16_17", "contact": "accepted", "nudity_filter": "off"}],
  "caption": "two from the lake",
  "items": [
    {"id": "i1", "kind": "photo", "source": {"key": "uploads/i1"}, "caption": "", "alt": "two kayaks on a lake",
     "edits": [{"op": "crop", "x": 0.1, "y": 0, "w": 0.8, "h": 1}, {"op": "rotate", "degrees": 90},
               {"op": "caption", "text": "lake day 🛶", "position": "bottom", "style": "bar"}]},
    {"id": "i2", "kind": "auto", "source": {"key": "uploads/i2"},
     "edits": [{"op": "trim", "start_ms": 0, "end_ms": 15000}, {"op": "mute"}, {"op": "poster", "at_ms": 1200}]}
  ]
}`

func decode(s string) (pipeline.Job, error) { return pipeline.DecodeJob(strings.NewReader(s)) }

// coded is err's code, "" where there is no error.
func coded(err error) pipeline.Code {
	if err == nil {
		return ""
	}
	return pipeline.AsError(err).Code
}

func TestDecodeJob(t *testing.T) {
	j, err := decode(designJob)
	if err != nil {
		t.Fatal(err)
	}
	want := []pipeline.Edit{
		{Op: pipeline.OpCrop, X: 0.1, W: 0.8, H: 1},
		{Op: pipeline.OpRotate, Degrees: 90},
		{Op: pipeline.OpCaption, Text: "lake day 🛶", Position: pipeline.CaptionBottom, Style: pipeline.CaptionBar},
	}
	if !reflect.DeepEqual(j.Items[0].Edits, want) {
		t.Errorf("edits %+v, want %+v", j.Items[0].Edits, want)
	}
	if j.Recipients[0] != (pipeline.Recipient{ID: "u_2", AgeBand: pipeline.Teen, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff}) {
		t.Errorf("recipient %+v", j.Recipients[0])
	}
	data, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	again, err := pipeline.DecodeJob(bytes.NewReader(data))
	if err != nil || !reflect.DeepEqual(again, j) {
		t.Errorf("the job changed on its way out and in: %v\n%s", err, data)
	}
}

// TestDecodeJobRefuses: each case changes the design's job in one place; the message must name what to change.
func TestDecodeJobRefuses(t *testing.T) {
	repeat := func(n int, f func(i int) string) string {
		out := make([]string, n)
		for i := range out {
			out[i] = f(i)
		}
		return strings.Join(out, ",")
	}
	items := func(kinds ...string) string {
		return `"items": [` + repeat(len(kinds), func(i int) string {
			return fmt.Sprintf(`{"id": "i%d", "kind": "%s", "source": {"key": "k"}}`, i, kinds[i])
		}) + "]}"
	}
	recipients := func(n int) string {
		return `"recipients": [` + repeat(n, func(i int) string {
			return fmt.Sprintf(`{"id": "u%d", "age_band": "adult", "contact": "new", "nudity_filter": "off"}`, i)
		}) + "]"
	}
	oneRecipient := designJob[strings.Index(designJob, `"recipients"`):strings.Index(designJob, ",\n  \"caption\"")]
	tail := designJob[strings.Index(designJob, `"items"`):]
	visual := func(n int) []string { return strings.Fields(strings.Repeat("photo ", n)) }
	tests := []struct {
		name, old, new string
		code           pipeline.Code
		names          string
	}{
		{"unknown field", `"job_id"`, `"jobid": 1, "job_id"`, pipeline.CodeInvalidJob, "jobid"},
		{"unknown field, nested", `"age_band": "adult"`, `"age": 3, "age_band": "adult"`, pipeline.CodeInvalidJob, `"age"`},
		{"field in other letters", `"job_id"`, `"Job_ID"`, pipeline.CodeInvalidJob, "Job_ID"},
		{"field folded by Unicode", `"message_id"`, `"meſſage_id"`, pipeline.CodeInvalidJob, "unknown field"},
		{"field twice", `"job_id"`, `"job_id": "x", "job_id"`, pipeline.CodeInvalidJob, `"job_id" stands twice`},
		{"field twice in an edit", `"degrees": 90`, `"degrees": 90, "degrees": 180`, pipeline.CodeInvalidJob, `"degrees" stands twice`},
		{"wrong schema", "ninefold.job/1", "ninefold.job/2", pipeline.CodeInvalidJob, "schema"},
		{"no job id", "01JD0000000000000000000000", "", pipeline.CodeInvalidJob, "job_id"},
		{"job id that climbs", "01JD0000000000000000000000", "../x", pipeline.CodeInvalidJob, "job_id"},
		{"job id of 129", "01JD0000000000000000000000", strings.Repeat("a", 129), pipeline.CodeInvalidJob, "job_id"},
		{"message id with a newline", "m_1", `m\n1`, pipeline.CodeInvalidJob, "message_id"},
		{"conversation id", `"c_1"`, `" "`, pipeline.CodeInvalidJob, "conversation.id"},
		{"conversation kind", `"direct"`, `"channel"`, pipeline.CodeInvalidJob, "conversation.kind"},
		{"sender id", `"u_1"`, `"-1"`, pipeline.CodeInvalidJob, "sender.id"},
		{"sender age", `"age_band": "adult"`, `"age_band": "18"`, pipeline.CodeInvalidJob, "sender.age_band"},
		{"recipient age", `"16_17"`, `"16"`, pipeline.CodeInvalidJob, "recipients[0].age_band"},
		{"recipient contact", `"accepted"`, `"friend"`, pipeline.CodeInvalidJob, "recipients[0].contact"},
		{"recipient filter", `"off"`, `"on"`, pipeline.CodeInvalidJob, "recipients[0].nudity_filter"},
		{"recipient filter absent", `, "nudity_filter": "off"`, ``, pipeline.CodeInvalidJob, "recipients[0].nudity_filter"},
		{"no recipients", oneRecipient, `"recipients": []`, pipeline.CodeInvalidJob, "recipients"},
		{"two in a direct conversation", oneRecipient, recipients(2), pipeline.CodeInvalidJob, `"group"`},
		{"caption too long", "two from the lake", strings.Repeat("é", pipeline.MaxCaptionRunes+1), pipeline.CodeInvalidJob, "caption: at most 4000"},
		{"alt too long", "two kayaks on a lake", strings.Repeat("a", pipeline.MaxAltRunes+1), pipeline.CodeInvalidJob, "items[0].alt"},
		{"item kind", `"kind": "auto"`, `"kind": "film"`, pipeline.CodeInvalidJob, "items[1].kind"},
		{"item id twice", `"i2"`, `"i1"`, pipeline.CodeInvalidJob, "items[1].id"},
		{"key that climbs", "uploads/i2", "uploads/../../etc/passwd", pipeline.CodeInvalidJob, "items[1].source.key"},
		{"no items", tail, items(), pipeline.CodeInvalidJob, "items"},
		{"ten photos", tail, items(visual(10)...), pipeline.CodeTooManyItems, "items"},
		{"two voice notes", tail, items("voice", "voice"), pipeline.CodeTooManyItems, "items"},
		{"eleven of any kind", tail, items(append(visual(9), "voice", "auto")...), pipeline.CodeTooManyItems, "items"},
		{"caption with NUL", "two from the lake", `two\u0000`, pipeline.CodeInvalidJob, "caption: holds a NUL"},
		{"expires_at no time", `"caption": "two`, `"expires_at": "tomorrow", "caption": "two`, pipeline.CodeInvalidJob, "expires_at"},
		{"expires_at a number", `"caption": "two`, `"expires_at": 17, "caption": "two`, pipeline.CodeInvalidJob, "expires_at"},
		{"a number for a string", `"m_1"`, `7`, pipeline.CodeInvalidJob, "message_id"},
		{"an object for a list", `"recipients": [`, `"recipients": {`, pipeline.CodeInvalidJob, "not JSON"},
		{"a string for a number", `"degrees": 90`, `"degrees": "90"`, pipeline.CodeInvalidJob, "degrees"},
		{"a fraction for an integer", `"degrees": 90`, `"degrees": 90.5`, pipeline.CodeInvalidJob, "degrees"},
		{"a field of another edit", `"degrees": 90`, `"degrees": 90, "x": 0`, pipeline.CodeInvalidJob, `"x"`},
		{"an edit's field in other letters", `"degrees": 90`, `"Degrees": 90`, pipeline.CodeInvalidJob, "Degrees"},
		{"null in an edit", `"degrees": 90`, `"degrees": null`, pipeline.CodeInvalidJob, "degrees is null"},
		{"an edit that is null", `{"op": "mute"}`, `null`, pipeline.CodeInvalidJob, "edits"},
		{"an edit that is a string", `{"op": "mute"}`, `"mute"`, pipeline.CodeInvalidJob, "edits"},
		{"unknown edit", `"mute"`, `"sharpen"`, pipeline.CodeInvalidEdit, "sharpen"},
		{"not UTF-8", "two from the lake", "two \xff", pipeline.CodeInvalidJob, "UTF-8"},
		{"cut short", tail, `"items": [`, pipeline.CodeInvalidJob, "too early"},
		{"nothing", designJob, "", pipeline.CodeInvalidJob, "too early"},
		{"a list", designJob, "[]", pipeline.CodeInvalidJob, "want a JSON object"},
		{"null", designJob, "null", pipeline.CodeInvalidJob, "schema"},
		{"a second job", designJob, designJob + designJob, pipeline.CodeInvalidJob, "one JSON document"},
		{"rubbish behind", designJob, designJob + "}", pipeline.CodeInvalidJob, "one JSON document"},
		{"too deep", `"alt": "two kayaks on a lake"`, `"alt": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000), pipeline.CodeInvalidJob, "too deeply"},
		{"deep and open", designJob, strings.Repeat(`{"a":`, 100_000), pipeline.CodeInvalidJob, "too deeply"},
		{"too large", "two from the lake", strings.Repeat("a", pipeline.MaxJobBytes), pipeline.CodeInvalidJob, "larger than 1048576 bytes"},
		{"a long unknown field", `"job_id"`, `"` + strings.Repeat("a", 500_000) + `": 1, "job_id"`, pipeline.CodeInvalidJob, "unknown field"},
		{"a long number", `"degrees": 90`, `"degrees": 9` + strings.Repeat("0", 500_000), pipeline.CodeInvalidJob, "degrees"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(designJob, tt.old) {
				t.Fatalf("the design's job has no %q", tt.old)
			}
			_, err := decode(strings.Replace(designJob, tt.old, tt.new, 1))
			if coded(err) != tt.code {
				t.Fatalf("got %v, want code %s", err, tt.code)
			}
			message := pipeline.AsError(err).Message
			if !strings.Contains(message, tt.names) || len(message) > 300 || !utf8.ValidString(message) || strings.Contains(message, "Go ") {
				t.Errorf("message %q: want it short, naming %q", message, tt.names)
			}
		})
	}
}

// TestDecodeJobTakes: the limits themselves are allowed, and so is what the message-level checks leave to the items.
func TestDecodeJobTakes(t *testing.T) {
	tests := []struct{ name, old, new string }{
		{"caption at its limit", "two from the lake", strings.Repeat("é", pipeline.MaxCaptionRunes)},
		{"alt at its limit", "two kayaks on a lake", strings.Repeat("a", pipeline.MaxAltRunes)},
		{"id at its limit", "01JD0000000000000000000000", strings.Repeat("a", 128)},
		{"expires_at", `"caption": "two`, `"expires_at": "2030-01-01T00:00:00Z", "caption": "two`},
		{"optional fields null", `"caption": "two from the lake"`, `"expires_at": null, "caption": null`},
		{"a crop outside the picture costs its item only", `"x": 0.1`, `"x": 0.9`},
		{"space around", designJob, "\n\t " + designJob + " \n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := decode(strings.Replace(designJob, tt.old, tt.new, 1)); err != nil {
				t.Error(err)
			}
		})
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

func TestDecodeJobUnreadable(t *testing.T) {
	if _, err := pipeline.DecodeJob(failingReader{}); !pipeline.Retryable(err) {
		t.Errorf("%v is not tried again, though the job was never read", err)
	}
}

func TestJobLimits(t *testing.T) {
	j, err := decode(designJob)
	if err != nil {
		t.Fatal(err)
	}
	group := func(n int) pipeline.Job {
		g := j
		g.Conversation.Kind = pipeline.Group
		g.Recipients = nil
		for i := range n {
			r := j.Recipients[0]
			r.ID = fmt.Sprint("u", i)
			g.Recipients = append(g.Recipients, r)
		}
		return g
	}
	if err := group(pipeline.MaxRecipients).Validate(); err != nil {
		t.Error(err)
	}
	if err := group(pipeline.MaxRecipients + 1).Validate(); coded(err) != pipeline.CodeInvalidJob {
		t.Errorf("%d recipients: %v", pipeline.MaxRecipients+1, err)
	}
	twice := group(2)
	twice.Recipients[1].ID = twice.Recipients[0].ID
	if err := twice.Validate(); err == nil || !strings.Contains(err.Error(), "recipients[1].id") {
		t.Errorf("the same recipient twice: %v", err)
	}
	full := j
	full.Items = nil
	for i, kind := range []pipeline.Kind{"photo", "photo", "photo", "photo", "photo", "video", "video", "video", "video", "voice"} {
		full.Items = append(full.Items, pipeline.Item{ID: fmt.Sprint("i", i), Kind: kind, Source: pipeline.Source{Key: "k"}})
	}
	if err := full.Validate(); err != nil {
		t.Errorf("nine and a voice note: %v", err)
	}
}

func TestValidateKey(t *testing.T) {
	for _, key := range []string{"a", "uploads/i1", "media/ab/abcd.jpg", "a b/c", "...", "a..b/c", ".hidden/x", "-x", "x=y@z", strings.Repeat("k", pipeline.MaxKeyBytes)} {
		if err := pipeline.ValidateKey(key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	}
	for _, key := range []string{
		"", "/", "/etc/passwd", "a/", "a//b", ".", "..", "./a", "a/.", "../a", "a/..", "a/../b", "a/./b", `a\b`, `..\a`, "a\x00b", "a\nb", "a\n",
		"http://x", "s3:x", "a?b", "a%2e%2e/b", "a#b", "ä", "a\xff", strings.Repeat("k", pipeline.MaxKeyBytes+1),
	} {
		if err := pipeline.ValidateKey(key); err == nil {
			t.Errorf("%q was taken", key)
		}
	}
}

// FuzzDecodeJob: no input makes it panic, every refusal has a result's code, and what is taken survives a round trip.
func FuzzDecodeJob(f *testing.F) {
	f.Add([]byte(designJob))
	f.Add([]byte(`{"schema":"ninefold.job/1"}`))
	f.Add([]byte(`{"items":[{"edits":[{"op":"crop","w":1e999}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		j, err := pipeline.DecodeJob(bytes.NewReader(data))
		if err != nil {
			if pipeline.AsError(err).Code.Trouble() || len(pipeline.AsError(err).Message) > 400 {
				t.Fatalf("%v", err)
			}
			return
		}
		out, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		again, err := pipeline.DecodeJob(bytes.NewReader(out))
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if back, _ := json.Marshal(again); !bytes.Equal(back, out) {
			t.Fatalf("%s\nbecame\n%s", out, back)
		}
	})
}
