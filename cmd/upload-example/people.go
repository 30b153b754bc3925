package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// person is what your database knows of somebody. Ages, contacts and filters are never taken from a request.
type person struct {
	Age      pipeline.AgeBand      `json:"age_band"`
	Filter   pipeline.NudityFilter `json:"nudity_filter"`
	Contacts []string              `json:"contacts"` // whom they have accepted
	Blocked  []string              `json:"blocked"`
}

type directory map[string]person

func readPeople(path string) (directory, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var d directory
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

var _ pipeline.AudienceSource = directory{}

// Audience tells who the people of a message are at this moment. A database that does not answer is an error: the stricter view is given then.
func (d directory) Audience(_ context.Context, job pipeline.Job) (pipeline.Audience, error) {
	a := pipeline.Audience{Sender: pipeline.Sender{ID: job.Sender.ID, AgeBand: pipeline.AgeUnknown}}
	if p, known := d[job.Sender.ID]; known {
		a.Sender.AgeBand = p.Age
	}
	for _, r := range job.Recipients {
		a.Recipients = append(a.Recipients, d.recipient(r.ID, job.Sender.ID))
	}
	return a, nil
}

// recipient is how one person stands to a sender. Somebody nobody knows is of unknown age and a new contact: the strictest case.
func (d directory) recipient(id, sender string) pipeline.Recipient {
	p, known := d[id]
	r := pipeline.Recipient{ID: id, AgeBand: pipeline.AgeUnknown, Contact: pipeline.ContactNew, NudityFilter: pipeline.FilterHide}
	if !known {
		return r
	}
	r.AgeBand, r.NudityFilter = p.Age, p.Filter
	switch {
	case slices.Contains(p.Blocked, sender):
		r.Contact = pipeline.ContactBlocked
	case slices.Contains(p.Contacts, sender):
		r.Contact = pipeline.ContactAccepted
	}
	return r
}
