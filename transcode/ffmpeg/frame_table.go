package ffmpeg

import (
	"cmp"
	"fmt"
	"slices"
)

// frameTime is one picture of a delivered MP4, as its tables say.
type frameTime struct {
	at, length int64 // ticks of the track, from the first picture on
	sync       bool
}

// maxFrames bounds the pictures of one delivered video: three minutes at 60 a second are 10,800.
const maxFrames = 20_000

// frameTimes reads when each picture of a track is shown, in the order they are shown. Any table that does not add up is an error: what
// is not known is not judged.
func (t *mp4Track) frameTimes() ([]frameTime, error) {
	if t.samples > maxFrames || t.timescale < 1 {
		return nil, fmt.Errorf("mp4: %d pictures at %d ticks a second", t.samples, t.timescale)
	}
	samples, err := t.list()
	if err != nil {
		return nil, err
	}
	last := samples[len(samples)-1].length
	slices.SortStableFunc(samples, func(a, b mp4Sample) int { return cmp.Compare(a.shown, b.shown) })
	frames := make([]frameTime, len(samples))
	for i, s := range samples {
		frames[i] = frameTime{at: s.shown - samples[0].shown, length: last, sync: s.sync}
		if i > 0 {
			frames[i-1].length = frames[i].at - frames[i-1].at
		}
	}
	return frames, nil
}
