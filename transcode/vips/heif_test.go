package vips

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// changed returns the file with some items changed.
func (f heicFile) changed(fn func(it *heicItem)) heicFile {
	f.items = slices.Clone(f.items)
	for i := range f.items {
		fn(&f.items[i])
	}
	return f
}

// recoded says that the picture is coded otherwise: an item of another type, or tiles of one.
func recoded(f heicFile, kind string, ids func(id uint16) bool) heicFile {
	return f.changed(func(it *heicItem) {
		if ids(it.id) {
			it.kind = kind
		}
	})
}

func isPicture(id uint16) bool { return id == idPicture }
func isTile(id uint16) bool    { return id < idPicture }

// withProfileIDC changes HEVC's profile in an item's configuration: 9 is screen content.
func withProfileIDC(f heicFile, idc byte) heicFile {
	return f.changed(func(it *heicItem) {
		if !isTile(it.id) {
			return
		}
		it.boxes = slices.Clone(it.boxes)
		for i, b := range it.boxes {
			if string(b[4:8]) == "hvcC" {
				it.boxes[i] = append([]byte(nil), b...)
				it.boxes[i][8+1] = idc
			}
		}
	})
}

func without(f heicFile, id uint16) heicFile {
	f.items = slices.DeleteFunc(slices.Clone(f.items), func(it heicItem) bool { return it.id == id })
	return f
}

// What the decoder does not read is never called damaged: the embedded preview is shown where there is one, and the result says so; else
// the sender is told the reason.
func TestHEICsBeyondTheDecoder(t *testing.T) {
	t.Parallel()
	whole := phone{format: "yuv420p", colour: [][]byte{p3Profile(t)}, held: 6}.shoot(t, asP3(t, card(cardW, cardH)))
	for name, c := range map[string]struct {
		file   heicFile
		reason string
	}{
		"layered tiles":     {recoded(whole, "lhv1", isTile), "layered HEVC"},
		"JPEG tiles":        {recoded(whole, "jpeg", isTile), "as JPEG"},
		"H.264 tiles":       {recoded(whole, "avc1", isTile), "H.264"},
		"plain pixels":      {recoded(whole, "unci", isPicture), "plain pixels"},
		"an unknown coding": {recoded(whole, "zzzz", isPicture), "a coding that the decoder does not know"},
		"screen content":    {withProfileIDC(whole, 9), "a profile of HEVC"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, c.file.bytes())
			r := mustProcess(t, dir, f)
			allRenditions(t, name, r, cardW/2, cardH/2, wholeCard)
			noTraces(t, r)
			if !slices.Equal(r.Part.Warnings, []string{previewOnly}) {
				t.Errorf("warnings %q", r.Part.Warnings)
			}
			dir, f = staged(t, without(c.file, idThumb).bytes())
			_, err := process(t, dir, f)
			if codeOf(err) != pipeline.CodeUnsupportedType || !strings.Contains(pipeline.AsError(err).Message, c.reason) {
				t.Errorf("without a preview: %v, want unsupported_type that says %q", err, c.reason)
			}
		})
	}
}

// The picture itself is read in full where only what stands beside it is beyond the decoder.
func TestHEICsWithOddCompany(t *testing.T) {
	t.Parallel()
	whole := phone{format: "yuv420p", colour: [][]byte{p3Profile(t)}, held: 6}.shoot(t, asP3(t, card(cardW, cardH)))
	nameless := aux(t, idAux, urnSky, idPicture)
	nameless.boxes = nameless.boxes[:2]
	tone := toneMapped18(t, whole)
	tone.primary = idAux + 1
	for name, c := range map[string]struct {
		file    heicFile
		refused bool // by libheif 1.15 as it stands
	}{
		"one gain map of two pictures":  {whole.with(aux(t, idAux, urnGainMap, idPicture, idThumb)), true},
		"an auxiliary without a name":   {whole.with(nameless), true},
		"a tone map in its place":       {tone, true},
		"an auxiliary of unknown kind":  {whole.with(aux(t, idAux, "urn:example:never:heard:of", idPicture)), false},
		"an item of unknown type":       {whole.with(heicItem{id: idAux, kind: "zzzz", data: []byte("abc")}), false},
		"a preview of an unknown type":  {recoded(whole, "zzzz", func(id uint16) bool { return id == idThumb }), false},
		"no preview":                    {without(whole, idThumb), false},
		"an empty gain map":             {whole.with(emptied(aux(t, idAux, urnGainMap, idPicture))), false},
		"a preview that is not its own": {whole.with(heicItem{id: idAux, kind: "zzzz", pointsTo: []heicRef{{"thmb", []uint16{idThumb}}}}), false},
	} {
		t.Run(name, func(t *testing.T) {
			data := c.file.bytes()
			dir, f := staged(t, data)
			if c.refused && !refusedByLibheif(t, dir, f) {
				t.Log("this libheif takes such files: nothing had to be mended")
			}
			r := mustProcess(t, dir, f)
			allRenditions(t, name, r, cardW, cardH, wholeCard)
			noTraces(t, r)
			if len(r.Part.Warnings) != 0 {
				t.Errorf("warnings %q", r.Part.Warnings)
			}
			if left, err := os.ReadFile(filepath.Join(dir, f.Path)); err != nil || !bytes.Equal(left, data) {
				t.Errorf("the sender's file was changed (%v)", err)
			}
		})
	}
}

func emptied(it heicItem) heicItem {
	it.data = nil
	return it
}

func refusedByLibheif(t *testing.T, dir string, f pipeline.File) bool {
	t.Helper()
	return onThread(func() error {
		var a arena
		defer a.free()
		_, err := source{path: filepath.Join(dir, f.Path), typ: f.Type}.load(&a, loaders[f.Type.MIME], loading{}, nil)
		return err
	}) != nil
}

// Damage stays damage, preview or not.
func TestBrokenTilesAreCorrupt(t *testing.T) {
	t.Parallel()
	whole := phone{format: "yuv420p"}.shoot(t, card(cardW, cardH))
	dir, file := staged(t, without(whole, 3).bytes())
	if _, err := process(t, dir, file); codeOf(err) != pipeline.CodeCorrupt {
		t.Errorf("a tile missing: %v, want corrupt", err)
	}
	data := whole.bytes()
	dir, file = staged(t, data[:len(data)*2/3])
	if _, err := process(t, dir, file); codeOf(err) != pipeline.CodeCorrupt {
		t.Errorf("cut short: %v, want corrupt", err)
	}
}
