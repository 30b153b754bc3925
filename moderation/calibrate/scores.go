package calibrate

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// The bounds of a file of scores.
const (
	MaxRows  = 5_000_000
	maxBytes = 512 << 20
	maxShown = 40 // bytes of a wrong value that are repeated in a message
)

// Score is one picture of the set: what it is, and what the model said.
type Score struct {
	ID       string
	Explicit bool
	Score    float64 // 0..1
}

// header is the first line of a file of scores.
func header() []string { return []string{"id", "label", "score"} }

// labels are the words for explicit and for harmless.
func labels() map[string]bool {
	return map[string]bool{
		"1": true, "true": true, "explicit": true, "nsfw": true, "positive": true,
		"0": false, "false": false, "safe": false, "sfw": false, "negative": false,
	}
}

// Read reads scores as CSV with the header id,label,score: a label is explicit, nsfw, positive, true or 1, or safe, sfw, negative, false or
// 0, in any case; a score is a number from 0 to 1; ids are not repeated. The first line that is otherwise ends it with an error that names
// the line and what is wanted.
func Read(r io.Reader) ([]Score, error) {
	in := &io.LimitedReader{R: r, N: maxBytes}
	c := csv.NewReader(skipMark(in))
	c.ReuseRecord, c.FieldsPerRecord, c.TrimLeadingSpace = true, -1, true
	if err := readHeader(c); err != nil {
		return nil, err
	}
	var scores []Score
	words, lines := labels(), map[string]int{}
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) && in.N > 0 {
			return scores, nil
		}
		if in.N == 0 || len(scores) == MaxRows {
			return nil, fmt.Errorf("more than %d rows or %d MiB: take a sample", MaxRows, maxBytes>>20)
		}
		if err != nil {
			return nil, csvError(err)
		}
		line, _ := c.FieldPos(0)
		s, err := parse(record, words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if first := lines[s.ID]; first > 0 {
			return nil, fmt.Errorf("line %d: id %s is on line %d already; give every picture once", line, shown(s.ID), first)
		}
		lines[s.ID] = line
		scores = append(scores, s)
	}
}

func readHeader(c *csv.Reader) error {
	record, err := c.Read()
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty; its first line must be id,label,score")
	}
	if err != nil {
		return csvError(err)
	}
	for i := range record {
		record[i] = strings.ToLower(strings.TrimSpace(record[i]))
	}
	if !slices.Equal(record, header()) {
		return fmt.Errorf("line 1: want the header id,label,score, got %s", shown(strings.Join(record, ",")))
	}
	return nil
}

// csvError says where the file is no CSV.
func csvError(err error) error {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("line %d: no CSV: %w", p.Line, p.Err)
	}
	return err
}

func parse(record []string, words map[string]bool) (Score, error) {
	if len(record) != len(header()) {
		return Score{}, fmt.Errorf("want 3 fields, id,label,score, got %d", len(record))
	}
	id, label := strings.TrimSpace(record[0]), strings.TrimSpace(record[1])
	if id == "" {
		return Score{}, errors.New("id: empty")
	}
	explicit, known := words[strings.ToLower(label)]
	if !known {
		return Score{}, fmt.Errorf("label: want explicit or safe (also nsfw/sfw, positive/negative, true/false, 1/0), got %s", shown(label))
	}
	score, err := strconv.ParseFloat(strings.TrimSpace(record[2]), 64)
	if err != nil || math.IsNaN(score) || score < 0 || score > 1 {
		return Score{}, fmt.Errorf("score: want a number from 0 to 1, got %s", shown(record[2]))
	}
	return Score{ID: id, Explicit: explicit, Score: score}, nil
}

// shown quotes a value, cut where it is long.
func shown(s string) string {
	if len(s) > maxShown {
		return strconv.Quote(s[:maxShown]) + "…"
	}
	return strconv.Quote(s)
}

// skipMark drops the byte order mark that spreadsheets write.
func skipMark(r io.Reader) io.Reader {
	head := make([]byte, 3)
	n, _ := io.ReadFull(r, head) // a failure shows again at the next read
	if string(head[:n]) == "\ufeff" {
		n = 0
	}
	return io.MultiReader(strings.NewReader(string(head[:n])), r)
}
