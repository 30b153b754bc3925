package ffmpeg

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/moderation/screen"
	"github.com/ninefold/ninefold/pipeline"
)

// DeliveredFrame is one picture of a delivered video, as a client decodes it, reduced for the judge.
type DeliveredFrame struct {
	Index  int
	Count  int     // of the file
	AtMS   int64   // when it is shown
	ForMS  float64 // how long
	Sync   bool    // a decoder may begin here
	Base   []byte  // packed sRGB, Width × Height: each value the mean of the pixels it covers
	Points []byte  // packed sRGB, Height/2 lines of Width: Width/2 points, see Reduction, and beside them luma beyond its range, see beyondRange
}

// Reduction says how frames are reduced. Beside the means, points are taken: single pixels that tell how far pixels lie from their mean.
// Point (x, y) is one of the pixels that the mean at (2x+1, 2y+1) covers.
type Reduction struct {
	Width, Height int // of the means, pixels, at most the video's
	// ShiftX and ShiftY place the points within the pixels that one mean covers. They are to be a secret: what lies between points that a
	// sender knows is not measured.
	ShiftX, ShiftY int
}

func (r Reduction) baseBytes() int { return r.Width * r.Height * 3 }

func (r Reduction) pointBytes() int { return r.Width * (r.Height / 2) * 3 }

// ReadBack decodes every picture of a delivered MP4, those that its edit list leaves out included, and hands them to each in the order
// they are shown. The slices are used again. A file whose decoder gives another number of pictures than its tables promise is
// CodeEncodeFailed: what a client shows of it is not known. whole is false where a part of a picture is missing and the decoder put something
// in its place, which others do not.
func (t Tools) ReadBack(ctx context.Context, dir string, r pipeline.Rendition, to Reduction, each func(DeliveredFrame) error) (whole bool, err error) {
	info, err := readMP4(filepath.Join(dir, filepath.FromSlash(r.Path)))
	if err != nil {
		return false, unfit(err)
	}
	video := info.track("vide")
	if video == nil {
		return false, unfit(fmt.Errorf("no picture stream"))
	}
	times, err := video.frameTimes()
	if err != nil {
		return false, unfit(err)
	}
	args, err := readBackArgs(r, to)
	if err != nil {
		return false, err
	}
	if to.Width < 2 || to.Height < 2 {
		return false, pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.ReadBack", fmt.Errorf("rasters of %d × %d pixels", to.Width, to.Height))
	}
	sink := &frameSink{times: times, timescale: video.timescale, to: to, each: each}
	var log []byte
	err = t.Run(ctx, Run{Args: args, Dir: dir, Stdout: sink, Log: &log, LogLevel: "warning", Failed: pipeline.CodeEncodeFailed})
	if err != nil {
		return false, err
	}
	return !concealed(log), sink.end()
}

// concealed reports whether ffmpeg says that it made up a part of a picture. A log that is cut off may have said so.
func concealed(log []byte) bool {
	return len(log) >= logFloor || bytes.Contains(log, []byte("corrupt decoded frame"))
}

// logFloor is how long a log is that may have been cut off: stderrCap, and what was taken out of it.
const logFloor = stderrCap / 2

// readBackArgs give means and, below them, points.
func readBackArgs(r pipeline.Rendition, to Reduction) ([]string, error) {
	made := pipeline.File{Path: r.Path, Type: pipeline.TypeMP4}
	split := Input(made, ff.KwArgs{"noautorotate": "", "ignore_editlist": 1}).Get("v:0").Split()
	means := toRGB(split.Get("0"), to.Width, to.Height, "area")
	points := split.Get("1")
	if to.ShiftX > 0 || to.ShiftY > 0 {
		points = points.Filter("crop", nil, ff.KwArgs{
			"x": to.ShiftX, "y": to.ShiftY, "w": fmt.Sprintf("iw-%d", to.ShiftX), "h": fmt.Sprintf("ih-%d", to.ShiftY), "exact": 1,
		})
	}
	points = toRGB(points, to.Width/2, to.Height/2, "neighbor")
	beside := ff.Filter([]*ff.Stream{points, beyondRange(split.Get("2"), to.Width-to.Width/2, to.Height/2)}, "hstack", nil)
	both := ff.Filter([]*ff.Stream{means, beside}, "vstack", nil)
	return BuildArgs(ff.Output([]*ff.Stream{both}, "pipe:1", ff.KwArgs{
		"format": "rawvideo", "c:v": "rawvideo", "pix_fmt": "rgb24", "fps_mode:v": "passthrough", "fflags": "+bitexact",
	}))
}

// beyondRange is a map of how far luma lies beyond the limited range: BeyondScale a level, each value the mean of the pixels that it covers.
func beyondRange(v *ff.Stream, w, h int) *ff.Stream {
	return v.Filter("extractplanes", nil, ff.KwArgs{"planes": "y"}).
		Filter("lut", nil, ff.KwArgs{"c0": fmt.Sprintf("min(255,%d*(max(16-val,0)+max(val-235,0)))", screen.BeyondScale)}).
		Filter("scale", nil, ff.KwArgs{"w": w, "h": h, "flags": "area", "in_range": "pc", "out_range": "pc"}).
		Filter("format", ff.Args{"rgb24"})
}

// toRGB scales as a client does that follows the stream's own colour tags, which a delivered video always has.
func toRGB(v *ff.Stream, w, h int, flags string) *ff.Stream {
	return v.Filter("scale", nil, ff.KwArgs{"w": w, "h": h, "flags": flags, "in_color_matrix": "auto", "in_range": "tv", "out_range": "pc"}).
		Filter("format", ff.Args{"rgb24"})
}

// frameSink cuts ffmpeg's output into frames.
type frameSink struct {
	times     []frameTime
	timescale int64
	to        Reduction
	each      func(DeliveredFrame) error
	buf       []byte
	n         int
}

func (s *frameSink) Write(p []byte) (int, error) {
	size := s.to.baseBytes() + s.to.pointBytes()
	if s.buf == nil {
		s.buf = make([]byte, 0, size)
	}
	for rest := p; len(rest) > 0; {
		take := min(size-len(s.buf), len(rest))
		s.buf = append(s.buf, rest[:take]...)
		rest = rest[take:]
		if len(s.buf) == size {
			if err := s.frame(); err != nil {
				return 0, err
			}
			s.buf = s.buf[:0]
		}
	}
	return len(p), nil
}

func (s *frameSink) frame() error {
	if s.n >= len(s.times) {
		return unfit(fmt.Errorf("more pictures than the %d that the tables promise", len(s.times)))
	}
	t := s.times[s.n]
	s.n++
	return s.each(DeliveredFrame{
		Index: s.n - 1, Count: len(s.times), AtMS: ticksMS(t.at, s.timescale), ForMS: float64(t.length) * 1000 / float64(s.timescale),
		Sync: t.sync, Base: s.buf[:s.to.baseBytes()], Points: s.buf[s.to.baseBytes():],
	})
}

func (s *frameSink) end() error {
	if s.n != len(s.times) || len(s.buf) > 0 {
		return unfit(fmt.Errorf("%d pictures where the tables promise %d", s.n, len(s.times)))
	}
	return nil
}
