// Package health answers whether a worker lives and whether it can do its work, for Kubernetes' probes and a load balancer's.
package health

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// Check is one thing that a worker cannot work without.
type Check struct {
	Name  string
	Every time.Duration // how long an answer counts: probes come more often than a check should run
	// Do says what was found, or what is wrong and which setting to look at. It is given a deadline.
	Do func(ctx context.Context) (string, error)
}

// Within is how long one check may take: less than a probe's timeout.
const Within = 4 * time.Second

// Result is how a check ended.
type Result struct {
	Name   string    `json:"name"`
	OK     bool      `json:"ok"`
	Detail string    `json:"detail,omitempty"`
	At     time.Time `json:"checked_at"`
}

// Answer is the body of /readyz.
type Answer struct {
	Ready  bool     `json:"ready"`
	Reason string   `json:"reason,omitempty"` // that holds whatever the checks say
	Checks []Result `json:"checks"`
}

// Health holds the checks and their last results. It is safe for concurrent use.
type Health struct {
	stopping <-chan struct{}
	checks   []*cached
}

// cached is a check that runs for one caller at a time and keeps its answer.
type cached struct {
	Check
	mu   sync.Mutex
	last Result
}

// New returns Health that is not ready any more once stopping is closed.
func New(stopping <-chan struct{}, checks ...Check) *Health {
	h := &Health{stopping: stopping}
	for _, c := range checks {
		h.checks = append(h.checks, &cached{Check: c})
	}
	return h
}

// Live answers as long as the process does. It asks nobody: a worker whose Redis is away must not be killed for it.
func (h *Health) Live() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, map[string]bool{"live": true}) })
}

// Ready answers 200 when every check passes, else 503, with a reason for each where trusted says so of the request: a reason holds addresses,
// and a probe needs none. Others get the names of the checks and how they ended.
func (h *Health) Ready(trusted func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := h.Answer(r.Context())
		if !trusted(r) {
			for i := range a.Checks {
				a.Checks[i].Detail = ""
			}
		}
		status := http.StatusOK
		if !a.Ready {
			status = http.StatusServiceUnavailable
		}
		answer(w, status, a)
	})
}

// Answer runs the checks whose answers are too old, all at the same time.
func (h *Health) Answer(ctx context.Context) Answer {
	a := Answer{Ready: true, Checks: make([]Result, len(h.checks))}
	var all sync.WaitGroup
	for i, c := range h.checks {
		all.Go(func() { a.Checks[i] = c.result(ctx) })
	}
	all.Wait()
	for _, r := range a.Checks {
		a.Ready = a.Ready && r.OK
	}
	select {
	case <-h.stopping:
		a.Ready, a.Reason = false, "the worker is shutting down: it finishes what it has and takes nothing more"
	default:
	}
	return a
}

func (c *cached) result(ctx context.Context) Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.last.At.IsZero() && time.Since(c.last.At) < c.Every {
		return c.last
	}
	// A probe that gives up must not leave a failed check behind.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), Within)
	defer cancel()
	detail, err := c.Do(within)
	c.last = Result{Name: c.Name, OK: err == nil, Detail: detail, At: time.Now().UTC()}
	if err != nil {
		c.last.Detail = err.Error()
	}
	return c.last
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the reader has gone
}
