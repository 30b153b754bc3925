package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
)

// entryBoxes are what the sample entry of a delivered picture may hold. A list of what is allowed: light levels and the mastering display
// of an HDR source, which ffmpeg hands on though the picture was toned to SDR, spherical and stereo views, and whatever comes next.
var entryBoxes = []string{"avcC", "pasp", "colr", "btrt"}

// entryPath are the boxes that lead to a sample entry, and how many bytes of their own come before their children.
var entryPath = map[string]int64{"trak": 0, "mdia": 0, "minf": 0, "stbl": 0, "stsd": 8, "avc1": 78}

// stripMP4 takes all other boxes out of the sample entries of a file that ffmpeg wrote for us. The headers become shorter and a free box
// behind them as long as what was taken, so that no offset of the media moves.
func stripMP4(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(stripFile(f), f.Close())
}

func stripFile(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	for at := int64(0); at < info.Size(); {
		b, err := boxAt(f, at, info.Size())
		if err != nil {
			return err
		}
		if b.kind == "moov" {
			return stripHeaders(f, at, b)
		}
		at = b.end
	}
	return errors.New("mp4: no headers")
}

func stripHeaders(f *os.File, at int64, b box) error {
	if b.end-b.body > maxMoovBytes {
		return fmt.Errorf("mp4: headers of %d bytes", b.end-b.body)
	}
	data := make([]byte, b.end-b.body)
	if _, err := f.ReadAt(data, b.body); err != nil {
		return err
	}
	kept, err := plainEntries(data, "moov", 1)
	if err != nil || len(kept) == len(data) {
		return err
	}
	head := b.body - at
	out := append(make([]byte, 0, b.end-at), makeBox("moov", kept...)...)
	out = append(out, makeBox("free", make([]byte, b.end-at-int64(len(out))-8)...)...)
	if head != 8 || int64(len(out)) != b.end-at {
		return fmt.Errorf("mp4: headers that begin with %d bytes", head)
	}
	_, err = f.WriteAt(out, at)
	return err
}

// plainEntries are the children in data, without what a sample entry may not hold.
func plainEntries(data []byte, parent string, depth int) ([]byte, error) {
	if depth > maxBoxDepth {
		return nil, fmt.Errorf("mp4: boxes nested deeper than %d", maxBoxDepth)
	}
	var out []byte
	for at := int64(0); at < int64(len(data)); {
		b, err := boxAt(bytes.NewReader(data), at, int64(len(data)))
		if err != nil {
			return nil, err
		}
		own, leads := entryPath[b.kind]
		switch {
		case parent == "avc1" && !slices.Contains(entryBoxes, b.kind):
		case leads && b.end-b.body >= own:
			inner, err := plainEntries(data[b.body+own:b.end], b.kind, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, makeBox(b.kind, slices.Concat(data[b.body:b.body+own], inner)...)...)
		default:
			out = append(out, data[at:b.end]...)
		}
		at = b.end
	}
	return out, nil
}

func makeBox(kind string, body ...byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(append(out, kind...), body...)
}
