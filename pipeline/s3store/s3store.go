// Package s3store keeps objects in an S3 bucket, and reads originals from one. It is the only importer of minio-go.
//
// Sources and renditions may lie in two buckets: open two Stores.
package s3store

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/ninefold/ninefold/pipeline"
)

// digestMeta is the metadata that an object's SHA-256 is kept in: not every server gives its checksums back.
const digestMeta = "Ninefold-Sha256"

// Store is a pipeline.Store in a bucket, safe for concurrent use.
//
//  1. Content is read to its end and checked before the first byte is sent, and sent with its size and SHA-256, which the
//     server checks again.
//  2. What is read is checked against the digest it was stored with; a reader fails instead of ending on other bytes.
//  3. A call ends when its context does, or when the server is silent for Config.Patience.
//  4. After a PutNew whose answer was lost, the repeated request finds its own object and reports it as taken.
type Store struct {
	cfg  Config
	core *minio.Core
}

var _ pipeline.Store = (*Store)(nil)

// New returns a Store without speaking to the server: see Check.
func New(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	core, err := cfg.client()
	if err != nil {
		return nil, err
	}
	return &Store{cfg: cfg, core: core}, nil
}

// Open implements pipeline.SourceStore.
func (s *Store) Open(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	return pipeline.OpenSource(ctx, s, key)
}

// Get returns the object's content as it comes from the server.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, pipeline.Object, error) {
	if err := pipeline.CheckKey(key); err != nil {
		return nil, pipeline.Object{}, err
	}
	call := s.call(ctx)
	opts := minio.GetObjectOptions{}
	opts.Set("x-amz-checksum-mode", "ENABLED")
	body, info, _, err := s.core.GetObject(call.ctx, s.cfg.Bucket, s.cfg.Prefix+key, opts)
	if err != nil {
		return nil, pipeline.Object{}, call.end("get", err)
	}
	o := describe(key, info)
	return pipeline.Content{Size: o.Size, SHA256: o.SHA256}.Verified(&watched{body: body, call: call}), o, nil
}

// Stat describes the object.
func (s *Store) Stat(ctx context.Context, key string) (pipeline.Object, error) {
	info, err := s.stat(ctx, key)
	if err != nil {
		return pipeline.Object{}, err
	}
	return describe(key, info), nil
}

// ContentType returns what the object was stored as.
func (s *Store) ContentType(ctx context.Context, key string) (string, error) {
	info, err := s.stat(ctx, key)
	return info.ContentType, err
}

func (s *Store) stat(ctx context.Context, key string) (minio.ObjectInfo, error) {
	if err := pipeline.CheckKey(key); err != nil {
		return minio.ObjectInfo{}, err
	}
	call := s.call(ctx)
	opts := minio.StatObjectOptions{}
	opts.Set("x-amz-checksum-mode", "ENABLED")
	info, err := s.core.StatObject(call.ctx, s.cfg.Bucket, s.cfg.Prefix+key, opts)
	return info, call.end("stat", err)
}

// List asks for the objects a page at a time.
func (s *Store) List(ctx context.Context, prefix string, fn func(pipeline.Object) error) error {
	if err := pipeline.CheckPrefix(prefix); err != nil {
		return err
	}
	call := s.call(ctx)
	opts := minio.ListObjectsOptions{Prefix: s.cfg.Prefix + prefix, Recursive: true}
	for info := range s.core.ListObjectsIter(call.ctx, s.cfg.Bucket, opts) {
		if info.Err != nil {
			return call.end("list", info.Err)
		}
		key := strings.TrimPrefix(info.Key, s.cfg.Prefix)
		if pipeline.ValidateKey(key) != nil {
			continue // somebody else's object, such as a "directory" that ends in a slash
		}
		call.rest() // fn may take its time
		if err := fn(describe(key, info)); err != nil {
			return errors.Join(err, call.end("list", nil))
		}
		call.moved()
	}
	return call.end("list", call.ctx.Err())
}

func describe(key string, info minio.ObjectInfo) pipeline.Object {
	o := pipeline.Object{Key: key, Size: info.Size, Modified: info.LastModified.UTC(), SHA256: info.UserMetadata[digestMeta]}
	if o.SHA256 != "" || info.ChecksumMode == "COMPOSITE" {
		return o
	}
	if sum, err := base64.StdEncoding.DecodeString(info.ChecksumSHA256); err == nil && len(sum) == 32 {
		o.SHA256 = hex.EncodeToString(sum)
	}
	return o
}

// call is one use of the server: its context ends when the server has been silent for too long.
type call struct {
	parent, ctx context.Context
	cancel      context.CancelCauseFunc
	timer       *time.Timer
	patience    time.Duration
}

func (s *Store) call(parent context.Context) *call {
	ctx, cancel := context.WithCancelCause(parent)
	silent := fmt.Errorf("no answer from %s within %v", s.cfg.Endpoint, s.cfg.Patience)
	timer := time.AfterFunc(s.cfg.Patience, func() { cancel(silent) })
	return &call{parent: parent, ctx: ctx, cancel: cancel, timer: timer, patience: s.cfg.Patience}
}

// moved is called whenever something came or went.
func (c *call) moved() { c.timer.Reset(c.patience) }

// rest stops the clock until moved is called.
func (c *call) rest() { c.timer.Stop() }

// end ends the call and classifies what it ended with.
func (c *call) end(op string, err error) error {
	defer c.cancel(nil)
	c.timer.Stop()
	if err == nil {
		return nil
	}
	if c.parent.Err() != nil {
		err = context.Cause(c.parent)
		if ctxErr := c.parent.Err(); !errors.Is(err, ctxErr) {
			err = errors.Join(ctxErr, err)
		}
	} else if cause := context.Cause(c.ctx); cause != nil {
		err = cause
	}
	return classify(op, err)
}

// classify is the one place that reads S3's errors.
func classify(op string, err error) error {
	var resp minio.ErrorResponse
	_ = errors.As(err, &resp)
	switch resp.Code {
	case minio.NoSuchKey, "KeyTooLongError", minio.XMinioInvalidObjectName:
		return fmt.Errorf("s3store %s: %w", op, pipeline.ErrNotExist)
	}
	return pipeline.Trouble(pipeline.CodeStorageUnavailable, "s3store "+op, err)
}

// watched is a body that keeps its call alive while it is read.
type watched struct {
	body io.ReadCloser
	call *call
	once sync.Once
}

func (w *watched) Read(p []byte) (int, error) {
	w.call.moved()
	n, err := w.body.Read(p)
	w.call.rest() // the reader may take its time
	if err != nil && !errors.Is(err, io.EOF) {
		err = w.call.end("get", err)
	}
	return n, err
}

func (w *watched) Close() error {
	w.once.Do(func() { _ = w.call.end("get", nil) })
	return w.body.Close()
}

// Check proves that the bucket can be written, read and listed with these credentials.
func (s *Store) Check(ctx context.Context) error {
	return s.advise(pipeline.CheckStore(ctx, s))
}

// CheckSource proves that the bucket can be read from: originals are never written by us. It reads rather than asks for a
// description: only the answer to a GET says what is wrong.
func (s *Store) CheckSource(ctx context.Context) error {
	r, _, err := s.Get(ctx, pipeline.CheckObject)
	if errors.Is(err, pipeline.ErrNotExist) {
		return nil
	}
	if err != nil {
		return s.advise(err)
	}
	return r.Close()
}

// ErrSetting marks what a check found that waiting does not mend: credentials that are refused, or a bucket that is not there.
var ErrSetting = errors.New("setting")

// wrong is an error that is ErrSetting, too.
type wrong struct{ error }

func (w wrong) Unwrap() []error { return []error{w.error, ErrSetting} }

// who says whose credentials are used.
func (c Config) who() string {
	if c.AccessKey == "" {
		return "the credentials of the environment, the credentials file or this machine's role, if there are any"
	}
	return "the credentials"
}

// advise adds the setting to change to what a check ended with.
func (s *Store) advise(err error) error {
	if err == nil {
		return nil
	}
	var resp minio.ErrorResponse
	_ = errors.As(err, &resp)
	switch {
	case resp.Code == minio.NoSuchBucket:
		return wrong{fmt.Errorf("bucket %q is not at %s; make it, or change bucket or endpoint: %w", s.cfg.Bucket, s.cfg.Endpoint, err)}
	case resp.StatusCode == http.StatusForbidden || resp.Code == "XAdminUserNotFound": // the latter is versitygw's
		const advice = "%s refuses %s; set access_key and secret_key, or change the bucket's policy: %w"
		return wrong{fmt.Errorf(advice, s.cfg.Endpoint, s.cfg.who(), err)}
	case resp.StatusCode == 0:
		return fmt.Errorf("%s does not answer; change endpoint or start the server: %w", s.cfg.Endpoint, err)
	}
	return err
}
