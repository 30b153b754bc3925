// Package vips makes the renditions of photos. It is the only importer of bimg, links libvips, and runs in the engine process only:
// libvips starts when the program does, and a codec's crash takes its process along.
//
// Who does what, and why:
//
//   - bimg encodes every rendition (JPEG, WebP, AVIF), and tells what this libvips can load and save.
//     It takes encoded bytes only, so it is handed each raster as an uncompressed TIFF made in memory. That detour costs
//     two copies of the raster (3 megapixels: lost in the noise of a WebP encode of 250 ms, up to 20 ms of a JPEG's 65), and leaves
//     no way for metadata: there are none in the TIFF.
//   - bridge.c, our own few calls into libvips, does what bimg cannot: a header read with page count and without the whole file in
//     memory, decoding that fails on a file cut short, one decode that many pictures are derived from, colour conversion before
//     the profile is lost, resizing with weighted alpha, pixels in and out. bimg would decode once per rendition, at full size.
//   - the walkers (jpeg.go, png.go, gif.go, webp.go, bmff.go, heif.go) read structure in plain Go: frame counts libvips does not see, sizes a
//     decoder must not be trusted with, and the proof that a rendition carries nothing but its picture.
//
// Colour: an embedded profile is obeyed. A picture that names its colours in other words, by code points (HEIC, AVIF, PNG; P3, BT.2020, PQ and
// HLG), by PNG's gAMA and cHRM or by Exif's mark of Adobe RGB, is given the profile that says the same (tag.go, png_colour.go,
// profile.go), so that there is one way to sRGB. A profile that does not fit is ignored. Of several tables the one that browsers use is used
// (icc.go), without black point compensation, which LittleCMS would add by the version of libvips' own sRGB. Pictures of more than 8 bits whose
// profile has primaries and curves are computed from these (icc_matrix.go).
//
// A file cut short: a JPEG or PNG of which nine tenths of the rows are there is delivered with a warning that begins with "truncated:", and so
// is a JPEG that lost at most 24 rows and not half of them (the last row of blocks, which is more than a tenth of a small picture), one of
// which only the end mark is missing, and a progressive one whose first pass is complete. All else is corrupt (cut_short.go).
//
// The one decode: Render works out which part of the stored picture survives all crops (window.go), reads that part once, in sequence,
// shrinking it on the way to the master, the smallest raster that every picture of the plan can be made from. Orientation and edits
// are applied to the master; each rendition is made from the smallest raster already there that is large enough.
//
// What newer phones write and older libraries do not read, and what is done about each: ../README.md.
//
// A new output format: a row in formats (encode.go), its walker's check in verify.go, a transcode.Format.
package vips
