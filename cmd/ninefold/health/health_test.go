package health_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/cmd/ninefold/health"
)

// A stranger learns whether the worker is ready and which check failed; addresses are for those who have the token.
func TestAStrangerIsToldNoAddress(t *testing.T) {
	t.Parallel()
	h := health.New(nil, health.Check{Name: "redis", Every: time.Hour, Do: func(context.Context) (string, error) {
		return "", errors.New("dial tcp 10.0.3.7:6379: connection refused")
	}})
	ready := h.Ready(func(r *http.Request) bool { return r.Header.Get("Authorization") != "" })
	ask := func(bearer string) string {
		r := httptest.NewRequest(http.MethodGet, "/readyz", nil)
		if bearer != "" {
			r.Header.Set("Authorization", bearer)
		}
		w := httptest.NewRecorder()
		ready.ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("%d, want 503", w.Code)
		}
		return w.Body.String()
	}
	if body := ask(""); strings.Contains(body, "10.0.3.7") || !strings.Contains(body, `"name":"redis","ok":false`) {
		t.Errorf("a stranger is told %s", body)
	}
	if body := ask("Bearer x"); !strings.Contains(body, "10.0.3.7:6379") {
		t.Errorf("the operator is told %s", body)
	}
}
