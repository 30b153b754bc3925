package ffmpeg

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// bindings has the loader tell which library each symbol was found in, for a start that opens a decoder and an encoder.
func bindings(t *testing.T, k *videoKit, log, preload string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), k.tools.FFmpeg, "-v", "error", "-nostdin", "-f", "lavfi", "-i", "sine=d=0.1", "-c:a", "libopus", "-f", "null", "-")
	cmd.Dir, cmd.Env = k.dir, append(environment(k.dir), "LD_DEBUG=bindings", "LD_DEBUG_OUTPUT="+filepath.Join(k.dir, log), "LD_PRELOAD="+preload)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: the loader or ffmpeg complains: %s", err, out)
	}
	logs, err := filepath.Glob(filepath.Join(k.dir, log+".*"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs %v (%v)", logs, err)
	}
	text := string(k.readFile(filepath.Base(logs[0])))
	line := regexp.MustCompile("binding file (\\S+) \\[0\\] to (\\S+) \\[0\\]: normal symbol `([^']+)'")
	found := map[string]string{}
	for _, m := range line.FindAllStringSubmatch(text, -1) {
		found[filepath.Base(m[1])+" "+m[3]] = filepath.Base(m[2])
	}
	return found
}

// inlined are symbols of the C++ library that programs instantiate themselves: whichever copy is taken, it is the same code.
const inlined = " _ZNK"

// TestLinkOrderChangesNothing compares 40,000 bindings: no library more, none less, and every symbol where it was.
func TestLinkOrderChangesNothing(t *testing.T) {
	k := newVideoKit(t)
	order := linkOrder(k.tools.FFmpeg)
	if order == "" {
		t.Skip("this ffmpeg is started in its own order: it is not Debian's")
	}
	plain, ordered := bindings(t, k, "plain", ""), bindings(t, k, "ordered", order)
	if len(plain) < 10_000 {
		t.Fatalf("only %d bindings were read", len(plain))
	}
	for symbol, library := range plain {
		if got := ordered[symbol]; got != library && !strings.Contains(symbol, inlined) {
			t.Errorf("%s is found in %q, was in %q", symbol, got, library)
		}
	}
	if len(ordered) != len(plain) {
		t.Errorf("%d bindings, were %d", len(ordered), len(plain))
	}
}

func TestLinkOrderIsForDebiansProgramsOnly(t *testing.T) {
	for _, program := range []string{"/nowhere/ffmpeg", "/bin/true", "/proc/self/exe"} {
		if got := linkOrder(program); got != "" {
			t.Errorf("%s is started with %s", program, got)
		}
	}
}
