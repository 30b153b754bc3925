package pipelinetest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports below those that the kernel gives to outgoing connections (32768 to 60999): a client that asks a dead server again cannot be given
// the server's own port. Ten thousand above each is free, too: a Redis cluster's nodes talk there.
const firstPort, lastPort = 12000, 22000

// FreeAddr returns a loopback address that nobody listens on, for this test alone until it ends: no other test of any process is given it
// meanwhile, not even while a server that had it is being started again.
func FreeAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		claim, err := net.Listen("unix", fmt.Sprintf("@ninefold-test-port-%d", port)) // a name, not a file: it goes with its process
		if err != nil {
			continue // another test's
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			t.Cleanup(func() { _ = claim.Close() })
			return addr
		}
		_ = claim.Close()
	}
	t.Fatalf("no port from %d to %d is free", firstPort, lastPort)
	return ""
}
