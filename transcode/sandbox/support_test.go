package sandbox

import (
	"strings"
	"testing"

	seccomp "github.com/elastic/go-seccomp-bpf"
)

// TestKernelWithoutAPiece takes Landlock from a thread, as a kernel or a container without it does, and looks at what is said and done.
func TestKernelWithoutAPiece(t *testing.T) {
	less, done := support{}, make(chan error)
	onThrowawayThread(func() {
		err := seccomp.LoadFilter(seccomp.Filter{NoNewPrivs: true, Policy: seccomp.Policy{
			DefaultAction: seccomp.ActionAllow,
			Syscalls:      []seccomp.SyscallGroup{{Action: enosys, Names: []string{"landlock_create_ruleset"}}},
		}})
		less = kernelSupport()
		done <- err
	})
	if err := <-done; err != nil {
		t.Skipf("this kernel has no seccomp filters: %v", err)
	}
	if less.landlock != 0 || !less.seccomp {
		t.Fatalf("found %+v, want seccomp only", less)
	}
	cfg := DefaultConfig()
	if err := cfg.allow(less); err != nil {
		t.Errorf("best_effort: %v", err)
	}
	if cfg.Sandbox = Required; cfg.allow(less) == nil || !strings.Contains(cfg.allow(less).Error(), "--sandbox best_effort") {
		t.Errorf("required: %v, want a refusal that names the setting", cfg.allow(less))
	}
	for mode, want := range map[Mode]Check{BestEffort: {OK: true, Warn: true}, Required: {}} {
		c := less.checks(mode)[0]
		if c.OK != want.OK || c.Warn != want.Warn || !strings.Contains(c.Detail, "Landlock") {
			t.Errorf("%s: %+v", mode, c)
		}
		inside := less.judge([]Check{{Name: insideFiles}}, mode)[0]
		if inside.OK != want.OK || inside.Warn != want.Warn {
			t.Errorf("%s: the inside is %+v", mode, inside)
		}
	}
	if c := (support{landlock: 7, seccomp: true}).judge([]Check{{Name: insideFiles}}, BestEffort)[0]; c.OK {
		t.Error("a kernel that has every piece is forgiven an open wall")
	}
	for _, name := range []string{insideCalls, insideWorker} {
		if c := less.judge([]Check{{Name: name}}, NoLandlock)[0]; c.OK {
			t.Errorf("%s: forgiven, though Landlock is not what stops it", name)
		}
	}
	cfg.Credentials = true
	for mode, want := range map[Mode]bool{Required: false, BestEffort: false, NoLandlock: true} {
		if cfg.Sandbox = mode; (cfg.allow(less) == nil) != want || !want && !strings.Contains(cfg.allow(less).Error(), "--sandbox no_landlock") {
			t.Errorf("with the keys of a store, %s: %v, want only no_landlock to be taken, and named", mode, cfg.allow(less))
		}
	}
	if cfg.Sandbox = BestEffort; cfg.allow(support{landlock: minLandlock, seccomp: true}) != nil {
		t.Error("a kernel that has it all is refused")
	}
}

// TestOldLandlock: what an ABI does not know is not asked of it.
func TestOldLandlock(t *testing.T) {
	for abi, want := range map[int][3]bool{1: {}, 2: {true}, 3: {true}, 4: {true, true}, 6: {true, true, true}, 9: {true, true, true}} {
		r := ruleset(abi)
		if got := [3]bool{r.Handled_access_fs>>13&1 == 1, r.Handled_access_net != 0, r.Scoped != 0}; got != want {
			t.Errorf("ABI %d handles refer, TCP, scopes: %v, want %v", abi, got, want)
		}
	}
}

// TestEveryCallIsKnown: a name that no architecture has is a slip of the pen that would silently allow nothing.
func TestEveryCallIsKnown(t *testing.T) {
	policies, err := syscallPolicies()
	if err != nil {
		t.Skip(err)
	}
	for _, policy := range policies {
		if _, err := policy.Assemble(); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for _, g := range allowed {
		if g.why == "" {
			t.Errorf("%v are allowed without a reason", g.names)
		}
		for _, name := range g.names {
			if seen[name] {
				t.Errorf("%s stands twice", name)
			}
			seen[name] = true
		}
	}
	for _, never := range []string{"socket", "socketpair", "ptrace", "process_vm_readv", "mount", "setuid", "bpf", "keyctl", "symlink", "link", "mknod", "chmod"} {
		if seen[never] {
			t.Errorf("%s is allowed", never)
		}
	}
}
