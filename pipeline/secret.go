package pipeline

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ScreenSecretBytes is the length of the secret that decides which frames are drawn at random.
const ScreenSecretBytes = 32

// screenSecretKey is where a deployment that sets no secret keeps one.
const screenSecretKey = "settings/screen-secret"

// SecretSource gives the secret of the deployment, or its own trouble.
type SecretSource func(context.Context) ([]byte, error)

// keptSecret asks its source once.
type keptSecret struct {
	source SecretSource
	mu     sync.Mutex
	secret []byte
}

func (k *keptSecret) get(ctx context.Context) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.secret != nil {
		return k.secret, nil
	}
	source := k.source
	if source == nil {
		source = func(context.Context) ([]byte, error) { return newSecret() }
	}
	secret, err := source(ctx)
	if err == nil && len(secret) < ScreenSecretBytes {
		err = Trouble(CodeInternal, "screen secret", fmt.Errorf("%d bytes; want %d or more", len(secret), ScreenSecretBytes))
	}
	if err == nil {
		k.secret = secret
	}
	return secret, err
}

func newSecret() ([]byte, error) {
	fresh := make([]byte, ScreenSecretBytes)
	if _, err := rand.Read(fresh); err != nil {
		return nil, Trouble(CodeInternal, "screen secret", err)
	}
	return fresh, nil
}

// seed is a secret of these bytes: the same on every worker and after every restart, so that a resend is looked at alike, and nothing that a
// sender can compute.
func (p *Pipeline) seed(ctx context.Context, source string) (seed [32]byte, err error) {
	secret, err := p.secret.get(ctx)
	if err != nil {
		return seed, err
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("screen\x00" + source))
	copy(seed[:], mac.Sum(nil))
	return seed, nil
}

// ScreenSecret returns the secret that a store keeps for all its workers, and makes one where there is none.
func ScreenSecret(ctx context.Context, s Store) ([]byte, error) {
	fresh, err := newSecret()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(fresh)
	opts := PutOptions{ContentType: "application/octet-stream", SHA256: hex.EncodeToString(sum[:])}
	if made, err := s.PutNew(ctx, screenSecretKey, bytes.NewReader(fresh), ScreenSecretBytes, opts); err != nil {
		return nil, fmt.Errorf("screen secret: %w", err)
	} else if made {
		return fresh, nil
	}
	r, _, err := s.Get(ctx, screenSecretKey)
	if err != nil {
		return nil, fmt.Errorf("screen secret: %w", err)
	}
	defer r.Close()
	kept, err := io.ReadAll(io.LimitReader(r, ScreenSecretBytes+1))
	if err == nil && len(kept) != ScreenSecretBytes {
		err = errors.New("the object " + screenSecretKey + " is not one; remove it, or set a secret")
	}
	if err != nil {
		return nil, Trouble(CodeInternal, "screen secret", err)
	}
	return kept, nil
}
