// Command ninefold-engine is the only program that parses a sender's media. The worker starts it, speaks with it over standard
// input and output, and kills it when its message is done. By hand it does nothing useful.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/ninefold/ninefold/transcode/sandbox"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "ninefold-engine:", err)
		os.Exit(1)
	}
}

func serve() error {
	if err := limitSelf(); err != nil {
		return err
	}
	e, err := newEngine()
	if err != nil {
		return err
	}
	return sandbox.Serve(context.Background(), os.Stdin, os.Stdout, e)
}
