package moderation

import (
	"math"

	"github.com/ninefold/ninefold/pipeline"
)

// timeline returns the frames' scores over time. Neighbours are joined where there are too many, the highest of each score standing for
// all: a peak is never lost. A point lies where its most explicit frame does.
func timeline(frames []Frame) *pipeline.Timeline {
	points := min(len(frames), pipeline.MaxTimeline)
	t := &pipeline.Timeline{}
	for i := range points {
		group := frames[i*len(frames)/points : (i+1)*len(frames)/points]
		highest := maxima(group)
		t.AtMS = append(t.AtMS, mostExplicit(group).AtMS)
		t.Explicit = append(t.Explicit, thousandths(highest.Explicit))
		t.Drawn = append(t.Drawn, thousandths(highest.Drawn))
		t.Suggestive = append(t.Suggestive, thousandths(highest.Suggestive))
	}
	return t
}

func mostExplicit(frames []Frame) Frame {
	most := frames[0]
	for _, f := range frames[1:] {
		if f.Scores.Explicit > most.Scores.Explicit {
			most = f
		}
	}
	return most
}

func thousandths(v float64) float64 { return math.Round(v*1000) / 1000 }
