// Command ninefold-voice-engine is ninefold-engine for sound alone: it reads the headers of everything that moves or sounds, and renders
// and verifies voice notes. Pictures and videos it refuses.
//
// There are two engine programs because one engine serves one message, so that its start is part of every message's cost: libvips
// brings a hundred shared libraries, 0.05 CPU-seconds that no voice note needs and a third of what an 18-second note costs. This program
// links no C at all and starts in a quarter of that, its sandbox included. Protocol, limits and checks are the same: transcode/sandbox.
package main

import (
	"os"

	"github.com/ninefold/ninefold/transcode/sandbox"
)

func main() {
	os.Exit(sandbox.RunProgram("ninefold-voice-engine", func() (sandbox.Handler, error) { return newEngine() }))
}
