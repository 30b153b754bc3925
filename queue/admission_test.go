package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// desk drives an admission step by step: enter, leave, and who is in.
type desk struct {
	t     *testing.T
	a     *admission
	mu    sync.Mutex // of in and leave: one exit may let several in at once
	in    []string
	leave map[string]func()
	quit  map[string]context.CancelFunc
}

func (d *desk) enter(name string) {
	class := Class(strings.TrimRight(name, "0123456789"))
	ctx, cancel := context.WithCancel(context.Background())
	d.quit[name] = cancel
	go func() {
		leave, err := d.a.enter(ctx, class)
		if err != nil {
			return
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		d.in, d.leave[name] = append(d.in, name), leave
	}()
	synctest.Wait()
}

func (d *desk) exit(name string) {
	d.leave[name]()
	synctest.Wait()
	d.in = slices.DeleteFunc(d.in, func(s string) bool { return s == name })
}

// Each script is a list of steps: "+voice1" asks to enter, "-voice1" leaves, "!voice1" gives up waiting. want is who is in at the end.
func TestAdmission(t *testing.T) {
	for _, c := range []struct {
		name, script, want string
		cores              int
	}{
		{"photo and video share the cores", "+photo1 +video1 +photo2", "photo1 video1", 2},
		{"voice has as much again", "+photo1 +video1 +voice1 +voice2 +voice3", "photo1 video1 voice1 voice2", 2},
		{"voice passes those who wait", "+photo1 +photo2 +video1 +voice1", "photo1 photo2 voice1", 2},
		{"first come, first served", "+photo1 +photo2 +video1 +photo3 -photo1", "photo2 video1", 2},
		{"what waits for its class lets others by", "+video1 +video2 +photo1", "photo1 video1", 2},
		{"a video of many cores waits for room", "+photo1 +photo2 +photo3 +video1 +photo4 -photo1 -photo2", "photo3 photo4 video1", 4},
		{"and gets it", "+photo1 +photo2 +photo3 +video1 +photo4 -photo1", "photo2 photo3 video1", 4},
		{"bulk waits for the last live job", "+photo1 +bulk1 +voice1 -photo1", "voice1", 2},
		{"bulk runs when nothing is live", "+photo1 +bulk1 -photo1", "bulk1", 2},
		{"live work does not wait for bulk", "+bulk1 +video1 +photo1 +voice1", "bulk1 photo1 video1 voice1", 2},
		{"who gives up makes room", "+photo1 +photo2 +video1 +photo3 -photo1 !video1 -video1 -photo2", "photo3", 2},
		{"a waiter that gives up lets those behind it in", "+photo1 +video1 +photo2 +bulk1 !photo2 -photo1 -video1", "bulk1", 2},
		{"one core still does everything", "+video1 +photo1 +voice1 -video1", "photo1 voice1", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := DefaultConfig()
				cfg.Cores, cfg.Concurrency = c.cores, Concurrency{Voice: 2, Photo: 4, Video: 1, Bulk: 1}
				d := &desk{t: t, a: newAdmission(cfg), leave: map[string]func(){}, quit: map[string]context.CancelFunc{}}
				for _, step := range strings.Fields(c.script) {
					switch name := step[1:]; step[0] {
					case '+':
						d.enter(name)
					case '-':
						d.exit(name)
					case '!':
						d.quit[name]()
						synctest.Wait()
					}
				}
				slices.Sort(d.in)
				if got := strings.Join(d.in, " "); got != c.want {
					t.Errorf("%s: in is %q, want %q", c.script, got, c.want)
				}
				for _, quit := range d.quit {
					quit()
				}
			})
		})
	}
}

// Whatever comes, goes and gives up at the same time, no limit is passed and nobody is forgotten.
func TestAdmissionUnderLoad(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Cores, cfg.Concurrency = 2, Concurrency{Voice: 2, Photo: 2, Video: 1, Bulk: 1}
	a := newAdmission(cfg)
	errs := make(chan error)
	const each = 500
	for _, class := range Classes() {
		for n := range 4 {
			go func() {
				for i := range each {
					ctx, cancel := context.WithCancel(context.Background())
					if (i+n)%7 == 0 {
						cancel()
					}
					leave, err := a.enter(ctx, class)
					if err == nil {
						a.mu.Lock()
						if over := a.running[class] - a.limits[class]; over > 0 {
							errs <- fmt.Errorf("%s: %d over the limit", class, over)
						}
						a.mu.Unlock()
						leave()
					} else if !errors.Is(err, context.Canceled) {
						errs <- err
					}
					cancel()
				}
				errs <- nil
			}()
		}
	}
	for range 4 * len(Classes()) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if len(a.waiting) != 0 {
		t.Errorf("%d still wait", len(a.waiting))
	}
	for class, n := range a.running {
		if n != 0 {
			t.Errorf("%s: %d still in", class, n)
		}
	}
}
