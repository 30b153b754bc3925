package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// watched has every ffmpeg and ffprobe of a kit run under strace, outside of the engine's sandbox: what is held here is held by how they
// are called, and the sandbox comes on top.
type watched struct {
	*videoKit
	trace  string
	listen net.Listener
	calls  chan struct{} // one for each connection somebody made
}

func watch(t *testing.T) *watched {
	t.Helper()
	k := newVideoKit(t)
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("strace is not installed; run docker/setup.sh system")
	}
	logs := t.TempDir()
	w := &watched{videoKit: k, trace: filepath.Join(logs, "trace"), calls: make(chan struct{}, 1000)}
	for _, program := range []*string{&w.tools.FFmpeg, &w.tools.FFprobe} {
		name := filepath.Join(logs, filepath.Base(*program))
		text := fmt.Sprintf("#!/bin/sh\nexec %s -f -qq -A -o %s -s 500 -e trace=open,openat,openat2,socket,connect %s \"$@\"\n", strace, w.trace, *program)
		if err := os.WriteFile(name, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		*program = name
	}
	if w.listen, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.listen.Close() })
	go w.accept()
	return w
}

func (w *watched) accept() {
	for {
		c, err := w.listen.Accept()
		if err != nil {
			return
		}
		w.calls <- struct{}{}
		c.Close()
	}
}

var openCall = regexp.MustCompile(`open(?:at|at2)?\((?:AT_FDCWD, )?"([^"]*)"`)

// seen reads and forgets what the trace says: files that were opened in the kit's directory, and calls for sockets.
func (w *watched) seen() (files map[string]bool, sockets []string) {
	w.Helper()
	data, err := os.ReadFile(w.trace)
	if err != nil {
		w.Fatal(err)
	}
	if err := os.Remove(w.trace); err != nil {
		w.Fatal(err)
	}
	files = map[string]bool{}
	for line := range strings.Lines(string(data)) {
		if strings.Contains(line, " socket(") || strings.Contains(line, " connect(") {
			sockets = append(sockets, line)
		}
		m := openCall.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name := m[1]
		if !filepath.IsAbs(name) {
			name = filepath.Join(w.dir, name)
		}
		if rel, err := filepath.Rel(w.dir, name); err == nil && filepath.IsLocal(rel) {
			files[rel] = true
		}
	}
	return files, sockets
}

// disguises are files that name other files or hosts, as what they are called and what is in them.
func (w *watched) disguises() map[string][]byte {
	other, url := filepath.Join(w.dir, "other.mp4"), fmt.Sprintf("http://%s/x.mp4", w.listen.Addr())
	hls := "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n%s\n#EXT-X-ENDLIST\n"
	dash := `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4">` +
		`<Representation id="1" bandwidth="1"><BaseURL>%s</BaseURL><SegmentList><SegmentURL media="%s"/></SegmentList></Representation></AdaptationSet></Period></MPD>`
	sdp := "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video %d RTP/AVP 96\na=rtpmap:96 H264/90000\n"
	return map[string][]byte{
		"concat":     []byte("ffconcat version 1.0\nfile other.mp4\n"),
		"absolute":   []byte("ffconcat version 1.0\nfile '" + other + "'\n"),
		"concat-url": []byte("ffconcat version 1.0\nfile " + url + "\n"),
		"hls":        fmt.Appendf(nil, hls, "other.mp4"),
		"hls-url":    fmt.Appendf(nil, hls, url),
		"subfile":    fmt.Appendf(nil, hls, "subfile,,start,0,end,100,,:"+other),
		"concat-of":  fmt.Appendf(nil, hls, "concat:"+other+"|"+other),
		"dash":       fmt.Appendf(nil, dash, other, "other.mp4"),
		"dash-url":   fmt.Appendf(nil, dash, url, url),
		"sdp":        fmt.Appendf(nil, sdp, w.listen.Addr().(*net.TCPAddr).Port),
		"key-of-hls": []byte("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=\"" + url + "\"\n#EXTINF:2,\nother.mp4\n"),
		"reference":  w.outside("other.mp4"),
		"far":        w.outside(url),
	}
}

// outside is an MP4 whose data reference names another file, in a box of the form of QuickTime's and MP4's.
func (w *watched) outside(where string) []byte {
	w.Helper()
	whole, err := os.ReadFile(filepath.Join(w.dir, "other.mp4"))
	if err != nil {
		w.Fatal(err)
	}
	at := bytes.Index(whole, []byte("url \x00\x00\x00\x01")) - 4
	if at < 0 {
		w.Fatal("no data reference")
	}
	text := append([]byte(where), 0)
	out := append(bytes.Clone(whole[:at+4]), "url \x00\x00\x00\x00"...)
	out = append(append(out, text...), whole[at+12:]...)
	grow := uint32(len(text))
	binary.BigEndian.PutUint32(out[at:], 12+grow)
	for _, kind := range []string{"dref", "dinf", "minf", "mdia", "trak", "moov"} { // whatever holds it is longer too
		box := bytes.LastIndex(out[:at], []byte(kind)) - 4
		binary.BigEndian.PutUint32(out[box:], binary.BigEndian.Uint32(out[box:])+grow)
	}
	return out
}

// TestNothingElseIsOpened watches the calls of every process that reads a disguised file: no other file, no socket, no connection.
func TestNothingElseIsOpened(t *testing.T) {
	t.Parallel()
	w := watch(t)
	w.clip("other.mp4", "-t", "0.5")
	plan := mustPlanOf(t, w.videoKit, "other.mp4")
	if files, _ := w.watchVideo("other.mp4", pipeline.TypeMP4, plan); !files["other.mp4"] {
		t.Fatal("the watch does not even see an honest file being opened")
	}
	w.control()
	for name, data := range w.disguises() {
		for _, typ := range []pipeline.Type{pipeline.TypeMP4, pipeline.TypeWebM} {
			file := name + ".mp4"
			w.write(file, data)
			f := pipeline.File{Path: file, Type: typ, Size: int64(len(data))}
			if _, err := w.tools.Probe(t.Context(), w.dir, f); err == nil {
				t.Errorf("%s as %s: probed without an error", name, typ.MIME)
			}
			files, sockets := w.watchVideo(file, typ, plan)
			for opened := range files {
				if opened != file && !strings.HasPrefix(opened, "out/") {
					t.Errorf("%s as %s: %s was opened", name, typ.MIME, opened)
				}
			}
			if len(sockets) > 0 {
				t.Errorf("%s as %s: %v", name, typ.MIME, sockets)
			}
		}
	}
	if len(w.calls) > 0 {
		t.Errorf("%d connections were made", len(w.calls))
	}
}

// watchVideo renders a file, whatever comes of it, and returns what was opened meanwhile, by probes before it too.
func (w *watched) watchVideo(file string, typ pipeline.Type, plan *transcode.VideoPlan) (map[string]bool, []string) {
	w.Helper()
	_, err := w.tools.Video(w.Context(), w.dir, "out", pipeline.File{Path: file, Type: typ}, plan, nil, nil)
	if (err == nil) != (file == "other.mp4") {
		w.Logf("%s: %v", file, err)
	}
	return w.seen()
}

// control shows that the watch would see it: a bare ffmpeg that believes a playlist opens the other file.
func (w *watched) control() {
	w.Helper()
	w.write("control.txt", []byte("ffconcat version 1.0\nfile other.mp4\n"))
	cmd := exec.Command(w.tools.FFmpeg, "-v", "error", "-i", "control.txt", "-frames:v", "1", "-f", "null", "-")
	cmd.Dir = w.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("%v\n%s", err, out)
	}
	if files, _ := w.seen(); !files["other.mp4"] {
		w.Fatalf("a bare ffmpeg opened %v; the watch is blind", files)
	}
}

func mustPlanOf(t *testing.T, k *videoKit, name string) *transcode.VideoPlan {
	t.Helper()
	plan, _, err := k.plan(k.file(name), pipeline.Edit{Op: pipeline.OpMute})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}
