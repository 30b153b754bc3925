package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// existing opens the store of parts for a command that reads what was stored: one that is not there is a mistake, and is not made.
func (s StoreSettings) existing(ctx context.Context) (pipeline.Store, error) {
	const advice = "set --store to the workers' store"
	if !strings.HasPrefix(s.Store, "s3://") {
		if info, err := os.Stat(s.Store); errors.Is(err, fs.ErrNotExist) || (err == nil && !info.IsDir()) {
			return nil, &exitError{exitUsage, fmt.Errorf("store: %s is no directory; %s", s.Store, advice)}
		}
	}
	store, err := s.at("--store", s.Store)
	if err != nil {
		return nil, err
	}
	if err := checkReadable(ctx, store); err != nil {
		return nil, fmt.Errorf("store: %w; %s", err, advice)
	}
	return store, nil
}

// nothing says what to look at when a store holds no message of a prefix.
func (s StoreSettings) nothing(prefix string) string {
	where := s.Store
	if prefix != "" {
		where = fmt.Sprintf("%s under the prefix %q", s.Store, prefix)
	}
	return "no message is stored in " + where + "; is it the workers' --store?"
}
