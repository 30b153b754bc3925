package main

import (
	"context"
	"fmt"

	"github.com/ninefold/ninefold/transcode/sandbox"
)

// proven has engines render media whose outcome is known.
func proven(ctx context.Context, engines *sandbox.Pool) error {
	for _, ch := range engines.Prove(ctx) {
		if !ch.OK {
			return fmt.Errorf("%s: %s", ch.Name, ch.Detail)
		}
	}
	return nil
}
