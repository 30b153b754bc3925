package s3store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/ninefold/ninefold/pipeline"
)

// uploadPart is how much of an upload is in memory at a time, bytes: S3's smallest part.
const uploadPart = 5 << 20

// Uploaded says what an Upload stored.
type Uploaded struct {
	Size   int64  // bytes
	SHA256 string // lower-case hex
}

// Upload stores what a person sends as it comes, without knowing its size: for the originals of an upload API.
//
//  1. Nothing is stored when r fails or ends early; the parts sent by then are removed.
//  2. More than most bytes are CodeTooLarge, an empty upload is CodeCorrupt: results, and final. Anything else is the store's trouble or
//     r's own error.
//  3. At most 5 MiB of it are in memory.
func (s *Store) Upload(ctx context.Context, key string, r io.Reader, most int64, contentType string) (Uploaded, error) {
	if err := pipeline.CheckKey(key); err != nil {
		return Uploaded{}, err
	}
	call := s.call(ctx)
	body := &arriving{r: r, most: most, sum: sha256.New(), call: call}
	_, err := s.core.Client.PutObject(call.ctx, s.cfg.Bucket, s.cfg.Prefix+key, body, -1, minio.PutObjectOptions{
		ContentType: contentType, CacheControl: cacheDocuments, PartSize: uploadPart, NumThreads: 1,
	})
	if body.err != nil {
		_ = call.end("upload", nil)
		return Uploaded{}, body.err
	}
	if err := call.end("upload", err); err != nil {
		return Uploaded{}, err
	}
	return Uploaded{Size: body.n, SHA256: hex.EncodeToString(body.sum.Sum(nil))}, nil
}

// arriving is an upload on its way. A body that ends early says io.ErrUnexpectedEOF, which minio-go takes for the end of the object; it
// is given another error, so that half a file is never stored as a whole one.
type arriving struct {
	r    io.Reader
	most int64
	sum  hash.Hash
	call *call
	n    int64
	err  error // that ended it
}

func (a *arriving) Read(p []byte) (int, error) {
	a.call.rest() // the sender may take its time; the server's turn comes with the next part
	n, err := a.r.Read(p)
	a.call.moved()
	a.n += int64(n)
	a.sum.Write(p[:n])
	switch {
	case a.n > a.most:
		a.err = pipeline.Refuse(pipeline.CodeTooLarge, "the file has more than %d bytes; send a smaller one", a.most)
	case errors.Is(err, io.EOF) && a.n == 0:
		a.err = pipeline.Refuse(pipeline.CodeCorrupt, "the file is empty; send it again")
	case err != nil && !errors.Is(err, io.EOF):
		a.err = fmt.Errorf("upload: %w after %d bytes", errBroken{err}, a.n)
	}
	if a.err != nil {
		return 0, a.err
	}
	return n, err
}

// errBroken keeps the reason of a broken upload in words only.
type errBroken struct{ reason error }

func (e errBroken) Error() string { return e.reason.Error() }

// The shortest and the longest life of a presigned address, as S3 allows it.
const (
	minPresign = time.Second
	maxPresign = 7 * 24 * time.Hour
)

// Presign returns an address under which anybody can read the object until it expires. It asks nobody: an absent key has one too. The
// server's address is in the signature: where clients reach the bucket under another one, presign with a Store opened for that.
func (s *Store) Presign(ctx context.Context, key string, expires time.Duration) (string, error) {
	if err := pipeline.CheckKey(key); err != nil {
		return "", err
	}
	if expires < minPresign || expires > maxPresign {
		return "", pipeline.Trouble(pipeline.CodeInternal, "presign", fmt.Errorf("want 1s to 168h, got %v", expires))
	}
	call := s.call(ctx) // the keys may come from the machine's role, over the network
	u, err := s.core.PresignedGetObject(call.ctx, s.cfg.Bucket, s.cfg.Prefix+key, expires, nil)
	if err := call.end("presign", err); err != nil {
		return "", err
	}
	return u.String(), nil
}
