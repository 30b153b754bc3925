package pipeline_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
)

// fullManifest is the schema's example: photos, a video and a voice note with everything that a part can carry.
func fullManifest(t *testing.T) pipeline.Manifest {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("schema", "testdata", "parts.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m pipeline.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		if p.Status != pipeline.StatusReady {
			continue
		}
		p.Alt, p.Source = "words that describe it", &pipeline.SourceFacts{SHA256: strings.Repeat("9", 64), Size: 987654321, MIME: "image/x-source"}
		p.Width, p.Height, p.DurationMS, p.Presentation = 1234, 4321, 98765, "gif"
		p.Placeholder = &pipeline.Placeholder{Blurhash: "LEHV6nWB2yk8", Thumbhash: "3OcRJYB4d3h", Color: "#7a8f9c"}
		for k := range p.Renditions {
			if r := &p.Renditions[k]; r.Class == pipeline.ClassFull {
				r.Size = int64(888880 + 10*i + k) // a size that is nobody else's
			}
		}
		p.Renditions = append(p.Renditions,
			pipeline.Rendition{Name: "poster", Class: pipeline.ClassFull, Key: "media/99/poster.jpg", MIME: "image/jpeg", Size: 77771, SHA256: strings.Repeat("8", 64), Width: 1234, Height: 4321},
			pipeline.Rendition{Name: "blurred", Class: pipeline.ClassSafe, Key: "media/00/safe.jpg", MIME: "image/jpeg", Size: 10, SHA256: strings.Repeat("5", 64), Width: 32, Height: 24})
	}
	return m
}

// tells lists every text that would show or describe p, its own or its original's.
func tells(p pipeline.Part) []string {
	out := []string{p.Alt, p.Placeholder.Blurhash, p.Placeholder.Thumbhash, p.Placeholder.Color, p.Source.SHA256, p.Source.MIME, "1234", "4321", "98765", "987654321", `"gif"`}
	for _, r := range p.Renditions {
		if r.Class != pipeline.ClassSafe {
			out = append(out, r.Key, r.SHA256, fmt.Sprint(r.Size), `"name":"`+r.Name+`"`)
		}
	}
	if p.Waveform != nil {
		out = append(out, p.Waveform.Data)
	}
	return out
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// viewOf gives one recipient the action for every part and returns the bytes of the view.
func viewOf(t *testing.T, m pipeline.Manifest, action pipeline.Action) string {
	t.Helper()
	m.Deliveries = []pipeline.Delivery{{RecipientID: "other-person"}, {RecipientID: "me"}}
	for _, p := range m.Parts {
		m.Deliveries[0].Parts = append(m.Deliveries[0].Parts, pipeline.PartDelivery{ItemID: p.ItemID, Action: pipeline.Deliver, Reasons: []string{"others_reason"}})
		m.Deliveries[1].Parts = append(m.Deliveries[1].Parts, pipeline.PartDelivery{ItemID: p.ItemID, Action: action, Reasons: []string{"my_reason"}})
	}
	m.SenderNotices = []pipeline.Notice{{Code: pipeline.NoticeNotDelivered, ItemID: m.Parts[0].ItemID}}
	v, err := pipeline.ViewFor(m, "me")
	if err != nil {
		t.Fatal(err)
	}
	return marshal(t, v)
}

// TestNothingLeaks: what is blurred or withheld leaves no trace of a full rendition, poster, placeholder, size or description in the
// bytes; scores, notices and other people are in no view at all.
func TestNothingLeaks(t *testing.T) {
	m := fullManifest(t)
	for _, action := range []pipeline.Action{pipeline.Deliver, pipeline.BlurReveal, pipeline.Blur, pipeline.Withhold, pipeline.Reject, "", "show"} {
		view := viewOf(t, m, action)
		for _, secret := range []string{"other-person", "others_reason", "moderation", "scores", "level", "not_delivered", "987654321", strings.Repeat("9", 64), "profile", m.JobID} {
			if strings.Contains(view, secret) {
				t.Errorf("%s: %q stands in %s", action, secret, view)
			}
		}
		shows := action == pipeline.Deliver || action == pipeline.BlurReveal
		if got, want := strings.Contains(view, strings.Repeat("5", 64)), shows || action == pipeline.Blur; got != want {
			t.Errorf("%s: the safe rendition is there: %v, want %v", action, got, want)
		}
		for _, p := range m.Parts {
			if p.Status != pipeline.StatusReady {
				continue
			}
			for _, text := range tells(p) {
				switch there := strings.Contains(view, text); {
				case there && !shows:
					t.Errorf("%s: %q of %s stands in %s", action, text, p.ItemID, view)
				case !there && shows && strings.HasPrefix(text, "media/"):
					t.Errorf("%s: %q of %s is missing", action, text, p.ItemID)
				}
			}
		}
		if rejected := action.Severity() == pipeline.Reject.Severity(); rejected && view != "null" {
			t.Errorf("%q: %s, want nothing at all", action, view)
		}
	}
}

func TestViewFor(t *testing.T) {
	m := fullManifest(t)
	if _, err := pipeline.ViewFor(m, "nobody"); !errors.Is(err, pipeline.ErrNoRecipient) {
		t.Errorf("error %v", err)
	}
	before := marshal(t, m)
	v, err := pipeline.ViewFor(m, m.Deliveries[0].RecipientID)
	if err != nil || v == nil {
		t.Fatal(v, err)
	}
	for _, p := range v.Parts {
		if p.Action == pipeline.Reject {
			t.Errorf("%s was rejected and is in the view", p.ItemID)
		}
	}
	m.Deliveries[0].Parts = m.Deliveries[0].Parts[:1] // a decision that is missing shows nothing
	if v, err = pipeline.ViewFor(m, m.Deliveries[0].RecipientID); err != nil || len(v.Parts) > 1 {
		t.Errorf("%+v %v: a part nobody decided upon is shown", v, err)
	}
	if again := fullManifest(t); marshal(t, again) != before {
		t.Error("the view changed the manifest")
	}
	m.Status, m.Error = pipeline.StatusRejected, &pipeline.Failure{Code: pipeline.CodeNotDeliverable}
	if v, err := pipeline.ViewFor(m, "anybody"); v != nil || err != nil {
		t.Errorf("a rejected message is shown as %+v, %v", v, err)
	}
}

// undelivered are the ways in which a message with one photo does not reach its one recipient as it is.
func undelivered() map[string]func(*rig, *pipeline.Job, *moderation.Config) {
	scored := func(l pipeline.Level, change func(*pipeline.Recipient)) func(*rig, *pipeline.Job, *moderation.Config) {
		return func(r *rig, j *pipeline.Job, _ *moderation.Config) {
			r.mod.Facts = level(l)
			change(&j.Recipients[0])
		}
	}
	age := func(a pipeline.AgeBand) func(*pipeline.Recipient) {
		return func(r *pipeline.Recipient) { r.AgeBand = a }
	}
	filter := func(f pipeline.NudityFilter) func(*pipeline.Recipient) {
		return func(r *pipeline.Recipient) { r.NudityFilter = f }
	}
	contact := func(c pipeline.Contact) func(*pipeline.Recipient) {
		return func(r *pipeline.Recipient) { r.Contact = c }
	}
	blind := func(change func(*pipeline.Recipient)) func(*rig, *pipeline.Job, *moderation.Config) {
		return func(r *rig, j *pipeline.Job, _ *moderation.Config) {
			r.mod.Facts, r.mod.Err = pipeline.Facts{Status: pipeline.Unavailable, Level: pipeline.LevelUnknown}, errors.New("no classifier")
			change(&j.Recipients[0])
		}
	}
	return map[string]func(*rig, *pipeline.Job, *moderation.Config){
		"withheld from 16_17":              scored(pipeline.LevelExplicit, age(pipeline.Teen)),
		"withheld from an unknown age":     scored(pipeline.LevelExplicit, age(pipeline.AgeUnknown)),
		"drawn, blurred for 16_17":         scored(pipeline.LevelDrawn, age(pipeline.Teen)),
		"hidden by an adult":               scored(pipeline.LevelExplicit, filter(pipeline.FilterHide)),
		"drawn, hidden by an adult":        scored(pipeline.LevelDrawn, filter(pipeline.FilterHide)),
		"blocked":                          scored(pipeline.LevelClear, contact(pipeline.ContactBlocked)),
		"first contact":                    scored(pipeline.LevelClear, contact(pipeline.ContactNew)),
		"under 16":                         scored(pipeline.LevelClear, age(pipeline.Under16)),
		"no scores for 16_17":              blind(age(pipeline.Teen)),
		"no scores for an adult who blurs": blind(filter(pipeline.FilterBlur)),
		"no scores for an adult who hides": blind(filter(pipeline.FilterHide)),
		"blurred for 16_17 by setting": func(r *rig, j *pipeline.Job, c *moderation.Config) {
			scored(pipeline.LevelExplicit, age(pipeline.Teen))(r, j, c)
			c.TeenExplicit = pipeline.Blur
		},
		"blocked since": func(r *rig, j *pipeline.Job, _ *moderation.Config) {
			now := pipeline.Audience{Sender: j.Sender, Recipients: []pipeline.Recipient{j.Recipients[0]}}
			now.Recipients[0].Contact = pipeline.ContactBlocked
			r.Deps.Audience = fixedAudience(now)
		},
	}
}

// TestSenderViewsAreAlike: the sender reads the same bytes whatever kept the photo from its recipient, and no wait gives it away.
func TestSenderViewsAreAlike(t *testing.T) {
	want := `{"schema":"ninefold.sender/1","message_id":"m1","conversation_id":"c1","items":[{"item_id":"i1","status":"not_delivered","error":null}],"error":null}`
	for name, arrange := range undelivered() {
		t.Run(name, func(t *testing.T) {
			r, j, config := newRig(t), job("j1", "a"), moderation.DefaultConfig()
			r.upload(t, "a", "one")
			arrange(r, &j, &config)
			policy, err := moderation.NewPolicy(config)
			if err != nil {
				t.Fatal(err)
			}
			r.Deps.Policy = policy
			_, err = r.Run(t.Context(), j, pipeline.RunOptions{})
			if waits := err != nil; waits != (r.mod.Err != nil) {
				t.Errorf("the first attempt: %v; all wait for scores alike, and for nothing else", err)
			}
			m := r.run(t, j, pipeline.RunOptions{Final: true})
			if got := marshal(t, pipeline.ViewForSender(m)); got != want {
				t.Errorf("the sender reads\n%s, want\n%s", got, want)
			}
			if got := marshal(t, m.SenderNotices); got != `[{"code":"not_delivered","item_id":"i1"}]` {
				t.Errorf("notices %s", got)
			}
		})
	}
}

// TestSenderViewSaysWhatToMend: what is wrong with a file is told, and delivered is told from not delivered.
func TestSenderViewSaysWhatToMend(t *testing.T) {
	r := newRig(t)
	r.upload(t, "good", "fine")
	r.upload(t, "bad", "refuse too_long")
	m := r.run(t, job("j1", "good", "bad"), pipeline.RunOptions{})
	got := marshal(t, pipeline.ViewForSender(m).Items)
	want := `[{"item_id":"i1","status":"delivered","error":null},{"item_id":"i2","status":"rejected","error":{"code":"too_long","message":"the test refuses it"}}]`
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	invalid := r.run(t, pipeline.Job{JobID: "j2", MessageID: "m2"}, pipeline.RunOptions{Refusal: pipeline.Refuse(pipeline.CodeInvalidJob, "no job")})
	if v := pipeline.ViewForSender(invalid); v.Error == nil || v.Error.Code != pipeline.CodeInvalidJob || len(v.Items) != 0 {
		t.Errorf("%+v", v)
	}
	young := job("j3", "good")
	young.Sender.AgeBand = pipeline.Under16
	if v := pipeline.ViewForSender(r.run(t, young, pipeline.RunOptions{})); v.Error != nil || v.Items[0].Status != pipeline.ItemNotDelivered {
		t.Errorf("a sender's own age is told: %+v", v)
	}
}
