// Command badengine stands in the engine's place for tests: it does to its worker whatever the file it is given says.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
	"github.com/ninefold/ninefold/transcode/sandbox"
)

func main() {
	os.Exit(sandbox.RunProgram("badengine", func() (sandbox.Handler, error) { return &bad{}, nil }))
}

type bad struct {
	dir    string
	served int // renders so far
}

func (b *bad) Open(dir string) error {
	b.dir = dir
	return nil
}

func (b *bad) Inspect(context.Context) []sandbox.Check {
	return []sandbox.Check{{Name: "environment", OK: true, Detail: fmt.Sprint(os.Environ())}}
}

func (b *bad) Prove(_ context.Context, kind pipeline.Kind, _ string) error {
	return fmt.Errorf("known.%s: the top left is grey, must be red", kind)
}

func (b *bad) Identify(_ context.Context, f pipeline.File) (pipeline.Media, error) {
	kind := pipeline.KindPhoto
	if data, err := os.ReadFile(filepath.Join(b.dir, f.Path)); err == nil {
		if _, word, ok := bytes.Cut(data, []byte("|")); ok { // behind the bytes that say what it is
			kind = pipeline.Kind(word)
		}
	}
	return pipeline.Media{Kind: kind, MIME: f.Type.MIME, Width: 1, Height: 1, Frames: 1, Image: &pipeline.Image{Orientation: 1}}, nil
}

func (b *bad) KeyFrames(context.Context, pipeline.File, *transcode.Plan, string) ([]pipeline.Sample, error) {
	return []pipeline.Sample{{Path: "../elsewhere", Width: 1, Height: 1}}, nil
}

// ReadBack says that all is covered, and shows nothing of it.
func (b *bad) ReadBack(context.Context, pipeline.ReadOrder, *transcode.PhotoPlan) (*pipeline.ReadBack, error) {
	return &pipeline.ReadBack{Screen: pipeline.ScreenInput{Frames: 1, Scored: 1, Covered: 1}}, nil
}

func (b *bad) Verify(context.Context, *pipeline.Rendered) error { return nil }

// Render does what the file says.
func (b *bad) Render(_ context.Context, f pipeline.File, _ *transcode.Plan, out string, progress func(float64)) (*pipeline.Rendered, error) {
	data, err := os.ReadFile(filepath.Join(b.dir, f.Path))
	if err != nil {
		return nil, err
	}
	b.served++
	word := string(bytes.TrimSpace(data))
	if order := strings.Split(word, "|"); len(order) == 3 && order[0] == "try" {
		return nil, b.try(order[1], order[2])
	}
	progress(1)
	if deed, ok := deeds[word]; ok {
		if err := deed(b); err != nil {
			return nil, err
		}
	}
	progress(50)
	return b.lies(word, out)
}

// deeds are the ways to die, or to try not to.
var deeds = map[string]func(*bad) error{
	"segv": func(*bad) error { return kill(syscall.SIGSEGV) },
	"slow": func(*bad) error { time.Sleep(time.Second); return nil },
	"work": func(*bad) error { return work(400 * time.Millisecond) },
	"abrt": func(*bad) error { return kill(syscall.SIGABRT) },
	"exit": func(*bad) error { os.Exit(3); return nil },
	"hang": func(*bad) error { time.Sleep(time.Hour); return nil },
	"child": func(*bad) error { // starts one and hangs
		if err := endless().Start(); err != nil {
			return err
		}
		time.Sleep(time.Hour)
		return nil
	},
	"memory": func(*bad) error {
		if err := takeMemory(3 << 30); err != nil {
			panic(err) // as Go's runtime does, and GLib
		}
		return nil
	},
	"output": func(*bad) error { // a gigabyte of progress
		frame := append(binary.BigEndian.AppendUint32(nil, 1<<22), bytes.Repeat([]byte(" "), 1<<22)...)
		copy(frame[4:], `{"progress":1}`)
		for range 256 {
			if _, err := os.Stdout.Write(frame); err != nil {
				return err
			}
		}
		return kill(syscall.SIGSEGV)
	},
	"stderr": func(*bad) error {
		line := bytes.Repeat([]byte("x"), 1<<20)
		for range 1024 {
			_, _ = os.Stderr.Write(line)
		}
		return kill(syscall.SIGABRT)
	},
	"garbage": func(*bad) error {
		_, err := os.Stdout.WriteString("\x00\x00\x00\x05hello")
		return errors.Join(err, kill(syscall.SIGSTOP))
	},
	"endless": func(*bad) error {
		_, err := os.Stdout.Write(binary.BigEndian.AppendUint32(nil, 1<<31))
		return errors.Join(err, kill(syscall.SIGSTOP))
	},
	"plain": func(*bad) error { return errors.New("an error without a code") },
	"code":  func(*bad) error { return pipeline.Refuse("made_up", "a code that is not in the list") },
	"gate": func(*bad) error {
		return pipeline.Refuse(pipeline.CodeSenderUnderAge, "a code that is not an engine's to give")
	},
	"used up": func(b *bad) error { // memory suffices in a new engine only
		if b.served > 1 {
			return pipeline.OutOfMemory("bad", errors.New("used up"))
		}
		return nil
	},
	"too big": func(*bad) error { return pipeline.OutOfMemory("bad", errors.New("whoever is asked")) },
	"glib": func(*bad) error { // how GLib ends a program
		_, _ = os.Stderr.WriteString("(process:1): GLib-ERROR **: gmem.c:136: failed to allocate 199065600 bytes\n")
		return kill(syscall.SIGTRAP)
	},
	"corrupt": func(*bad) error { return pipeline.Refuse(pipeline.CodeCorrupt, "an honest refusal") },
}

// kill sends itself a signal, in the one way that the seal leaves.
func kill(sig syscall.Signal) error { return syscall.Tgkill(os.Getpid(), syscall.Gettid(), sig) }

// work uses a core for that long, however long it takes.
func work(length time.Duration) error {
	for {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			return err
		}
		if time.Duration(used.Utime.Nano()+used.Stime.Nano()) > length {
			return nil
		}
	}
}

// endless is one of the two programs that may be started, at something that never ends.
func endless() *exec.Cmd {
	return exec.Command("/usr/bin/ffmpeg", "-loglevel", "quiet", "-nostdin", "-re", "-f", "lavfi", "-i", "anullsrc", "-f", "null", "-")
}

// lies answers well but for one thing.
func (b *bad) lies(word, out string) (*pipeline.Rendered, error) {
	name := out + "/display.jpg"
	if err := os.MkdirAll(filepath.Join(b.dir, out), 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte("\xff\xd8\xffpicture"), 0o600); err != nil {
		return nil, err
	}
	r := &pipeline.Rendered{Part: pipeline.Part{Kind: pipeline.KindPhoto, Renditions: []pipeline.Rendition{
		{Name: "display", Class: pipeline.ClassFull, MIME: "image/jpeg", Path: name, Width: 1, Height: 1, Default: true}}}}
	first := &r.Part.Renditions[0]
	switch word {
	case "safe":
		first.Class = pipeline.ClassSafe
	case "note": // a picture that would not be looked at
		r.Part.Kind = pipeline.KindVoice
	case "film":
		r.Part.Kind = pipeline.KindVideo
	case "voice":
		r.Part.Kind, first.Name, first.MIME = pipeline.KindVoice, "voice", "audio/ogg"
	case "sound in a photo":
		r.Part.Waveforms = &pipeline.Waveforms{Discord: "AA=="}
	case "matrix":
		r.Part.Kind, r.Part.Waveforms = pipeline.KindPhoto, &pipeline.Waveforms{Matrix: make([]int, 100_000)}
	case "playback":
		first.Name, first.MIME = "playback", "video/mp4"
	case "webp":
		first.MIME = "image/webp"
	case "index":
		first.Name, first.MIME = "sprite", "application/json"
	case "sharp": // the picture itself as what shows nothing
		r.Part.Renditions = append(r.Part.Renditions, *first)
		r.Part.Renditions[1].Name, r.Part.Renditions[1].Class = "blurred", pipeline.ClassSafe
	case "another file": // the picture once more, as what shows nothing
		again := filepath.Join(out, "blurred.jpg")
		if err := os.WriteFile(filepath.Join(b.dir, again), []byte("\xff\xd8\xffpicture"), 0o600); err != nil {
			return nil, err
		}
		r.Part.Renditions = append(r.Part.Renditions, *first)
		r.Part.Renditions[1].Name, r.Part.Renditions[1].Class, r.Part.Renditions[1].Path = "blurred", pipeline.ClassSafe, again
	case "safe display":
		first.Name, first.Class = "blurred", pipeline.ClassFull
	case "codecs":
		first.Codecs = "http://example.org/picture"
	case "color":
		r.Part.Placeholder = &pipeline.Placeholder{Color: "url(//example.org)"}
	case "presentation":
		r.Part.Presentation = "voice"
	case "passwd":
		first.Path = "/etc/passwd"
	case "outside":
		first.Path = out + "/../../x"
	case "source":
		first.Path = "in/0"
	case "html":
		first.MIME = "text/html"
	case "verdict":
		r.Part.Moderation = &pipeline.Facts{Status: pipeline.Scored, Level: pipeline.LevelClear}
		r.Part.Status, r.Part.ItemID = pipeline.StatusReady, "another"
	case "text":
		r.Part.Placeholder = &pipeline.Placeholder{Blurhash: string(bytes.Repeat([]byte("x"), 10_000))}
	case "later": // writes to what it has handed over, by a descriptor it kept
		f, err := os.OpenFile(filepath.Join(b.dir, name), os.O_WRONLY, 0)
		if err != nil {
			return nil, err
		}
		go func() {
			for {
				_, _ = f.WriteAt([]byte("TAMPERED"), 3) // behind what says that it is a JPEG
			}
		}()
	case "link":
		first.Path = out + "/link.jpg"
		_ = os.Symlink("/etc/passwd", filepath.Join(b.dir, first.Path))
	case "missing":
		first.Path = out + "/missing.jpg"
	case "directory":
		first.Path = out + "/directory.jpg"
		if err := os.Mkdir(filepath.Join(b.dir, first.Path), 0o700); err != nil {
			return nil, err
		}
	case "nothing":
		return nil, nil
	}
	return r, nil
}
