// Package chaos holds the campaigns that break a deployment while it works: real worker processes, a real Redis, a real S3 server and real
// media, with something killed, cut, filled up or stopped in the middle, and an audit of everything afterwards.
//
// The short forms are tests. `make chaos` runs the long ones and prints one JSON line for each row:
//
//	NINEFOLD_CHAOS=long go test -count=1 -timeout 6h -run 'TestC1' -v ./cmd/ninefold/chaos
package chaos
