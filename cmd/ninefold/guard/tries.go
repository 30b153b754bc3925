package guard

import (
	"hash/maphash"
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// tries bounds the wrong tokens of each source: ten, then one a second. The right token is not counted and never refused, so that nobody
// locks the operator out, from behind the same proxy neither; guessing is prevented by the token's length (MinToken), for bearers as well.
type tries struct {
	seed     maphash.Seed
	limiters [1024]*rate.Limiter // by a hash of the source: no memory grows with those who try
}

func newTries() *tries {
	t := &tries{seed: maphash.MakeSeed()}
	for i := range t.limiters {
		t.limiters[i] = rate.NewLimiter(rate.Every(time.Second), 10)
	}
	return t
}

// allow counts one wrong token of the source at addr, host:port.
func (t *tries) allow(addr string) bool {
	return t.limiters[maphash.String(t.seed, source(addr))%uint64(len(t.limiters))].Allow()
}

// source is who stands behind an address: an IPv6 network of 64 bits is one machine's.
func source(addr string) string {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return addr
	}
	ip := at.Addr().Unmap()
	if ip.Is6() {
		if network, err := ip.Prefix(64); err == nil {
			return network.String()
		}
	}
	return ip.String()
}
