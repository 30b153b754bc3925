package s3store

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/minio/minio-go/v7"

	"github.com/ninefold/ninefold/pipeline"
)

// smallContent is kept in memory instead of a scratch file, bytes.
const smallContent = 1 << 20

// The Cache-Control of what is stored. A rendition lies under its digest, so the recipient's own client may keep it for ever,
// and no shared cache at all; documents are written again.
const (
	cacheMedia     = "private, max-age=31536000, immutable"
	cacheDocuments = "private, no-store"
)

// Put stores the content, over any that is there.
func (s *Store) Put(ctx context.Context, key string, r io.Reader, size int64, opts pipeline.PutOptions) error {
	return s.put(ctx, key, r, size, opts, minio.PutObjectOptions{})
}

// PutNew stores the content where the key is free: If-None-Match leaves the decision to the server.
func (s *Store) PutNew(ctx context.Context, key string, r io.Reader, size int64, opts pipeline.PutOptions) (bool, error) {
	var how minio.PutObjectOptions
	how.SetMatchETagExcept("*")
	err := s.put(ctx, key, r, size, opts, how)
	switch {
	case answered(err, http.StatusPreconditionFailed):
		return false, nil
	case answered(err, http.StatusConflict): // another PutNew of the same key is under way
		_, err = s.Stat(ctx, key)
		return false, err
	}
	return err == nil, err
}

// answered reports whether err is the server's answer with this status.
func answered(err error, status int) bool {
	var resp minio.ErrorResponse
	return errors.As(err, &resp) && resp.StatusCode == status
}

func (s *Store) put(ctx context.Context, key string, r io.Reader, size int64, opts pipeline.PutOptions, how minio.PutObjectOptions) error {
	content, err := pipeline.CheckPut(key, size, opts)
	if err != nil {
		return err
	}
	body, release, err := s.stage(ctx, r, content)
	if err != nil {
		return err
	}
	defer release()
	call := s.call(ctx)
	_, err = s.core.PutObject(call.ctx, s.cfg.Bucket, s.cfg.Prefix+key, &sent{body, call}, size, "", content.SHA256, headers(how, opts))
	return call.end("put", err)
}

// headers has the server check what arrives, and keep the digest for readers. The request is signed over the digest instead
// of over each chunk: the content has been hashed already.
func headers(how minio.PutObjectOptions, opts pipeline.PutOptions) minio.PutObjectOptions {
	sum, _ := hex.DecodeString(opts.SHA256) // CheckPut has looked at it
	how.ContentType, how.DisableContentSha256, how.CacheControl = opts.ContentType, true, cacheMedia
	if opts.ContentType == "application/json" {
		how.CacheControl = cacheDocuments
	}
	how.UserMetadata = map[string]string{
		"x-amz-checksum-sha256": base64.StdEncoding.EncodeToString(sum),
		digestMeta:              opts.SHA256,
	}
	return how
}

// seekable is content that can be read twice: to check it, and to send it as often as it takes.
type seekable interface {
	io.ReaderAt
	io.Seeker
}

// stage returns the checked content in a form that a retry can send again. Nothing wrong is ever sent.
func (s *Store) stage(ctx context.Context, r io.Reader, content pipeline.Content) (io.ReadSeeker, func(), error) {
	if f, ok := r.(seekable); ok {
		if at, err := f.Seek(0, io.SeekCurrent); err == nil {
			section := io.NewSectionReader(f, at, content.Size)
			return section, func() {}, content.Copy(ctx, io.Discard, r)
		}
	}
	if content.Size <= smallContent {
		var data bytes.Buffer
		err := content.Copy(ctx, &data, r)
		return bytes.NewReader(data.Bytes()), func() {}, err
	}
	return s.stageFile(ctx, r, content)
}

// stageFile uses a file without a name: it is gone with its descriptor, whatever happens.
func (s *Store) stageFile(ctx context.Context, r io.Reader, content pipeline.Content) (io.ReadSeeker, func(), error) {
	f, err := os.CreateTemp(s.cfg.Scratch, "ninefold-put-")
	if err != nil {
		return nil, nil, pipeline.Trouble(pipeline.CodeInternal, "s3store scratch", err)
	}
	if err := errors.Join(os.Remove(f.Name()), content.Copy(ctx, f, r)); err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return io.NewSectionReader(f, 0, content.Size), func() { _ = f.Close() }, nil
}

// sent is a body that keeps its call alive while it is sent. It hides Close: minio-go would close the caller's file.
type sent struct {
	io.ReadSeeker
	call *call
}

func (b *sent) Read(p []byte) (int, error) {
	b.call.moved()
	return b.ReadSeeker.Read(p)
}
