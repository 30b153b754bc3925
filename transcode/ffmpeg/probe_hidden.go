package ffmpeg

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// hiddenTag is the type of sample entry that sound is given for ffprobe to pass it over: no reader knows it.
const hiddenTag = "9fho"

// probePicture asks ffprobe once more, of a copy in which the sound that it gave up for is of a type that nobody knows: it has no way to leave
// a stream alone. A recording without a picture is refused by the name of its sound.
func (t Tools) probePicture(ctx context.Context, dir string, f pipeline.File, unread string) ([]byte, error) {
	refused := transcode.RefuseSound(unread).In("ffmpeg.Probe")
	copied := f
	copied.Path = "out/hidden-sound" + f.Type.Ext // what was sent is in another directory, which cannot be written to
	hidden, err := hideSound(filepath.Join(dir, f.Path), filepath.Join(dir, copied.Path))
	defer os.Remove(filepath.Join(dir, copied.Path))
	if err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Probe", err)
	}
	if !hidden {
		return nil, refused
	}
	out, _, err := t.probe(ctx, dir, copied)
	var p probed
	if err != nil || json.Unmarshal(out, &p) != nil || p.choose(f).picture == nil {
		return nil, errors.Join(ctx.Err(), refused)
	}
	return out, nil
}

// hideSound copies an MP4 and renames the sample entries of what is not AAC-LC or built on it. It reports false, and copies nothing, where
// there is no picture besides.
func hideSound(from, to string) (bool, error) {
	if file, err := os.Stat(from); err != nil || file.Size() > maxHidden {
		return false, nil //nolint:nilerr // it is refused by its name
	}
	info, err := readMP4(from)
	if err != nil || info.track("vide") == nil {
		return false, nil //nolint:nilerr // ffprobe has said what is wrong
	}
	var at []int64
	for i := range info.tracks {
		if t := &info.tracks[i]; t.handler == "soun" && t.format == "mp4a" && !decodedAAC(t.asc) {
			at = append(at, t.formatAt, t.ascAt) // either names the codec
		}
	}
	if len(at) == 0 {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return false, err
	}
	return true, copyRenamed(from, to, at)
}

// maxHidden bounds the copy, bytes: no engine may write a larger file than 256 MiB.
const maxHidden = 200 << 20

// decodedAAC reports whether a configuration names a kind of MPEG-4 audio that every ffmpeg decodes: Main, LC, SBR, PS.
func decodedAAC(config []byte) bool {
	const aacMain, aacLC, sbr, ps = 1, 2, 5, 29
	if len(config) == 0 {
		return true // of another form: left as it is
	}
	object := int(config[0] >> 3)
	return object == aacMain || object == aacLC || object == sbr || object == ps
}

// copyRenamed copies a file and writes hiddenTag at the places.
func copyRenamed(from, to string, at []int64) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	for _, place := range at {
		_, wrong := dst.WriteAt([]byte(hiddenTag), place)
		err = errors.Join(err, wrong)
	}
	return errors.Join(err, dst.Close())
}

// nameHidden gives sound that was hidden the name of its codec.
func (p probed) nameHidden(codec string) {
	for i := range p.Streams {
		if s := &p.Streams[i]; s.Tag == hiddenTag {
			s.Type, s.Codec = "audio", codec
		}
	}
}
