package ffmpeg

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// probeCap is the most ffprobe may print, bytes. 64 streams take about 60 KiB.
const probeCap = 1 << 20

// probeEntries names the fields that are read; no tag is among them except the duration that Matroska keeps in one.
const probeEntries = "format=format_name,duration,start_time,bit_rate,nb_streams:" +
	"stream=index,codec_name,codec_type,codec_tag_string,profile,level,bit_rate,width,height,pix_fmt,sample_aspect_ratio,avg_frame_rate," +
	"r_frame_rate,color_transfer,color_primaries,color_space,color_range,field_order,sample_rate,channels,duration,nb_frames,nb_read_packets:" +
	"stream_disposition=attached_pic,timed_thumbnails,default:stream_tags=DURATION,alpha_mode:stream_side_data=displaymatrix,rotation"

// Probe reads f's headers, those of a plain voice note or MP4 itself and all others with one ffprobe process. dir is the workspace.
//
//  1. Bytes that are not of the sniffed type, or hold no stream, are CodeCorrupt; one that ffmpeg knows and cannot decode is
//     CodeUnsupportedType and named.
//  2. Without a real picture stream, a cover picture is none, the kind is voice; Audio is nil where there is no sound either.
//  3. GIF and APNG are videos with more than one frame and photos with one.
//  4. An MP4 whose media lie in another file is CodeUnsupportedType.
//  5. DurationMS is 0 where a format has no duration of its own and only its bit rate could be guessed from: MP3, ADTS, AMR.
//  6. Of several pictures and sounds those are given that a player would choose; what is left out is named in LeftOut. A picture of a codec
//     that is not taken is given where there is no other.
func (t Tools) Probe(ctx context.Context, dir string, f pipeline.File) (pipeline.Media, error) {
	if err := ctx.Err(); err != nil {
		return pipeline.Media{}, ended(err)
	}
	if err := checkSource(dir, f); err != nil {
		return pipeline.Media{}, err
	}
	if m, ok := hear(dir, f); ok {
		return m, nil
	}
	if m, ok := see(dir, f); ok {
		return m, nil
	}
	return t.askProbe(ctx, dir, f)
}

func (t Tools) askProbe(ctx context.Context, dir string, f pipeline.File) (pipeline.Media, error) {
	out, unread, err := t.probe(ctx, dir, f)
	if err != nil && unread != "" {
		out, err = t.probePicture(ctx, dir, f, unread)
	}
	if err != nil {
		return pipeline.Media{}, err
	}
	var p probed
	if err := json.Unmarshal(out, &p); err != nil {
		return pipeline.Media{}, refuse(pipeline.CodeCorrupt, fmt.Errorf("ffprobe's JSON: %w", err))
	}
	p.nameHidden(unread)
	if len(p.Streams) == 0 {
		return pipeline.Media{}, refuse(pipeline.CodeCorrupt, fmt.Errorf("no streams"))
	}
	m := p.media(f)
	if ms := movieMS(dir, f); ms > 0 {
		m.DurationMS = ms
		p.choose(f).shorten(p, &m) // of all tracks, too
	}
	if m.Video != nil && m.Video.SARNum == m.Video.SARDen {
		if w, h := largestKeyFrame(dir, f); w*h > m.Video.Width*m.Video.Height {
			m.Video.Width, m.Video.Height = w, h
			m.Width, m.Height = displaySize(m.Video)
		}
	}
	return m, nil
}

// probe runs ffprobe, which opens a decoder for every stream and gives up where the list forbids one. Then it runs again and may open those,
// for their names: they are handed the stream's headers and not one packet, because the list holds for what is decoded. unread names sound
// that it gave up for though it is on the list.
func (t Tools) probe(ctx context.Context, dir string, f pipeline.File) (printed []byte, unread string, err error) {
	out, log, err := t.probeOnce(ctx, dir, f, nil)
	if opened := refusedDecoders(log); err != nil && len(opened) > 0 && len(opened) <= maxOpened {
		out, log, err = t.probeOnce(ctx, dir, f, opened)
	}
	if err != nil && ctx.Err() == nil {
		unread = unknownSound(log)
	}
	return out, unread, err
}

func (t Tools) probeOnce(ctx context.Context, dir string, f pipeline.File, opened []string) (printed []byte, log string, err error) {
	args := append([]string{"-hide_banner", "-loglevel", probeLogLevel, "-max_alloc", strconv.Itoa(maxAlloc)}, InputArgs(f, opened...)...)
	switch {
	case f.Type.Family == pipeline.FamilyImage:
		args = append(args, "-count_packets") // the frames of an animation; neither format says how many
	case counted[f.Type.Demuxer]:
		args = append(args, "-count_packets", "-read_intervals", fmt.Sprintf("%%+#%d", maxCounted))
	}
	args = append(args, "-show_entries", probeEntries, "-of", "json", "-i", inputName(f))
	out, messages := &capped{left: probeCap}, []byte{}
	p := process{name: t.FFprobe, order: t.order, args: args, run: Run{Dir: dir, Stdout: out, Log: &messages}, probes: true}
	err = p.start(ctx)
	return bytes.ToValidUTF8(out.buf.Bytes(), []byte("?")), string(messages), err
}

// probeLogLevel has ffprobe name sound that is known and not decoded.
const probeLogLevel = "warning"

// counted are the demuxers whose pictures are counted: no header of Matroska or of a fragmented MP4 says how many there are.
var counted = map[string]bool{pipeline.TypeMP4.Demuxer: true, pipeline.TypeMKV.Demuxer: true}

// maxCounted bounds the packets that are counted: more than three minutes at 960 pictures a second have with their sound.
const maxCounted = 250_000

// probed is ffprobe's JSON. Numbers are strings there, or "N/A".
type probed struct {
	Streams []probedStream `json:"streams"`
	Format  struct {
		Duration  string `json:"duration"`
		StartTime string `json:"start_time"`
		BitRate   string `json:"bit_rate"`
		Streams   int    `json:"nb_streams"`
	} `json:"format"`
}

type probedStream struct {
	Index       int    `json:"index"`
	Codec       string `json:"codec_name"`
	Type        string `json:"codec_type"`
	Tag         string `json:"codec_tag_string"`
	Profile     string `json:"profile"`
	Level       int    `json:"level"`
	BitRate     string `json:"bit_rate"`
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	PixelFormat string `json:"pix_fmt"`
	Aspect      string `json:"sample_aspect_ratio"`
	AverageRate string `json:"avg_frame_rate"`
	BaseRate    string `json:"r_frame_rate"`
	Transfer    string `json:"color_transfer"`
	Primaries   string `json:"color_primaries"`
	Matrix      string `json:"color_space"`
	Range       string `json:"color_range"`
	FieldOrder  string `json:"field_order"`
	SampleRate  string `json:"sample_rate"`
	Channels    int    `json:"channels"`
	Duration    string `json:"duration"`
	Frames      string `json:"nb_frames"`
	Packets     string `json:"nb_read_packets"`
	Disposition struct {
		AttachedPic int `json:"attached_pic"`
		Thumbnails  int `json:"timed_thumbnails"`
		Default     int `json:"default"`
	} `json:"disposition"`
	Tags struct {
		Duration string `json:"DURATION"`
		Alpha    string `json:"alpha_mode"`
	} `json:"tags"`
	SideData []struct {
		Matrix   string  `json:"displaymatrix"`
		Rotation float64 `json:"rotation"`
	} `json:"side_data_list"`
}

func (p probed) media(f pipeline.File) pipeline.Media {
	m := pipeline.Media{
		MIME: f.Type.MIME, Kind: pipeline.KindVoice, Size: f.Size, Format: f.Type.Demuxer, Streams: max(p.Format.Streams, len(p.Streams)),
		DurationMS: p.durationMS(f), StartMS: millis(p.Format.StartTime), BitRate: whole(p.Format.BitRate),
	}
	c := p.choose(f)
	if c.picture != nil {
		m.Video = c.picture.video()
		m.Width, m.Height = displaySize(m.Video)
		m.Kind = pipeline.KindVideo
	}
	if c.sound != nil {
		m.Audio = c.sound.audio()
	}
	m.LeftOut = p.leftOut(c, f)
	c.shorten(p, &m)
	if f.Type.Family == pipeline.FamilyImage {
		p.animation(&m)
	}
	if m.BitRate == 0 && m.DurationMS > 0 {
		m.BitRate = m.Size * 8 * 1000 / m.DurationMS
	}
	return m
}

// animation corrects what a still image in an animation format is.
func (p probed) animation(m *pipeline.Media) {
	if m.Video == nil {
		return
	}
	for _, s := range p.Streams {
		if s.Index == m.Video.Index {
			m.Frames = int(whole(s.Packets))
		}
	}
	m.Animated = m.Frames > 1
	if !m.Animated {
		m.Kind = pipeline.KindPhoto
	}
}

// guessed are the demuxers whose duration is size divided by bit rate: wrong for anything of variable bit rate.
var guessed = map[string]bool{"mp3": true, "aac": true, "amr": true}

func (p probed) durationMS(f pipeline.File) int64 {
	if guessed[f.Type.Demuxer] {
		return 0
	}
	if ms := millis(p.Format.Duration); ms > 0 {
		if f.Type.Demuxer == pipeline.TypeMKV.Demuxer { // counted from 0, wherever the recording begins
			ms = max(0, ms-max(0, millis(p.Format.StartTime)))
		}
		return ms
	}
	longest := int64(0)
	for _, s := range p.Streams {
		longest = max(longest, millis(s.Duration), clock(s.Tags.Duration))
	}
	return longest
}

func (s probedStream) isPicture() bool {
	return s.Type == "video" && s.Disposition.AttachedPic == 0 && s.Disposition.Thumbnails == 0
}

func (s probedStream) audio() *pipeline.Stream {
	return &pipeline.Stream{
		Index: s.Index, Codec: s.Codec, Profile: s.Profile, BitRate: whole(s.BitRate),
		SampleRate: int(whole(s.SampleRate)), Channels: s.Channels,
	}
}

func (s probedStream) video() *pipeline.Stream {
	v := &pipeline.Stream{
		Index: s.Index, Codec: s.name(), Profile: s.Profile, Level: max(0, s.Level), BitRate: whole(s.BitRate), Frames: s.frames(),
		Width: s.Width, Height: s.Height, PixelFormat: s.PixelFormat, FPS: rate(s.AverageRate),
		Transfer: s.Transfer, Primaries: s.Primaries, Matrix: s.Matrix, Range: s.Range, FieldOrder: s.FieldOrder,
	}
	if v.FPS == 0 {
		v.FPS = rate(s.BaseRate)
	}
	if v.FPS >= clockRate { // the ticks of the container's clock: a browser's recording has no rate of its own
		v.FPS = 0
	}
	v.Alpha = s.Tags.Alpha == "1"
	v.SARNum, v.SARDen = aspect(s.Aspect)
	for _, d := range s.SideData {
		if d.Matrix != "" {
			v.Rotation, v.Mirrored = orientation(d.Matrix, d.Rotation)
		}
	}
	return v
}

// clockRate is what no camera reaches and every container's clock does, a second.
const clockRate = 1000

// maxAspect is the most that pixels may be stretched; a larger ratio is nonsense or an attack and is read as square.
const maxAspect = 8

func aspect(s string) (num, den int) {
	a, b, _ := strings.Cut(s, ":")
	num, den = int(whole(a)), int(whole(b))
	if num <= 0 || den <= 0 || num > den*maxAspect || den > num*maxAspect {
		return 0, 0
	}
	return num, den
}

// orientation reads a display matrix: clockwise degrees, and whether the picture is also flipped (its determinant is negative).
// ffprobe counts the degrees counter-clockwise.
func orientation(matrix string, rotation float64) (clockwise int, mirrored bool) {
	quarter := int(math.Round(-rotation / 90))
	clockwise = ((quarter%4 + 4) % 4) * 90
	var n []float64
	for _, field := range strings.Fields(matrix) {
		if v, err := strconv.ParseFloat(field, 64); err == nil {
			n = append(n, v)
		}
	}
	if len(n) != 9 {
		return clockwise, false
	}
	return clockwise, n[0]*n[4]-n[1]*n[3] < 0
}

// displaySize stretches the width by the pixel aspect, then turns.
func displaySize(v *pipeline.Stream) (w, h int) {
	w, h = v.Width, v.Height
	if v.SARNum > 0 && w > 0 {
		w = max(1, int(math.Round(float64(w)*float64(v.SARNum)/float64(v.SARDen))))
	}
	if v.Rotation%180 != 0 {
		return h, w
	}
	return w, h
}

// whole reads a number that fits 63 bits, 0 for everything else.
func whole(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// maxSeconds keeps milliseconds within an int64, whatever a header claims: about 31,000 years.
const maxSeconds = 1e12

// millis reads seconds with a fraction. Infinite, absurd and negative ones are cut to the bounds.
func millis(s string) int64 {
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) {
		return 0
	}
	return int64(math.Round(math.Max(-maxSeconds, math.Min(maxSeconds, v)) * 1000))
}

// clock reads Matroska's "00:01:15.020000000".
func clock(s string) int64 {
	var h, m int64
	var sec float64
	if _, err := fmt.Sscanf(s, "%d:%d:%g", &h, &m, &sec); err != nil || h < 0 || m < 0 || sec < 0 || h > 1e6 || m > 59 || sec > 60 {
		return 0
	}
	return (h*3600+m*60)*1000 + int64(sec*1000)
}

// rate reads a fraction of frames per second.
func rate(s string) float64 {
	a, b, _ := strings.Cut(s, "/")
	num, den := float64(whole(a)), float64(whole(b))
	if den == 0 {
		return 0
	}
	return num / den
}
