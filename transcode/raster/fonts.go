package raster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-text/typesetting/font"
	ot "github.com/go-text/typesetting/font/opentype"
	"github.com/go-text/typesetting/font/opentype/tables"
	"github.com/go-text/typesetting/harfbuzz"
	"github.com/go-text/typesetting/language"
)

// The files without which no caption is set, by the Debian package that brings them.
const (
	latinFont = "NotoSans-Regular.ttf"    // fonts-noto-core
	cjkFont   = "NotoSansCJK-Regular.ttc" // fonts-noto-cjk
	emojiFont = "NotoColorEmoji.ttf"      // fonts-noto-color-emoji
	newerFont = "NinefoldEmoji.ttf"       // docker/emoji-font.sh; the emoji that Debian 12's font is too old for
	fontHint  = "install the Debian packages fonts-noto-core, fonts-noto-cjk and fonts-noto-color-emoji, or name their directories"
)

// The places of the languages in cjkFont. All its fonts have the same characters; they differ in the shapes they prefer.
const (
	cjkJapanese = 0
	cjkKorean   = 1
	cjkChinese  = 2 // simplified
	cjkTaiwan   = 3 // traditional
)

// defaultFontDirs are where Debian puts the Noto fonts, and the set-up the newer emoji.
func defaultFontDirs() []string {
	return []string{"/usr/share/fonts/truetype/noto", "/usr/share/fonts/opentype/noto", "/usr/local/share/fonts/ninefold"}
}

// scriptFonts is the visible list of which file sets which script. A script that is not here, or whose file is not installed,
// is found by looking through the directories.
var scriptFonts = map[language.Script]string{
	language.Latin: latinFont, language.Greek: latinFont, language.Cyrillic: latinFont,
	language.Arabic:     "NotoSansArabic-Regular.ttf",
	language.Armenian:   "NotoSansArmenian-Regular.ttf",
	language.Bengali:    "NotoSansBengali-Regular.ttf",
	language.Devanagari: "NotoSansDevanagari-Regular.ttf",
	language.Ethiopic:   "NotoSansEthiopic-Regular.ttf",
	language.Georgian:   "NotoSansGeorgian-Regular.ttf",
	language.Gujarati:   "NotoSansGujarati-Regular.ttf",
	language.Gurmukhi:   "NotoSansGurmukhi-Regular.ttf",
	language.Hebrew:     "NotoSansHebrew-Regular.ttf",
	language.Kannada:    "NotoSansKannada-Regular.ttf",
	language.Khmer:      "NotoSansKhmer-Regular.ttf",
	language.Lao:        "NotoSansLao-Regular.ttf",
	language.Malayalam:  "NotoSansMalayalam-Regular.ttf",
	language.Mongolian:  "NotoSansMongolian-Regular.ttf",
	language.Myanmar:    "NotoSansMyanmar-Regular.ttf",
	language.Oriya:      "NotoSansOriya-Regular.ttf",
	language.Sinhala:    "NotoSansSinhala-Regular.ttf",
	language.Syriac:     "NotoSansSyriac-Regular.ttf",
	language.Tamil:      "NotoSansTamil-Regular.ttf",
	language.Telugu:     "NotoSansTelugu-Regular.ttf",
	language.Thaana:     "NotoSansThaana-Regular.ttf",
	language.Thai:       "NotoSansThai-Regular.ttf",
	language.Tibetan:    "NotoSerifTibetan-Regular.ttf",
	language.Han:        cjkFont, language.Hiragana: cjkFont, language.Katakana: cjkFont, language.Hangul: cjkFont,
	language.Bopomofo: cjkFont,
}

// commonFonts are asked in this order for what belongs to no script, such as arrows and punctuation.
var commonFonts = []string{latinFont, "NotoSansSymbols-Regular.ttf", "NotoSansSymbols2-Regular.ttf", "NotoSansMath-Regular.ttf", cjkFont}

// fontFile is one font of a file. Its coverage costs about half a millisecond to read, the whole font up to 20 MB of memory:
// the second is done only for a font that is drawn with.
type fontFile struct {
	path  string
	index int // in a collection
	cmap  font.Cmap
	face  *font.Face
	bad   bool // unreadable: never asked again
}

func (f *fontFile) loader() (*ot.Loader, func() error, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, nil, err
	}
	all, err := ot.NewLoaders(file)
	if err == nil && f.index >= len(all) {
		err = fmt.Errorf("%s has %d fonts, want number %d", f.path, len(all), f.index)
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return all[f.index], file.Close, nil
}

// covers reports whether the font has a glyph for each rune that shows.
func (f *fontFile) covers(cluster []rune) bool {
	if f.cmap == nil && !f.bad {
		f.bad = f.readCmap() != nil
	}
	if f.bad {
		return false
	}
	for _, r := range cluster {
		if _, ok := f.cmap.Lookup(r); !ok && !harfbuzz.IsDefaultIgnorable(r) {
			return false
		}
	}
	return true
}

func (f *fontFile) readCmap() error {
	ld, done, err := f.loader()
	if err != nil {
		return err
	}
	defer func() { _ = done() }() // read only: nothing is lost
	raw, err := ld.RawTable(ot.MustNewTag("cmap"))
	if err != nil {
		return err
	}
	table, _, err := tables.ParseCmap(raw)
	if err != nil {
		return err
	}
	f.cmap, _, err = font.ProcessCmap(table, tables.FPNone)
	return err
}

// load parses the font on its first use.
func (f *fontFile) load() (*font.Face, error) {
	if f.face != nil {
		return f.face, nil
	}
	ld, done, err := f.loader()
	if err != nil {
		return nil, err
	}
	defer func() { _ = done() }() // read only: nothing is lost
	parsed, err := font.NewFont(ld)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	f.face = font.NewFace(parsed)
	return f.face, nil
}

// fontSet finds the font for a piece of text.
type fontSet struct {
	paths  map[string]string // file name -> path
	files  map[string]*fontFile
	scan   []*fontFile        // every regular font, in the order of asking
	missed map[string]bool    // clusters that no font has
	found  map[rune]*fontFile // what a scan found
}

// newFontSet lists the directories and reads no font. Earlier directories win.
func newFontSet(dirs []string) (*fontSet, error) {
	s := &fontSet{
		paths: map[string]string{}, files: map[string]*fontFile{}, missed: map[string]bool{}, found: map[rune]*fontFile{},
	}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("fonts: %w; %s", err, fontHint)
		}
		for _, e := range entries {
			if _, known := s.paths[e.Name()]; !known && !e.IsDir() {
				s.paths[e.Name()] = filepath.Join(dir, e.Name())
			}
		}
	}
	for _, name := range []string{latinFont, cjkFont, emojiFont} {
		if _, ok := s.paths[name]; !ok {
			return nil, fmt.Errorf("fonts: %s is not in %s; %s", name, strings.Join(dirs, ", "), fontHint)
		}
	}
	s.scan = s.scanOrder()
	return s, nil
}

// scanOrder is sans before serif, then by name: the same text is set alike on every machine with the same fonts.
func (s *fontSet) scanOrder() []*fontFile {
	var names []string
	for name := range s.paths {
		ext := filepath.Ext(name)
		if strings.HasSuffix(strings.TrimSuffix(name, ext), "-Regular") && (ext == ".ttf" || ext == ".otf") {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if sa, sb := strings.HasPrefix(a, "NotoSans"), strings.HasPrefix(b, "NotoSans"); sa != sb {
			if sa {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	files := make([]*fontFile, len(names))
	for i, name := range names {
		files[i] = s.file(name, 0)
	}
	return files
}

// file returns the font, or nil where it is not installed.
func (s *fontSet) file(name string, index int) *fontFile {
	path, ok := s.paths[name]
	if !ok {
		return nil
	}
	key := fmt.Sprint(name, "#", index)
	if s.files[key] == nil {
		s.files[key] = &fontFile{path: path, index: index}
	}
	return s.files[key]
}

func (s *fontSet) emoji() *fontFile { return s.file(emojiFont, 0) }

// newerEmoji is nil on a machine that was not set up with it: what only it has is then left out, with a warning.
func (s *fontSet) newerEmoji() *fontFile { return s.file(newerFont, 0) }

// find returns the font that draws the whole of a grapheme cluster in a run of script: the script's own, then the common ones, then
// whatever is installed; nil where no font has all of it. cjk is the language of cjkFont to use.
func (s *fontSet) find(cluster []rune, script language.Script, cjk int) *fontFile {
	if f := s.newerEmoji(); f != nil && f.covers(cluster) && isEmoji(cluster) {
		return f
	}
	if isEmoji(cluster) && s.emoji().covers(cluster) {
		return s.emoji()
	}
	for _, name := range append([]string{scriptFonts[script]}, commonFonts...) {
		if f := s.file(name, faceIndex(name, cjk)); f != nil && f.covers(cluster) {
			return f
		}
	}
	if f := s.scanFor(cluster); f != nil {
		return f
	}
	if s.emoji().covers(cluster) {
		return s.emoji()
	}
	return nil
}

// piece is a number of characters that one font draws.
type piece struct {
	file  *fontFile
	runes int
}

// pieces splits a cluster that no font has as a whole, so that each character comes from a font that has it. What shows nothing, such as
// a joiner, stays with the character before it. A character that no font has is drawn as a box: drawable has taken those out.
func (s *fontSet) pieces(cluster []rune, script language.Script, cjk int) []piece {
	if f := s.find(cluster, script, cjk); f != nil {
		return []piece{{f, len(cluster)}}
	}
	var out []piece
	for i, r := range cluster {
		f := s.find(cluster[i:i+1], script, cjk)
		if f == nil {
			f = s.file(latinFont, 0)
		}
		if n := len(out); n > 0 && (out[n-1].file == f || harfbuzz.IsDefaultIgnorable(r)) {
			out[n-1].runes++
		} else {
			out = append(out, piece{f, 1})
		}
	}
	return out
}

func faceIndex(name string, cjk int) int {
	if name == cjkFont {
		return cjk
	}
	return 0
}

// mostMissed bounds what strangers' texts can make a long-lived process remember.
const mostMissed = 4096

func (s *fontSet) scanFor(cluster []rune) *fontFile {
	if f := s.found[cluster[0]]; f != nil && f.covers(cluster) {
		return f
	}
	if s.missed[string(cluster)] {
		return nil
	}
	for _, f := range s.scan {
		if f.covers(cluster) {
			s.found[cluster[0]] = f
			return f
		}
	}
	if len(s.missed) >= mostMissed {
		clear(s.missed)
	}
	s.missed[string(cluster)] = true
	return nil
}
