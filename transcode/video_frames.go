package transcode

import (
	"math"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// SampleHz is the grid that frames are picked on, ticks a second: as fine as the delivered frame rate, so that every delivered
// frame can be picked. A tick shows the frame a viewer would see at that moment, however long it has been standing.
const SampleHz = 30

// KeyPlan says how a video's key frames are read where they may say no before it is rendered. They never say yes: what is judged is what
// is delivered.
type KeyPlan struct {
	Width  int     `json:"width"` // of the rasters
	Height int     `json:"height"`
	Most   int     `json:"most"`  // upper bound of frames
	Apart  float64 `json:"apart"` // least distance of two of them, seconds
}

// PosterTimes says which frames may become the poster.
type PosterTimes struct {
	WantedTick int   `json:"wanted_tick"` // the sender's choice, -1 = none
	Ticks      []int `json:"ticks"`       // ascending, the wanted one included
	Bright     int   `json:"bright"`      // that many more: the first that are not black
}

const (
	mostKeys    = 128 // key frames of one video
	keySide     = 448 // shorter side of a key frame's raster, pixels: twice that of the usual model's input
	leastKeyS   = 0.4 // seconds between two key frames that are both looked at
	lastFrameMS = 67  // two frames: a poster this near the end is sure to have a frame
)

// planKeys spreads at most mostKeys over what the container promises.
func planKeys(t VideoTime, pic VideoPicture) KeyPlan {
	k := KeyPlan{Most: mostKeys, Apart: math.Max(leastKeyS, float64(t.ExpectMS)/1000/mostKeys)}
	k.Width, k.Height = FitSize(pic.Width, pic.Height, min(pic.Width, pic.Height), keySide)
	return k
}

func tickAt(ms int64) int { return int(ms * SampleHz / 1000) }

// TickMS is the moment of a tick, milliseconds.
func TickMS(tick int) int64 { return (int64(tick)*1000 + SampleHz/2) / SampleHz }

// brightPosters is how many frames that are not black are kept beside the spread ones.
const brightPosters = 2

// posterShares are the places of the spread candidates in what lies behind the first half second.
var posterShares = []float64{0.08, 0.4, 0.75}

// blindPosterMS are the places when the length is unknown.
var blindPosterMS = []int64{700, 2000, 6000}

// posterIntroMS is skipped where there is anything else: fades, finger on the lens.
const posterIntroMS = 500

// planPosters picks candidates: the sender's choice, or a spread. The first frame is always among them, as a last resort.
func planPosters(edits []pipeline.Edit, t VideoTime, animated bool) (PosterTimes, error) {
	p := PosterTimes{WantedTick: -1, Ticks: []int{0}}
	if at, ok := posterEdit(edits); ok {
		if t.ExpectMS > 0 && at > t.ExpectMS+limitSlackMS {
			return p, pipeline.Refuse(pipeline.CodeInvalidEdit, "poster.at_ms is %d; the video lasts %d ms", at, t.ExpectMS)
		}
		if t.ExpectMS > 0 {
			at = min(at, max(0, t.ExpectMS-lastFrameMS))
		}
		p.WantedTick = tickNear(at)
		p.Ticks = append(p.Ticks, p.WantedTick)
	}
	if !animated {
		p.Bright = brightPosters
	}
	if p.WantedTick < 0 && !animated {
		p.Ticks = append(p.Ticks, spreadTicks(t.ExpectMS)...)
	}
	slices.Sort(p.Ticks)
	p.Ticks = slices.Compact(p.Ticks)
	return p, nil
}

func posterEdit(edits []pipeline.Edit) (at int64, ok bool) {
	for _, e := range edits {
		if e.Op == pipeline.OpPoster {
			at, ok = e.AtMS, true // the last one counts
		}
	}
	return at, ok
}

func tickNear(ms int64) int { return int((ms*SampleHz + 500) / 1000) }

func spreadTicks(lengthMS int64) []int {
	if lengthMS == 0 {
		ticks := make([]int, len(blindPosterMS))
		for i, ms := range blindPosterMS {
			ticks[i] = tickAt(ms)
		}
		return ticks
	}
	if lengthMS <= posterIntroMS {
		return []int{tickAt(lengthMS / 2)}
	}
	var ticks []int
	for _, share := range posterShares {
		ticks = append(ticks, tickAt(posterIntroMS+int64(share*float64(lengthMS-posterIntroMS))))
	}
	return ticks
}
