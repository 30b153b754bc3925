package ffmpeg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/ninefold/ninefold/pipeline"
)

// maxAudioBytes is the most an audio rendition can have: ten minutes at 320 kbit/s and its container.
const maxAudioBytes = 32 << 20

// VerifyAudio reads an audio rendition in the workspace dir again, byte by byte: codec, mono, 48 kHz, duration, checksums, frames
// that lie in the file, moov before mdat, and not one box, comment or date that we did not mean to write. What does not hold is
// CodeEncodeFailed.
//
// It starts no process: both containers are simple and ours, an ffprobe would read less of them, and its start costs more CPU than
// decoding the note did.
func (t Tools) VerifyAudio(ctx context.Context, dir string, r pipeline.Rendition) error {
	if err := ctx.Err(); err != nil {
		return ended(err)
	}
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(r.Path)))
	if errors.Is(err, fs.ErrNotExist) {
		return badRendition(err)
	}
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.VerifyAudio", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.VerifyAudio", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxAudioBytes || info.Size() != r.Size {
		return badRendition(fmt.Errorf("%d bytes, want %d", info.Size(), r.Size))
	}
	if err := verifyAudio(f, info.Size(), r); err != nil {
		return badRendition(err)
	}
	return nil
}

func verifyAudio(f *os.File, size int64, r pipeline.Rendition) error {
	switch r.MIME {
	case "audio/ogg":
		o, err := readOpus(f)
		if err != nil {
			return err
		}
		return o.verify(r.DurationMS)
	case "audio/mp4":
		return verifyM4A(f, size, r.DurationMS)
	}
	return fmt.Errorf("%q is no audio rendition", r.MIME)
}

func badRendition(cause error) error {
	e := pipeline.Refuse(pipeline.CodeEncodeFailed, "%s", refusals[pipeline.CodeEncodeFailed]).In("ffmpeg.VerifyAudio")
	e.Err = cause
	return e
}
