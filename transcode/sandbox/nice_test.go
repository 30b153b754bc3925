package sandbox

import (
	"os/exec"
	"syscall"
	"testing"
)

// A process group that yields does so with everything in it, and with what it starts afterwards.
func TestYield(t *testing.T) {
	cmd := exec.Command("sh", "-c", "read x; nice; read y")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	(&engine{cmd: cmd}).yield(7)
	if _, err := in.Write([]byte("go\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 8)
	n, err := out.Read(answer)
	if err != nil || string(answer[:n]) != "7\n" {
		t.Errorf("a child runs at %q (%v), want 7", answer[:n], err)
	}
	_ = in.Close()
	_ = cmd.Wait()
}
