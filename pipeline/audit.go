package pipeline

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// AuditSchema is the schema name every audit record carries.
const AuditSchema = "ninefold.audit/1"

// AuditPrefix is where audit records lie, one object a committed job and a directory a day: audit/YYYY/MM/DD/JOB.DIGEST.ndjson, a JSON
// record a line, facts before the decisions that rest on them. Objects are put once, never changed and never deleted by us; how long
// they are kept is for the store's own lifecycle rule.
const AuditPrefix = "audit/"

// MinAuditKey is the least length of the key that ids are hashed with, bytes.
const MinAuditKey = 32

// The types of audit records.
const (
	AuditFacts    = "facts"
	AuditDecision = "decision"
)

// AuditedFacts is what was known of one item when it was decided upon.
type AuditedFacts struct {
	Schema string `json:"schema"`
	Type   string `json:"type"` // AuditFacts
	Digest string `json:"digest"`
	Facts  Facts  `json:"facts"`
}

// AuditedDecision is one decision of the policy, with all that it rested on and nobody's id.
type AuditedDecision struct {
	Schema       string           `json:"schema"`
	Type         string           `json:"type"` // AuditDecision
	At           time.Time        `json:"at"`   // UTC
	JobID        string           `json:"job_id"`
	ItemID       string           `json:"item_id,omitempty"` // empty: a gate refused the message before its items were looked at
	Kind         Kind             `json:"kind,omitempty"`
	Conversation ConversationKind `json:"conversation"`
	Sender       string           `json:"sender"` // keyed hash of the id
	SenderAge    AgeBand          `json:"sender_age"`
	Recipient    string           `json:"recipient"` // keyed hash of the id
	RecipientAge AgeBand          `json:"recipient_age"`
	Contact      Contact          `json:"contact"`
	Filter       NudityFilter     `json:"filter"`
	Audience     string           `json:"audience"`        // who said so: job, directory, assumed
	Facts        string           `json:"facts,omitempty"` // digest of the AuditedFacts; empty: none were asked for
	Policy       PolicyRef        `json:"policy"`
	Row          int              `json:"row"`
	Action       Action           `json:"action"`
	Reasons      []string         `json:"reasons"`
	Key          string           `json:"key"` // which key the ids are hashed with
}

// ruling is a decision that is to be recorded: about one recipient and one part, or all parts where part is -1.
type ruling struct {
	recipient, part int
	verdict
}

// pseudonyms hashes ids with a key, so that nobody without it can tell whether a record is about a person they know.
type pseudonyms struct {
	key []byte
	id  string
}

// newPseudonyms takes a random key where there is none: records can then be matched within one process only.
func newPseudonyms(key []byte) (*pseudonyms, error) {
	if len(key) == 0 {
		key = make([]byte, MinAuditKey)
		if _, err := rand.Read(key); err != nil {
			return nil, fmt.Errorf("audit key: %w", err)
		}
	}
	if len(key) < MinAuditKey {
		return nil, fmt.Errorf("audit key (--audit-key): want at least %d random bytes", MinAuditKey)
	}
	p := &pseudonyms{key: key}
	p.id = p.hash("key", "")[:8]
	return p, nil
}

func (p *pseudonyms) person(id string) string { return p.hash("person", id) }

// hash is 128 bits of the keyed hash, in hex.
func (p *pseudonyms) hash(what, id string) string {
	mac := hmac.New(sha256.New, p.key)
	mac.Write([]byte(what + "\n" + id))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// record puts what was decided into the store, before the manifest that rests on it, and names it there. Of two workers on one job, or
// two attempts, each may leave an object; the decisions that count are in the one that the committed manifest names.
func (r *run) record(ctx context.Context, m *Manifest) error {
	if len(r.rulings) == 0 {
		return nil
	}
	data, err := r.auditLines(*m)
	if err != nil {
		return Trouble(CodeInternal, "audit", err)
	}
	sum := sha256.Sum256(data)
	digest := hex.EncodeToString(sum[:])
	m.Pipeline.Audit = AuditPrefix + m.FinishedAt.Format("2006/01/02/") + keyName(m.JobID) + "." + digest[:12] + ".ndjson"
	_, err = r.Store.PutNew(ctx, m.Pipeline.Audit, bytes.NewReader(data), int64(len(data)), PutOptions{ContentType: "application/x-ndjson", SHA256: digest})
	return err
}

// auditLines writes the facts that decisions rest on, each once, and then the decisions.
func (r *run) auditLines(m Manifest) ([]byte, error) {
	var buf bytes.Buffer
	lines := json.NewEncoder(&buf)
	digests := make([]string, len(m.Parts))
	for i, p := range m.Parts {
		if p.Moderation == nil {
			continue
		}
		digest, err := p.Moderation.digest()
		if err != nil {
			return nil, err
		}
		if !slices.Contains(digests, digest) {
			if err := lines.Encode(AuditedFacts{AuditSchema, AuditFacts, digest, *p.Moderation}); err != nil {
				return nil, err
			}
		}
		digests[i] = digest
	}
	for _, ruled := range r.rulings {
		line := r.audited(ruled, m.FinishedAt)
		if ruled.part >= 0 {
			p := m.Parts[ruled.part]
			line.ItemID, line.Kind, line.Facts = p.ItemID, p.Kind, digests[ruled.part]
		}
		if err := lines.Encode(line); err != nil {
			return nil, err
		}
	}
	return buf.Bytes(), nil
}

func (r *run) audited(ruled ruling, at time.Time) AuditedDecision {
	by := ruled.answer
	rec := by.Recipients[ruled.recipient]
	return AuditedDecision{
		Schema: AuditSchema, Type: AuditDecision, At: at, JobID: r.job.JobID, Conversation: r.job.Conversation.Kind,
		Sender: r.pseudonyms.person(by.Sender.ID), SenderAge: by.Sender.AgeBand,
		Recipient: r.pseudonyms.person(rec.ID), RecipientAge: rec.AgeBand, Contact: rec.Contact, Filter: rec.NudityFilter,
		Audience: by.from, Policy: r.Policy.Ref(), Row: ruled.Row, Action: ruled.Action, Reasons: ruled.reasons(), Key: r.pseudonyms.id,
	}
}

// digest is "sha256:" and the digest of the facts' JSON.
func (f Facts) digest() (string, error) {
	data, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:]), nil
}

// maxAuditLine bounds one record read back, bytes: the facts of a long video take some tens of kilobytes.
const maxAuditLine = 1 << 20

// ReadAudit calls decided for each decision of one audit object, with the facts it rests on, or nil. It holds one object's facts, which
// are at most one for each item of a message, and one record in memory. A record that cannot be read is an error.
func ReadAudit(object io.Reader, decided func(AuditedDecision, *Facts) error) error {
	facts := map[string]*Facts{}
	lines := bufio.NewScanner(object)
	lines.Buffer(make([]byte, 0, 64<<10), maxAuditLine)
	for n := 1; lines.Scan(); n++ {
		if err := readAuditLine(lines.Bytes(), facts, decided); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

func readAuditLine(line []byte, facts map[string]*Facts, decided func(AuditedDecision, *Facts) error) error {
	var head struct{ Schema, Type string }
	if err := json.Unmarshal(line, &head); err != nil {
		return err
	}
	switch {
	case head.Schema != AuditSchema:
		return fmt.Errorf("schema: want %q", AuditSchema)
	case head.Type == AuditFacts:
		var f AuditedFacts
		if err := json.Unmarshal(line, &f); err != nil {
			return err
		}
		if len(facts) > MaxVisualItems+MaxVoiceItems {
			return fmt.Errorf("more facts than a message has items")
		}
		facts[f.Digest] = &f.Facts
		return nil
	case head.Type == AuditDecision:
		var d AuditedDecision
		if err := json.Unmarshal(line, &d); err != nil {
			return err
		}
		if d.Facts != "" && facts[d.Facts] == nil {
			return fmt.Errorf("its facts stand in no line before it")
		}
		return decided(d, facts[d.Facts])
	}
	return fmt.Errorf("type: want %q or %q", AuditFacts, AuditDecision)
}
