// Package raster makes the small rasters that are ours: caption cards, placeholders, and the choice of a poster frame.
// It decodes nothing a sender sent; the only pictures it opens are the emoji inside the installed font.
//
// A caption's way: clean (text.go) -> mark words (words.go) -> shape (shape.go, faces from fonts.go) -> fit and wrap (layout.go) -> draw (draw.go).
// A further script: put its font into scriptFonts where the scan of the font directories would choose another.
package raster
