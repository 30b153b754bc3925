package ffmpeg

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// source is what a graph begins with.
type source struct {
	picture *ff.Stream
	sound   *ff.Stream // nil = silent
}

// fileSource opens f for plan from the trim's start on, and as the file stores it. ffmpeg's own rotation is off, because it would turn
// before scaling and follow a matrix that changes in mid-stream; the plan turns after scaling instead. The graph is never built anew:
// a second graph would count its frames from 0 again and write them over the first one's.
func fileSource(f pipeline.File, plan *transcode.VideoPlan, extra ...ff.KwArgs) source {
	if plan.Animated {
		return imageSource(f, plan)
	}
	opts := ff.KwArgs{"noautorotate": "", "reinit_filter": 0}
	if plan.Time.StartMS > 0 {
		opts["ss"] = seconds(plan.Time.StartMS)
	}
	if plan.Picture.SourceWidth*plan.Picture.SourceHeight > manyPixels { // each thread holds frames of 50 to 100 MB
		opts["threads:"+strconv.Itoa(plan.VideoIndex)] = 2
	}
	if plan.VideoDecoder != "" {
		opts["c:"+strconv.Itoa(plan.VideoIndex)] = plan.VideoDecoder
	}
	in := Input(f, append([]ff.KwArgs{opts, decodeBy(plan.AudioDecoder, strconv.Itoa(plan.AudioIndex))}, extra...)...)
	s := source{picture: in.Get(strconv.Itoa(plan.VideoIndex))}
	if plan.AudioIndex >= 0 {
		s.sound = in.Get(strconv.Itoa(plan.AudioIndex))
	}
	return s
}

// manyPixels is from what frame on the decoder's threads are counted: with one for each of sixteen cores 8K would not fit into an engine.
const manyPixels = 4096 * 2304

// readAtMost ends a reading after what plan takes, by packets: for copies, and for frames that are only looked at.
func readAtMost(plan *transcode.VideoPlan) ff.KwArgs {
	return ff.KwArgs{"t": seconds(plan.Time.ReadMS())}
}

func seconds(ms int64) string { return fmt.Sprintf("%d.%03d", ms/1000, ms%1000) }

// graph is the filter graph of one run: pictures as they are delivered, and the same at the pace of the source, for posters.
type graph struct {
	out     string
	picture *ff.Stream
	looks   *ff.Stream
}

// graph builds everything up to the split: one decode, one scale, one set of edits, many uses.
func (j *videoJob) graph() (*graph, error) {
	v, err := j.shown()
	if err != nil {
		return nil, err
	}
	split := withinRange(v).Split()
	g := &graph{out: j.out, picture: split.Get("0"), looks: split.Get("1")}
	if j.plan.Animated {
		g.picture = constantRate(g.picture, j.plan.Picture.FPS)
		g.looks = selected(g.looks, "lt(t,"+seconds(j.plan.Time.ReadMS())+")")
	}
	return g, nil
}

// withinRange keeps the luma in the limited range that is said of it. What lies beyond is black or white to one decoder and a picture to
// another.
func withinRange(v *ff.Stream) *ff.Stream {
	return v.Filter("limiter", nil, ff.KwArgs{"min": 16, "max": 235, "planes": 1})
}

// shown is the source's pictures as they are delivered.
func (j *videoJob) shown() (*ff.Stream, error) {
	p := j.plan.Picture
	v := j.src.picture
	if !j.plan.Animated {
		v = oneSize(v, p)
	}
	if p.Deinterlace {
		v = v.Filter("bwdif", nil, ff.KwArgs{"mode": "send_frame", "parity": "auto", "deint": "interlaced"})
	}
	v = j.from.begin(v)
	if !j.plan.Animated {
		if p.FPS > 0 {
			v = constantRate(v, p.FPS)
		}
		v = v.Filter("trim", nil, ff.KwArgs{"end": seconds(j.plan.Time.ReadMS())})
	}
	return j.draw(deliverable(v, p), p)
}

func constantRate(v *ff.Stream, fps float64) *ff.Stream {
	return v.Filter("fps", nil, ff.KwArgs{"fps": rateString(fps), "round": "near", "eof_action": "round"})
}

// oneSize gives every frame the size and the pixel format that the graph was built for; it costs nothing where they are so. A frame of
// another size, as a browser's recording has after its call changed, is shown whole, on black, as a player shows it. It stands before
// everything else: no other filter may be handed a frame that is smaller than it believes.
func oneSize(v *ff.Stream, p transcode.VideoPicture) *ff.Stream {
	w, h := p.SourceWidth, p.SourceHeight
	if w%2+h%2 > 0 { // padding would round them down
		return v.Filter("scale", nil, ff.KwArgs{"w": w, "h": h, "flags": "bicubic"})
	}
	fit := func(side, other int, in, otherIn string) string {
		return fmt.Sprintf("if(eq(in_w,%d)*eq(in_h,%d),%d,max(2,2*trunc(min(%d,%d*%s/%s)/2)))", w, h, side, side, other, in, otherIn)
	}
	return v.Filter("scale", nil, ff.KwArgs{"w": fit(w, h, "in_w", "in_h"), "h": fit(h, w, "in_h", "in_w"), "flags": "bicubic", "eval": "frame"}).
		Filter("pad", nil, ff.KwArgs{"w": w, "h": h, "x": "(ow-iw)/2", "y": "(oh-ih)/2", "color": "black", "eval": "frame"})
}

// deliverable brings the decoder's frames to the delivered size, colour and orientation.
func deliverable(v *ff.Stream, p transcode.VideoPicture) *ff.Stream {
	if c := p.Crop; c != nil {
		v = v.Filter("crop", nil, ff.KwArgs{"x": c.X, "y": c.Y, "w": c.W, "h": c.H})
	}
	if p.Alpha.Method != "" { // by the video's own matrix
		v = v.Filter("scale", nil, ff.KwArgs{
			"in_color_matrix": scaleMatrix(p.Alpha.Matrix), "in_range": p.Alpha.Range, "out_range": "pc", "flags": "bicubic+accurate_rnd",
		})
	}
	if p.Flatten {
		v = flatten(v)
	}
	v = colour(v, p)
	if p.Mirror {
		v = v.HFlip()
	}
	v = turn(v, p.Turn)
	return v.Filter("setsar", ff.Args{"1"})
}

// flatten lays the frames on white, c·a + (1-a): the negative is multiplied by the opacity and turned back. One chain, so that no
// other clock comes in; opaque pixels stay exactly as they are.
func flatten(v *ff.Stream) *ff.Stream {
	negate := ff.KwArgs{"components": "r+g+b"}
	return v.Filter("format", ff.Args{"gbrap"}).
		Filter("negate", nil, negate).
		Filter("premultiply", nil, ff.KwArgs{"inplace": 1}).
		Filter("negate", nil, negate).
		Filter("format", ff.Args{"gbrp"})
}

// colour scales, and converts to BT.709 in 8 bit and limited range. Tone mapping works on the scaled picture: half the cost. Its
// curve is mobius: a test picture whose white is at 100 and at 203 nits kept 86 and 94 % of its mean luma, with hable 63 and 77 %.
func colour(v *ff.Stream, p transcode.VideoPicture) *ff.Stream {
	c := p.Color
	if c.Method == transcode.ColorMatrix && standardDefinition(c.Matrix) && !p.Flatten {
		return tag(fromSD(v, p))
	}
	if c.Method == transcode.ColorMatrix {
		return tag(resize(v, p, ff.KwArgs{
			"in_color_matrix": scaleMatrix(c.Matrix), "in_range": c.Range, "out_color_matrix": "bt709", "out_range": "tv",
		}).Filter("format", ff.Args{"yuv420p"}))
	}
	v = resizeAlone(v, p).Filter("format", ff.Args{"yuv420p10le"})
	read := ff.KwArgs{"min": c.Matrix, "pin": c.Primaries, "tin": c.Transfer, "rin": c.Range}
	if c.Method == transcode.ColorGamut {
		return tag(v.Filter("zscale", nil, read, ff.KwArgs{"p": "bt709", "m": "bt709", "t": "bt709", "r": "tv"}).Filter("format", ff.Args{"yuv420p"}))
	}
	return tag(v.Filter("zscale", nil, read, ff.KwArgs{"t": "linear", "npl": 100}).
		Filter("format", ff.Args{"gbrpf32le"}).
		Filter("zscale", nil, ff.KwArgs{"p": "bt709"}).
		Filter("tonemap", nil, ff.KwArgs{"tonemap": "mobius", "desat": 0}).
		Filter("zscale", nil, ff.KwArgs{"t": "bt709", "m": "bt709", "r": "tv"}).
		Filter("format", ff.Args{"yuv420p"}))
}

// standardDefinition reports whether a matrix is one of BT.601, by either of its names. Many phones film by it in high definition, too.
func standardDefinition(matrix string) bool { return matrix == "smpte170m" || matrix == "bt470bg" }

// fromSD converts the matrix on the scaled picture: swscale, which would do both at once, takes more than half as long as the encoder for it.
func fromSD(v *ff.Stream, p transcode.VideoPicture) *ff.Stream {
	c := p.Color
	return resizeAlone(v, p).
		Filter("format", ff.Args{"yuv420p"}).
		Filter("zscale", nil, ff.KwArgs{
			"min": c.Matrix, "rin": c.Range, "cin": "left", "m": "bt709", "r": "tv", "c": "left", "f": "bicubic", "d": "none",
		}).
		Filter("format", ff.Args{"yuv420p"})
}

// resizeAlone scales and leaves the colours as they are.
func resizeAlone(v *ff.Stream, p transcode.VideoPicture) *ff.Stream {
	same := scaleMatrix(p.Color.Matrix)
	return resize(v, p, ff.KwArgs{"in_color_matrix": same, "out_color_matrix": same, "in_range": p.Color.Range, "out_range": p.Color.Range})
}

func resize(v *ff.Stream, p transcode.VideoPicture, color ff.KwArgs) *ff.Stream {
	return v.Filter("scale", nil, ff.KwArgs{"w": p.ScaleWidth, "h": p.ScaleHeight, "flags": "bicubic"}, color)
}

func tag(v *ff.Stream) *ff.Stream {
	return v.Filter("setparams", nil, ff.KwArgs{
		"color_primaries": "bt709", "color_trc": "bt709", "colorspace": "bt709", "range": "tv", "field_mode": "prog",
	})
}

// scaleMatrix is the scale filter's word for a matrix.
func scaleMatrix(matrix string) string {
	switch matrix {
	case "bt2020nc":
		return "bt2020"
	case "bt470bg":
		return "bt470"
	}
	return matrix
}

// turn turns clockwise.
func turn(v *ff.Stream, degrees int) *ff.Stream {
	switch degrees {
	case 90:
		return v.Filter("transpose", nil, ff.KwArgs{"dir": "clock"})
	case 180:
		return v.HFlip().VFlip()
	case 270:
		return v.Filter("transpose", nil, ff.KwArgs{"dir": "cclock"})
	}
	return v
}

// draw carries out the steps that are left, and brings an odd size to the even one that is delivered.
func (j *videoJob) draw(v *ff.Stream, p transcode.VideoPicture) (*ff.Stream, error) {
	w, h := p.ScaleWidth, p.ScaleHeight
	if p.Turn%180 != 0 {
		w, h = h, w
	}
	for i, s := range p.Steps {
		var err error
		if v, w, h, err = j.step(v, s, i, w, h); err != nil {
			return nil, err
		}
	}
	if w != p.Width || h != p.Height {
		v = v.Filter("scale", nil, ff.KwArgs{"w": p.Width, "h": p.Height, "flags": "bicubic"}).Filter("setsar", ff.Args{"1"})
	}
	return v, nil
}

func (j *videoJob) step(v *ff.Stream, s transcode.Step, i, w, h int) (*ff.Stream, int, int, error) {
	switch s.Op {
	case pipeline.OpCrop:
		return v.Filter("crop", nil, ff.KwArgs{"x": s.X, "y": s.Y, "w": s.W, "h": s.H, "exact": 1}), s.W, s.H, nil
	case pipeline.OpRotate:
		if s.Degrees != 180 {
			w, h = h, w
		}
		return turn(v, s.Degrees), w, h, nil
	case pipeline.OpFlip:
		if s.Direction == pipeline.FlipVertical {
			return v.VFlip(), w, h, nil
		}
		return v.HFlip(), w, h, nil
	case pipeline.OpAdjust:
		a := s.Adjustment()
		return v.Filter("eq", nil, ff.KwArgs{
			"brightness": decimal(a.Brightness), "contrast": decimal(a.Contrast), "saturation": decimal(a.Saturation),
		}), w, h, nil
	case pipeline.OpCaption:
		v, err := j.caption(v, s, i, w, h)
		return v, w, h, err
	}
	return v, w, h, nil
}

// caption lays the card over the pictures. The card is converted by the same matrix as they were: emoji keep their colours.
func (j *videoJob) caption(v *ff.Stream, s transcode.Step, i, w, h int) (*ff.Stream, error) {
	name := fmt.Sprintf("card-%d.png", i)
	if j.cards == nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "ffmpeg.Video", fmt.Errorf("a caption and nothing to draw it with"))
	}
	x, y, err := j.cards.CardPNG(s, w, h, filepath.Join(j.dir, filepath.FromSlash(j.rel(name))))
	if err != nil {
		return nil, err
	}
	card := ff.Input("file:"+j.rel(name), ff.KwArgs{"format": "png_pipe", "protocol_whitelist": "file,pipe"}).
		Filter("scale", nil, ff.KwArgs{"out_color_matrix": "bt709", "out_range": "tv"}).
		Filter("format", ff.Args{"yuva420p"})
	return ff.Filter([]*ff.Stream{v, card}, "overlay", nil, ff.KwArgs{"x": x, "y": y, "eof_action": "repeat", "format": "yuv420"}), nil
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }

func rateString(fps float64) string { return strconv.FormatFloat(fps, 'f', -1, 64) }

const (
	// encoderThreads is fixed, because the bytes depend on it: the same plan gives the same file on every machine.
	encoderThreads = 4
	// timeBase of the playback file, ticks a second: fine enough for any variable frame rate.
	timeBase = 90_000
	// slicesOnly leaves slices and parameter sets in the stream. A list of what stays: messages, delimiters, fillers and the types that
	// nobody has defined may carry anything.
	slicesOnly = "filter_units=pass_types=1|5|7|8"
)

// playbacks are the MP4s that are delivered.
func (g *graph) playbacks(plan *transcode.VideoPlan, sound *ff.Stream) []*ff.Stream {
	if plan.Small == nil {
		return []*ff.Stream{g.playback(g.picture, plan, sound)}
	}
	split := g.picture.Split()
	return []*ff.Stream{g.small(split.Get("0"), plan, sound), g.playback(split.Get("1"), plan, sound)}
}

func (g *graph) playback(v *ff.Stream, plan *transcode.VideoPlan, sound *ff.Stream) *ff.Stream {
	streams, opts := encoded(v, plan.Encode, sound, plan.Time)
	if plan.Animated {
		opts["t"] = seconds(plan.Time.ReadMS())
	}
	return ff.Output(streams, g.out+"/"+playbackName, opts)
}

// encoded are the streams of an MP4 and how they are encoded.
func encoded(v *ff.Stream, e transcode.VideoEncode, sound *ff.Stream, when transcode.VideoTime) ([]*ff.Stream, ff.KwArgs) {
	opts := merge(containerOptions(), ff.KwArgs{
		"bsf:v": frameLength(when) + "," + slicesOnly,
		"c:v":   "libx264", "preset": e.Preset, "crf": e.CRF, "maxrate": fmt.Sprint(e.MaxRate), "bufsize": fmt.Sprint(e.BufferSize),
		"profile:v": "high", "level:v": "4.0", "pix_fmt": "yuv420p", "threads:v": encoderThreads,
		"fps_mode:v": "vfr", "enc_time_base:v": fmt.Sprintf("1/%d", timeBase),
		"force_key_frames": fmt.Sprintf("expr:gte(t,n_forced*%s)", rateString(e.GOPSeconds)),
		"colorspace":       "bt709", "color_primaries": "bt709", "color_trc": "bt709", "color_range": "tv",
	})
	streams := []*ff.Stream{v}
	if sound != nil {
		streams = append(streams, sound)
		opts = merge(opts, ff.KwArgs{
			"c:a": "aac", "b:a": fmt.Sprint(e.AudioRate), "ar": 48_000, "ac": e.Channels, "af": soundWindow(when) + "," + resampled(e),
		})
	}
	return streams, opts
}

// frameLength gives every picture the length of a frame at least. A muxer takes it of the last one only, and ffmpeg 7.1 says a tick there,
// whose edit list then leaves the last picture out; 5.1 knows of no other length than this. So the last one is given what is left of the
// presentation, where that is no longer than pictures stand: neither its decoding nor its showing goes beyond the end.
func frameLength(when transcode.VideoTime) string {
	const least = timeBase / transcode.SampleHz
	end := min(when.ExpectMS, when.ReadMS()) * timeBase / 1000
	left := fmt.Sprintf(`min(%d-PTS\,%d-STARTPTS-DTS+STARTDTS)`, end, end)
	return fmt.Sprintf(`setts=pts=PTS:dts=DTS:duration=if(between(%s\,%d\,%d)\,%s\,max(DURATION\,%d))`, left, shortLast, longLast, left, least)
}

// What is left for the last picture is its length where it is between these, ticks. In less nobody sees it; more is a picture that stands, or
// something is missing: see holdLast.
const (
	shortLast = timeBase / 100
	longLast  = timeBase / 10
)

// soundWindow cuts by the clock and not by what has come: sound that begins late ends where the picture does.
func soundWindow(when transcode.VideoTime) string {
	return fmt.Sprintf("atrim=start=0:end=%s", seconds(when.ReadMS()))
}

// resampled brings the sound to its clock, and more than two channels to two: each front channel goes to its side as it is, the centre and
// each surround with half its power, as players mix. That keeps the loudness of films and of speech, which is in the centre. The limiter holds
// what becomes louder than two decibels below full scale, which are for what the encoder adds, and leaves every other sound as it is, to the
// bit.
func resampled(e transcode.VideoEncode) string {
	if e.Downmix {
		const unscaled = "rematrix_maxval=100:rematrix_volume=1" // by default, and below what the channels sum up to, the mix is turned down
		return "aresample=async=1:first_pts=0:ochl=stereo:isf=fltp:osf=fltp:clev=0.70710678:slev=0.70710678:lfe_mix_level=0:" + unscaled +
			",alimiter=level_in=1:level_out=1:limit=0.8:attack=5:release=50:asc=0:asc_level=0.5:level=0:latency=1"
	}
	return "aresample=async=1:first_pts=0"
}

// containerOptions are those of a delivered MP4: headers first, nothing but the streams.
func containerOptions() ff.KwArgs {
	return ff.KwArgs{
		"format": "mp4", "movflags": "+faststart", "map_metadata": "-1", "map_chapters": "-1", "sn": "", "dn": "",
		"fflags": "+bitexact", "flags:v": "+bitexact", "flags:a": "+bitexact", "bsf:v": slicesOnly,
	}
}

func merge(all ...ff.KwArgs) ff.KwArgs { return ff.MergeKwArgs(all) }

// posterOutputs are the poster candidates and the frames of the sprite.
func (g *graph) posterOutputs(plan *transcode.VideoPlan) []*ff.Stream {
	if plan.Animated {
		first := selected(g.looks, "eq(pts,0)") // of several that a trim left at 0 the last one written stays, as in the video
		return []*ff.Stream{g.stills(first, posterPrefix, max(1, plan.Frames))}
	}
	grid := standing(constantRate(g.looks, transcode.SampleHz), plan)
	var outs []*ff.Stream
	if plan.Sprite != nil {
		both := grid.Split()
		grid, outs = both.Get("0"), []*ff.Stream{g.tileOutput(both.Get("1"), plan)}
	}
	if plan.Posters.Bright > 0 {
		both := grid.Split()
		grid, outs = both.Get("0"), append(outs, g.stills(bright(both.Get("1"), plan), brightPrefix, plan.Posters.Bright))
	}
	return append(outs, g.stills(selected(grid, pickTicks(plan.Posters.Ticks)), posterPrefix, len(plan.Posters.Ticks)))
}

// standing lets the last picture stand as long as the presentation lasts.
func standing(grid *ff.Stream, plan *transcode.VideoPlan) *ff.Stream {
	if plan.Time.ExpectMS <= 0 || plan.Time.ExpectMS > plan.Time.ReadMS() {
		return grid
	}
	return grid.Filter("tpad", nil, ff.KwArgs{"stop": -1, "stop_mode": "clone"}).Filter("trim", nil, ff.KwArgs{"end": seconds(plan.Time.ExpectMS)})
}

func selected(v *ff.Stream, expr string) *ff.Stream { return v.Filter("select", ff.Args{expr}) }

// leafTerms bounds a sum in an expression: ffmpeg's parser takes about a hundred terms in a row and no more.
const leafTerms = 8

// pickTicks is 1 on the wanted ticks of the grid, whose time base is one tick. It is a search tree, so that a frame costs a few
// comparisons and not one for every tick.
func pickTicks(lists ...[]int) string {
	ticks := slices.Concat(lists...)
	slices.Sort(ticks)
	return searchTree("pts", slices.Compact(ticks), func(tick int) string { return fmt.Sprintf("eq(pts,%d)", tick) })
}

// searchTree is the sum of the terms of ascending keys, of which at most one is not 0, arranged for finding it by name.
func searchTree(name string, keys []int, term func(key int) string) string {
	if len(keys) == 0 {
		return "0"
	}
	if len(keys) <= leafTerms {
		terms := make([]string, len(keys))
		for i, k := range keys {
			terms[i] = term(k)
		}
		return strings.Join(terms, "+")
	}
	middle := len(keys) / 2
	return fmt.Sprintf("if(lt(%s,%d),%s,%s)", name, keys[middle], searchTree(name, keys[:middle], term), searchTree(name, keys[middle:], term))
}

const (
	// blackLuma and blackShare say when a picture is black: that share of its pixels, in per cent, is darker than that.
	blackLuma  = 32
	blackShare = 95
	introTicks = transcode.SampleHz / 2
	shortVideo = 1500 // ms; there is no intro to skip in less
)

// bright passes the frames that are not black and not in the first half second.
func bright(v *ff.Stream, plan *transcode.VideoPlan) *ff.Stream {
	if want := plan.Time.ExpectMS; want == 0 || want > shortVideo {
		v = selected(v, fmt.Sprintf("gte(pts,%d)", introTicks))
	}
	return v.Filter("blackframe", nil, ff.KwArgs{"amount": 0, "threshold": blackLuma}).
		Filter("metadata", nil, ff.KwArgs{"mode": "select", "key": "lavfi.blackframe.pblack", "value": blackShare, "function": "less"})
}

// keyFrames writes at most so many small rasters, one file each, named by their time. They shrink as they are and are converted then: a
// third of what both at once cost.
func (g *graph) keyFrames(v *ff.Stream, plan *transcode.VideoPlan) *ff.Stream {
	k := plan.Keys
	if k.Width != plan.Picture.Width || k.Height != plan.Picture.Height {
		v = v.Filter("scale", nil, ff.KwArgs{"w": k.Width, "h": k.Height, "flags": "area"})
	}
	name := g.out + "/" + keysDir + "/" + framePrefix + "%d.rgb"
	return ff.Output([]*ff.Stream{rgb(v)}, name, merge(stillOptions(k.Most), ff.KwArgs{"c:v": "rawvideo"}))
}

// stills writes at most so many full-size rasters, named by their time. They are not compressed: each is read once and thrown away.
func (g *graph) stills(v *ff.Stream, prefix string, most int) *ff.Stream {
	return ff.Output([]*ff.Stream{rgb(v)}, g.out+"/"+prefix+"%d.rgb", merge(stillOptions(most), ff.KwArgs{"c:v": "rawvideo"}))
}

// rgb converts delivered pictures to packed sRGB with a clock of milliseconds.
func rgb(v *ff.Stream) *ff.Stream {
	return v.Filter("scale", nil, ff.KwArgs{"in_color_matrix": "bt709", "in_range": "tv", "out_range": "pc"}).
		Filter("format", ff.Args{"rgb24"}).
		Filter("settb", ff.Args{"1/1000"})
}

func stillOptions(most int) ff.KwArgs {
	return ff.KwArgs{
		"format": "image2", "frame_pts": 1, "fps_mode:v": "passthrough", "enc_time_base:v": "1/1000", "frames:v": most, "fflags": "+bitexact",
	}
}
