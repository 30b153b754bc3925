package vips

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// refuseEnv names, in a child, the file to look at.
const refuseEnv = "NINEFOLD_REFUSE"

// refuse looks at a file in a process of its own, and prints the code and the most KiB that were ever resident. It asks for the peak of
// its own memory: what wait reports may be that of the parent, which it shared until exec.
func refuse(path string) (exit int) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 1
	}
	typ, _ := pipeline.Sniff(data[:min(len(data), pipeline.SniffLen)])
	m, err := Probe(path, typ)
	if err == nil {
		err = transcode.CheckLimits(m, transcode.DefaultProfile())
	}
	status, readErr := os.ReadFile("/proc/self/status")
	_, after, found := strings.Cut(string(status), "VmHWM:")
	if readErr != nil || !found {
		return 1
	}
	fmt.Printf("%s\n%s\n", codeOf(err), strings.Fields(after)[0])
	return 0
}

// refusalMemory is issue 4's bound for refusing a bomb, KiB: of the whole process, Go and libvips included.
const refusalMemory = 64 << 10

func TestBombsTakeNoMemory(t *testing.T) {
	for name, data := range map[string][]byte{
		"PNG of 64k × 64k": hugePNG(), "AVIF of 17,000²": hugeAVIF(t), "GIF of 10,000 frames": gifOf(10_000, 16, 16, 16, 16),
		"JPEG of 65,500²": hugeJPEG(t), "GIF canvas of 65,535²": gifOf(2, 65535, 65535, 1, 1),
	} {
		path := filepath.Join(t.TempDir(), "source")
		write(t, path, data)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), refuseEnv+"="+path)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		code, peak, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if code != string(pipeline.CodeTooManyPixels) {
			t.Errorf("%s: code %q", name, code)
		}
		kib, err := strconv.Atoi(peak)
		t.Logf("%s: peak %d MiB", name, kib>>10)
		if err != nil || kib > refusalMemory {
			t.Errorf("%s: %s KiB (%v), at most %d", name, peak, err, refusalMemory)
		}
	}
}
