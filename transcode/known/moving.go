package known

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// The known video: a second of pictures, which turn after half of it.
const (
	videoFrames = 12
	videoMS     = 1000
	slackMS     = 40 // of any length: a frame of AAC is 21 ms
)

// moves looks at every frame of the delivered video, and listens to its sound.
func moves(ctx context.Context, b *Bench, r *pipeline.Rendered) error {
	f, rend, err := rendition(r, "video/mp4")
	if err != nil {
		return err
	}
	if off := rend.DurationMS - videoMS; off < -slackMS || off > slackMS {
		return fmt.Errorf("%d ms long, must be %d", rend.DurationMS, videoMS)
	}
	frames, sound, err := b.Decoder.Playback(ctx, b.Dir, f, width, height)
	if err != nil {
		return err
	}
	if len(frames) != videoFrames {
		return fmt.Errorf("%d frames, must be %d", len(frames), videoFrames)
	}
	for i, pix := range frames {
		want := colours
		if i >= videoFrames/2 {
			want = turned
		}
		if err := want.in(asImage(pix)); err != nil {
			return fmt.Errorf("frame %d: %w", i, err)
		}
	}
	return tone{from: 0.2, to: 0.8, hertz: 440, least: -30, most: -10}.in(sound)
}

func asImage(pix []byte) image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		copy(img.Pix[4*i:], []byte{pix[3*i], pix[3*i+1], pix[3*i+2], 255})
	}
	return img
}

// rendition finds what was made in a type, as a file that can be decoded.
func rendition(r *pipeline.Rendered, mime string) (pipeline.File, pipeline.Rendition, error) {
	i := slices.IndexFunc(r.Part.Renditions, func(rend pipeline.Rendition) bool { return rend.MIME == mime })
	if i < 0 {
		return pipeline.File{}, pipeline.Rendition{}, fmt.Errorf("no %s was made", mime)
	}
	rend := r.Part.Renditions[i]
	t := map[string]pipeline.Type{"video/mp4": pipeline.TypeMP4, "audio/mp4": pipeline.TypeM4A, "audio/ogg": pipeline.TypeOgg}[mime]
	return pipeline.File{Path: rend.Path, Type: t, Size: rend.Size}, rend, nil
}

// noteMS is the length of the known note.
const noteMS = 1200

// sounds listens to both delivered files: two tones with a pause between them, made as loud as speech.
func sounds(ctx context.Context, b *Bench, r *pipeline.Rendered) error {
	var files [2]pipeline.File
	for i, mime := range []string{"audio/ogg", "audio/mp4"} {
		f, rend, err := rendition(r, mime)
		if err != nil {
			return err
		}
		if off := rend.DurationMS - noteMS; off < -slackMS || off > slackMS {
			return fmt.Errorf("%s: %d ms long, must be %d", mime, rend.DurationMS, noteMS)
		}
		files[i] = f
	}
	ogg, m4a, err := b.Decoder.Sounds(ctx, b.Dir, files[0], files[1])
	if err != nil {
		return err
	}
	for _, x := range [][]float32{ogg, m4a} {
		err = errors.Join(err,
			tone{from: 0.1, to: 0.3, hertz: 440, least: -19, most: -11}.in(x),
			tone{from: 0.5, to: 0.7, least: -200, most: -50}.in(x),
			tone{from: 0.9, to: 1.1, hertz: 880, least: -19, most: -11}.in(x),
		)
	}
	return err
}

// tone is what a stretch of sound must be: seconds, hertz (0 = any), and the level in dBFS (RMS).
type tone struct {
	from, to    float64
	hertz       float64
	least, most float64
}

const maxOffHertz = 12.0

func (t tone) in(x []float32) error {
	from, to := int(t.from*transcode.VoiceRate), int(t.to*transcode.VoiceRate)
	if to > len(x) {
		return fmt.Errorf("%.2f s of sound, %.2f are wanted", float64(len(x))/transcode.VoiceRate, t.to)
	}
	level, hertz := measureTone(x[from:to])
	if level < t.least || level > t.most {
		return fmt.Errorf("%.1f s to %.1f s: %.1f dBFS, must be %.0f to %.0f", t.from, t.to, level, t.least, t.most)
	}
	if t.hertz > 0 && math.Abs(hertz-t.hertz) > maxOffHertz {
		return fmt.Errorf("%.1f s to %.1f s: %.0f Hz, must be %.0f", t.from, t.to, hertz, t.hertz)
	}
	return nil
}

// measureTone returns the level, and the frequency by the zero crossings.
func measureTone(x []float32) (level, hertz float64) {
	sum, crossings := 0.0, 0
	for i, v := range x {
		sum += float64(v) * float64(v)
		if i > 0 && (v >= 0) != (x[i-1] >= 0) {
			crossings++
		}
	}
	n := float64(len(x))
	return 10 * math.Log10(max(sum/n, 1e-20)), float64(crossings) / 2 * transcode.VoiceRate / n
}
