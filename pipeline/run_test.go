package pipeline_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/memstore"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// rig is a pipeline over memory stores and fakes, with the real policy.
type rig struct {
	*pipeline.Pipeline
	procs   *pipelinetest.Processors
	mod     *pipelinetest.Moderator
	store   *memstore.Store
	sources *counting
	scratch string
	now     time.Time
}

// counting counts what is fetched.
type counting struct {
	pipeline.Store
	opened atomic.Int64
}

func (c *counting) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	c.opened.Add(1)
	return c.Store.Open(ctx, key)
}

func level(l pipeline.Level) pipeline.Facts {
	scores := pipeline.Scores{}
	if l == pipeline.LevelExplicit {
		scores.Explicit = .99
	}
	return pipeline.Facts{Status: pipeline.Scored, Level: l, Scores: &scores, Model: &pipeline.ModelRef{ID: "test", SHA256: "00"}}
}

func newRig(t *testing.T) *rig {
	t.Helper()
	policy, err := moderation.NewPolicy(moderation.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{
		procs: &pipelinetest.Processors{}, mod: &pipelinetest.Moderator{Facts: level(pipeline.LevelClear)}, store: memstore.New(),
		sources: &counting{Store: memstore.New()}, scratch: t.TempDir(), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	r.Pipeline, err = pipeline.New(pipeline.Config{
		Scratch: r.scratch, ItemsAtOnce: 2, Version: "test", Profile: "sha256:00", Engine: "1",
		MaxBytes: pipeline.ByteCaps{Voice: 100, Photo: 100, Video: 100},
	}, pipeline.Deps{
		Sources: r.sources, Store: r.store, Processors: r.procs,
		Moderator: r.mod, Policy: policy, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return r.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// cfgItemsAtOnce makes r anew with another number of items at the same time.
func (r *rig) cfgItemsAtOnce(t *testing.T, n int) {
	t.Helper()
	p, err := pipeline.New(pipeline.Config{
		Scratch: r.scratch, ItemsAtOnce: n, Version: "test", Profile: "sha256:00", Engine: "1",
		MaxBytes: pipeline.ByteCaps{Voice: 100, Photo: 100, Video: 100},
	}, r.Deps)
	if err != nil {
		t.Fatal(err)
	}
	r.Pipeline = p
}

func (r *rig) upload(t *testing.T, key, text string) {
	t.Helper()
	r.uploadBytes(t, key, pipelinetest.JPEG(text))
}

func (r *rig) uploadBytes(t *testing.T, key string, data []byte) {
	t.Helper()
	sum := sha256.Sum256(data)
	err := r.sources.Put(t.Context(), key, bytes.NewReader(data), int64(len(data)), pipeline.PutOptions{SHA256: hex.EncodeToString(sum[:])})
	if err != nil {
		t.Fatal(err)
	}
}

// job is a direct message between adults, one photo per given source key.
func job(id string, keys ...string) pipeline.Job {
	j := pipeline.Job{
		Schema: pipeline.JobSchema, JobID: id, MessageID: "m1", Conversation: pipeline.Conversation{ID: "c1", Kind: pipeline.Direct},
		Sender: pipeline.Sender{ID: "s1", AgeBand: pipeline.Adult}, Recipients: []pipeline.Recipient{recipient("r1", pipeline.Adult)},
	}
	for i, key := range keys {
		j.Items = append(j.Items, pipeline.Item{ID: "i" + string(rune('1'+i)), Kind: pipeline.KindPhoto, Source: pipeline.Source{Key: key}})
	}
	return j
}

func recipient(id string, age pipeline.AgeBand) pipeline.Recipient {
	return pipeline.Recipient{ID: id, AgeBand: age, Contact: pipeline.ContactAccepted, NudityFilter: pipeline.FilterOff}
}

func (r *rig) run(t *testing.T, j pipeline.Job, opts pipeline.RunOptions) pipeline.Manifest {
	t.Helper()
	m, err := r.Run(t.Context(), j, opts)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	return m
}

func (r *rig) leavesNothing(t *testing.T) {
	t.Helper()
	entries, err := os.ReadDir(r.scratch)
	if err != nil || len(entries) > 0 {
		t.Errorf("scratch holds %v (%v), want nothing", entries, err)
	}
	if n := r.procs.Left.Load(); n > 0 {
		t.Errorf("%d files of finished items were left in a workspace", n)
	}
	if o, c := r.procs.Opened.Load(), r.procs.Closed.Load(); o != c {
		t.Errorf("%d processors opened, %d closed", o, c)
	}
}

func TestRunDelivers(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "one")
	r.upload(t, "b", "two")
	m := r.run(t, job("j1", "a", "b"), pipeline.RunOptions{})
	if m.Status != pipeline.StatusReady || len(m.Parts) != 2 || m.Parts[1].Index != 1 || m.Parts[1].ItemID != "i2" {
		t.Fatalf("manifest %+v", m)
	}
	for _, p := range m.Parts {
		body, o, err := r.store.Get(t.Context(), p.Renditions[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(body)
		sum := sha256.Sum256(data)
		if got := hex.EncodeToString(sum[:]); got != p.Renditions[0].SHA256 || o.Size != p.Renditions[0].Size || !strings.Contains(p.Renditions[0].Key, got) {
			t.Errorf("rendition %s has digest %s", p.Renditions[0].Key, got)
		}
	}
	if got := m.Deliveries[0].Parts[0].Action; got != pipeline.Deliver {
		t.Errorf("action %s, want deliver", got)
	}
	r.leavesNothing(t)
}

func TestRunTwiceIsOnce(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "one")
	first := r.run(t, job("j1", "a"), pipeline.RunOptions{})
	r.now = r.now.Add(time.Hour)
	again := r.run(t, job("j1", "a"), pipeline.RunOptions{})
	if !again.CreatedAt.Equal(first.CreatedAt) || r.procs.Opened.Load() != 1 {
		t.Errorf("the second run made a new manifest or opened an engine")
	}
}

func TestForwardRedoesNothing(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "one")
	r.run(t, job("j1", "a"), pipeline.RunOptions{})
	forwarded := job("j2", "a")
	forwarded.Items[0].Caption = "look"
	m := r.run(t, forwarded, pipeline.RunOptions{})
	if got := r.procs.Rendered.Load(); got != 1 {
		t.Errorf("rendered %d times, want once", got)
	}
	if m.Parts[0].Caption != "look" || m.Parts[0].Status != pipeline.StatusReady {
		t.Errorf("the forwarded part is %+v", m.Parts[0])
	}
	r.mod.Facts.Model = &pipeline.ModelRef{ID: "newer", SHA256: "11"}
	again := r.run(t, filtered(job("j3", "a")), pipeline.RunOptions{})
	if again.Parts[0].Moderation.Model.ID != "newer" || !slices.Equal(again.Parts[0].Renditions, m.Parts[0].Renditions) {
		t.Errorf("after the model changed: %+v, want the same renditions and new facts", again.Parts[0])
	}
}

func TestEveryValidJobIDCanBeCommitted(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "one")
	for _, id := range []string{"job:1", "_:-.", strings.Repeat("x", 128)} {
		if m := r.run(t, job(id, "a"), pipeline.RunOptions{}); m.JobID != id || m.Status != pipeline.StatusReady {
			t.Errorf("%q: %s, %s", id, m.JobID, m.Status)
		}
	}
}

func TestDamagedRecordIsMadeAgain(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "one")
	r.run(t, job("j1", "a"), pipeline.RunOptions{})
	var key string
	if err := r.store.List(t.Context(), "records/", func(o pipeline.Object) error { key = o.Key; return nil }); err != nil || key == "" {
		t.Fatalf("no record: %v", err)
	}
	sum := sha256.Sum256([]byte("{"))
	err := r.store.Put(t.Context(), key, strings.NewReader("{"), 1, pipeline.PutOptions{SHA256: hex.EncodeToString(sum[:])})
	if err != nil {
		t.Fatal(err)
	}
	if m := r.run(t, job("j2", "a"), pipeline.RunOptions{}); m.Status != pipeline.StatusReady || r.procs.Rendered.Load() != 2 {
		t.Errorf("status %s, rendered %d times", m.Status, r.procs.Rendered.Load())
	}
}

func TestLostRenditionIsMadeAgain(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "one")
	m := r.run(t, job("j1", "a"), pipeline.RunOptions{})
	other := memstore.New()
	r.copyAllBut(t, other, m.Parts[0].Renditions[0].Key)
	r.Deps.Store = other
	m = r.run(t, job("j2", "a"), pipeline.RunOptions{})
	if _, err := other.Stat(t.Context(), m.Parts[0].Renditions[0].Key); err != nil || r.procs.Rendered.Load() != 2 {
		t.Errorf("the lost rendition: %v, rendered %d times", err, r.procs.Rendered.Load())
	}
}

func (r *rig) copyAllBut(t *testing.T, to *memstore.Store, but string) {
	t.Helper()
	err := r.store.List(t.Context(), "", func(o pipeline.Object) error {
		if o.Key == but {
			return nil
		}
		body, o, err := r.store.Get(t.Context(), o.Key)
		if err != nil {
			return err
		}
		return to.Put(t.Context(), o.Key, body, o.Size, pipeline.PutOptions{SHA256: o.SHA256})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBadItemsCostThemselves(t *testing.T) {
	r := newRig(t)
	r.upload(t, "good", "fine")
	r.upload(t, "crash", "refuse engine_crashed")
	r.upload(t, "big", strings.Repeat("x", 200))
	r.uploadBytes(t, "empty", nil)
	r.uploadBytes(t, "text", []byte("ffconcat version 1.0\nfile /etc/passwd\n"))
	r.upload(t, "edit", "edit")
	j := job("j1", "good", "crash", "big", "empty", "text", "absent", "edit")
	j.Items[6].Edits = []pipeline.Edit{{Op: pipeline.OpCrop, X: .5, W: .8, H: 1}}
	m := r.run(t, j, pipeline.RunOptions{})
	want := []pipeline.Code{
		"", pipeline.CodeEngineCrashed, pipeline.CodeTooLarge, pipeline.CodeCorrupt, pipeline.CodeUnsupportedType,
		pipeline.CodeSourceMissing, pipeline.CodeInvalidEdit,
	}
	if m.Status != pipeline.StatusPartial || len(m.Parts) != len(want) {
		t.Fatalf("status %s with %d parts", m.Status, len(m.Parts))
	}
	for i, p := range m.Parts {
		var got pipeline.Code
		if p.Error != nil {
			got = p.Error.Code
		}
		if got != want[i] {
			t.Errorf("%s: code %q, want %q", j.Items[i].Source.Key, got, want[i])
		}
		if got != "" && (p.Error.Message == "" || m.Deliveries[0].Parts[i].Action != pipeline.Reject) {
			t.Errorf("%s: message %q, action %s", j.Items[i].Source.Key, p.Error.Message, m.Deliveries[0].Parts[i].Action)
		}
	}
	r.leavesNothing(t)
}

func TestGatesComeBeforeAnyByte(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*pipeline.Job)
		want   pipeline.Code
	}{
		{"young sender", func(j *pipeline.Job) { j.Sender.AgeBand = pipeline.Under16 }, pipeline.CodeSenderUnderAge},
		{"young recipient", func(j *pipeline.Job) { j.Recipients[0].AgeBand = pipeline.Under16 }, pipeline.CodeRecipientUnderAge},
		{"blocked", func(j *pipeline.Job) { j.Recipients[0].Contact = pipeline.ContactBlocked }, pipeline.CodeNotDeliverable},
		{"first contact", func(j *pipeline.Job) { j.Recipients[0].Contact = pipeline.ContactNew }, pipeline.CodeMediaFirstContact},
		{"expired", func(j *pipeline.Job) { past := time.Unix(1, 0); j.ExpiresAt = &past }, pipeline.CodeExpired},
		{"invalid", func(j *pipeline.Job) { j.Recipients = nil }, pipeline.CodeInvalidJob},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t)
			r.upload(t, "a", "one")
			j := job("j1", "a")
			tc.change(&j)
			m := r.run(t, j, pipeline.RunOptions{})
			if m.Status != pipeline.StatusRejected || m.Error.Code != tc.want || m.Error.Message == "" {
				t.Errorf("status %s, error %+v, want %s", m.Status, m.Error, tc.want)
			}
			if n := r.sources.opened.Load() + r.procs.Opened.Load(); n != 0 {
				t.Errorf("something was opened for a refused job")
			}
		})
	}
}

func TestTroubleIsRetriedThenTerminal(t *testing.T) {
	for _, text := range []string{"trouble", "panic"} {
		t.Run(text, func(t *testing.T) {
			r := newRig(t)
			r.upload(t, "good", "fine")
			r.upload(t, "bad", text)
			_, err := r.Run(t.Context(), job("j1", "good", "bad"), pipeline.RunOptions{})
			if !pipeline.Retryable(err) {
				t.Fatalf("error %v, want a retryable one", err)
			}
			r.leavesNothing(t)
			m := r.run(t, job("j1", "good", "bad"), pipeline.RunOptions{Final: true})
			if m.Status != pipeline.StatusPartial || m.Parts[1].Error.Code != pipeline.CodeInternal {
				t.Errorf("last attempt: %s, %+v", m.Status, m.Parts[1].Error)
			}
			if got := r.procs.Rendered.Load(); got != 3 {
				t.Errorf("rendered %d times; the good item is to be recalled", got)
			}
		})
	}
}

// A rendition that does not verify is our mistake: the item is tried again, and in the end no sender is told to send another file.
func TestAnUnverifiedRenditionIsOurTrouble(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "unfit")
	_, err := r.Run(t.Context(), job("j1", "a"), pipeline.RunOptions{})
	if !pipeline.Retryable(err) || !errors.Is(err, pipeline.ErrUnverified) {
		t.Errorf("error %v, want a retryable one that says what it is", err)
	}
	m := r.run(t, job("j1", "a"), pipeline.RunOptions{Final: true})
	if e := m.Parts[0].Error; e.Code != pipeline.CodeInternal || !strings.Contains(e.Message, "on its own account") {
		t.Errorf("the last attempt says %+v", e)
	}
	err = r.store.List(t.Context(), "media/", func(o pipeline.Object) error { t.Errorf("stored %s", o.Key); return nil })
	if err != nil {
		t.Error(err)
	}
}

func TestAutoItemsAreCountedOnceTheyAreKnown(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "one")
	j := job("j1", slices.Repeat([]string{"a"}, pipeline.MaxVisualItems+1)...)
	for i := range j.Items {
		j.Items[i].ID, j.Items[i].Kind = fmt.Sprintf("i%d", i), pipeline.KindAuto
	}
	m := r.run(t, j, pipeline.RunOptions{})
	last := m.Parts[pipeline.MaxVisualItems]
	if m.Status != pipeline.StatusPartial || last.Error == nil || last.Error.Code != pipeline.CodeTooManyItems {
		t.Errorf("status %s, tenth part %+v", m.Status, last)
	}
	if m.Deliveries[0].Parts[pipeline.MaxVisualItems].Action != pipeline.Reject {
		t.Errorf("the tenth photo is delivered")
	}
}

func TestRefusalFromOutsideIsCommitted(t *testing.T) {
	r := newRig(t)
	m := r.run(t, pipeline.Job{JobID: "j1", MessageID: "m1"}, pipeline.RunOptions{Refusal: pipeline.Refuse(pipeline.CodeInvalidJob, "no job")})
	if m.Status != pipeline.StatusRejected || m.Error.Code != pipeline.CodeInvalidJob {
		t.Errorf("%s, %+v", m.Status, m.Error)
	}
}

func TestCancelEndsTheRun(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "hang")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := r.Run(ctx, job("j1", "a"), pipeline.RunOptions{Final: true, Progress: func(p pipeline.Progress) {
		if p.Percent == 50 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || !pipeline.Retryable(err) {
		t.Errorf("error %v, want a cancelled, retryable run", err)
	}
	r.leavesNothing(t)
}

func TestTheLastAttemptsDeadlineCostsOnlyWhatIsNotDone(t *testing.T) {
	r := newRig(t)
	r.upload(t, "good", "fine")
	r.upload(t, "slow", "hang")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := r.Run(ctx, job("j1", "good", "slow"), pipeline.RunOptions{}); !pipeline.Retryable(err) {
		t.Errorf("error %v, want another attempt", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	m, err := r.Run(ctx, job("j1", "good", "slow"), pipeline.RunOptions{Final: true})
	if err != nil || m.Status != pipeline.StatusPartial || m.Parts[1].Error.Code != pipeline.CodeInternal {
		t.Errorf("last attempt: %v, %s, want partial", err, m.Status)
	}
	r.leavesNothing(t)
}

func TestExpiryDuringTheRun(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "hang")
	j := job("j1", "a")
	soon := time.Now().Add(50 * time.Millisecond)
	j.ExpiresAt = &soon
	m := r.run(t, j, pipeline.RunOptions{})
	if m.Error == nil || m.Error.Code != pipeline.CodeExpired {
		t.Errorf("error %+v, want expired", m.Error)
	}
}

func TestTeenagersMediaOfNudityIsStoredNowhere(t *testing.T) {
	r := newRig(t)
	r.mod.Facts = level(pipeline.LevelExplicit)
	r.upload(t, "a", "one")
	j := job("j1", "a")
	j.Sender.AgeBand = pipeline.Teen
	m := r.run(t, j, pipeline.RunOptions{})
	if m.Status != pipeline.StatusRejected || m.Parts[0].Error.Code != pipeline.CodeBlockedNudity {
		t.Fatalf("status %s, part %+v", m.Status, m.Parts[0].Error)
	}
	err := r.store.List(t.Context(), "media/", func(o pipeline.Object) error { t.Errorf("stored %s", o.Key); return nil })
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoScoresProtectTheYoungOnly(t *testing.T) {
	r := newRig(t)
	r.mod.Facts, r.mod.Err = pipeline.Facts{Status: pipeline.Unavailable, Level: pipeline.LevelUnknown}, errors.New("no classifier")
	r.upload(t, "a", "one")
	if m := r.run(t, job("adults", "a"), pipeline.RunOptions{}); m.Deliveries[0].Parts[0].Action != pipeline.Deliver {
		t.Errorf("an adult without a filter is served: %+v", m.Deliveries[0])
	}
	j := job("young", "a")
	j.Recipients[0].AgeBand = pipeline.AgeUnknown
	if _, err := r.Run(t.Context(), j, pipeline.RunOptions{}); !pipeline.Retryable(err) {
		t.Errorf("error %v, want the scan tried again", err)
	}
	m := r.run(t, j, pipeline.RunOptions{Final: true})
	if d := m.Deliveries[0].Parts[0]; d.Action != pipeline.Withhold || d.Reasons[0] != "scan_unavailable" {
		t.Errorf("last attempt: %+v, want withhold", d)
	}
	r.mod.Facts, r.mod.Err = level(pipeline.LevelClear), nil
	j.JobID = "healed"
	if m := r.run(t, j, pipeline.RunOptions{}); m.Deliveries[0].Parts[0].Action != pipeline.Deliver {
		t.Errorf("after the classifier healed: %+v", m.Deliveries[0])
	}
}

func TestGroupServesWhoMayBeServed(t *testing.T) {
	r := newRig(t)
	r.mod.Facts = level(pipeline.LevelExplicit)
	r.upload(t, "a", "one")
	j := job("j1", "a")
	j.Conversation.Kind = pipeline.Group
	child, fresh := recipient("child", pipeline.Under16), recipient("fresh", pipeline.Adult)
	fresh.Contact = pipeline.ContactNew
	j.Recipients = []pipeline.Recipient{child, fresh, recipient("teen", pipeline.Teen), recipient("adult", pipeline.Adult)}
	m := r.run(t, j, pipeline.RunOptions{})
	want := []pipeline.Action{pipeline.Reject, pipeline.Reject, pipeline.Withhold, pipeline.Deliver}
	for i, d := range m.Deliveries {
		if d.Parts[0].Action != want[i] {
			t.Errorf("%s: %s, want %s", d.RecipientID, d.Parts[0].Action, want[i])
		}
	}
	if len(m.SenderNotices) != 1 || m.SenderNotices[0].Code != pipeline.NoticeNotDelivered {
		t.Errorf("sender notices %+v", m.SenderNotices)
	}
}

func TestStoreOutageIsTroubleAndHeals(t *testing.T) {
	r := newRig(t)
	r.upload(t, "a", "one")
	down := &failing{Store: r.store}
	r.Deps.Store = down
	down.off.Store(true)
	_, err := r.Run(t.Context(), job("j1", "a"), pipeline.RunOptions{})
	if !pipeline.Retryable(err) || pipeline.AsError(err).Code != pipeline.CodeStorageUnavailable {
		t.Fatalf("error %v, want storage_unavailable", err)
	}
	down.off.Store(false)
	if m := r.run(t, job("j1", "a"), pipeline.RunOptions{}); m.Status != pipeline.StatusReady {
		t.Errorf("status %s after the store healed", m.Status)
	}
}

// failing is a store that can be switched off for writing.
type failing struct {
	pipeline.Store
	off  atomic.Bool
	only string // keys that begin with this
}

func (f *failing) PutNew(ctx context.Context, key string, r io.Reader, size int64, opts pipeline.PutOptions) (bool, error) {
	if f.off.Load() && strings.HasPrefix(key, f.only) {
		return false, pipeline.Trouble(pipeline.CodeStorageUnavailable, "put", errors.New("switched off"))
	}
	return f.Store.PutNew(ctx, key, r, size, opts)
}

// fixedAudience is a directory that always answers the same.
type fixedAudience pipeline.Audience

func (f fixedAudience) Audience(context.Context, pipeline.Job) (pipeline.Audience, error) {
	return pipeline.Audience(f), nil
}

// TestGroupsMixBands: in a group of every kind of person each gets exactly what they would get alone.
func TestGroupsMixBands(t *testing.T) {
	var everyone []pipeline.Recipient
	for _, age := range []pipeline.AgeBand{pipeline.Adult, pipeline.Teen, pipeline.AgeUnknown, pipeline.Under16} {
		for _, contact := range []pipeline.Contact{pipeline.ContactAccepted, pipeline.ContactNew, pipeline.ContactBlocked} {
			for _, filter := range []pipeline.NudityFilter{pipeline.FilterOff, pipeline.FilterBlur, pipeline.FilterHide} {
				id := fmt.Sprint("r", len(everyone))
				everyone = append(everyone, pipeline.Recipient{ID: id, AgeBand: age, Contact: contact, NudityFilter: filter})
			}
		}
	}
	for _, sender := range []pipeline.AgeBand{pipeline.Adult, pipeline.Teen, pipeline.AgeUnknown, pipeline.Under16} {
		for _, l := range []pipeline.Level{pipeline.LevelClear, pipeline.LevelSuggestive, pipeline.LevelDrawn, pipeline.LevelExplicit, pipeline.LevelUnknown} {
			r := newRig(t)
			r.mod.Facts = level(l)
			r.upload(t, "a", "one")
			j := job("group", "a")
			j.Conversation.Kind, j.Sender.AgeBand, j.Recipients = pipeline.Group, sender, everyone
			together := r.run(t, j, pipeline.RunOptions{Final: true})
			for i, rec := range everyone {
				j.JobID, j.Recipients = "alone-"+rec.ID, []pipeline.Recipient{rec}
				alone := r.run(t, j, pipeline.RunOptions{Final: true})
				if got, want := actionFor(together, i), actionFor(alone, 0); got != want {
					t.Errorf("sender %s, %s, %+v: %s in the group, %s alone", sender, l, rec, got, want)
				}
			}
		}
	}
}

// actionFor is what the recipient i of a message with one item gets.
func actionFor(m pipeline.Manifest, i int) pipeline.Action {
	if m.Status == pipeline.StatusRejected {
		return pipeline.Reject
	}
	return m.Deliveries[i].Parts[0].Action
}
