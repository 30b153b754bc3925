package ffmpeg

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// Renditions of ours, decoded as a client does. A process costs more than decoding a small file, so there is one for each of the two.

// Sounds decodes two sound renditions of one note: mono, transcode.VoiceRate, as long as the shorter of them.
func (t Tools) Sounds(ctx context.Context, dir string, a, b pipeline.File) (x, y []float32, err error) {
	inputs := []*ff.Stream{Input(a, ff.KwArgs{"vn": ""}).Get("a:0"), Input(b, ff.KwArgs{"vn": ""}).Get("a:0")}
	both := ff.Filter(inputs, "amerge", nil, ff.KwArgs{"inputs": 2})
	args, err := BuildArgs(both.Output("pipe:1", ff.KwArgs{"format": "f32le", "c:a": "pcm_f32le", "ar": transcode.VoiceRate}))
	if err != nil {
		return nil, nil, err
	}
	var out bytes.Buffer
	if err := t.Run(ctx, Run{Args: args, Dir: dir, Stdout: &out, Failed: pipeline.CodeEncodeFailed}); err != nil {
		return nil, nil, err
	}
	samples := floats(out.Bytes())
	for i := 0; i+1 < len(samples); i += 2 {
		x, y = append(x, samples[i]), append(y, samples[i+1])
	}
	return x, y, nil
}

func floats(raw []byte) []float32 {
	samples := make([]float32, len(raw)/4)
	for i := range samples {
		samples[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
	}
	return samples
}

// Playback decodes a small video rendition: each frame once, 8-bit RGB without padding, and its sound, mono, transcode.VoiceRate.
func (t Tools) Playback(ctx context.Context, dir string, f pipeline.File, w, h int) (frames [][]byte, sound []float32, err error) {
	in := Input(f)
	picture := in.Get("v:0").Filter("scale", nil, ff.KwArgs{
		"w": w, "h": h, "in_color_matrix": "bt709", "in_range": "tv", "out_range": "pc", "flags": "accurate_rnd+full_chroma_int+bicubic",
	})
	args, err := BuildArgs(
		picture.Output("pipe:1", ff.KwArgs{"format": "rawvideo", "c:v": "rawvideo", "pix_fmt": "rgb24", "fps_mode": "passthrough"}),
		in.Get("a:0").Output("pipe:3", ff.KwArgs{"format": "f32le", "c:a": "pcm_f32le", "ac": 1, "ar": transcode.VoiceRate}),
	)
	if err != nil {
		return nil, nil, err
	}
	var pixels bytes.Buffer
	raw, err := t.runWithPipe(ctx, Run{Args: args, Dir: dir, Stdout: &pixels, Failed: pipeline.CodeEncodeFailed})
	if err != nil {
		return nil, nil, err
	}
	size := 3 * w * h
	if size <= 0 || pixels.Len()%size != 0 {
		return nil, nil, fmt.Errorf("%d bytes of frames of %d×%d", pixels.Len(), w, h)
	}
	for rest := pixels.Bytes(); len(rest) > 0; rest = rest[size:] {
		frames = append(frames, rest[:size])
	}
	return frames, floats(raw), nil
}

// runWithPipe is Run with one more pipe, the child's pipe:3, whose bytes are returned.
func (t Tools) runWithPipe(ctx context.Context, r Run) ([]byte, error) {
	rd, wr, err := os.Pipe()
	if err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Run", err)
	}
	r.ExtraFiles = []*os.File{wr}
	read := make(chan []byte)
	go func() {
		defer rd.Close()
		data, _ := io.ReadAll(rd) // ends when the last writer has closed
		read <- data
	}()
	err = t.Run(ctx, r)
	wr.Close()
	return <-read, err
}
