package ffmpeg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// errReference marks a file whose media lie elsewhere.
var errReference = errors.New("mp4: a data reference points out of the file")

// sourceContainers are the boxes that lead to media, and how many bytes of their own come before their children. User data is not among
// them: it refers to nothing, and QuickTime's and ISO's differ in their form.
var sourceContainers = map[string]int64{
	"moov": 0, "trak": 0, "edts": 0, "mdia": 0, "minf": 0, "dinf": 0, "stbl": 0, "mvex": 0, "moof": 0, "traf": 0, "mfra": 0, "dref": 8,
}

// checkSource walks a sender's ISO base media file before any decoder sees it: at most maxBoxes boxes, maxBoxDepth deep, each of 8 bytes at
// least, and every data reference to the file itself. A last box that goes on behind the end is a file cut short, which is not decided here.
func checkSource(dir string, f pipeline.File) error {
	if f.Type.Demuxer != "mov" {
		return nil
	}
	file, err := os.Open(filepath.Join(dir, f.Path))
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Probe", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Probe", err)
	}
	err = (&sourceWalk{r: file, left: maxBoxes}).boxes(0, info.Size(), "", 0)
	if errors.Is(err, errReference) {
		e := pipeline.Refuse(pipeline.CodeUnsupportedType, "the file only refers to its media; send a file that contains them").In("ffmpeg.Probe")
		e.Err = err
		return e
	}
	if err != nil {
		return refuse(pipeline.CodeCorrupt, err)
	}
	return nil
}

// sourceWalk reads headers of boxes only.
type sourceWalk struct {
	r    io.ReaderAt
	left int // boxes that may still come
}

// boxes walks what lies in [at, end), the children of a box or of the file.
func (w *sourceWalk) boxes(at, end int64, parent string, depth int) error {
	if depth > maxBoxDepth {
		return fmt.Errorf("mp4: boxes more than %d deep", maxBoxDepth)
	}
	for end-at >= 8 {
		if w.left--; w.left < 0 {
			return fmt.Errorf("mp4: more than %d boxes", maxBoxes)
		}
		var head [20]byte
		n, err := w.r.ReadAt(head[:], at)
		if n < 8 {
			return err
		}
		kind, size, body := string(head[4:8]), int64(binary.BigEndian.Uint32(head[:])), at+8
		switch {
		case size == 0:
			size = end - at
		case size == 1 && n >= 16:
			size, body = int64(binary.BigEndian.Uint64(head[8:])&(1<<62-1)), at+16
		}
		if size < body-at && parent == "" && at > 0 {
			return nil // what stands behind the last box is not looked at by anybody
		}
		if size < body-at {
			return fmt.Errorf("mp4: box %q has a size of %d", kind, size)
		}
		if parent == "dref" && (n < 12 || head[11]&1 == 0) {
			return errReference
		}
		if own, ok := sourceContainers[kind]; ok {
			if err := w.boxes(body+own, min(end, at+size), kind, depth+1); err != nil {
				return err
			}
		}
		if size > end-at {
			return nil
		}
		at += size
	}
	return nil
}

// mediaBoxes are the top-level boxes that a file is cut short in, where it is; behind the last of them some phones append bytes of their own.
var mediaBoxes = []string{"moov", "mdat", "moof", "mfra", "free", "skip", "wide", "sidx", "uuid"}

// endsEarly reports whether an ISO base media file is shorter than its boxes say. ffmpeg takes what is there and is silent where it is
// enough to decode every frame.
func endsEarly(path string, typ pipeline.Type) bool {
	if typ.Demuxer != "mov" {
		return false
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false
	}
	for at, left := int64(0), maxBoxes; left > 0 && info.Size()-at >= 8; left-- {
		b, err := boxAt(f, at, math.MaxInt64)
		if err != nil || !slices.Contains(mediaBoxes, b.kind) && b.end > info.Size() {
			return false
		}
		if b.end > info.Size() && b.end != math.MaxInt64 { // a size of 0 reaches as far as the file does
			return true
		}
		at = b.end
	}
	return false
}
