// Command ninefold-engine is the program that parses a sender's photos and videos, and may parse voice notes; where ninefold-voice-engine
// lies beside it, that one does. Nothing else touches a sender's bytes. The worker starts it, speaks with it over standard input and
// output, and kills it when its message is done. By hand it does nothing useful.
package main

import (
	"os"

	"github.com/ninefold/ninefold/transcode/sandbox"
)

func main() {
	os.Exit(sandbox.RunProgram("ninefold-engine", func() (sandbox.Handler, error) { return newEngine() }))
}
