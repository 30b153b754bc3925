package main

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
}

// What shows messages opens with the token and is not there without one; what probes ask for is open.
func TestAdminMounts(t *testing.T) {
	const token = "a token of our own choice"
	mounts := []mount{{pattern: "GET /healthz", handler: text("alive")}, {pattern: "/console/", token: true, handler: text("messages")}}
	get := func(t *testing.T, s AdminSettings, path, bearer string) (int, string) {
		t.Helper()
		s.AdminAddr = "127.0.0.1:0"
		a, err := startAdmin(s, slog.New(slog.DiscardHandler), mounts)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for _, tc := range []struct {
		name, token, path, bearer string
		code                      int
		body                      string
	}{
		{"open", "", "/healthz", "", 200, "alive"},
		{"open beside a token", token, "/healthz", "", 200, "alive"},
		{"no token set", "", "/console/", "", 404, ""},
		{"no token set, one given", "", "/console/", token, 404, ""},
		{"no token given", token, "/console/", "", 401, ""},
		{"a wrong one given", token, "/console/", token + "!", 401, ""},
		{"the token", token, "/console/", token, 200, "messages"},
		{"the form", token, "/login", "", 200, "Token"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, body := get(t, AdminSettings{AdminToken: tc.token}, tc.path, tc.bearer)
			if code != tc.code || !strings.Contains(body, tc.body) {
				t.Errorf("%d %q, want %d %q", code, body, tc.code, tc.body)
			}
		})
	}
	if _, err := startAdmin(AdminSettings{AdminAddr: "127.0.0.1:0", AdminToken: "short"}, slog.New(slog.DiscardHandler), mounts); err == nil {
		t.Error("a short token is taken")
	}
	if a, err := startAdmin(AdminSettings{}, slog.New(slog.DiscardHandler), mounts); err != nil || a.Close() != nil {
		t.Errorf("without an address: %v", err)
	}
}
