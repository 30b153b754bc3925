package queue

import (
	"context"
	"slices"
	"sync"
)

// admission lets the jobs of every class of one worker onto its cores. Weights are cores.
//
//  1. Voice never waits behind photo and video: a share as large as theirs is kept for it, and its engines run before theirs (see nice).
//  2. Photo and video share Config.Cores in the order they came, so that neither starves.
//  3. Bulk is admitted only while no live job runs or waits here, and runs at the lowest priority when one comes meanwhile.
//  4. A class never has more in work than its concurrency, whatever asynq believes: it frees its own token when a task's context ends.
type admission struct {
	limits map[Class]int // jobs of a class at the same time
	cores  int           // for photo and video together
	share  int           // kept for voice

	mu      sync.Mutex
	running map[Class]int
	waiting []*applicant // in the order they came
}

// applicant is a job that waits to be admitted.
type applicant struct {
	class    Class
	admitted chan struct{}
}

func newAdmission(cfg Config) *admission {
	a := &admission{cores: cfg.Cores, share: cfg.Cores, limits: map[Class]int{}, running: map[Class]int{}}
	for _, class := range Classes() {
		a.limits[class] = cfg.Concurrency.of(class)
	}
	return a
}

// weight is what a job of the class is taken to need, in cores. A video's encoder uses more than one where there are many.
func (a *admission) weight(class Class) int {
	switch class {
	case ClassVideo, ClassBulk:
		return min(4, max(1, a.cores/2))
	}
	return 1
}

// nice is the niceness that a class's engines run at: on a full machine the kernel gives a voice note's engine about thirty times the
// processor time of a video's, so that admission need not keep cores idle for it.
func (c Class) nice() int {
	switch c {
	case ClassVoice:
		return 0
	case ClassPhoto:
		return 5
	case ClassVideo:
		return 15
	}
	return 19
}

// enter waits until a job of the class may run. leave must be called after it did.
func (a *admission) enter(ctx context.Context, class Class) (leave func(), err error) {
	one := &applicant{class: class, admitted: make(chan struct{})}
	a.mu.Lock()
	a.waiting = append(a.waiting, one)
	a.admit()
	a.mu.Unlock()
	leave = sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.running[class]--
		a.admit()
	})
	select {
	case <-one.admitted:
		return leave, nil
	case <-ctx.Done():
	}
	a.mu.Lock()
	at := slices.Index(a.waiting, one)
	if at >= 0 {
		a.waiting = slices.Delete(a.waiting, at, at+1)
		a.admit()
	}
	a.mu.Unlock()
	if at < 0 { // admitted in the same moment
		leave()
	}
	return nil, ctx.Err()
}

// admit lets in everybody who may run now: voice first, then the others as they came. It is called with mu held.
func (a *admission) admit() {
	for _, voice := range []bool{true, false} {
		blocked := false
		a.waiting = slices.DeleteFunc(a.waiting, func(one *applicant) bool {
			if (one.class == ClassVoice) != voice || blocked || !a.fits(one.class) {
				// A video that waits for room lets no photo by, or it would wait for ever; one that waits for its class does.
				blocked = blocked || (one.class == ClassVideo && !voice && a.running[one.class] < a.limits[one.class])
				return false
			}
			a.running[one.class]++
			close(one.admitted)
			return true
		})
	}
}

func (a *admission) fits(class Class) bool {
	if a.running[class] >= a.limits[class] {
		return false
	}
	used := func(classes ...Class) (sum int) {
		for _, c := range classes {
			sum += a.running[c] * a.weight(c)
		}
		return sum
	}
	heavy := used(ClassPhoto, ClassVideo)
	switch class {
	case ClassVoice:
		return used(ClassVoice)+heavy+1 <= a.cores+a.share
	case ClassBulk:
		return a.idle()
	}
	most := min(a.cores, a.cores+a.share-used(ClassVoice))
	return heavy == 0 || heavy+a.weight(class) <= most
}

// idle reports that no live job runs or waits.
func (a *admission) idle() bool {
	for _, class := range Classes() {
		if class != ClassBulk && a.running[class] > 0 {
			return false
		}
	}
	return !slices.ContainsFunc(a.waiting, func(one *applicant) bool { return one.class != ClassBulk })
}
