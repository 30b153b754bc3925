package pipeline_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ninefold/ninefold/moderation"
	"github.com/ninefold/ninefold/pipeline"
)

// ticking is a clock that only work moves.
type ticking struct {
	mu  sync.Mutex
	now time.Time
}

func (c *ticking) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *ticking) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// load is how long the costly steps of one message take. What a look finds to score depends on the picture, which the sender chooses.
type load struct{ render, read, judge time.Duration }

// loadOf draws the load of the n-th message, the same one however often it is asked: a machine that is more or less busy.
func loadOf(n int) load {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	busy := func(d time.Duration) time.Duration { return time.Duration(float64(d) * (0.8 + 0.4*r.Float64())) }
	return load{busy(8 * time.Second), busy(2 * time.Second), time.Duration(r.Float64() * float64(3*time.Second))}
}

// laborious is a processor and a moderator whose work takes time by the clock.
type laborious struct {
	pipeline.Processors
	pipeline.Moderator
	clock  *ticking
	load   load
	copies bool // videos are copied, and turn out to be ambiguous
}

// copied is a plan that copies.
type copied struct{ pipeline.Plan }

func (c copied) Recoded() pipeline.Plan { return c.Plan }

func (copied) Work() (cost, message int64) { return 40e6, 1e9 }

func (l *laborious) Open(ctx context.Context, ws *pipeline.Workspace) (pipeline.Processor, error) {
	p, err := l.Processors.Open(ctx, ws)
	return laboriousProcessor{p, l}, err
}

func (l *laborious) Screen(ctx context.Context, ws *pipeline.Workspace, in pipeline.ScreenInput) (pipeline.Facts, error) {
	l.clock.pass(l.load.judge)
	return l.Moderator.Screen(ctx, ws, in)
}

type laboriousProcessor struct {
	pipeline.Processor
	l *laborious
}

func (p laboriousProcessor) KeyFrames(ctx context.Context, f pipeline.File, plan pipeline.Plan) ([]pipeline.Sample, error) {
	p.l.clock.pass(400 * time.Millisecond)
	return p.Processor.KeyFrames(ctx, f, plan)
}

func (p laboriousProcessor) Plan(item pipeline.Item, m pipeline.Media) (pipeline.Plan, error) {
	plan, err := p.Processor.Plan(item, m)
	if p.l.copies && err == nil {
		plan = copied{plan}
	}
	return plan, err
}

func (p laboriousProcessor) Render(ctx context.Context, f pipeline.File, plan pipeline.Plan, progress func(float64)) (*pipeline.Rendered, error) {
	if _, copies := plan.(copied); copies {
		p.l.clock.pass(100 * time.Millisecond)
		made, err := p.Processor.Render(ctx, f, plan, progress)
		if err == nil {
			made.Part.Method = "remux"
		}
		return made, err
	}
	p.l.clock.pass(p.l.load.render / 2)
	defer p.l.clock.pass(p.l.load.render / 2)
	return p.Processor.Render(ctx, f, plan, progress)
}

func (p laboriousProcessor) ReadBack(ctx context.Context, order pipeline.ReadOrder) (*pipeline.ReadBack, error) {
	p.l.clock.pass(60 * time.Millisecond)
	if order.Side > 0 {
		p.l.clock.pass(p.l.load.read)
	}
	back, err := p.Processor.ReadBack(ctx, order)
	if err == nil && order.Side > 0 && order.Part.Method == "remux" {
		back.Ambiguous = true
	}
	return back, err
}

// measured is a deployment where a look takes 6 s at most.
type measured struct{}

func (measured) Took(context.Context, pipeline.Step, float64, time.Duration) {}

func (measured) Pace(_ context.Context, s pipeline.Step) time.Duration {
	switch s {
	case pipeline.StepJudgeVideo, pipeline.StepJudgePhoto:
		return 6 * time.Second // a picture; the fakes have one
	case pipeline.StepRender:
		return 250 * time.Millisecond // a million of pixels; a copied plan says forty
	}
	return time.Nanosecond
}

// evenly is a rig whose work takes time, with these settings.
func evenly(t *testing.T, timing moderation.Timing, teen pipeline.Action, scan moderation.Scan) (*rig, *laborious) {
	t.Helper()
	config := moderation.DefaultConfig()
	config.Timing, config.TeenExplicit, config.Scan = timing, teen, scan
	policy, err := moderation.NewPolicy(config)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	l := &laborious{Processors: r.procs, Moderator: r.mod, clock: &ticking{now: r.now}}
	r.Policy, r.Paces, r.Processors, r.Moderator, r.Now = policy, measured{}, l, l, l.clock.Now
	r.Secret = func(context.Context) ([]byte, error) { return make([]byte, pipeline.ScreenSecretBytes), nil }
	r.cfgItemsAtOnce(t, 1)
	return r, l
}

// bands are all whom a sender may send to, and what he must not be able to tell apart.
func bands() map[string]func(*pipeline.Recipient) {
	return map[string]func(*pipeline.Recipient){
		"an adult":                 func(*pipeline.Recipient) {},
		"an adult with blur":       func(r *pipeline.Recipient) { r.NudityFilter = pipeline.FilterBlur },
		"an adult with hide":       func(r *pipeline.Recipient) { r.NudityFilter = pipeline.FilterHide },
		"16 or 17":                 func(r *pipeline.Recipient) { r.AgeBand = pipeline.Teen },
		"of unknown age":           func(r *pipeline.Recipient) { r.AgeBand = pipeline.AgeUnknown },
		"under 16":                 func(r *pipeline.Recipient) { r.AgeBand = pipeline.Under16 },
		"somebody who has blocked": func(r *pipeline.Recipient) { r.Contact = pipeline.ContactBlocked },
		"a new contact":            func(r *pipeline.Recipient) { r.Contact = pipeline.ContactNew },
	}
}

// announcedAfter is how long after its submission a message is announced.
func announcedAfter(m pipeline.Manifest, end time.Time) float64 {
	if m.NotBefore != nil {
		end = *m.NotBefore
	}
	return end.Sub(m.CreatedAt).Seconds()
}

// film sends the i-th film to somebody, on a machine that is as busy as it is then.
func (r *rig) film(t *testing.T, l *laborious, i int, change func(*pipeline.Recipient)) pipeline.Manifest {
	t.Helper()
	l.load = loadOf(i)
	key := fmt.Sprintf("film-%d", i)
	r.upload(t, key, "film  "+key)
	j := job(fmt.Sprintf("j%d", i), key)
	j.Items[0].Kind = pipeline.KindAuto
	change(&j.Recipients[0])
	return r.run(t, j, pipeline.RunOptions{})
}

// times sends n messages with a film of their own to somebody and returns when each is announced, seconds.
func times(t *testing.T, n int, timing moderation.Timing, teen pipeline.Action, shows pipeline.Level, change func(*pipeline.Recipient)) []float64 {
	t.Helper()
	r, l := evenly(t, timing, teen, moderation.ScanNeeded)
	r.mod.Facts = level(shows)
	var all []float64
	for i := range n {
		m := r.film(t, l, i, change)
		if m.NotBefore != nil && !m.FinishedAt.Equal(*m.NotBefore) {
			t.Fatalf("finished at %s, not before %s", m.FinishedAt, m.NotBefore)
		}
		all = append(all, announcedAfter(m, l.clock.Now()))
	}
	return all
}

// ksLevel is the level of the two-sample tests: as far apart as this lie two samples of one distribution once in a hundred times. The draws are
// seeded, so that a test passes always or never.
const ksLevel = 0.01

// apart is the Kolmogorov-Smirnov test: whether two samples come from different distributions.
func apart(a, b []float64) bool {
	at := slices.Sorted(slices.Values(append(slices.Clone(a), b...)))
	share := func(s []float64, x float64) float64 {
		n := 0
		for _, v := range s {
			if v <= x {
				n++
			}
		}
		return float64(n) / float64(len(s))
	}
	d := 0.0
	for _, x := range at {
		d = max(d, math.Abs(share(a, x)-share(b, x)))
	}
	n := float64(len(a)*len(b)) / float64(len(a)+len(b))
	return d > math.Sqrt(-math.Log(ksLevel/2)/2)/math.Sqrt(n)
}

// TestNoClockTellsWhoReceives: for each content and each setting, messages to every kind of person are announced at times that no sender can
// tell apart, never sooner than a run that is screened; with plain timing he can.
func TestNoClockTellsWhoReceives(t *testing.T) {
	t.Parallel()
	const n = 25
	for _, teen := range []pipeline.Action{pipeline.Withhold, pipeline.Blur} {
		for _, shows := range []pipeline.Level{pipeline.LevelClear, pipeline.LevelExplicit} {
			t.Run(fmt.Sprintf("%s, teen_explicit %s", shows, teen), func(t *testing.T) {
				t.Parallel()
				adult := times(t, n, moderation.TimingEven, teen, shows, bands()["an adult"])
				plain := times(t, n, moderation.TimingPlain, teen, shows, bands()["an adult"])
				told := 0
				for who, change := range bands() {
					got := times(t, n, moderation.TimingEven, teen, shows, change)
					if apart(got, adult) {
						t.Errorf("%s can be told from an adult by the clock: at %.2f s, and %.2f s", who, median(got), median(adult))
					}
					for i, at := range got {
						l := loadOf(i)
						if least := (l.render + l.read + l.judge).Seconds(); at < least {
							t.Errorf("%s: message %d is announced after %.2f s, a screened run takes %.2f s", who, i, at, least)
						}
					}
					if apart(times(t, n, moderation.TimingPlain, teen, shows, change), plain) {
						told++
					}
				}
				if told < 5 {
					t.Errorf("with plain timing only %d of %d kinds of people can be told from an adult: the test sees little", told, len(bands()))
				}
			})
		}
	}
}

func median(s []float64) float64 { return slices.Sorted(slices.Values(s))[len(s)/2] }

// TestNoClockTellsOfAResend: a file that was sent before is announced at times that tell nothing of who gets it now, and nothing of who it was
// for then.
func TestNoClockTellsOfAResend(t *testing.T) {
	t.Parallel()
	for _, shows := range []pipeline.Level{pipeline.LevelClear, pipeline.LevelExplicit} {
		var first []float64
		for _, then := range bands() {
			for _, now := range []string{"an adult", "16 or 17"} {
				r, l := evenly(t, moderation.TimingEven, pipeline.Withhold, moderation.ScanNeeded)
				r.mod.Facts = level(shows)
				var all []float64
				for i := range 8 {
					l.load = loadOf(i)
					key := fmt.Sprintf("film-%d", i)
					r.upload(t, key, "film  "+key)
					for k, change := range []func(*pipeline.Recipient){then, bands()[now]} {
						j := job(fmt.Sprintf("j%d-%d", i, k), key)
						j.Items[0].Kind = pipeline.KindAuto
						change(&j.Recipients[0])
						if m := r.run(t, j, pipeline.RunOptions{}); k == 1 {
							all = append(all, announcedAfter(m, l.clock.Now()))
						}
					}
				}
				if first == nil {
					first = all
				}
				if apart(all, first) {
					t.Errorf("%s, %s: %.2f s, others %.2f s", now, shows, median(all), median(first))
				}
			}
		}
	}
}

// TestNoClockTellsOfACopy: a copied video that turns out to be ambiguous is made anew where somebody looks. It is announced as late where nobody
// does.
func TestNoClockTellsOfACopy(t *testing.T) {
	t.Parallel()
	var first []float64
	for who, change := range bands() {
		r, l := evenly(t, moderation.TimingEven, pipeline.Withhold, moderation.ScanNeeded)
		l.copies = true
		var all []float64
		for i := range 8 {
			m := r.film(t, l, i, change)
			all = append(all, announcedAfter(m, l.clock.Now()))
			if least := (l.load.render + 2*l.load.read + l.load.judge).Seconds(); all[i] < least {
				t.Errorf("%s: message %d is announced after %.2f s, one that is made anew takes %.2f s", who, i, all[i], least)
			}
		}
		if first == nil {
			first = all
		}
		if apart(all, first) {
			t.Errorf("%s: %.2f s, others %.2f s", who, median(all), median(first))
		}
	}
}

// TestWhatCannotBeReadBackIsUnseen: a file whose delivered form cannot be decoded in full is withheld from those who are protected and not
// rejected, which would tell the sender that somebody is.
func TestWhatCannotBeReadBackIsUnseen(t *testing.T) {
	t.Parallel()
	for who, want := range map[pipeline.AgeBand]pipeline.Action{pipeline.Adult: pipeline.Deliver, pipeline.Teen: pipeline.Withhold} {
		r := newRig(t)
		r.upload(t, "a", "garbled")
		m := r.run(t, people(job("j", "a"), pipeline.Adult, who, pipeline.FilterOff), pipeline.RunOptions{})
		if got := actions(m); m.Status != pipeline.StatusReady || !slices.Equal(got, []pipeline.Action{want}) || r.mod.Screened.Load() != 0 {
			t.Errorf("%s: %s, %v, %+v", who, m.Status, got, m.Parts[0].Error)
		}
		r.leavesNothing(t)
	}
}

// TestProgressTellsNothing: what is reported of a message, and when, is the same for every kind of person, whatever the files show. Items behind
// the first begin when the look at that is over: nothing is said of them any more.
func TestProgressTellsNothing(t *testing.T) {
	t.Parallel()
	type seen struct {
		pipeline.Progress
		at time.Duration
	}
	var first []seen
	for _, shows := range []pipeline.Level{pipeline.LevelClear, pipeline.LevelExplicit} {
		for who, change := range bands() {
			r, l := evenly(t, moderation.TimingEven, pipeline.Blur, moderation.ScanNeeded)
			r.mod.Facts, l.load = level(shows), loadOf(1)
			j := job("j", "a", "b", "c")
			for i, it := range j.Items {
				r.upload(t, it.Source.Key, "film  "+it.Source.Key)
				j.Items[i].Kind = pipeline.KindAuto
			}
			change(&j.Recipients[0])
			var all []seen
			begun := l.clock.Now()
			r.run(t, j, pipeline.RunOptions{Progress: func(p pipeline.Progress) { all = append(all, seen{p, l.clock.Now().Sub(begun)}) }})
			if first == nil {
				first = all
			}
			if len(all) < 8 || !reflect.DeepEqual(all, first) {
				t.Errorf("%s, %s: %+v, others %+v", who, shows, all, first)
			}
		}
	}
	if last := first[len(first)-1]; last.Stage != "screen" || last.Percent != 0 || last.Index != 0 {
		t.Errorf("the last that is told is %+v", last)
	}
}

// TestEvenTimingCostsWhatItMust: refused for its recipients, a message is made and nobody looks at it; refused for its sender's age it is not
// even fetched.
func TestEvenTimingCostsWhatItMust(t *testing.T) {
	t.Parallel()
	for _, scan := range []moderation.Scan{moderation.ScanNeeded, moderation.ScanAlways} {
		r, _ := evenly(t, moderation.TimingEven, pipeline.Withhold, scan)
		r.upload(t, "a", "film")
		j := job("young", "a")
		j.Items[0].Kind, j.Sender.AgeBand = pipeline.KindAuto, pipeline.Under16
		if m := r.run(t, j, pipeline.RunOptions{}); m.Error.Code != pipeline.CodeSenderUnderAge || m.NotBefore != nil || r.procs.Opened.Load() != 0 {
			t.Errorf("a young sender: %+v, not before %v, %d engines", m.Error, m.NotBefore, r.procs.Opened.Load())
		}
		j = job("blocked", "a")
		j.Items[0].Kind, j.Recipients[0].Contact = pipeline.KindAuto, pipeline.ContactBlocked
		m := r.run(t, j, pipeline.RunOptions{})
		if m.Error == nil || m.Error.Code != pipeline.CodeNotDeliverable || len(m.Parts) > 0 || m.NotBefore == nil {
			t.Errorf("blocked: %+v", m)
		}
		if r.procs.Rendered.Load() != 1 || r.procs.Looked.Load()+r.mod.Screened.Load() != 0 {
			t.Errorf("blocked: rendered %d times, looked %d and %d times", r.procs.Rendered.Load(), r.procs.Looked.Load(), r.mod.Screened.Load())
		}
		r.leavesNothing(t)
	}
	r, _ := evenly(t, moderation.TimingEven, pipeline.Withhold, moderation.ScanNeeded)
	r.mod.Facts = level(pipeline.LevelExplicit)
	r.upload(t, "a", "film")
	j := job("teen", "a")
	j.Items[0].Kind, j.Sender.AgeBand = pipeline.KindAuto, pipeline.Teen
	if m := r.run(t, j, pipeline.RunOptions{}); m.Parts[0].Error.Code != pipeline.CodeBlockedNudity || r.procs.Rendered.Load() != 0 {
		t.Errorf("a teenager sends nudity: %+v, rendered %d times: key frames say no to every recipient", m.Parts[0].Error, r.procs.Rendered.Load())
	}
}

// TestHoldKeepsToTheExpiry: a message is announced at its expiry rather than lost to the wait.
func TestHoldKeepsToTheExpiry(t *testing.T) {
	t.Parallel()
	r, l := evenly(t, moderation.TimingEven, pipeline.Withhold, moderation.ScanNeeded)
	r.upload(t, "a", "film")
	expires := time.Now().Add(time.Hour).UTC()
	l.clock.now = expires.Add(-12 * time.Second) // made within ten, held for six more
	j := job("j", "a")
	j.Items[0].Kind, j.ExpiresAt = pipeline.KindAuto, &expires
	l.load = load{render: 8 * time.Second}
	if m := r.run(t, j, pipeline.RunOptions{}); m.Status != pipeline.StatusReady || m.NotBefore == nil || !m.NotBefore.Equal(expires) {
		t.Errorf("%s, not before %v, expires %v", m.Status, m.NotBefore, expires)
	}
}

// TestHeldIsNotThereYet: until a message is announced, nobody who asks the store for the manifest in force gets it; who announces it does.
func TestHeldIsNotThereYet(t *testing.T) {
	t.Parallel()
	r, l := evenly(t, moderation.TimingEven, pipeline.Withhold, moderation.ScanNeeded)
	l.clock.now = time.Now()
	r.upload(t, "a", "film")
	j := job("j", "a")
	j.Items[0].Kind = pipeline.KindAuto
	m := r.run(t, j, pipeline.RunOptions{})
	if m.NotBefore == nil || !m.Held(l.clock.Now()) || m.Held(*m.NotBefore) {
		t.Fatalf("not before %v", m.NotBefore)
	}
	if _, err := pipeline.Current(t.Context(), r.store, "j"); err == nil {
		t.Error("the manifest can be read before its time")
	}
	again, err := pipeline.Latest(t.Context(), r.store, "j")
	if err != nil || !again.NotBefore.Equal(*m.NotBefore) {
		t.Errorf("%v, %v", again.NotBefore, err)
	}
	if m := r.run(t, j, pipeline.RunOptions{}); !m.NotBefore.Equal(*again.NotBefore) {
		t.Errorf("a repeated attempt says %v", m.NotBefore)
	}
}
