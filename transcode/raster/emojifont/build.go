package emojifont

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"maps"
	"slices"

	"github.com/go-text/typesetting/font"
	ot "github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/font/opentype/tables"
)

// Draw renders an SVG document of its own width and height, in pixels.
type Draw func(svg []byte) (image.Image, error)

// newer lists the emoji of Unicode 16 and 17: the font of Debian 12 has those up to 15.1. Only they are built.
var newer = []rune{
	0x1f6d8, 0x1fa89, 0x1fa8a, 0x1fa8e, 0x1fa8f, 0x1fabe, 0x1fac6, 0x1fac8, 0x1facd, 0x1fadc, 0x1fadf, 0x1fae9, 0x1faea, 0x1faef,
}

// Build turns the newer glyphs of a font of SVG drawings into a font of PNG pictures (the tables CBDT and CBLC). It has them alone, so
// that no other emoji is ever looked for in it. The same source gives the same glyphs in the same places.
func Build(source []byte, draw Draw) ([]byte, error) {
	ld, err := ot.NewLoader(bytes.NewReader(source))
	if err != nil {
		return nil, err
	}
	raw, err := ld.RawTable(ot.MustNewTag("SVG "))
	if err != nil {
		return nil, fmt.Errorf("the font has no drawings: %w", err)
	}
	docs, err := documents(raw)
	if err != nil {
		return nil, err
	}
	cells, err := newerCells(ld, docs)
	if err != nil {
		return nil, err
	}
	pictures, err := drawAll(cells, draw)
	if err != nil {
		return nil, err
	}
	return assemble(ld, pictures)
}

// newerCells are the drawings of newer, in its order: the glyphs of the new font are numbered from 1 in the same order.
func newerCells(ld *ot.Loader, docs []document) ([]cell, error) {
	raw, err := ld.RawTable(ot.MustNewTag("cmap"))
	if err != nil {
		return nil, err
	}
	table, _, err := tables.ParseCmap(raw)
	if err != nil {
		return nil, err
	}
	cmap, _, err := font.ProcessCmap(table, tables.FPNone)
	if err != nil {
		return nil, err
	}
	cells := make([]cell, len(newer))
	for i, r := range newer {
		gid, ok := cmap.Lookup(r)
		if !ok {
			return nil, fmt.Errorf("the font has no %U", r)
		}
		if cells[i], err = cellOf(docs, int(gid)); err != nil {
			return nil, fmt.Errorf("%U: %w", r, err)
		}
	}
	return cells, nil
}

// assemble writes the font: the source's measures, a name of its own, and the pictures.
func assemble(ld *ot.Loader, pictures [][]byte) ([]byte, error) {
	raw := map[string][]byte{}
	for _, name := range []string{"OS/2", "head", "hhea", "maxp", "name", "post"} {
		data, err := ld.RawTable(ot.MustNewTag(name))
		if err != nil {
			return nil, err
		}
		raw[name] = slices.Clone(data)
	}
	var err error
	if raw["name"], err = nameTable(raw["name"]); err != nil {
		return nil, err
	}
	if err := checkDesign(raw["head"], raw["hhea"]); err != nil {
		return nil, err
	}
	if len(raw["maxp"]) < 6 {
		return nil, errors.New("the font does not tell its number of glyphs")
	}
	glyphs := uint16(len(pictures) + 1) // glyph 0 is the box of what is not there
	binary.BigEndian.PutUint16(raw["maxp"][4:], glyphs)
	binary.BigEndian.PutUint16(raw["hhea"][34:], glyphs)
	raw["hmtx"] = bytes.Repeat([]byte{designWidth >> 8, designWidth & 0xff, 0, 0}, int(glyphs))
	raw["cmap"] = characterMap(newer)
	raw["CBDT"], raw["CBLC"] = bitmapTables(pictures)
	var out []ot.Table
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		padded := slices.Concat(raw[name], make([]byte, -len(raw[name])&3)) // tables begin at multiples of four bytes
		out = append(out, ot.Table{Tag: ot.MustNewTag(name), Content: padded})
	}
	return ot.WriteTTF(out), nil
}

// characterMap is a table cmap of format 12: the characters, in rising order, have the glyphs 1, 2, 3 and so on.
func characterMap(characters []rune) []byte {
	u16, u32 := binary.BigEndian.AppendUint16, binary.BigEndian.AppendUint32
	b := u32(u16(u16(u16(u16(nil, 0), 1), 3), 10), 12) // one map, for Windows, of all of Unicode
	b = u32(u16(u16(b, 12), 0), uint32(16+12*len(characters)))
	b = u32(u32(b, 0), uint32(len(characters)))
	for i, r := range characters {
		b = u32(u32(u32(b, uint32(r)), uint32(r)), uint32(i+1))
	}
	return b
}

// checkDesign holds the font to the measures that the pictures are cut by.
func checkDesign(head, hhea []byte) error {
	if len(head) < 54 || len(hhea) < 36 {
		return errors.New("the font's head is too short")
	}
	em := int(binary.BigEndian.Uint16(head[18:]))
	ascent, descent := int(int16(binary.BigEndian.Uint16(hhea[4:]))), int(int16(binary.BigEndian.Uint16(hhea[6:])))
	if em != designEm || ascent != designAscent || descent != designAscent-designHeight {
		return fmt.Errorf("the font's em is %d, its ascent %d, its descent %d: it is not the one that the set-up pins", em, ascent, descent)
	}
	return nil
}
