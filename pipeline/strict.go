package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// maxDepth is the deepest nesting of a job; the schema needs five levels.
const maxDepth = 16

// DecodeStrict reads exactly one JSON document into v, whose names are all in lower case. Beside unknown fields it refuses what
// encoding/json lets pass and what makes two readers see two documents: a field twice, and a field in other letters ("Job_ID").
func DecodeStrict(data []byte, v any) error {
	if !utf8.Valid(data) {
		return errors.New("not valid UTF-8")
	}
	if err := checkKeys(data); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return explainJSON(err)
	}
	return nil
}

// scope is an object or array that checkKeys is inside of.
type scope struct {
	object bool
	key    bool // the next token is a key
	seen   map[string]bool
}

// checkKeys walks the tokens of the one document in data.
func checkKeys(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var open []scope
	for {
		tok, err := dec.Token()
		if err != nil {
			return explainJSON(err)
		}
		switch delim, _ := tok.(json.Delim); {
		case delim == '{' || delim == '[':
			if len(open) == maxDepth {
				return errors.New("nested too deeply")
			}
			open = append(open, scope{object: delim == '{', key: delim == '{', seen: map[string]bool{}})
			continue
		case delim == '}' || delim == ']':
			open = open[:len(open)-1]
		case len(open) > 0 && open[len(open)-1].key:
			if err := open[len(open)-1].take(tok); err != nil {
				return err
			}
			continue
		}
		if len(open) == 0 {
			return checkEnd(dec)
		}
		open[len(open)-1].key = open[len(open)-1].object
	}
}

// take is called with each key. All our names are in lower case, so a name that differs from one by case only is told by its letters.
func (s *scope) take(tok json.Token) error {
	key, _ := tok.(string)
	if s.seen[key] {
		return fmt.Errorf("field %q stands twice", clip(key))
	}
	if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return fmt.Errorf("unknown field %q", clip(key))
	}
	s.seen[key], s.key = true, false
	return nil
}

func checkEnd(dec *json.Decoder) error {
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("something follows the closing brace; send one JSON document")
	}
	return nil
}

// explainJSON says what encoding/json found in terms of the document, without Go's types and without repeating it at length.
func explainJSON(err error) error {
	var coded *Error
	var typ *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &coded):
		return coded
	case errors.As(err, &typ) && typ.Field == "":
		return fmt.Errorf("want a JSON object, got %s", clip(typ.Value))
	case errors.As(err, &typ):
		return fmt.Errorf("%s: a JSON %s does not fit", typ.Field, clip(typ.Value))
	case errors.As(err, &syntax):
		return fmt.Errorf("not JSON at byte %d", syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it ends too early")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("unknown field %q", clip(strings.Trim(name, `"`)))
	}
	if strings.Contains(err.Error(), "Time.") || errors.As(err, new(*time.ParseError)) {
		return errors.New("deadline, expires_at: want a time such as 2026-01-31T12:00:00Z")
	}
	return errors.New(clip(err.Error()))
}
