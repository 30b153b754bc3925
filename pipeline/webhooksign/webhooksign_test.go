package webhooksign_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline/webhooksign"
)

// secretOf is a secret whose key is n times the byte b.
func secretOf(b byte, n int) string {
	return "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(b), n)))
}

func newSigner(t *testing.T, secrets ...string) *webhooksign.Signer {
	t.Helper()
	s, err := webhooksign.New(strings.Join(secrets, " "))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestKnownSignature holds the example that the specification's libraries all carry.
func TestKnownSignature(t *testing.T) {
	s := newSigner(t, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	h := http.Header{}
	if err := s.Sign(h, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)); err != nil {
		t.Fatal(err)
	}
	if got, want := h.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature %q, want %q", got, want)
	}
	if h.Get("webhook-timestamp") != "1614265330" || h.Get("webhook-id") != "msg_p5jXN8AQM9LWM0D4loKWxJek" {
		t.Errorf("headers %v", h)
	}
}

func TestVerify(t *testing.T) {
	old, young, other := secretOf('a', 24), secretOf('b', 64), secretOf('c', 32)
	tests := []struct {
		name         string
		signs, reads []string
		change       func(http.Header)
		age          time.Duration
		ok           bool
	}{
		{"one secret", []string{old}, []string{old}, nil, 0, true},
		{"the sender rotates first", []string{young, old}, []string{old}, nil, 0, true},
		{"the receiver rotates first", []string{old}, []string{young, old}, nil, 0, true},
		{"another secret", []string{other}, []string{young, old}, nil, 0, false},
		{"an id changed", []string{old}, []string{old}, func(h http.Header) { h.Set("webhook-id", "x") }, 0, false},
		{"no signature", []string{old}, []string{old}, func(h http.Header) { h.Del("webhook-signature") }, 0, false},
		{"replayed", []string{old}, []string{old}, nil, webhooksign.Tolerance + time.Minute, false},
		{"from the future", []string{old}, []string{old}, nil, -webhooksign.Tolerance - time.Minute, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, body := http.Header{}, []byte(`{"a": 1}`)
			if err := newSigner(t, tt.signs...).Sign(h, "m", time.Now().Add(-tt.age), body); err != nil {
				t.Fatal(err)
			}
			if tt.change != nil {
				tt.change(h)
			}
			reader := newSigner(t, tt.reads...)
			if err := reader.Verify(h, body); (err == nil) != tt.ok {
				t.Errorf("verified: %v, want ok %v", err, tt.ok)
			}
			if err := reader.Verify(h, append(body, ' ')); err == nil {
				t.Error("a changed body was verified")
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for _, secret := range []string{"", "  ", "hunter2", "whsec_hunter2", secretOf('a', 23), secretOf('a', 65), strings.TrimPrefix(secretOf('a', 32), "whsec_")} {
		_, err := webhooksign.New(secret)
		if err == nil {
			t.Errorf("%q was taken", secret)
		} else if key := strings.TrimSpace(strings.TrimPrefix(secret, "whsec_")); key != "" && strings.Contains(err.Error(), key) {
			t.Errorf("%v repeats the secret", err)
		}
	}
	if err := newSigner(t, secretOf('a', 32)).Sign(http.Header{}, "", time.Now(), nil); err == nil {
		t.Error("no id was signed")
	}
}

// TestNoTwoReadings: moving a full stop between id, time and body must not give the same signature.
func TestNoTwoReadings(t *testing.T) {
	s, one, two := newSigner(t, secretOf('a', 32)), http.Header{}, http.Header{}
	if err := s.Sign(one, "a.1", time.Unix(2, 0), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.Sign(two, "a", time.Unix(1, 0), []byte("2.x")); err != nil {
		t.Fatal(err)
	}
	if one.Get("webhook-signature") == two.Get("webhook-signature") || one.Get("webhook-id") != "a~1" {
		t.Errorf("%v and %v are signed alike", one, two)
	}
}
