package raster

import (
	"image"

	"github.com/ninefold/ninefold/pipeline"
)

// Tools is what a renderer needs from this package: Card, CardPNG and Placeholder.
type Tools struct{ *Cards }

// NewTools makes the tools with the fonts of fontDirs; see NewCards.
func NewTools(fontDirs ...string) (Tools, error) {
	cards, err := NewCards(fontDirs...)
	return Tools{cards}, err
}

// Placeholder is the function Placeholder.
func (Tools) Placeholder(img *image.NRGBA) (pipeline.Placeholder, error) { return Placeholder(img) }
