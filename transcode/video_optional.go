package transcode

import (
	"math"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// The optional work of a video: what a profile may ask for and a deadline may cost. Names as a part's degraded says them.
const (
	OptionalSprite = "sprite" // the scrub sprite and its index
	OptionalSmall  = "small"  // the second, smaller playback
)

// SpriteProfile holds the numbers of the scrub sprite: one WebP of small frames for a player's seek bar, and a JSON index.
type SpriteProfile struct {
	EveryMS int64 `json:"every_ms"` // from one frame to the next; 0 = no sprite is made
	Columns int   `json:"columns"`
	Width   int   `json:"width"` // of one frame, pixels
	Quality int   `json:"quality"`
}

// SmallProfile holds the numbers of the second playback, for poor networks.
type SmallProfile struct {
	ShortEdge int   `json:"short_edge"` // pixels; 0 = none is made; nor of a video that is no larger
	MaxRate   int64 `json:"max_rate"`   // bit/s
}

// SpritePlan is the work order for a sprite. Frames lie row by row.
type SpritePlan struct {
	EveryMS int64 `json:"every_ms"`
	Columns int   `json:"columns"`
	Width   int   `json:"width"`  // of one frame, pixels
	Height  int   `json:"height"` // of one frame, pixels
	Quality int   `json:"quality"`
}

// SmallPlan is the work order for the second playback.
type SmallPlan struct {
	Width  int         `json:"width"`
	Height int         `json:"height"`
	Encode VideoEncode `json:"encode"`
}

// planOptional adds what the profile asks for. Animations have neither: they loop within seconds.
func planOptional(plan *VideoPlan, m pipeline.Media, p VideoProfile) {
	if m.Animated {
		return
	}
	w, h := plan.Picture.Width, plan.Picture.Height
	if s := p.Sprite; s.EveryMS > 0 {
		height := max(2, int(math.Round(float64(s.Width)*float64(h)/float64(w))))
		plan.Sprite = &SpritePlan{EveryMS: s.EveryMS, Columns: s.Columns, Width: s.Width, Height: height, Quality: s.Quality}
	}
	if edge := p.Small.ShortEdge; edge > 0 && min(w, h) > edge {
		small := &SmallPlan{Encode: plan.Encode}
		small.Width, small.Height = scaleBy(w, h, float64(edge)/float64(min(w, h)))
		small.Encode.MaxRate = min(small.Encode.MaxRate, p.Small.MaxRate)
		small.Encode.BufferSize = 2 * small.Encode.MaxRate
		plan.Small = small
	}
}

// What a video costs, in seconds of one core for a million pixels, and for a process; measured on 20 s of 1080p at 14 Mbit/s to 720p,
// with a busy machine's half more. A guess that is too high drops a sprite that might have been ready in time.
const (
	decodeCost  = 0.0055
	encodeCost  = 0.0140
	processCost = 1.0    // engine, probe, poster set, verification
	readCost    = 0.0050 // of reading back, for a million delivered pixels
	scoreCost   = 0.03   // of one classifier frame
	scoreShare  = 0.2    // of the delivered frames are scored, half of those of restless clips
	spriteCost  = 0.08   // of decoding: one frame of many is scaled
	keyShare    = 0.03   // of the frames are key frames
)

// guess is how long a plan will take on one core.
func (p *VideoPlan) guess(m pipeline.Media) time.Duration {
	if m.Video == nil {
		return 0
	}
	length := p.Time.ExpectMS
	if length == 0 {
		length = p.Time.ReadMS()
	}
	frames := float64(length) / 1000 * max(1, m.Video.FPS)
	shown := frames
	if p.Picture.FPS > 0 {
		shown = float64(length) / 1000 * p.Picture.FPS
	}
	decode := decodeCost * frames * megapixels(m.Video.Width, m.Video.Height)
	cost := processCost + readCost*shown*megapixels(p.Picture.Width, p.Picture.Height) + scoreShare*scoreCost*shown
	switch {
	case p.Method == MethodTranscode:
		cost += decode + encodeCost*shown*megapixels(p.Picture.Width, p.Picture.Height)
	case p.Sprite != nil || p.Small != nil:
		cost += decode // a remux decodes key frames only, until somebody asks for more
	default:
		cost += keyShare * decode
	}
	if p.Sprite != nil {
		cost += spriteCost * decode
	}
	if p.Small != nil {
		cost += encodeCost * shown * megapixels(p.Small.Width, p.Small.Height)
	}
	return time.Duration(cost * float64(time.Second))
}

func megapixels(w, h int) float64 { return float64(w) * float64(h) / 1e6 }

// Within returns the plan without the optional work that would not be done within budget, the sprite first, then the small playback, and
// the names of what was left out. What is not optional stays, whatever the budget. The plan itself is not changed.
func (p *Plan) Within(m pipeline.Media, budget time.Duration) (plan pipeline.Plan, left []string) {
	if p.Video == nil {
		return p, nil
	}
	video := *p.Video
	for _, optional := range []struct {
		name  string
		there bool
		drop  func()
	}{
		{OptionalSprite, video.Sprite != nil, func() { video.Sprite = nil }},
		{OptionalSmall, video.Small != nil, func() { video.Small = nil }},
	} {
		if optional.there && video.guess(m) > budget {
			optional.drop()
			left = append(left, optional.name)
		}
	}
	fits := *p
	fits.Video = &video
	return &fits, left
}

var _ pipeline.FlexiblePlan = (*Plan)(nil)

// SpriteIndex is the JSON beside a sprite: frame i shows the video at i × IntervalMS and lies in column i mod Columns of row i / Columns.
type SpriteIndex struct {
	Columns    int   `json:"columns"`
	Rows       int   `json:"rows"`
	Width      int   `json:"width"`       // of one frame, pixels
	Height     int   `json:"height"`      // of one frame, pixels
	IntervalMS int64 `json:"interval_ms"` // from one frame to the next
	Count      int   `json:"count"`       // frames; what is left of the last row is black
}

// NewSpriteIndex describes a sprite of count frames. One that fills no row has as many columns as frames.
func NewSpriteIndex(p *SpritePlan, count int) SpriteIndex {
	columns := max(1, min(p.Columns, count))
	return SpriteIndex{
		Columns: columns, Rows: (count + columns - 1) / columns, Width: p.Width, Height: p.Height, IntervalMS: p.EveryMS, Count: count,
	}
}

// SpriteSheet is the work order for the picture of a sprite, w × h pixels in all.
func SpriteSheet(p *SpritePlan, w, h int) *PhotoPlan {
	return &PhotoPlan{
		SourceWidth: w, SourceHeight: h, Width: w, Height: h, Matte: matteWhite,
		Images: []ImageOut{{Name: "sprite", Format: WebP, Fit: FitInside, Width: w, Height: h, Quality: p.Quality}},
	}
}
