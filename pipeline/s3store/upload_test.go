package s3store_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/pipeline/s3store"
)

func TestUpload(t *testing.T) {
	s3 := pipelinetest.StartS3(t)
	s3.MakeBucket(t, "uploads")
	cfg := config(s3, "uploads")
	cfg.Prefix = "in/"
	s := open(t, cfg)
	const most = 12 << 20
	whole := bytes.Repeat([]byte("0123456789abcdef"), most/16)
	sum := func(b []byte) string { d := sha256.Sum256(b); return hex.EncodeToString(d[:]) }
	for _, n := range []int{1, 5 << 20, 5<<20 + 1, most} {
		up, err := s.Upload(t.Context(), "whole", bytes.NewReader(whole[:n]), most, "image/jpeg")
		if err != nil || up != (s3store.Uploaded{Size: int64(n), SHA256: sum(whole[:n])}) {
			t.Fatalf("%d bytes: %+v, %v", n, up, err)
		}
		r, size, err := s.Open(t.Context(), "whole")
		if err != nil || size != int64(n) {
			t.Fatalf("%d bytes: read %d, %v", n, size, err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, whole[:n]) {
			t.Errorf("%d bytes: read back %d, %v", n, len(got), err)
		}
		_ = r.Close()
	}
	broken := errors.New("the line broke")
	for name, tc := range map[string]struct {
		r    io.Reader
		code pipeline.Code // "" = r's own error
		says string
	}{
		"too large":  {bytes.NewReader(append(whole, 'x')), pipeline.CodeTooLarge, "more than"},
		"empty":      {strings.NewReader(""), pipeline.CodeCorrupt, "empty"},
		"cut short":  {io.MultiReader(bytes.NewReader(whole[:6<<20]), iotest.ErrReader(io.ErrUnexpectedEOF)), "", "unexpected EOF"},
		"cut early":  {io.MultiReader(bytes.NewReader(whole[:100]), iotest.ErrReader(io.ErrUnexpectedEOF)), "", "unexpected EOF"},
		"broken off": {io.MultiReader(bytes.NewReader(whole[:6<<20]), iotest.ErrReader(broken)), "", "the line broke"},
	} {
		_, err := s.Upload(t.Context(), "wrong", tc.r, most, "image/jpeg")
		var coded *pipeline.Error
		if err == nil || !strings.Contains(err.Error(), tc.says) || errors.As(err, &coded) != (tc.code != "") || (tc.code != "" && coded.Code != tc.code) {
			t.Errorf("%s: %v, want %q", name, err, tc.code)
		}
		if _, err := s.Stat(t.Context(), "wrong"); !errors.Is(err, pipeline.ErrNotExist) {
			t.Errorf("%s: something is stored: %v", name, err)
		}
	}
	if left := unfinished(t, s3.Dir); len(left) > 0 {
		t.Errorf("parts of broken uploads are left: %v", left)
	}
}

// unfinished are the files that versitygw keeps of multipart uploads under way.
func unfinished(t *testing.T, dir string) (left []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(path, ".sgwtmp") {
			left = append(left, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// An address opens its own object, and no other, until it expires.
func TestPresign(t *testing.T) {
	s3 := pipelinetest.StartS3(t)
	s3.MakeBucket(t, "parts")
	cfg := config(s3, "parts")
	cfg.Prefix = "p/"
	s := open(t, cfg)
	put(t, s, "media/a.txt", "for you")
	put(t, s, "media/b.txt", "not for you")
	get := func(url string) (int, string) {
		t.Helper()
		resp, err := http.Get(url)
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
	url, err := s.Presign(t.Context(), "media/a.txt", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if code, body := get(url); code != 200 || body != "for you" {
		t.Errorf("%d %q", code, body)
	}
	if code, body := get(strings.Replace(url, "a.txt", "b.txt", 1)); code != 403 || strings.Contains(body, "not for you") {
		t.Errorf("another object by the same signature: %d %q", code, body)
	}
	if code, _ := get(strings.Split(url, "?")[0]); code != 403 {
		t.Errorf("without the signature: %d", code)
	}
	for _, wrong := range []time.Duration{0, time.Millisecond, 8 * 24 * time.Hour} {
		if _, err := s.Presign(t.Context(), "media/a.txt", wrong); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
	if _, err := s.Presign(t.Context(), "../a", time.Minute); err == nil {
		t.Error("a key outside is presigned")
	}
}
