package ffmpeg

import (
	"context"
	"errors"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
)

// DecodesCleanly decodes every picture of an image sequence and throws it away. It reports false where the decoder complains: of pictures
// that are predicted from others which are not there, it makes grey ones and goes on.
func (t Tools) DecodesCleanly(ctx context.Context, dir string, f pipeline.File) (bool, error) {
	args, err := BuildArgs(Input(f).Output("pipe:", ff.KwArgs{"map": "0:v:0", "format": "null", "fps_mode": "passthrough"}))
	if err != nil {
		return false, err
	}
	var log []byte
	err = t.Run(ctx, Run{Args: args, Dir: dir, Log: &log})
	var coded *pipeline.Error
	if errors.As(err, &coded) && coded.Code == pipeline.CodeCorrupt {
		return false, nil
	}
	return err == nil && len(log) == 0, err
}
