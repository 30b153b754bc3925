package pipeline

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"time"
)

// Even timing: nothing that a sender can see happens sooner than if each file of the message had been screened, whoever receives it. A sender
// who could tell by the clock that nobody looked would know that no recipient is under 18 or filters.
//
//  1. Each message waits for the moment at which the longest look that its files allow would be over, whether anybody looked or not, and
//     whatever was found. That moment goes by sizes and numbers of frames alone, at the pace that this deployment has measured.
//  2. Nothing ends early that would not end early for every recipient: no key frames are looked at for a recipient's sake, and a message
//     that is refused for its recipients is made like any other, seen by nobody and thrown away.
//  3. Progress stands still from the first look of a message on.
//  4. What is committed waits in its manifest and in the outbox, see Manifest.NotBefore: no worker waits with it.

// Paces is what a deployment has measured of how long its looks take.
type Paces interface {
	// Took notes that a step took so long for so much work. It must not block for long.
	Took(ctx context.Context, s Step, work float64, took time.Duration)
	// Pace is the time that one unit of a step's work takes at most, nearly always; 0 = nothing was measured.
	Pace(ctx context.Context, s Step) time.Duration
}

// Step is a part of a look whose length goes by its work.
type Step string

// The steps. The unit of reading back is a million delivered pixels, that of judging a picture that is scored, that of rendering a million of
// MeteredPlan's.
const (
	StepRender     Step = "render"
	StepReadPhoto  Step = "read-photo"
	StepReadVideo  Step = "read-video"
	StepJudgePhoto Step = "judge-photo"
	StepJudgeVideo Step = "judge-video"
)

// Steps returns every step.
func Steps() []Step {
	return []Step{StepRender, StepReadPhoto, StepReadVideo, StepJudgePhoto, StepJudgeVideo}
}

// usualPace is what a step takes where nothing was measured yet: twice what two cores needed.
func (s Step) usualPace() time.Duration {
	switch s {
	case StepReadPhoto:
		return 60 * time.Millisecond
	case StepReadVideo, StepRender:
		return 5 * time.Millisecond
	}
	return 10 * time.Millisecond
}

func stepsOf(k Kind) (read, judge Step) {
	if k == KindVideo {
		return StepReadVideo, StepJudgeVideo
	}
	return StepReadPhoto, StepJudgePhoto
}

const (
	// lookFloor is what a look costs whatever its work: an engine that starts, a file that is opened.
	lookFloor = 300 * time.Millisecond
	// longestHold bounds how long a message is held back, whatever was measured.
	longestHold = 10 * time.Minute
)

// even reports whether messages are held back: the policy says so, and somebody measures.
func (p *Pipeline) even() bool { return p.Paces != nil && p.Policy.EvenTiming() }

// longestLook is how long a look at a part's files takes at most, whatever they show.
func (p *Pipeline) longestLook(ctx context.Context, part Part) time.Duration {
	if !p.even() || part.Kind == KindVoice || p.Moderator.Side() == 0 {
		return 0
	}
	read, judge := stepsOf(part.Kind)
	return min(longestHold, lookFloor+p.takes(ctx, read, megapixels(part))+p.takes(ctx, judge, float64(p.Moderator.Most(part))))
}

func (p *Pipeline) takes(ctx context.Context, s Step, work float64) time.Duration {
	pace := cmp.Or(p.Paces.Pace(ctx, s), s.usualPace())
	return time.Duration(min(work*float64(pace), float64(longestHold)))
}

// longestRecode is what a look at a copied video takes besides where it turns out that the copy must be made anew, and is read again.
func (it *itemRun) longestRecode(ctx context.Context) time.Duration {
	plan, ok := it.plan.(MeteredPlan)
	if !ok || !it.even() || it.Moderator.Side() == 0 || it.rendered.Part.Method != methodCopied {
		return 0
	}
	cost, _ := plan.Work()
	return it.takes(ctx, StepRender, float64(cost)/1e6) + it.takes(ctx, StepReadVideo, megapixels(it.rendered.Part))
}

// learnRender notes how long a render took that was no copy.
func (it *itemRun) learnRender(ctx context.Context, took time.Duration) {
	plan, ok := it.plan.(MeteredPlan)
	if !ok || it.Paces == nil || it.rendered.Part.Method == methodCopied {
		return
	}
	if cost, _ := plan.Work(); cost > 0 {
		it.Paces.Took(ctx, StepRender, float64(cost)/1e6, took)
	}
}

// learn notes how long a look at part took: until its files were read back, and from then on.
func (it *itemRun) learn(ctx context.Context, part Part, in ScreenInput, read, judged time.Duration) {
	if it.Paces == nil || it.Moderator.Side() == 0 {
		return
	}
	reading, judging := stepsOf(part.Kind)
	it.Paces.Took(ctx, reading, megapixels(part), max(0, read-lookFloor))
	it.Paces.Took(ctx, judging, float64(it.Moderator.Pictures(in)), judged)
}

// megapixels is what a look decodes of a part, in millions.
func megapixels(p Part) float64 {
	sum := 0.0
	for _, r := range p.Renditions {
		if r.Class == ClassFull && !strings.HasPrefix(r.MIME, "audio/") {
			sum += float64(r.Width) * float64(r.Height) * float64(r.FramesAtMost()) / 1e6
		}
	}
	return sum
}

// mostFPS is the highest rate that a video is delivered at.
const mostFPS = 60

// FramesAtMost is how many frames there are in r, or could be where that was not kept.
func (r Rendition) FramesAtMost() int {
	if !strings.HasPrefix(r.MIME, "video/") {
		return 1
	}
	return cmp.Or(r.Frames, 1+int(r.DurationMS*mostFPS/1000))
}

// span is how long an item would have been in work if it had been looked at for as long as its files allow.
func (it *itemRun) span(took time.Duration, blur float64) time.Duration {
	return took - it.looked + time.Duration(float64(it.look)*blur)
}

// makespan is when the last of several items is done that are begun in their order, so many at once.
func makespan(items []time.Duration, atOnce int) time.Duration {
	free := make([]time.Duration, max(1, atOnce))
	for _, length := range items {
		i := slices.Index(free, slices.Min(free))
		free[i] += length
	}
	return slices.Max(free)
}

// The shares of the longest look that a message is held back beyond it. What differs a little with the audience, such as the load that a look
// is for others, is lost in them: the first share is the same for all messages of one sender to the same people, so that no number of
// resends averages it out, the second another one for each job.
const (
	blurPeople = 0.2
	blurJob    = 0.1
)

// blur is 1 and the two shares that the deployment's secret draws for this job.
func (r *run) blur(ctx context.Context) (float64, error) {
	secret, err := r.secret.get(ctx)
	if err != nil {
		return 0, err
	}
	people := []string{r.job.Sender.ID}
	for _, rec := range r.job.Recipients {
		people = append(people, rec.ID)
	}
	slices.Sort(people[1:])
	return 1 + blurPeople*drawnFrom(secret, "people", people...) + blurJob*drawnFrom(secret, "job", r.job.JobID), nil
}

// drawnFrom is a number from 0 to 1 that the secret decides for these words.
func drawnFrom(secret []byte, what string, words ...string) float64 {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("timing\x00" + what + "\x00" + strings.Join(words, "\x00")))
	return float64(binary.BigEndian.Uint64(mac.Sum(nil))>>11) / (1 << 53)
}

// hold says in m when it may be announced. An expiry is not missed for it.
func (r *run) hold(m *Manifest) {
	due := r.due.UTC()
	if at := r.job.ExpiresAt; at != nil && due.After(*at) {
		due = at.UTC()
	}
	if due.After(m.FinishedAt) {
		m.NotBefore, m.FinishedAt = &due, due
	}
}

// heldMS is how much longer m waits to be announced.
func (r *run) heldMS(m Manifest) int64 {
	if now := r.Now(); m.Held(now) {
		return m.NotBefore.Sub(now).Milliseconds()
	}
	return 0
}

// Held reports whether m may not be shown to anybody yet.
func (m Manifest) Held(now time.Time) bool { return m.NotBefore != nil && now.Before(*m.NotBefore) }

// madeAnyway reports whether a message that is refused is made nevertheless, for nobody: it is refused for its recipients, and a quick answer
// would tell one who is under 16 or has blocked the sender from one it is withheld from. A refusal for the sender's own age tells nothing.
func (r *run) madeAnyway(refusal *Error) bool {
	return r.even() && refusal.Op == gateOp && refusal.Code != CodeSenderUnderAge
}

// endsEarly reports whether an item with these facts may end before it is made: nobody it is for would get anything of it. Under even timing
// that must go by the sender alone.
func (it *itemRun) endsEarly(f Facts) bool {
	if it.forNobody || it.mildest(f).Severity() < Withhold.Severity() {
		return false
	}
	if !it.even() {
		return true
	}
	for _, rec := range everyPair() {
		if it.Policy.Decide(f, it.kind(), it.job.Sender, rec).Action != Reject {
			return false
		}
	}
	return true
}
