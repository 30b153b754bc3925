package emojifont

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
)

// document is one SVG document of the font: the drawings of the glyphs first to last, and what they share.
type document struct {
	first, last int
	parts       map[string][]byte // each element that has an id, with what is in it
	order       []string          // ids as they come
}

// documents reads the table "SVG ".
func documents(table []byte) ([]document, error) {
	errShort := errors.New("the table of drawings is cut short")
	if len(table) < 10 {
		return nil, errShort
	}
	at := int64(binary.BigEndian.Uint32(table[2:]))
	if at+2 > int64(len(table)) {
		return nil, errShort
	}
	list := table[at:]
	n := int(binary.BigEndian.Uint16(list))
	if len(list) < 2+12*n {
		return nil, errShort
	}
	var docs []document
	for i := range n {
		entry := list[2+12*i:]
		from, size := int64(binary.BigEndian.Uint32(entry[4:])), int64(binary.BigEndian.Uint32(entry[8:]))
		if from+size > int64(len(list)) {
			return nil, errShort
		}
		doc := document{first: int(binary.BigEndian.Uint16(entry)), last: int(binary.BigEndian.Uint16(entry[2:]))}
		if err := doc.parse(list[from : from+size]); err != nil {
			return nil, fmt.Errorf("drawings of glyphs %d to %d: %w", doc.first, doc.last, err)
		}
		docs = append(docs, doc)
	}
	if len(docs) == 0 {
		return nil, errors.New("the font has no drawings")
	}
	slices.SortFunc(docs, func(a, b document) int { return a.first - b.first })
	return docs, nil
}

// parse finds the elements with an id.
func (d *document) parse(source []byte) error {
	type open struct {
		id   string
		from int64
	}
	d.parts = map[string][]byte{}
	var stack []open
	dec := xml.NewDecoder(bytes.NewReader(source))
	for {
		from := dec.InputOffset()
		token, err := dec.RawToken()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.StartElement:
			stack = append(stack, open{idOf(t), from})
		case xml.EndElement:
			if len(stack) == 0 {
				return errors.New("an element ends that did not begin")
			}
			e := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if e.id != "" {
				d.parts[e.id] = source[e.from:dec.InputOffset()]
				d.order = append(d.order, e.id)
			}
		}
	}
}

func idOf(t xml.StartElement) string {
	for _, a := range t.Attr {
		if a.Name.Local == "id" && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

var reference = regexp.MustCompile(`#([A-Za-z_][^")\s]*)[")]`)

// drawing returns a glyph's drawing and what it refers to, ready to stand in a document of its own; "" for a glyph without one.
func (d *document) drawing(gid int) (defs, body string, err error) {
	id := fmt.Sprint("glyph", gid)
	part, ok := d.parts[id]
	if !ok {
		return "", "", nil
	}
	needed := map[string]bool{}
	if err := d.needs(part, needed); err != nil {
		return "", "", fmt.Errorf("glyph %d: %w", gid, err)
	}
	var out bytes.Buffer
	for _, id := range d.order {
		if needed[id] && !bytes.Contains(part, d.parts[id]) {
			out.Write(d.parts[id])
		}
	}
	return out.String(), string(part), nil
}

// needs collects what an element refers to, and what that refers to.
func (d *document) needs(part []byte, needed map[string]bool) error {
	for _, m := range reference.FindAllSubmatch(part, -1) {
		id := string(m[1])
		if needed[id] {
			continue
		}
		target, ok := d.parts[id]
		if !ok {
			if isColour(id) {
				continue
			}
			return fmt.Errorf("it refers to %q, which is not there", id)
		}
		needed[id] = true
		if err := d.needs(target, needed); err != nil {
			return err
		}
	}
	return nil
}

// isColour tells #FAFAFA, which looks like a reference.
func isColour(id string) bool { return colour.MatchString(id) }

var colour = regexp.MustCompile(`^(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)
