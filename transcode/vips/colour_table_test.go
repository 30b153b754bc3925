package vips

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline/browsertest"
)

// maxBrowserLevels is how far the display rendition may be from what Chromium shows of the original: the mean difference over all fields,
// of 255.
const maxBrowserLevels = 3.0

// cell is one file of the table depth × bands × alpha × profile.
type cell struct {
	data []byte
	like []byte // what the browser is shown instead, where it cannot show the file
}

// tableProfiles are the profiles of the table, by the colours of the picture that they fit.
func tableProfiles() map[string][]byte {
	return map[string][]byte{
		"grey":           greyProfile(1.5),
		"matrix":         matrixProfile(adobe1998, 1.6),
		"P3":             iccProfile(displayP3, srgbCurve),
		"perceptual":     tableProfile("RGB ", "A2B0"),
		"relative":       tableProfile("RGB ", "A2B1"),
		"all intents":    tableProfile("RGB ", "A2B0", "A2B1", "A2B2"),
		"CMYK":           tableProfile("CMYK", "A2B0"),
		"CMYK, relative": tableProfile("CMYK", "A2B1"),
	}
}

const tableSide = 256

// pngCells are PNGs of every depth and colour type with every profile and every chunk that says something of colour.
func pngCells() map[string]cell {
	out := map[string]cell{}
	f := patches(tableSide)
	chunks := map[string][][]byte{
		"none":                nil,
		"sRGB":                {pngSRGB()},
		"gAMA 1.0":            {pngGamma(100_000)},
		"gAMA 1.8":            {pngGamma(55_556)},
		"gAMA 2.2":            {pngGamma(45_455)},
		"cHRM P3":             {pngGamma(45_455), pngChroma(displayP3)},
		"cHRM alone":          {pngChroma(displayP3)},
		"sRGB over gAMA":      {pngSRGB(), pngGamma(100_000)},
		"iCCP over gAMA":      {pngICC(matrixProfile(adobe1998, 1.6)), pngGamma(100_000)},
		"cICP P3":             {pngCICP(12, 13)},
		"cICP linear":         {pngCICP(1, 8)},
		"cICP over iCCP":      {pngCICP(12, 13), pngICC(matrixProfile(bt709, 1.2))},
		"cICP sRGB over iCCP": {pngCICP(1, 13), pngICC(matrixProfile(bt709, 1.2))},
		"gAMA 0":              {pngGamma(0)},
		"cHRM nonsense":       {pngGamma(55_556), pngChroma(chromaticities{{0.3, 0.3}, {0.3, 0.3}, {0.3, 0.3}, {0.3, 0.3}})},
	}
	for name, profile := range tableProfiles() {
		chunks["profile "+name] = [][]byte{pngICC(profile)}
	}
	for kind, k := range map[string]struct {
		depth, colour byte
	}{
		"8 grey": {8, pngGrey}, "16 grey": {16, pngGrey}, "8 grey alpha": {8, pngGreyAlpha}, "16 grey alpha": {16, pngGreyAlpha},
		"8 RGB": {8, pngRGB}, "16 RGB": {16, pngRGB}, "8 RGBA": {8, pngRGBA}, "16 RGBA": {16, pngRGBA},
		"1 grey": {1, pngGrey}, "2 grey": {2, pngGrey}, "4 grey": {4, pngGrey}, "8 palette": {8, pngPalette},
	} {
		for name, c := range chunks {
			out[fmt.Sprintf("PNG %s, %s", kind, name)] = cell{data: pngPicture(tableSide, k.depth, k.colour, f, c...)}
		}
	}
	return out
}

// lossyCells are JPEG, WebP, AVIF and HEIC with every profile, made by libvips' own tool. The browser shows no HEIC: it is shown the PNG.
func lossyCells(t *testing.T) map[string]cell {
	t.Helper()
	out := map[string]cell{}
	f := patches(tableSide)
	for kind, colour := range map[string]byte{"grey": pngGrey, "RGB": pngRGB, "RGBA": pngRGBA} {
		plain := pngPicture(tableSide, 8, colour, f)
		for name, profile := range tableProfiles() {
			attached := "profile=" + profileFile(t, profile)
			if colour != pngRGBA {
				jpg := converted(t, plain, ".jpg", "[Q=97,subsample_mode=off]", "copy")
				out[fmt.Sprintf("JPEG %s, %s", kind, name)] = cell{data: withJPEGProfile(jpg, profile)}
			}
			if colour == pngGrey { // the others have no grey
				continue
			}
			webp := converted(t, plain, ".webp", "[lossless,"+attached+"]", "copy") // heifsave can only keep a profile
			out[fmt.Sprintf("WebP %s, %s", kind, name)] = cell{data: webp}
			for _, depth := range []int{8, 10} {
				options := fmt.Sprintf("[Q=95,bitdepth=%d,effort=2,subsample_mode=on]", depth)
				var like []byte
				if colour == pngRGBA { // of the same pixels, the browser shows the AVIF 4 levels from the PNG
					like = pngPicture(tableSide, 8, colour, f, pngICC(profile))
				}
				if name == "grey" || strings.HasPrefix(name, "CMYK") {
					like = plain // the browser shows no AVIF with such a profile
				}
				if depth == 8 { // for ten bits libheif's encoder of Debian 12 ends in an assertion; hdrAVIF has them
					out[fmt.Sprintf("AVIF %d %s, %s", depth, kind, name)] = cell{data: converted(t, webp, ".avif", options, "copy"), like: like}
				}
				like = pngPicture(tableSide, 8, colour, f, pngICC(profile))
				out[fmt.Sprintf("HEIC %d %s, %s", depth, kind, name)] = cell{data: converted(t, webp, ".heic", options, "copy"), like: like}
			}
		}
	}
	for _, depth := range []string{"gray", "gray10le"} {
		for _, rng := range []string{"tv", "pc"} {
			out["AVIF "+depth+" "+rng] = cell{data: greyAVIF(t, depth, rng)}
		}
	}
	ink := converted(t, pngPicture(tableSide, 8, pngRGB, f), ".jpg", "[Q=97,subsample_mode=off,strip]", "icc_transform", "cmyk", "--input-profile", "srgb")
	for name, profile := range tableProfiles() {
		if strings.HasPrefix(name, "CMYK") {
			continue // the browser's black is lighter than the table's by up to 20 levels; TestCMYK compares with LittleCMS
		}
		out["JPEG CMYK, "+name] = cell{data: withJPEGProfile(ink, profile)}
	}
	out["JPEG CMYK, none"] = cell{data: ink}
	out["JPEG CMYK, no Adobe mark"] = cell{data: withoutAdobe(t, ink)}
	out["JPEG CMYK, no Adobe mark, matrix"] = cell{data: withJPEGProfile(withoutAdobe(t, ink), tableProfiles()["matrix"])}
	out["JPEG YCCK"] = cell{data: withYCCK(t, ink)}
	return out
}

// TestColourTable compares what we deliver with what Chromium shows of the original, cell by cell. It is run by make test-colour.
func TestColourTable(t *testing.T) {
	if os.Getenv("NINEFOLD_COLOUR") == "" {
		t.Skip("the whole table takes minutes: make test-colour")
	}
	page := browsertest.Open(t)
	cells := pngCells()
	maps.Copy(cells, lossyCells(t))
	for _, name := range slices.Sorted(maps.Keys(cells)) {
		t.Run(name, func(t *testing.T) { compareCell(t, page, cells[name]) })
	}
}

func compareCell(t *testing.T, page *browsertest.Page, c cell) {
	t.Helper()
	dir, f := staged(t, c.data)
	r := mustProcess(t, dir, f)
	shown := c.data
	if c.like != nil {
		shown = c.like
	}
	want := shownInBrowser(t, page, shown)
	for _, mime := range []string{"image/jpeg", "image/webp"} {
		got := shownByUs(t, page, r, "display", mime)
		d := apart(t, got, want)
		t.Logf("%s: %.1f levels", mime, d)
		if d > maxBrowserLevels {
			t.Errorf("%s is %.1f levels from what the browser shows of the original", mime, d)
			keepCell(t, c.data)
		}
	}
}

// keepCell leaves a file that came out wrong below NINEFOLD_COLOUR, where that is a directory.
func keepCell(t *testing.T, data []byte) {
	dir := os.Getenv("NINEFOLD_COLOUR")
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		_ = os.WriteFile(filepath.Join(dir, filepath.Base(t.Name())), data, 0o600)
	}
}
