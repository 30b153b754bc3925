package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// audits reads every audit object of the rig's store.
func (r *rig) audits(t *testing.T) (keys []string, decisions []pipeline.AuditedDecision, facts []*pipeline.Facts, text string) {
	t.Helper()
	err := r.store.List(t.Context(), pipeline.AuditPrefix, func(o pipeline.Object) error {
		keys = append(keys, o.Key)
		body, _, err := r.store.Get(t.Context(), o.Key)
		if err != nil {
			return err
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return err
		}
		text += string(data)
		return pipeline.ReadAudit(bytes.NewReader(data), func(d pipeline.AuditedDecision, f *pipeline.Facts) error {
			decisions, facts = append(decisions, d), append(facts, f)
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, decisions, facts, text
}

// TestAudit: a record for each decision, with bands, row, facts and policy, and without anybody's id.
func TestAudit(t *testing.T) {
	r := newRig(t)
	r.mod.Facts = level(pipeline.LevelExplicit)
	r.upload(t, "a", "one")
	r.upload(t, "bad", "refuse corrupt")
	j := job("j1", "a", "bad")
	j.Sender.ID, j.Conversation.Kind = "sender-person", pipeline.Group
	fresh := recipient("fresh-person", pipeline.Adult)
	fresh.Contact = pipeline.ContactNew
	j.Recipients = []pipeline.Recipient{recipient("teen-person", pipeline.Teen), recipient("adult-person", pipeline.Adult), fresh}
	m := r.run(t, j, pipeline.RunOptions{})
	keys, decisions, facts, text := r.audits(t)
	if len(keys) != 1 || keys[0] != m.Pipeline.Audit || !strings.HasPrefix(keys[0], "audit/2026/01/02/j1.") {
		t.Fatalf("objects %q, the manifest names %q", keys, m.Pipeline.Audit)
	}
	want := []string{"i1 6 withhold 16_17", "i1 10 deliver adult", "i1 4 reject adult", "i2 4 reject adult"}
	if len(decisions) != len(want) {
		t.Fatalf("%d decisions in %s", len(decisions), text)
	}
	for i, d := range decisions {
		if got := fmt.Sprintf("%s %d %s %s", d.ItemID, d.Row, d.Action, d.RecipientAge); got != want[i] {
			t.Errorf("decision %d: %s, want %s", i, got, want[i])
		}
		if d.Policy != r.Policy.Ref() || d.Audience != pipeline.AudienceFromJob || !d.At.Equal(m.FinishedAt) || d.JobID != "j1" || len(d.Reasons) == 0 {
			t.Errorf("%+v", d)
		}
		if d.ItemID == "i1" && (facts[i] == nil || facts[i].Level != pipeline.LevelExplicit) {
			t.Errorf("decision %d rests on %+v", i, facts[i])
		}
	}
	if strings.Contains(text, "-person") {
		t.Errorf("an id stands in %s", text)
	}
	if decisions[0].Sender == decisions[0].Recipient || decisions[0].Recipient == decisions[1].Recipient {
		t.Error("two people have one hash")
	}
}

// TestAuditKey: with one key a person has one hash, everywhere; with another, another.
func TestAuditKey(t *testing.T) {
	hash := func(key byte) string {
		r := newRig(t)
		deps := r.Deps
		if key != 0 {
			deps.AuditKey = bytes.Repeat([]byte{key}, pipeline.MinAuditKey)
		}
		p, err := pipeline.New(pipeline.Config{
			Scratch: r.scratch, ItemsAtOnce: 1, Version: "test", MaxBytes: pipeline.ByteCaps{Voice: 100, Photo: 100, Video: 100},
		}, deps)
		if err != nil {
			t.Fatal(err)
		}
		r.Pipeline = p
		r.upload(t, "a", "one")
		r.run(t, job("j1", "a"), pipeline.RunOptions{})
		_, decisions, _, _ := r.audits(t)
		return decisions[0].Key + decisions[0].Recipient
	}
	first, again, other := hash('a'), hash('a'), hash('b')
	random, another := hash(0), hash(0)
	if first != again || first == other || random == another {
		t.Error("hashes do not go by the key")
	}
	r := newRig(t)
	r.Deps.AuditKey = []byte("short")
	if _, err := pipeline.New(pipeline.Config{Scratch: "x", ItemsAtOnce: 1, MaxBytes: pipeline.ByteCaps{Voice: 1, Photo: 1, Video: 1}}, r.Deps); err == nil {
		t.Error("a key of 5 bytes was taken")
	}
}

func TestAuditOfRefusals(t *testing.T) {
	tests := []struct {
		name   string
		change func(*rig, *pipeline.Job)
		want   string // row and action of the one decision; "" = nobody decided about anybody
	}{
		{"blocked", func(_ *rig, j *pipeline.Job) { j.Recipients[0].Contact = pipeline.ContactBlocked }, " 3 reject"},
		{"nudity from 16_17", func(r *rig, j *pipeline.Job) {
			r.mod.Facts, j.Sender.AgeBand = level(pipeline.LevelExplicit), pipeline.Teen
		}, "i1 5 reject"},
		{"a corrupt file", func(_ *rig, j *pipeline.Job) { j.Items[0].Source.Key = "bad" }, ""},
		{"an invalid job", func(_ *rig, j *pipeline.Job) { j.Items = nil }, ""},
		{"blocked since", func(r *rig, j *pipeline.Job) {
			now := pipeline.Audience{Sender: j.Sender, Recipients: []pipeline.Recipient{recipient("r1", pipeline.Under16)}}
			r.Deps.Audience = fixedAudience(now)
		}, " 2 reject"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, j := newRig(t), job("j1", "a")
			r.upload(t, "a", "one")
			r.upload(t, "bad", "refuse corrupt")
			tt.change(r, &j)
			m := r.run(t, j, pipeline.RunOptions{})
			_, decisions, _, text := r.audits(t)
			if tt.want == "" {
				if len(decisions) > 0 || m.Pipeline.Audit != "" {
					t.Errorf("recorded %s, named %q", text, m.Pipeline.Audit)
				}
				return
			}
			if len(decisions) != 1 || fmt.Sprintf("%s %d %s", decisions[0].ItemID, decisions[0].Row, decisions[0].Action) != tt.want {
				t.Errorf("recorded %s, want %q", text, tt.want)
			}
		})
	}
}

// TestAuditComesFirst: a manifest is never committed without its records; an attempt that was repeated leaves records that no manifest names.
func TestAuditComesFirst(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "one")
	down := &failing{Store: r.store, only: "manifests/"}
	down.off.Store(true)
	r.Deps.Store = down
	if _, err := r.Run(t.Context(), job("j1", "a"), pipeline.RunOptions{}); !pipeline.Retryable(err) {
		t.Fatalf("error %v", err)
	}
	if keys, _, _, _ := r.audits(t); len(keys) != 1 {
		t.Fatalf("records of an attempt that failed at its commit: %q", keys)
	}
	down.off.Store(false)
	r.now = r.now.Add(time.Minute)
	m := r.run(t, job("j1", "a"), pipeline.RunOptions{})
	keys, _, _, _ := r.audits(t)
	if len(keys) != 2 || !strings.Contains(strings.Join(keys, " "), m.Pipeline.Audit) {
		t.Errorf("records %q, the manifest names %q", keys, m.Pipeline.Audit)
	}
	r.run(t, job("j1", "a"), pipeline.RunOptions{})
	if again, _, _, _ := r.audits(t); len(again) != 2 {
		t.Errorf("a job that was done already left more records: %q", again)
	}
	down.only = pipeline.AuditPrefix
	down.off.Store(true)
	if _, err := r.Run(t.Context(), job("j2", "a"), pipeline.RunOptions{Final: true}); err == nil {
		t.Error("a manifest was committed without its records")
	}
	if _, err := r.store.Stat(t.Context(), pipeline.ManifestKey("j2")); !errors.Is(err, pipeline.ErrNotExist) {
		t.Errorf("the manifest is there: %v", err)
	}
}

func TestReadAuditRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON":                  "{",
		"another schema":           `{"schema":"x","type":"decision"}`,
		"another type":             `{"schema":"ninefold.audit/1","type":"x"}`,
		"facts that are not there": `{"schema":"ninefold.audit/1","type":"decision","facts":"sha256:00"}`,
		"a line too long":          `{"schema":"` + strings.Repeat("x", 1<<20) + `"}`,
		"facts without end":        strings.Repeat(`{"schema":"ninefold.audit/1","type":"facts","digest":"0"}`+"\n", 1) + manyFacts(12),
	} {
		if err := pipeline.ReadAudit(strings.NewReader(text), func(pipeline.AuditedDecision, *pipeline.Facts) error { return nil }); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}

func manyFacts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"schema\":\"ninefold.audit/1\",\"type\":\"facts\",\"digest\":\"%d\"}\n", i+1)
	}
	return b.String()
}

// TestTwoWorkersOneAudit: of two workers on one job, each with a clock of its own, the committed manifest names records that are there and
// are about what it says.
func TestTwoWorkersOneAudit(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "one")
	j := job("j1", "a")
	j.Recipients[0].AgeBand = pipeline.Teen
	var workers sync.WaitGroup
	for i := range 8 {
		deps := r.Deps
		deps.Now = func() time.Time { return r.now.Add(time.Duration(i) * time.Second) }
		p, err := pipeline.New(pipeline.Config{
			Scratch: r.scratch, ItemsAtOnce: 1, Version: "test", MaxBytes: pipeline.ByteCaps{Voice: 100, Photo: 100, Video: 100},
		}, deps)
		if err != nil {
			t.Fatal(err)
		}
		workers.Go(func() {
			if _, err := p.Run(t.Context(), j, pipeline.RunOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	workers.Wait()
	m := r.run(t, j, pipeline.RunOptions{})
	body, _, err := r.store.Get(t.Context(), m.Pipeline.Audit)
	if err != nil {
		t.Fatal(err)
	}
	decisions := 0
	err = pipeline.ReadAudit(body, func(d pipeline.AuditedDecision, _ *pipeline.Facts) error {
		decisions++
		if !d.At.Equal(m.FinishedAt) || d.Action != m.Deliveries[0].Parts[0].Action {
			t.Errorf("recorded %+v, committed at %s", d, m.FinishedAt)
		}
		return nil
	})
	if err != nil || decisions != 1 {
		t.Errorf("%d decisions, %v", decisions, err)
	}
}
