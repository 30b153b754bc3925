package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Content is what a Put announces about its bytes, and what implementations of Store hold the bytes to.
type Content struct {
	Size   int64  // bytes
	SHA256 string // lower-case hex
}

// CheckPut refuses a Put that could not succeed, before the reader or the store is touched.
func CheckPut(key string, size int64, opts PutOptions) (Content, error) {
	if err := CheckKey(key); err != nil {
		return Content{}, err
	}
	if size < 0 {
		return Content{}, Trouble(CodeInternal, "put", fmt.Errorf("the size must be known, got %d", size))
	}
	if sum, err := hex.DecodeString(opts.SHA256); err != nil || len(sum) != sha256.Size {
		return Content{}, Trouble(CodeInternal, "put", errors.New("the SHA-256 must be known, as 64 hex digits"))
	}
	return Content{Size: size, SHA256: opts.SHA256}, nil
}

// CheckKey is ValidateKey as an error of a store: a key nobody validated is our own mistake.
func CheckKey(key string) error {
	if err := ValidateKey(key); err != nil {
		return Trouble(CodeInternal, "store key", err)
	}
	return nil
}

// CheckPrefix refuses a List prefix under which no valid key could lie.
func CheckPrefix(prefix string) error {
	return CheckKey(prefix + "x")
}

// Copy copies the content from r to w until it is complete. It fails when r ends early, has more bytes, has other bytes or
// fails itself, and when ctx ends; what is in w then must be thrown away.
func (c Content) Copy(ctx context.Context, w io.Writer, r io.Reader) error {
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(ctxReader{ctx, r}, c.Size+1))
	if err != nil {
		return Trouble(CodeInternal, "put", err)
	}
	if n != c.Size {
		return Trouble(CodeInternal, "put", fmt.Errorf("the content ends after %d of %d bytes, or goes on", n, c.Size))
	}
	return c.checkSum("put", CodeInternal, sum)
}

func (c Content) checkSum(op string, code Code, sum hash.Hash) error {
	if got := hex.EncodeToString(sum.Sum(nil)); got != c.SHA256 {
		return Trouble(code, op, fmt.Errorf("the content has SHA-256 %s, want %s", got, c.SHA256))
	}
	return nil
}

// Verified returns a reader of r that fails with CodeStorageUnavailable instead of ending when what came is not the content:
// a transfer cut short or corrupted. An empty SHA256 leaves the digest unchecked.
func (c Content) Verified(r io.ReadCloser) io.ReadCloser {
	return &verifiedReader{ReadCloser: r, want: c, sum: sha256.New()}
}

type verifiedReader struct {
	io.ReadCloser
	want Content
	sum  hash.Hash
	n    int64
}

func (v *verifiedReader) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.n += int64(n)
	v.sum.Write(p[:n])
	switch {
	case err == io.EOF:
		return n, v.atEnd()
	case err != nil:
		return n, Trouble(CodeStorageUnavailable, "get", err)
	}
	return n, nil
}

func (v *verifiedReader) atEnd() error {
	if v.n != v.want.Size {
		return Trouble(CodeStorageUnavailable, "get", fmt.Errorf("the object ended after %d of %d bytes", v.n, v.want.Size))
	}
	if v.want.SHA256 == "" {
		return io.EOF
	}
	if err := v.want.checkSum("get", CodeStorageUnavailable, v.sum); err != nil {
		return err
	}
	return io.EOF
}

// ctxReader ends a copy when its context does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (c ctxReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// OpenSource is SourceStore.Open by way of a store's Get: an absent object is CodeSourceMissing.
func OpenSource(ctx context.Context, s Store, key string) (io.ReadCloser, int64, error) {
	r, o, err := s.Get(ctx, key)
	if errors.Is(err, ErrNotExist) {
		return nil, 0, Refuse(CodeSourceMissing, "no upload is stored under the item's source key; upload it before the job is submitted")
	}
	if err != nil {
		return nil, 0, err
	}
	return r, o.Size, nil
}

// CheckObject is the key that Store.Check writes, reads and lists. There is never more than this one.
const CheckObject = "ninefold-check/probe"

// CheckStore proves by a round trip that a store can be written, read and listed.
func CheckStore(ctx context.Context, s Store) error {
	content := []byte("ninefold writes this to see whether the store works; it may be deleted\n")
	sum := sha256.Sum256(content)
	opts := PutOptions{ContentType: "text/plain", SHA256: hex.EncodeToString(sum[:])}
	if err := s.Put(ctx, CheckObject, bytes.NewReader(content), int64(len(content)), opts); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := checkRead(ctx, s, content); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	listed := false
	err := s.List(ctx, CheckObject, func(o Object) error {
		listed = listed || o.Key == CheckObject
		return nil
	})
	if err == nil && !listed {
		err = errors.New("what was written is not listed")
	}
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	return nil
}

func checkRead(ctx context.Context, s Store, want []byte) error {
	r, _, err := s.Get(ctx, CheckObject)
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.ReadAll(io.LimitReader(r, int64(len(want))+1))
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("what was written reads differently")
	}
	return err
}
