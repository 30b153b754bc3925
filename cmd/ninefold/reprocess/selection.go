package reprocess

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// Selection says which stored messages are meant. All that is set must hold; an empty Selection means every message.
type Selection struct {
	Prefix   string          `json:"prefix,omitempty"`   // of the job id
	Since    *time.Time      `json:"since,omitempty"`    // taken up by a worker at this moment or later
	Until    *time.Time      `json:"until,omitempty"`    // taken up before this moment
	Kinds    []pipeline.Kind `json:"kinds,omitempty"`    // has a part of one of these kinds
	Versions []string        `json:"versions,omitempty"` // the manifest in force was made by one of these versions
	Models   []string        `json:"models,omitempty"`   // has facts of one of these models, by id or SHA-256; "none" = lacks facts that it should have
	Outdated bool            `json:"outdated,omitempty"` // has facts of an older judge, or facts that are not about all that is delivered
	IDs      string          `json:"ids,omitempty"`      // SHA-256 of the list of job ids, which replaces the listing of the store
}

// looks reports whether a manifest must be read to know.
func (s Selection) looks() bool {
	return s.Since != nil || s.Until != nil || s.Outdated || len(s.Kinds)+len(s.Versions)+len(s.Models) > 0
}

// Matches reports whether the message with the manifest m in force is meant.
func (s Selection) Matches(m pipeline.Manifest) bool {
	switch {
	case !strings.HasPrefix(m.JobID, s.Prefix),
		s.Since != nil && m.CreatedAt.Before(*s.Since),
		s.Until != nil && !m.CreatedAt.Before(*s.Until),
		len(s.Versions) > 0 && !slices.Contains(s.Versions, m.Pipeline.Version):
		return false
	}
	ofKind := func(p pipeline.Part) bool { return slices.Contains(s.Kinds, p.Kind) }
	if s.Outdated && !slices.ContainsFunc(m.Parts, outdated) {
		return false
	}
	return (len(s.Kinds) == 0 || slices.ContainsFunc(m.Parts, ofKind)) && (len(s.Models) == 0 || slices.ContainsFunc(m.Parts, s.ofModel))
}

func outdated(p pipeline.Part) bool {
	return p.Status == pipeline.StatusReady && p.Moderation != nil && p.Moderation.Looked() && (p.Moderation.Outdated() || !p.Covered())
}

func (s Selection) ofModel(p pipeline.Part) bool {
	if p.Kind == pipeline.KindVoice {
		return false
	}
	if p.Moderation == nil || p.Moderation.Model == nil {
		return slices.Contains(s.Models, "none")
	}
	return slices.Contains(s.Models, p.Moderation.Model.ID) || slices.Contains(s.Models, p.Moderation.Model.SHA256)
}

// Digest names the selection beyond doubt, together with what is done to it.
func digestOf(v any) string {
	data, _ := json.Marshal(v) // plain data marshals
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// message is one that may be meant. Positions are in the order in which messages come.
type message struct {
	position string
	jobID    string
}

// source gives the messages that a selection looks at, in order, from after a position on.
type source interface {
	each(ctx context.Context, after string, fn func(message) error) error
}

// listing is every message of a store whose job id has a prefix.
type listing struct {
	store  pipeline.Store
	prefix string
}

func (l listing) each(ctx context.Context, after string, fn func(message) error) error {
	return l.store.List(ctx, pipeline.ManifestPrefix(l.prefix), func(o pipeline.Object) error {
		if id, ok := pipeline.ManifestJobID(o.Key); ok && o.Key > after {
			return fn(message{position: o.Key, jobID: id})
		}
		return nil
	})
}

// IDList is a list of job ids, one a line; empty lines and those that begin with # are passed over.
type IDList struct {
	open   func() (io.ReadCloser, error)
	prefix string
}

// NewIDList returns the list that open gives, and the list's digest for Selection.IDs. open is called more than once.
func NewIDList(open func() (io.ReadCloser, error)) (list IDList, digest string, err error) {
	list, sum := IDList{open: open}, sha256.New()
	err = list.each(context.Background(), "", func(m message) error {
		if !pipeline.ValidID(m.jobID) {
			return fmt.Errorf("line %s is no job id", strings.TrimLeft(m.position, "0"))
		}
		fmt.Fprintln(sum, m.jobID)
		return nil
	})
	return list, hex.EncodeToString(sum.Sum(nil)), err
}

// each numbers the lines: their order is kept, and one line is in memory.
func (l IDList) each(ctx context.Context, after string, fn func(message) error) error {
	r, err := l.open()
	if err != nil {
		return err
	}
	defer r.Close()
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		id, position := strings.TrimSpace(lines.Text()), fmt.Sprintf("%012d", n)
		if id == "" || strings.HasPrefix(id, "#") || position <= after || !strings.HasPrefix(id, l.prefix) {
			continue
		}
		if err := errors.Join(ctx.Err(), fn(message{position: position, jobID: id})); err != nil {
			return err
		}
	}
	return lines.Err()
}

// of returns the source of a selection.
func (s Selection) of(store pipeline.Store, ids *IDList) source {
	if ids == nil {
		return listing{store, s.Prefix}
	}
	list := *ids
	list.prefix = s.Prefix
	return list
}
