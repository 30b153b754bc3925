// Package webhooksign signs what the pipeline sends over HTTP and verifies what it is answered, by the Standard Webhooks scheme:
// HMAC-SHA256 over id, time and body, in the headers webhook-id, webhook-timestamp and webhook-signature. Receivers in every common
// language have a library for it.
package webhooksign

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The length of a key, bytes: the scheme's own bounds.
const (
	MinKeyBytes = 24
	MaxKeyBytes = 64
)

// Tolerance is how far a verified time may lie from now: what a replayed message is refused after.
const Tolerance = 5 * time.Minute

// The headers.
const (
	HeaderID        = standardwebhooks.HeaderWebhookID
	HeaderTimestamp = standardwebhooks.HeaderWebhookTimestamp
	HeaderSignature = standardwebhooks.HeaderWebhookSignature
)

const prefix = "whsec_"

// Signer signs and verifies with one secret or, while secrets are rotated, with several. It is safe for concurrent use.
type Signer struct {
	hooks []*standardwebhooks.Webhook
}

// New reads secrets: one or more of "whsec_" and base64 of 24 to 64 random bytes, separated by spaces. What is signed carries a signature
// for each, newest first by convention; what is verified may match any. An error never repeats a secret.
func New(secrets string) (*Signer, error) {
	fields := strings.Fields(secrets)
	if len(fields) == 0 {
		return nil, errors.New("secret: empty; make one with: echo whsec_$(head -c 32 /dev/urandom | base64)")
	}
	s := &Signer{}
	for _, field := range fields {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(field, prefix))
		if err != nil || !strings.HasPrefix(field, prefix) || len(key) < MinKeyBytes || len(key) > MaxKeyBytes {
			return nil, fmt.Errorf("secret: want %s and base64 of %d to %d random bytes", prefix, MinKeyBytes, MaxKeyBytes)
		}
		hook, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, fmt.Errorf("secret: %w", err)
		}
		s.hooks = append(s.hooks, hook)
	}
	return s, nil
}

// Sign sets the three headers for a message: id is the same on every attempt at it, at is the attempt's time. Full stops separate what
// is signed, so those in id are sent as ~, which is in none of our ids.
func (s *Signer) Sign(h http.Header, id string, at time.Time, body []byte) error {
	if id == "" {
		return errors.New("sign: want an id")
	}
	id = strings.ReplaceAll(id, ".", "~")
	signatures := make([]string, len(s.hooks))
	for i, hook := range s.hooks {
		signature, err := hook.Sign(id, at, body)
		if err != nil {
			return fmt.Errorf("sign: %w", err)
		}
		signatures[i] = signature
	}
	h.Set(HeaderID, id)
	h.Set(HeaderTimestamp, strconv.FormatInt(at.Unix(), 10))
	h.Set(HeaderSignature, strings.Join(signatures, " "))
	return nil
}

// Verify accepts body when one of the signatures in h matches one of the secrets and its time lies within Tolerance of now.
func (s *Signer) Verify(h http.Header, body []byte) error {
	errs := make([]error, 0, len(s.hooks))
	for _, hook := range s.hooks {
		err := hook.Verify(body, h)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
