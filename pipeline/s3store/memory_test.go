package s3store_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// A large original, a fifth of the largest there may be, and what moving it may allocate in all: buffers, never the content.
const (
	largest    = 100 << 20
	mostMemory = 16 << 20
)

// stream is that original, the same bytes every time, from a reader that cannot seek.
func stream() io.Reader {
	var seed [32]byte
	return io.LimitReader(rand.NewChaCha8(seed), largest)
}

// allocated is how many bytes f allocates, what is freed on the way included: more than is ever held at once.
func allocated(t *testing.T, f func() error) uint64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := f(); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestMemoryOfALargeOriginal(t *testing.T) {
	s3 := pipelinetest.StartS3(t)
	s3.MakeBucket(t, "bucket")
	cfg := config(s3, "bucket")
	cfg.Scratch = t.TempDir()
	s := open(t, cfg)
	sum := sha256.New()
	if _, err := io.Copy(sum, stream()); err != nil {
		t.Fatal(err)
	}
	opts := pipeline.PutOptions{ContentType: "video/mp4", SHA256: hex.EncodeToString(sum.Sum(nil))}
	put := allocated(t, func() error { return s.Put(context.Background(), "big", stream(), largest, opts) })
	get := allocated(t, func() error {
		r, _, err := s.Get(context.Background(), "big")
		if err != nil {
			return err
		}
		defer r.Close()
		n, err := io.Copy(struct{ io.Writer }{io.Discard}, r)
		if n != largest {
			t.Errorf("read %d bytes", n)
		}
		return err
	})
	t.Logf("put allocated %d KiB, get %d KiB", put>>10, get>>10)
	if put > mostMemory || get > mostMemory {
		t.Errorf("put allocated %d bytes, get %d; want at most %d each", put, get, mostMemory)
	}
}
