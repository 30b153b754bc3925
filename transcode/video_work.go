package transcode

import (
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// What one pixel costs, in pixels of 8-bit H.264 that are decoded: 5.5 ms of one core a million. Measured on two cores beside others, so that the
// ratios count: decoding HEVC of 10 bits costs 1.24 times what 8 bits do; libvpx decodes transparency as a second video, in one thread.
const (
	deepWork   = 1.25 // a source pixel of more than 8 bits
	alphaWork  = 3.0  // a source pixel with transparency
	encodeWork = 2.5  // a delivered pixel: scaled, looked at, encoded
	toneWork   = 5.0  // a delivered pixel that is toned from HDR, besides
)

// videoWork estimates from the headers what a plan costs: the pixels of the stretch that is read, and those that are made of it.
func videoWork(p *VideoPlan, m pipeline.Media) int64 {
	seconds := float64(p.Time.ExpectMS) / 1000
	if p.Time.ExpectMS == 0 {
		seconds = float64(p.Time.ReadMS()) / 1000
	}
	if m.Animated || m.Video == nil {
		return int64(float64(m.Width) * float64(m.Height) * float64(max(1, m.Frames)))
	}
	shown := m.Video.FPS
	if p.Picture.FPS > 0 {
		shown = p.Picture.FPS
	}
	made := encodeWork
	if p.Picture.Color.Method == ColorTonemap {
		made += toneWork
	}
	read := sourceFrames(p.Time, m) * float64(m.Video.Width) * float64(m.Video.Height) * pixelWork(m.Video)
	return int64(read + made*seconds*shown*float64(p.Picture.Width)*float64(p.Picture.Height))
}

// sourceFrames is how many pictures are decoded: the file's own count, of which a trim takes its share, else what its rate promises.
func sourceFrames(t VideoTime, m pipeline.Media) float64 {
	if m.Video.Frames > 0 && m.DurationMS > 0 {
		return float64(m.Video.Frames) * min(1, float64(t.ExpectMS)/float64(m.DurationMS))
	}
	length := t.ExpectMS
	if length == 0 {
		length = t.ReadMS()
	}
	return max(float64(m.Video.Frames), m.Video.FPS*float64(length)/1000)
}

func pixelWork(v *pipeline.Stream) float64 {
	work := 1.0
	if strings.Contains(v.PixelFormat, "p10") || strings.Contains(v.PixelFormat, "p12") {
		work = deepWork
	}
	if alphaDecoder(v) != "" {
		work *= alphaWork
	}
	return work
}

// checkWork holds a plan to what one video may cost, before anything is decoded.
func (p *Plan) checkWork(m pipeline.Media, prof VideoProfile) error {
	p.work, p.mostWork = videoWork(p.Video, m), prof.MaxMessageWork
	if p.work <= prof.MaxWork || m.Video == nil {
		return nil
	}
	seconds := float64(p.Video.Time.ExpectMS) / 1000
	return pipeline.Refuse(pipeline.CodeTooManyPixels,
		"%.1f s of %d×%d at %.0f frames a second are too much to convert; send at most %.0f s of it, or a smaller size",
		seconds, m.Video.Width, m.Video.Height, m.Video.FPS, seconds*float64(prof.MaxWork)/float64(p.work))
}

// Work is what the plan costs, and what all plans of one message may cost together, in decoded pixels. Photos and voice notes are not counted:
// their own limits hold them to a second.
func (p *Plan) Work() (cost, message int64) { return p.work, p.mostWork }

var _ pipeline.MeteredPlan = (*Plan)(nil)
