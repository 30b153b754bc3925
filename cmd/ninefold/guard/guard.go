// Package guard stands before the pages that show messages: it keeps other sites, other hosts and people without the token out.
//
//	handler = guard.SameOrigin(handler)               // no other site may post
//	handler = guard.Loopback(handler)                 // no other name may lead here
//	handler = token.Require(handler)                  // where the port can be reached from elsewhere
package guard

import (
	"net"
	"net/http"
	"strings"
)

// SameOrigin refuses what another site's page sends with a method that changes something.
func SameOrigin(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(next)
}

// Loopback answers only under a name of this machine's own. A name that somebody else's DNS points here would let their page read
// what it gets: the browser sends the name along, and here it is refused.
func Loopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsLoopback(r.Host) {
			http.Error(w, "this page is served under localhost and 127.0.0.1 only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// IsLoopback reports whether an address, with or without a port, is this machine's alone.
func IsLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = strings.Trim(addr, "[]")
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// policy lets a page load its own files and nothing else. blob: is what a person is about to send, seen before it is sent.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// Headers tells the browser to be as strict as these pages allow.
func Headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(self)")
		next.ServeHTTP(w, r)
	})
}
