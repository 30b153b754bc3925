package queue

import (
	"net/netip"
	"testing"
)

// PutQuarantined puts a record as a worker does.
func PutQuarantined(t *testing.T, cfg Config, r Quarantined) {
	t.Helper()
	if err := (&quarantine{testRedis(t, cfg)}).put(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func TestIsPublic(t *testing.T) {
	for ip, want := range map[string]bool{
		"93.184.215.14": true, "2606:2800:21f:cb07:6820:80da:af6b:8b2c": true,
		"127.0.0.1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "0.0.0.0": false,
		"224.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false, "192.0.2.1": false, "240.0.0.1": false, "::1": false, "::": false,
		"fe80::1": false, "fd00::1": false, "fec0::1": false, "ff02::1": false, "::ffff:10.0.0.1": false, "64:ff9b::a00:1": false, "2002:a00:1::": false,
		"2001:db8::1": false, "fe80::1%eth0": false,
	} {
		if got := isPublic(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s: %v, want %v", ip, got, want)
		}
	}
	if publicOnly("tcp", "not an address", nil) == nil {
		t.Error("what is no address was let through")
	}
}
