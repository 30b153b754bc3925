package moderation

import (
	"cmp"
	"slices"

	"github.com/ninefold/ninefold/pipeline"
)

// The bounds of a second look at a video.
const (
	// MaxDoubts is how many frames of one video are looked around at most, the most suspicious first. Two frames of the same suspicion
	// within PairWindowMS of each other are no doubt any more, so a video of three minutes has at most 60.
	MaxDoubts = 16
	// doubtFrames is how many further frames are taken on either side of one, evenly up to its neighbour.
	doubtFrames = 2
	// doubtStepMS is the least distance between frames, milliseconds: two delivered ones. Nearer ones show the same.
	doubtStepMS = 67
)

// doubts returns the moments of a video to look at once more, ascending: those around each frame that lies between the two bounds of a
// category worse than what the frames amount to already. Frames that decide the level are in no doubt.
func doubts(frames []Frame, t Thresholds) []int64 {
	frames = scored(frames)
	doubtful := doubtfulFrames(frames, t)
	var at []int64
	for _, i := range doubtful {
		if i > 0 {
			at = append(at, betweenMS(frames[i-1].AtMS, frames[i].AtMS)...)
		}
		if i+1 < len(frames) {
			at = append(at, betweenMS(frames[i].AtMS, frames[i+1].AtMS)...)
		}
	}
	slices.Sort(at)
	return slices.Compact(at)
}

// doubtfulFrames returns the indices of the frames in doubt, the most suspicious first and MaxDoubts at most.
func doubtfulFrames(frames []Frame, t Thresholds) []int {
	type doubt struct {
		index, rank int
		score       float64
	}
	reached := levelRank(level(frames, t))
	var all []doubt
	for i, f := range frames {
		if l, s := t.suspicion(f.Scores); l != pipeline.LevelClear && levelRank(l) > reached {
			all = append(all, doubt{i, levelRank(l), s})
		}
	}
	slices.SortStableFunc(all, func(a, b doubt) int {
		return cmp.Or(cmp.Compare(b.rank, a.rank), cmp.Compare(b.score, a.score))
	})
	var indices []int
	for _, d := range all[:min(len(all), MaxDoubts)] {
		indices = append(indices, d.index)
	}
	return indices
}

// betweenMS divides the stretch between two frames evenly, as far as that leaves frames that differ.
func betweenMS(from, to int64) []int64 {
	n := min(doubtFrames, (to-from)/doubtStepMS-1)
	var at []int64
	for i := int64(1); i <= n; i++ {
		at = append(at, from+(to-from)*i/(n+1))
	}
	return at
}
