package emojifont

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"regexp"
	"slices"
)

// The font's measures, in its own units, and those of a picture, in pixels: Debian's build of the same font has pictures of that size.
const (
	designEm      = 1024
	designAscent  = 950
	designWidth   = 1275
	designHeight  = 1200
	pictureWidth  = 136
	pictureHeight = 128
	picturePpem   = 109 // pixels an em: designEm * pictureHeight / designHeight
	pictureRise   = 101 // pixels above the baseline
)

// sheetSide squared is how many glyphs are rendered at a time: a renderer takes longer to start than to draw one.
const sheetSide = 4

// cell is one glyph's drawing on a sheet.
type cell struct {
	gid        int
	defs, body string
}

// drawAll draws the cells.
func drawAll(cells []cell, render Draw) ([][]byte, error) {
	var out [][]byte
	for some := range slices.Chunk(cells, sheetSide*sheetSide) {
		pictures, err := drawSheet(some, render)
		if err != nil {
			return nil, err
		}
		out = append(out, pictures...)
	}
	return out, nil
}

// cellOf finds the drawing of a glyph.
func cellOf(docs []document, gid int) (cell, error) {
	for _, d := range docs {
		if gid < d.first || gid > d.last {
			continue
		}
		defs, body, err := d.drawing(gid)
		if err != nil || body != "" {
			return cell{gid, defs, body}, err
		}
	}
	return cell{}, errors.New("the font has no drawing of it")
}

var (
	idAttribute = regexp.MustCompile(`(\sid=")`)
	localLink   = regexp.MustCompile(`(href="#|url\(#)`)
)

// apart gives the ids of a cell names of its own: two documents use the same ones.
func (c cell) apart(text string) string {
	prefix := fmt.Sprintf("${1}c%d-", c.gid)
	return localLink.ReplaceAllString(idAttribute.ReplaceAllString(text, prefix), prefix)
}

// drawSheet renders the cells as one document, and cuts that up.
func drawSheet(cells []cell, render Draw) ([][]byte, error) {
	var svg bytes.Buffer
	w, h := sheetSide*pictureWidth, sheetSide*pictureHeight
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" version="1.1" `+
		`width="%d" height="%d" viewBox="0 0 %d %d">`, w, h, w, h)
	for i, c := range cells {
		at := cellAt(i)
		fmt.Fprintf(&svg, `<svg x="%d" y="%d" width="%d" height="%d" viewBox="0 %d %d %d" preserveAspectRatio="none" overflow="hidden">`+
			`<defs>%s</defs>%s</svg>`,
			at.X, at.Y, pictureWidth, pictureHeight, -designAscent, designWidth, designHeight, c.apart(c.defs), c.apart(c.body))
	}
	svg.WriteString(`</svg>`)
	sheet, err := render(svg.Bytes())
	if err != nil {
		return nil, err
	}
	if got := sheet.Bounds(); got != image.Rect(0, 0, w, h) {
		return nil, fmt.Errorf("a sheet of %d × %d pixels was rendered as %v", w, h, got)
	}
	return cut(sheet, cells)
}

func cellAt(i int) image.Point {
	return image.Pt(i%sheetSide*pictureWidth, i/sheetSide*pictureHeight)
}

func cut(sheet image.Image, cells []cell) ([][]byte, error) {
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	var out [][]byte
	for i, c := range cells {
		pic := image.NewNRGBA(image.Rect(0, 0, pictureWidth, pictureHeight))
		draw.Draw(pic, pic.Rect, sheet, cellAt(i), draw.Src)
		if blank(pic) {
			return nil, fmt.Errorf("glyph %d is drawn as nothing", c.gid)
		}
		var buf bytes.Buffer
		if err := encoder.Encode(&buf, pic); err != nil {
			return nil, err
		}
		out = append(out, buf.Bytes())
	}
	return out, nil
}

func blank(pic *image.NRGBA) bool {
	for i := 3; i < len(pic.Pix); i += 4 {
		if pic.Pix[i] != 0 {
			return false
		}
	}
	return true
}
