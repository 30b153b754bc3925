package reprocess

import (
	"context"
	"errors"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// Unused are renditions that a replaced manifest names and no manifest in force does. They are listed, never deleted: clients and caches
// may hold the old manifest for a while.
type Unused struct {
	Count int      `json:"count"`
	Keys  []string `json:"keys"` // reportMost at most
}

// unusedAtOnce is how many keys are looked for in one reading of all manifests.
const unusedAtOnce = 100_000

// FindUnused looks for the renditions that the run's messages dropped in every manifest in force. It reads them all, once for every
// unusedAtOnce dropped renditions; where nothing was dropped, none.
func FindUnused(ctx context.Context, store pipeline.Store, j *Journal) (*Unused, error) {
	u := &Unused{Keys: []string{}}
	dropped := map[string]bool{}
	look := func() error {
		err := stillUsed(ctx, store, dropped)
		for key := range dropped {
			u.Count++
			u.Keys = append(u.Keys, key)
		}
		slices.Sort(u.Keys)
		u.Keys = u.Keys[:min(len(u.Keys), reportMost)]
		clear(dropped)
		return err
	}
	err := j.each(func(e Entry) error {
		for _, key := range e.Change.Dropped {
			dropped[key] = true
		}
		if len(dropped) < unusedAtOnce {
			return nil
		}
		return look()
	})
	if err == nil && len(dropped) > 0 {
		err = look()
	}
	return u, err
}

// stillUsed takes out of dropped what a manifest in force names.
func stillUsed(ctx context.Context, store pipeline.Store, dropped map[string]bool) error {
	return listing{store: store}.each(ctx, "", func(msg message) error {
		m, err := pipeline.Latest(ctx, store, msg.jobID)
		if errors.Is(err, pipeline.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, p := range m.Parts {
			for _, r := range p.Renditions {
				delete(dropped, r.Key)
			}
		}
		return nil
	})
}
