package vips

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// tightEnv names, in a child, a file to render with 100 MB of address space more than the child has.
const tightEnv = "NINEFOLD_TIGHT"

// tight renders a file with little memory left, and prints the code.
func tight(path string) (exit int) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 1
	}
	typ, _ := pipeline.Sniff(data[:min(len(data), pipeline.SniffLen)])
	dir, err := os.MkdirTemp("", "tight-")
	if err != nil {
		return 1
	}
	defer os.RemoveAll(dir)
	f := pipeline.File{Path: "source" + typ.Ext, Type: typ, Size: int64(len(data))}
	if err := os.WriteFile(filepath.Join(dir, f.Path), data, 0o600); err != nil {
		return 1
	}
	m, err := Probe(filepath.Join(dir, f.Path), typ)
	if err == nil {
		err = limitTo(100 << 20)
	}
	if err == nil {
		var plan *transcode.Plan
		if plan, err = transcode.NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindPhoto}, m, transcode.DefaultProfile()); err == nil {
			_, err = Render(context.Background(), dir, "out", f, plan.Photo, tools{})
		}
	}
	fmt.Printf("%s\n", codeOf(err))
	return 0
}

// limitTo leaves this process so much address space beyond what it has.
func limitTo(more uint64) error {
	status, err := os.ReadFile("/proc/self/status")
	_, after, found := strings.Cut(string(status), "VmSize:")
	if err != nil || !found {
		return errors.New("no size of this process")
	}
	kib, err := strconv.ParseUint(strings.Fields(after)[0], 10, 64)
	most := kib<<10 + more
	return errors.Join(err, syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: most, Max: most}))
}

// A lack of memory is not damage: the sender of a sound picture is never told to send it again because of it.
func TestNoMemoryIsNotDamage(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"AVIF": converted(t, pngOf(t, gradient(4000, 3000)), ".avif", "[effort=0,Q=30]", "copy"),
		"WebP": converted(t, pngOf(t, gradient(4000, 3000)), ".webp", "[effort=0]", "copy"),
		"HEIC": quadrantGrid(t, 8, 6, 512, 4000, 3000).bytes(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "source")
			write(t, path, data)
			if got := tightly(t, path); got != pipeline.CodeOutOfMemory {
				t.Errorf("code %q, want out_of_memory", got)
			}
		})
	}
	for _, name := range []string{"webp-50mp.webp", "avif-36mp.avif", "avif-24mp-works.avif"} {
		if path := filepath.Join(faults, "13-out-of-memory-is-called-corrupt", name); exists(path) {
			if got := tightly(t, path); got != pipeline.CodeOutOfMemory {
				t.Errorf("%s: code %q, want out_of_memory", name, got)
			}
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func tightly(t *testing.T, path string) pipeline.Code {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), tightEnv+"="+path, "MALLOC_ARENA_MAX=2")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return pipeline.Code(strings.TrimSpace(string(out)))
}

// What the libraries say of memory is told from what they say of damage, and from their own limits.
func TestWordsAboutMemory(t *testing.T) {
	for text, want := range map[string]bool{
		"vips_tracked: out of memory --- size == 190MB":                                    true,
		"VipsJpeg: Insufficient memory (case 4)":                                           true,
		"heif: Memory allocation error: Cannot allocate memory (6.2000)":                   true,
		"webp: unable to allocate 199 MB":                                                  true,
		"heif: Memory allocation error: Security limit exceeded: 4 GB (6.1000)":            false,
		"heif: Invalid input: No 'ispe' property (2.113); VipsJpeg: premature end of file": false,
	} {
		if got := shortOfMemory("load", text) != nil; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
