package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

func TestProcessEveryFixture(t *testing.T) {
	needFixtures(t)
	scratch := setUp(t)
	var files []string
	for _, kind := range []string{"voice", "photo", "video"} {
		found, err := filepath.Glob(filepath.Join(fixtures, kind, "*"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no fixtures of %s: %v", kind, err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			out := t.TempDir()
			m := call(t.Context(), "process", file, "--out", out, "--json").want(t, exitOK).manifest(t)
			written, err := os.ReadFile(filepath.Join(out, "manifest.json"))
			if err != nil || fitsSchema(string(written)) != nil {
				t.Errorf("manifest.json: %v", err)
			}
			if want := wantedKind(file); m.Parts[0].Kind != want {
				t.Errorf("kind %s, want %s", m.Parts[0].Kind, want)
			}
			checkPart(t, out, m.Parts[0])
		})
	}
	leavesNothing(t, scratch)
}

func wantedKind(file string) pipeline.Kind {
	switch filepath.Base(filepath.Dir(file)) {
	case "voice":
		return pipeline.KindVoice
	case "video":
		return pipeline.KindVideo
	}
	if strings.HasSuffix(file, ".gif") {
		return pipeline.KindVideo
	}
	return pipeline.KindPhoto
}

// checkPart asserts of every rendition what whoever receives it would notice.
func checkPart(t *testing.T, out string, p pipeline.Part) {
	t.Helper()
	names := map[string]bool{}
	for _, r := range p.Renditions {
		names[r.Name] = true
		path := filepath.Join(out, r.Key)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(data)) != r.Size {
			t.Errorf("%s: %d bytes, recorded %d", r.Name, len(data), r.Size)
		}
		for _, trace := range []string{"Exif\x00", "GPSL", "ns.adobe.com", "Photoshop", "com.apple", "iPhone", "Lavf5"} {
			if bytes.Contains(data, []byte(trace)) {
				t.Errorf("%s holds %q", r.Name, trace)
			}
		}
		switch r.MIME {
		case "image/jpeg":
			checkJPEG(t, data, r)
		case "video/mp4":
			checkVideo(t, path, data, r)
		case "audio/ogg", "audio/mp4":
			checkVoice(t, path, r)
		}
	}
	for _, name := range map[pipeline.Kind][]string{
		pipeline.KindVoice: {"voice"}, pipeline.KindPhoto: {"display", "preview", "thumb", "grid", "blurred"},
		pipeline.KindVideo: {"playback", "poster", "thumb", "grid", "blurred"},
	}[p.Kind] {
		if !names[name] {
			t.Errorf("there is no rendition %q in %v", name, names)
		}
	}
	if p.Kind == pipeline.KindVoice && (p.Waveform == nil || p.Waveform.Points != 100) {
		t.Errorf("waveform %+v", p.Waveform)
	}
	if p.Kind != pipeline.KindVoice && (p.Placeholder == nil || p.Moderation == nil || p.Moderation.Status != pipeline.Scored) {
		t.Errorf("placeholder %v, moderation %+v", p.Placeholder, p.Moderation)
	}
}

func checkJPEG(t *testing.T, data []byte, r pipeline.Rendition) {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s: %v", r.Name, err)
	}
	if b := img.Bounds(); b.Dx() != r.Width || b.Dy() != r.Height {
		t.Errorf("%s is %d×%d, recorded %d×%d", r.Name, b.Dx(), b.Dy(), r.Width, r.Height)
	}
}

// probed is what ffprobe says of a file.
type probed struct {
	Streams []struct {
		Type    string `json:"codec_type"`
		Codec   string `json:"codec_name"`
		Profile string `json:"profile"`
		Level   int    `json:"level"`
		Width   int    `json:"width"`
		Height  int    `json:"height"`
		Pixels  string `json:"pix_fmt"`
		Rate    string `json:"sample_rate"`
		Chans   int    `json:"channels"`
		Side    []any  `json:"side_data_list"`
	} `json:"streams"`
	Format struct {
		Tags map[string]string `json:"tags"`
	} `json:"format"`
}

func probe(t *testing.T, path string) probed {
	t.Helper()
	data, err := exec.Command("ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", path).Output()
	if err != nil {
		t.Fatalf("ffprobe: %v", err)
	}
	var p probed
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func checkVideo(t *testing.T, path string, data []byte, r pipeline.Rendition) {
	t.Helper()
	v := probe(t, path).Streams[0]
	if v.Type != "video" || v.Codec != "h264" || v.Pixels != "yuv420p" || v.Level > 42 || v.Width != r.Width || v.Height != r.Height {
		t.Errorf("playback is %+v, recorded %d×%d", v, r.Width, r.Height)
	}
	if len(v.Side) > 0 {
		t.Errorf("playback is still turned: %v", v.Side)
	}
	if moov, mdat := bytes.Index(data, []byte("moov")), bytes.Index(data, []byte("mdat")); moov < 0 || moov > mdat {
		t.Errorf("moov at %d, mdat at %d: it does not start before it is all there", moov, mdat)
	}
}

func checkVoice(t *testing.T, path string, r pipeline.Rendition) {
	t.Helper()
	a := probe(t, path).Streams[0]
	want := map[string]string{"audio/ogg": "opus", "audio/mp4": "aac"}[r.MIME]
	if a.Type != "audio" || a.Codec != want || a.Chans != 1 || a.Rate != "48000" {
		t.Errorf("voice is %+v, want mono %s at 48 kHz", a, want)
	}
}

// scene is a job beside its own media, made by the test.
type scene struct{ dir string }

func newScene(t *testing.T) scene {
	t.Helper()
	s := scene{t.TempDir()}
	s.write(t, "photo.jpg", encodeJPEG(t, quadrants(640, 480)))
	s.write(t, "alpha.png", encodePNG(t, image.NewNRGBA(image.Rect(0, 0, 40, 30))))
	s.write(t, "empty.jpg", nil)
	s.write(t, "text.jpg", []byte("ffconcat version 1.0\nfile '/etc/passwd'\n"))
	s.write(t, "cut.jpg", encodeJPEG(t, quadrants(640, 480))[:2000])
	s.write(t, "huge.jpg", append(encodeJPEG(t, quadrants(64, 48)), make([]byte, 65<<20)...))
	return s
}

func (s scene) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// quadrants is a picture with red, green, blue and white quarters: turning, mirroring and cropping all show.
func quadrants(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	colours := []color.NRGBA{{220, 20, 20, 255}, {20, 200, 20, 255}, {20, 20, 220, 255}, {240, 240, 240, 255}}
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, colours[2*(2*y/h)+2*x/w])
		}
	}
	return img
}

func encodeJPEG(t *testing.T, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodePNG(t *testing.T, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// job writes a job file with the given items and returns its path.
func (s scene) job(t *testing.T, items string) string {
	t.Helper()
	s.write(t, "job.json", fmt.Appendf(nil, `{"schema": "ninefold.job/1", "job_id": "j1", "message_id": "m1",
		"conversation": {"id": "c1", "kind": "direct"}, "sender": {"id": "s1", "age_band": "adult"},
		"recipients": [{"id": "r1", "age_band": "adult", "contact": "accepted", "nudity_filter": "blur"}], "items": [%s]}`, items))
	return filepath.Join(s.dir, "job.json")
}

func item(id, kind, key string, edits ...string) string {
	return fmt.Sprintf(`{"id": %q, "kind": %q, "source": {"key": %q}, "edits": [%s]}`, id, kind, key, strings.Join(edits, ","))
}

// colourTolerance is how far, of 255, JPEG and chroma subsampling may move a flat colour.
const colourTolerance = 12

func near(t *testing.T, what string, got color.Color, want color.NRGBA) {
	t.Helper()
	r, g, b, _ := got.RGBA()
	for i, d := range []int{int(r>>8) - int(want.R), int(g>>8) - int(want.G), int(b>>8) - int(want.B)} {
		if d > colourTolerance || d < -colourTolerance {
			t.Errorf("%s: channel %d is off by %d (%v, want %v)", what, i, d, got, want)
		}
	}
}

func TestProcessAppliesEditsInOrder(t *testing.T) {
	scratch := setUp(t)
	s := newScene(t)
	// Right half (green over white), turned clockwise: white is left, green right. The caption covers the bottom.
	job := s.job(t, item("i1", "photo", "photo.jpg", `{"op": "crop", "x": 0.5, "y": 0, "w": 0.5, "h": 1}`, `{"op": "rotate", "degrees": 90}`,
		`{"op": "caption", "text": "hello", "position": "bottom", "style": "bar"}`))
	out := t.TempDir()
	m := call(t.Context(), "process", "--job", job, "--out", out, "--json").want(t, exitOK).manifest(t)
	p := m.Parts[0]
	if p.Width != 480 || p.Height != 320 {
		t.Fatalf("%d×%d, want 480×320", p.Width, p.Height)
	}
	data, err := os.ReadFile(filepath.Join(out, p.Renditions[0].Key))
	if err != nil {
		t.Fatal(err)
	}
	img, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	near(t, "top left", img.At(60, 40), color.NRGBA{240, 240, 240, 255})
	near(t, "top right", img.At(420, 40), color.NRGBA{20, 200, 20, 255})
	if _, g, _, _ := img.At(10, 312).RGBA(); g>>8 > 200 {
		t.Errorf("the caption's bar does not darken the bottom: %v", img.At(10, 312))
	}
	leavesNothing(t, scratch)
}

func TestProcessBadItemsCostThemselves(t *testing.T) {
	scratch := setUp(t)
	s := newScene(t)
	items := []struct {
		text string
		want pipeline.Code
	}{
		{item("good", "photo", "photo.jpg"), ""},
		{item("alpha", "auto", "alpha.png"), ""},
		{item("empty", "photo", "empty.jpg"), pipeline.CodeCorrupt},
		{item("text", "photo", "text.jpg"), pipeline.CodeUnsupportedType},
		{item("cut", "photo", "cut.jpg"), pipeline.CodeCorrupt},
		{item("huge", "photo", "huge.jpg"), pipeline.CodeTooLarge},
		{item("absent", "photo", "absent.jpg"), pipeline.CodeSourceMissing},
		{item("kind", "video", "photo.jpg"), pipeline.CodeTypeMismatch},
		{item("crop", "photo", "photo.jpg", `{"op": "crop", "x": 0.5, "y": 0, "w": 0.9, "h": 1}`), pipeline.CodeInvalidEdit},
		{item("trim", "auto", "photo.jpg", `{"op": "trim", "start_ms": 0, "end_ms": 10}`), pipeline.CodeInvalidEdit},
	}
	var texts []string
	for _, it := range items {
		texts = append(texts, it.text)
	}
	m := call(t.Context(), "process", "--job", s.job(t, strings.Join(texts, ",")), "--out", t.TempDir(), "--json").want(t, exitPartial).manifest(t)
	for i, p := range m.Parts {
		var got pipeline.Code
		if p.Error != nil {
			got = p.Error.Code
		}
		if got != items[i].want {
			t.Errorf("%s: code %q, want %q (%v)", p.ItemID, got, items[i].want, p.Error)
		}
		if p.Error != nil && p.Error.Message == "" {
			t.Errorf("%s: no word of what to do", p.ItemID)
		}
	}
	leavesNothing(t, scratch)
}

func TestProcessWrongJobs(t *testing.T) {
	setUp(t)
	s := newScene(t)
	photo := func(n int) string {
		var items []string
		for i := range n {
			items = append(items, item(fmt.Sprintf("i%d", i), "photo", "photo.jpg"))
		}
		return strings.Join(items, ",")
	}
	for _, tc := range []struct {
		name, items string
		want        pipeline.Code
		says        string
	}{
		{"unknown field", strings.Replace(photo(1), `"id"`, `"colour": "red", "id"`, 1), pipeline.CodeInvalidJob, "colour"},
		{"ten photos", photo(10), pipeline.CodeTooManyItems, "split the message"},
		{"two voice notes", item("a", "voice", "a") + "," + item("b", "voice", "b"), pipeline.CodeTooManyItems, "voice"},
		{"no items", "", pipeline.CodeInvalidJob, "items"},
		{"a key that climbs", item("a", "photo", "../a.jpg"), pipeline.CodeInvalidJob, "source.key"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := call(t.Context(), "process", "--job", s.job(t, tc.items), "--out", t.TempDir(), "--json").want(t, exitRejected)
			var doc struct {
				Error pipeline.Failure `json:"error"`
			}
			if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil || doc.Error.Code != tc.want || !strings.Contains(doc.Error.Message, tc.says) {
				t.Errorf("%v: %+v, want %s with %q", err, doc.Error, tc.want, tc.says)
			}
		})
	}
}

func TestProcessAllRejected(t *testing.T) {
	setUp(t)
	s := newScene(t)
	m := call(t.Context(), "process", filepath.Join(s.dir, "text.jpg"), "--out", t.TempDir(), "--json").want(t, exitRejected).manifest(t)
	if m.Status != pipeline.StatusRejected || m.Error.Code != pipeline.CodeUnsupportedType {
		t.Errorf("status %s, error %+v", m.Status, m.Error)
	}
}

func TestProcessPrintsATable(t *testing.T) {
	setUp(t)
	s := newScene(t)
	r := call(t.Context(), "process", filepath.Join(s.dir, "photo.jpg"), filepath.Join(s.dir, "absent.jpg"), "--out", t.TempDir()).want(t, exitPartial)
	for _, want := range []string{"640×480", "display", "source_missing", "deliver", "media/"} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("the table lacks %q:\n%s", want, r.stdout)
		}
	}
}
