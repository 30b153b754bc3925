package sandbox

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// disguises are twelve ways to have a demuxer or a loader open something else, each under four names. Names reach the worker as keys
// only, and nothing asks them: that too is shown.
func disguises(t *testing.T, b *bait) []input {
	t.Helper()
	file := func(name string) string { return filepath.Join(b.dir, name) }
	url := "http://" + b.listener.Addr().String() + "/x"
	mp4 := named(t, sharedSeeds(t), "film.mp4")
	texts := map[string]string{
		"HLS":         "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://" + file("film.mp4") + "\n#EXTINF:1,\n" + url + "\n#EXT-X-ENDLIST\n",
		"HLS key":     "#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"" + url + "\"\n#EXTINF:1,\n" + file("film.mp4") + "\n",
		"DASH":        `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><BaseURL>` + url + `</BaseURL><Period><AdaptationSet><Representation id="1" bandwidth="1"><BaseURL>file://` + file("film.mp4") + `</BaseURL></Representation></AdaptationSet></Period></MPD>`,
		"ffconcat":    "ffconcat version 1.0\nfile '" + file("film.mp4") + "'\nfile '" + url + "'\n",
		"SDP":         "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 9 RTP/AVP 0\n",
		"SVG":         `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="file://` + file("a.png") + `" width="9" height="9"/><image xlink:href="` + url + `"/></svg>`,
		"MVG":         "push graphic-context\nviewbox 0 0 64 64\nfill 'url(" + url + ")'\nimage over 0,0 9,9 '" + file("a.png") + "'\npop graphic-context\n",
		"PostScript":  "%!PS-Adobe-3.0\n(" + file("a.png") + ") (r) file 100 string readstring pop =\n",
		"PDF":         "%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/URI/URI(" + url + ")>>>>endobj\ntrailer<</Root 1 0 R>>\n",
		"image2":      "GIF89a", // with a name like %d.png below
		"MP4 to MP4":  string(foreignReference(t, mp4, "file://"+file("film.mp4"))),
		"MP4 to HTTP": string(foreignReference(t, mp4, url)),
	}
	// What stands before the script takes it past a look at the first bytes; under the last name nothing does.
	leads := map[string]string{
		"film.mp4": "\x00\x00\x00\x10ftypisom\x00\x00\x02\x00", "a.jpg": "\xff\xd8\xff\xe0", "note.m4a": "ID3\x04\x00\x00\x00\x00\x00\x00", "%d.png": "",
	}
	var all []input
	for what, text := range texts {
		for name, lead := range leads {
			if strings.HasPrefix(what, "MP4") {
				lead = "" // it has its own
			}
			all = append(all, input{fmt.Sprintf("%s as %s", what, name), []byte(lead + text)})
		}
	}
	slices.SortFunc(all, func(a, b input) int { return strings.Compare(a.name, b.name) })
	return all
}

// foreignReference makes the data reference of an MP4 point elsewhere.
func foreignReference(t *testing.T, mp4 []byte, to string) []byte {
	t.Helper()
	at := bytes.Index(mp4, []byte("dref"))
	if at < 0 {
		t.Fatal("no data reference")
	}
	entry := at + 12 // version, count; then size, "url ", version and flags
	body := append([]byte("url \x00\x00\x00\x00"), to...)
	body = append(body, 0)
	box := append(binary.BigEndian.AppendUint32(nil, uint32(4+len(body))), body...)
	out := slices.Concat(mp4[:entry], box, mp4[entry+12:])
	grown := len(box) - 12
	for _, name := range []string{"dref", "dinf", "minf", "mdia", "trak", "moov"} {
		i := bytes.LastIndex(out[:at+4], []byte(name))
		binary.BigEndian.PutUint32(out[i-4:], uint32(int(binary.BigEndian.Uint32(out[i-4:]))+grown))
	}
	return out
}

// planted makes files that carry markers in their metadata: in the short form each type with all of them, in the long form sixty files.
func planted(t *testing.T) (all []input, markers []string) {
	t.Helper()
	dir := t.TempDir()
	for _, in := range sharedSeeds(t) {
		if err := os.WriteFile(filepath.Join(dir, in.name), in.data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mark := func(tag string) string {
		m := "MRK" + strings.ToUpper(tag) + "q7Zx"
		markers = append(markers, m)
		return m
	}
	tags := []string{"title", "artist", "comment", "location", "encoder"}
	sound := []string{"note.ogg", "note.m4a", "note.mp3", "note.wav", "note.flac"}
	film := []string{"film.mp4", "film.mov", "film.webm", "film.mkv"}
	still := []string{"a.jpg", "a.png", "a.heic"}
	var values, exif []string
	for _, tag := range tags {
		values = append(values, tag+"="+mark(tag))
	}
	for i, field := range []string{"Artist", "ImageDescription", "XMP:Creator", "UserComment", "XMP:Location"} {
		exif = append(exif, "-"+field+"="+markers[i])
	}
	for _, name := range append(sound, film...) {
		for n, group := range groups(values) {
			all = append(all, tagged(t, dir, name, n, group))
		}
	}
	for _, name := range still {
		for n, group := range groups(exif) {
			out := fmt.Sprintf("x%d-%s", n, name)
			line := append([]string{"-q", "-o", out, "-GPSLatitude=48.137", "-GPSLatitudeRef=N", "-Model=" + markers[0]}, group...)
			all = append(all, input{out, made(t, dir, out, "exiftool", append(line, name)...)})
		}
	}
	bare := func(in input) bool { return len(markersIn(in.data, markers)) == 0 }
	if long() { // not every container holds every tag alone
		all = slices.DeleteFunc(all, bare)
	}
	if i := slices.IndexFunc(all, bare); i >= 0 || len(all) < len(sound)+len(film)+len(still) {
		t.Fatalf("%d files, and one of them has nothing to lose: %d", len(all), i)
	}
	return all, markers
}

// groups are all values at once, or each alone.
func groups(values []string) [][]string {
	if !long() {
		return [][]string{values}
	}
	var each [][]string
	for _, v := range values {
		each = append(each, []string{v})
	}
	return each
}

func tagged(t *testing.T, dir, name string, n int, values []string) input {
	t.Helper()
	out := fmt.Sprintf("t%d-%s", n, name)
	line := []string{"-v", "error", "-nostdin", "-y", "-i", name, "-c", "copy", "-bitexact"}
	for _, v := range values {
		line = append(line, "-metadata", v, "-metadata:s:0", v)
	}
	if ext := filepath.Ext(name); ext == ".mp4" || ext == ".mov" || ext == ".m4a" {
		line = append(line, "-movflags", "use_metadata_tags")
	}
	return input{out, made(t, dir, out, "ffmpeg", append(line, out)...)}
}

// markersIn finds markers as text in UTF-8 and both orders of UTF-16.
func markersIn(data []byte, markers []string) (found []string) {
	for _, m := range markers {
		units := utf16.Encode([]rune(m))
		var le, be []byte
		for _, u := range units {
			le, be = binary.LittleEndian.AppendUint16(le, u), binary.BigEndian.AppendUint16(be, u)
		}
		if bytes.Contains(data, []byte(m)) || bytes.Contains(data, le) || bytes.Contains(data, be) {
			found = append(found, m)
		}
	}
	return found
}
