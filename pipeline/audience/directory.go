// Package audience asks an operator's directory over HTTP who the people of a message are at the moment it is published.
//
// The directory is the operator's own and usually internal: private and loopback addresses are allowed. The request is a POST of
//
//	{"schema": "ninefold.audience/1", "job_id": "…", "message_id": "…", "conversation": {"id": "…", "kind": "direct"},
//	 "sender": {"id": "u_1"}, "recipients": [{"id": "u_2"}]}
//
// signed by the Standard Webhooks scheme (package webhooksign), and the answer, with status 200,
//
//	{"schema": "ninefold.audience/1", "sender": {"id": "u_1", "age_band": "adult"},
//	 "recipients": [{"id": "u_2", "age_band": "16_17", "contact": "accepted", "nudity_filter": "off"}]}
//
// It names every person asked about once, in any order, and nobody else: someone who is gone is contact blocked. What the answer is
// believed for is the address, so use https unless the network is trusted.
package audience

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/webhooksign"
)

// MaxAnswerBytes bounds an answer, bytes: the largest group takes a quarter of it.
const MaxAnswerBytes = 1 << 20

// Config says which directory is asked.
type Config struct {
	URL     string        // http or https
	Secret  string        // for webhooksign.New
	Timeout time.Duration // of one question, answer included
}

// DefaultConfig has the timeout: a lookup of keys in an operator's own network.
func DefaultConfig() Config { return Config{Timeout: 2 * time.Second} }

// Validate names every setting that cannot work.
func (c Config) Validate() error {
	var wrong []error
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		wrong = append(wrong, errors.New("audience-url: want http://HOST/PATH or https://HOST/PATH"))
	}
	if _, err := webhooksign.New(c.Secret); err != nil {
		wrong = append(wrong, fmt.Errorf("audience-secret: %w", err))
	}
	if c.Timeout <= 0 || c.Timeout > time.Minute {
		wrong = append(wrong, fmt.Errorf("audience-timeout: want more than 0 and at most 1m, got %s", c.Timeout))
	}
	return errors.Join(wrong...)
}

// Directory is an AudienceSource over HTTP. It is safe for concurrent use.
//
//  1. It asks once; trying again is the job's affair. Redirects are not followed: a signed question goes where it was addressed.
//  2. A status other than 200, an answer that is late, too long, or not exactly as described is an error: nothing is known then.
type Directory struct {
	config Config
	signer *webhooksign.Signer
	client *http.Client
	now    func() time.Time
}

var _ pipeline.AudienceSource = (*Directory)(nil)

// New returns the Directory at c.URL. Nothing is asked yet.
func New(c Config) (*Directory, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	signer, err := webhooksign.New(c.Secret)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Directory{config: c, signer: signer, client: client, now: time.Now}, nil
}

// question is what the directory is asked.
type question struct {
	Schema       string                `json:"schema"`
	JobID        string                `json:"job_id"`
	MessageID    string                `json:"message_id"`
	Conversation pipeline.Conversation `json:"conversation"`
	Sender       person                `json:"sender"`
	Recipients   []person              `json:"recipients"`
}

type person struct {
	ID string `json:"id"`
}

func questionAbout(job pipeline.Job) question {
	q := question{
		Schema: pipeline.AudienceSchema, JobID: job.JobID, MessageID: job.MessageID, Conversation: job.Conversation,
		Sender: person{job.Sender.ID}, Recipients: make([]person, len(job.Recipients)),
	}
	for i, r := range job.Recipients {
		q.Recipients[i].ID = r.ID
	}
	return q
}

// Audience asks the directory about job's people.
func (d *Directory) Audience(ctx context.Context, job pipeline.Job) (pipeline.Audience, error) {
	resp, err := d.ask(ctx, job)
	if err != nil {
		return pipeline.Audience{}, fmt.Errorf("audience: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return pipeline.Audience{}, fmt.Errorf("audience: the directory answered %s", resp.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswerBytes+1))
	if err != nil {
		return pipeline.Audience{}, fmt.Errorf("audience: %w", err)
	}
	if len(answer) > MaxAnswerBytes {
		return pipeline.Audience{}, fmt.Errorf("audience: the answer has more than %d bytes", MaxAnswerBytes)
	}
	a, err := pipeline.DecodeAudience(answer, job)
	if err != nil {
		return pipeline.Audience{}, fmt.Errorf("audience: the answer: %w", err)
	}
	return a, nil
}

// Check asks about people there are not, and is content with any answer but one that refuses the question or owns to a failure.
func (d *Directory) Check(ctx context.Context) error {
	const nobody = "ninefold-check"
	job := pipeline.Job{
		JobID: nobody, MessageID: nobody, Conversation: pipeline.Conversation{ID: nobody, Kind: pipeline.Direct},
		Sender: pipeline.Sender{ID: nobody}, Recipients: []pipeline.Recipient{{ID: nobody}},
	}
	resp, err := d.ask(ctx, job)
	if err != nil {
		return fmt.Errorf("audience: %w", err)
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code >= 300 && code < 400, code >= 500:
		return fmt.Errorf("audience: the directory answered %s", resp.Status)
	}
	return nil
}

func (d *Directory) ask(ctx context.Context, job pipeline.Job) (*http.Response, error) {
	req, err := d.request(ctx, job)
	if err != nil {
		return nil, err
	}
	return d.client.Do(req)
}

func (d *Directory) request(ctx context.Context, job pipeline.Job) (*http.Request, error) {
	body, err := json.Marshal(questionAbout(job))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.config.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	return req, d.signer.Sign(req.Header, "audience:"+job.JobID, d.now(), body)
}
