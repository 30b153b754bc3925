package ffmpeg

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// blink makes a GIF of 64 × 48 whose frames are these greys, with these delays in hundredths; grey 1 is transparent.
func blink(t *testing.T, greys []uint8, delays []int) []byte {
	t.Helper()
	pal := color.Palette{color.NRGBA{}}
	for g := range 255 {
		pal = append(pal, color.NRGBA{uint8(g), uint8(g), uint8(g), 255})
	}
	anim := &gif.GIF{Config: image.Config{ColorModel: pal, Width: 64, Height: 48}}
	for i, g := range greys {
		frame := image.NewPaletted(image.Rect(0, 0, 64, 48), pal)
		index := g + 1
		if g == 1 {
			index = 0
		}
		for p := range frame.Pix {
			frame.Pix[p] = index
		}
		anim.Image, anim.Delay, anim.Disposal = append(anim.Image, frame), append(anim.Delay, delays[i]), append(anim.Disposal, gif.DisposalBackground)
	}
	var out bytes.Buffer
	if err := gif.EncodeAll(&out, anim); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func times(samples []pipeline.Sample) (at []int64) {
	for _, s := range samples {
		at = append(at, s.AtMS)
	}
	return at
}

// TestGIFTiming wants delays of 0 and 1 to be shown for 100 ms, as browsers do, and the last frame to stand as long as it says.
func TestGIFTiming(t *testing.T) {
	k := newVideoKit(t)
	k.write("a.gif", blink(t, []uint8{40, 200, 40, 200}, []int{0, 1, 20, 100}))
	res, plan := k.video("a.gif")
	r := res.Rendered
	if p := r.Part; p.Presentation != transcode.PresentGIF || *p.HasAudio || abs(p.DurationMS-1400) > 34 || len(p.Warnings) > 0 {
		t.Errorf("%+v", p)
	}
	for at, want := range map[int64]float64{0: 40, 150: 200, 350: 40, 420: 200, 1350: 200} {
		if got := meanLuma(k.frame(r.Part.Renditions[0].Path, at)); got < want-10 || got > want+10 {
			t.Errorf("at %d ms: luma %.0f, want %.0f", at, got, want)
		}
	}
	if len(res.Posters) != 1 || res.Posters[0].AtMS != 0 || meanLuma(k.poster(res.Posters[0], plan)) > 60 {
		t.Errorf("the poster is not the first frame: %+v", res.Posters)
	}
}

func TestAnimationOnWhite(t *testing.T) {
	k := newVideoKit(t)
	k.write("a.gif", blink(t, []uint8{1, 90, 1}, []int{20, 20, 20}))
	res, _ := k.video("a.gif")
	if got := meanLuma(k.sample(k.shown(res)[0])); got < 250 {
		t.Errorf("the classifier sees a transparent frame at luma %.0f", got)
	}
	if got := meanLuma(k.frame(res.Rendered.Part.Renditions[0].Path, 0)); got < 250 {
		t.Errorf("a transparent frame is shown at luma %.0f", got)
	}
}

func TestAPNG(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=65x49:r=5:d=1", "-pix_fmt", "rgba", "-f", "apng", "-plays", "0", "a.png")
	res, plan := k.video("a.png")
	p := res.Rendered.Part
	if plan.Presentation != transcode.PresentGIF || p.Width != 64 || p.Height != 48 || abs(p.DurationMS-1000) > 34 {
		t.Errorf("%d×%d, %d ms", p.Width, p.Height, p.DurationMS)
	}
}

func TestAnimationEdits(t *testing.T) {
	k := newVideoKit(t)
	k.write("a.gif", blink(t, []uint8{40, 200, 40, 200}, []int{50, 50, 50, 50}))
	res, _ := k.video("a.gif",
		pipeline.Edit{Op: pipeline.OpTrim, StartMS: 500, EndMS: 1500},
		pipeline.Edit{Op: pipeline.OpCrop, X: 0, Y: 0, W: 0.5, H: 1},
		pipeline.Edit{Op: pipeline.OpCaption, Text: "x", Position: pipeline.CaptionBottom, Style: pipeline.CaptionBar})
	p := res.Rendered.Part
	if p.Width != 32 || p.Height != 48 || abs(p.DurationMS-1000) > 34 {
		t.Errorf("%d×%d, %d ms", p.Width, p.Height, p.DurationMS)
	}
	first := k.frame(p.Renditions[0].Path, 0)
	if c := first.RGBAAt(16, 12); c.R < 190 {
		t.Errorf("the first frame after the trim is %v", c)
	}
	if !isMagenta(first, 0.9) {
		t.Error("the caption is missing")
	}
}

// TestRawFrames gives frames as libvips hands over those of an animated WebP.
func TestRawFrames(t *testing.T) {
	k := newVideoKit(t)
	const w, h = 32, 20
	var raw []byte
	for _, c := range [][4]byte{{255, 0, 0, 255}, {0, 0, 0, 0}, {0, 0, 255, 255}} {
		for range w * h {
			raw = append(raw, c[:]...)
		}
	}
	k.write("a.raw", raw)
	m := pipeline.Media{MIME: "image/webp", Kind: pipeline.KindVideo, Animated: true, Width: w, Height: h, Frames: 3}
	plan, err := transcode.NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindAuto}, m, transcode.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	frames := RawFrames{Path: "a.raw", W: w, H: h, DelaysMS: []int{0, 250, 650}}
	res, err := k.tools.Animation(context.Background(), k.dir, "webp", frames, plan.Video, nil, k.rises())
	if err != nil {
		t.Fatal(err)
	}
	if err := k.tools.VerifyVideo(context.Background(), k.dir, res.Rendered.Part.Renditions[0]); err != nil {
		t.Error(err)
	}
	if got := res.Rendered.Part.DurationMS; abs(got-1000) > 34 {
		t.Errorf("%d ms", got)
	}
	for at, want := range map[int64][3]uint8{50: {255, 0, 0}, 200: {255, 255, 255}, 700: {0, 0, 255}} {
		c := k.frame(res.Rendered.Part.Renditions[0].Path, at).RGBAAt(w/2, h/2)
		if far(c.R, want[0]) || far(c.G, want[1]) || far(c.B, want[2]) {
			t.Errorf("at %d ms: %v, want %v", at, c, want)
		}
	}
	frames.DelaysMS = frames.DelaysMS[:2]
	_, err = k.tools.Animation(context.Background(), k.dir, "webp2", frames, plan.Video, nil, nil)
	wantCode(t, err, pipeline.CodeInternal)
}

// TestManyFrames has as many frames as an animation may have; the last one is shown.
func TestManyFrames(t *testing.T) {
	delays := make([]int, 300)
	for i := range delays {
		delays[i] = 20 + i%3
	}
	raw := make([]byte, 8*8*4*len(delays))
	for i := range raw {
		raw[i] = 255
	}
	k := newVideoKit(t)
	k.write("a.raw", raw)
	m := pipeline.Media{MIME: "image/webp", Kind: pipeline.KindVideo, Animated: true, Width: 8, Height: 8, Frames: len(delays)}
	plan, err := transcode.NewPlan(pipeline.Item{ID: "i", Kind: pipeline.KindAuto}, m, transcode.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	res, err := k.tools.Animation(context.Background(), k.dir, "many", RawFrames{Path: "a.raw", W: 8, H: 8, DelaysMS: delays}, plan.Video, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Rendered.Part.DurationMS; abs(got-300/3*63) > 34 {
		t.Errorf("%d ms, want %d", got, 300/3*63)
	}
}

// TestVideoArguments is the golden of the vectors: what ffmpeg is asked for, and in which order.
func TestVideoArguments(t *testing.T) {
	plan := &transcode.VideoPlan{
		Presentation: transcode.PresentVideo, Method: transcode.MethodTranscode, VideoIndex: 2, AudioIndex: 1,
		Time: transcode.VideoTime{StartMS: 1500, LengthMS: 3000, LimitMS: 180_000, ExpectMS: 3000},
		Picture: transcode.VideoPicture{
			SourceWidth: 640, SourceHeight: 480, Crop: &transcode.Rect{X: 2, Y: 4, W: 600, H: 400}, ScaleWidth: 300, ScaleHeight: 200, Turn: 90, Mirror: true, Width: 200, Height: 300,
			Color: transcode.VideoColor{Method: transcode.ColorMatrix, Matrix: "smpte170m", Range: "pc"},
			Steps: []transcode.Step{{Op: pipeline.OpAdjust, Contrast: 0.5}},
		},
		Encode:  transcode.VideoEncode{CRF: 23, Preset: "veryfast", MaxRate: 1000, BufferSize: 2000, GOPSeconds: 2, AudioRate: 128_000, Channels: 2},
		Posters: transcode.PosterTimes{WantedTick: -1, Ticks: []int{0, 30}},
	}
	j := videoJob{out: "o", plan: plan, src: fileSource(pipeline.File{Path: "in.mov", Type: pipeline.TypeMOV}, plan)}
	g, err := j.graph()
	if err != nil {
		t.Fatal(err)
	}
	args, err := BuildArgs(append(g.posterOutputs(plan), g.playbacks(plan, j.src.sound)...)...)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(args, " ")
	for _, want := range goldenParts() {
		at := strings.Index(got, want)
		if at < 0 {
			t.Fatalf("missing, or out of order: %q\nin: %s", want, got)
		}
		got = got[at+len(want):]
	}
	if got != "" {
		t.Errorf("more than wanted: %q", got)
	}
}

func goldenParts() []string {
	still := "-enc_time_base:v 1/1000 -fflags +bitexact -fps_mode:v passthrough -frame_pts 1 -frames:v "
	return []string{
		"-f mov ", "-format_whitelist mov ", "-noautorotate ", "-protocol_whitelist file,pipe -reinit_filter 0 -ss 1.500 -i file:in.mov ",
		`-filter_complex [0:2]scale=eval=frame:flags=bicubic:h=if(eq(in_w\,640)*eq(in_h\,480)\,480\,max(2\,2*trunc(min(480\,640*in_h/in_w)/2))):`,
		`w=if(eq(in_w\,640)*eq(in_h\,480)\,640\,max(2\,2*trunc(min(640\,480*in_w/in_h)/2)))[s0];`,
		`[s0]pad=color=black:eval=frame:h=480:w=640:x=(ow-iw)/2:y=(oh-ih)/2[s1];[s1]setpts=if(eq(N\,0)\,0\,PTS)[s2];[s2]trim=end=3.000[s3];`,
		`[s3]crop=h=400:w=600:x=2:y=4[s4];`,
		`[s4]scale=flags=bicubic:h=200:in_color_matrix=smpte170m:in_range=pc:out_color_matrix=smpte170m:out_range=pc:w=300[s5];[s5]format=yuv420p[s6];`,
		`[s6]zscale=c=left:cin=left:d=none:f=bicubic:m=bt709:min=smpte170m:r=tv:rin=pc[s7];[s7]format=yuv420p[s8];`,
		`[s8]setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:field_mode=prog:range=tv[s9];[s9]hflip[s10];`,
		`[s10]transpose=dir=clock[s11];[s11]setsar=1[s12];[s12]eq=brightness=0.0000:contrast=1.5000:saturation=1.0000[s13];[s13]limiter=max=235:min=16:planes=1[s14];[s14]split=2[s15][s16];`,
		`[s16]fps=eof_action=round:fps=30:round=near[s17];[s17]tpad=stop=-1:stop_mode=clone[s18];[s18]trim=end=3.000[s19];`,
		`[s19]select=eq(pts\,0)+eq(pts\,30)[s20];[s20]scale=in_color_matrix=bt709:in_range=tv:out_range=pc[s21];[s21]format=rgb24[s22];`,
		`[s22]settb=1/1000[s23] `,
		"-map [s23] -f image2 -c:v rawvideo ", still + "2 o/poster-%d.rgb ",
		"-map [s15] -map 0:1 -f mp4 -ac 2 -af atrim=start=0:end=3.000,aresample=async=1:first_pts=0 -ar 48000 -b:a 128000 ",
		`-bsf:v setts=pts=PTS:dts=DTS:duration=if(between(min(270000-PTS\,270000-STARTPTS-DTS+STARTDTS)\,900\,9000)\,`,
		`min(270000-PTS\,270000-STARTPTS-DTS+STARTDTS)\,max(DURATION\,3000)),filter_units=pass_types=1|5|7|8 `, "-bufsize 2000 ",
		"-c:a aac -c:v libx264 -color_primaries bt709 -color_range tv -color_trc bt709 -colorspace bt709 -crf 23 -dn -enc_time_base:v 1/90000 ",
		"-fflags +bitexact -flags:a +bitexact -flags:v +bitexact -force_key_frames expr:gte(t,n_forced*2) -fps_mode:v vfr -level:v 4.0 ",
		"-map_chapters -1 -map_metadata -1 -maxrate 1000 -movflags +faststart -pix_fmt yuv420p -preset veryfast -profile:v high -sn ",
		"-threads:v 4 o/playback.mp4",
	}
}

func TestSearchTree(t *testing.T) {
	keys := make([]int, 300)
	for i := range keys {
		keys[i] = 3 * i
	}
	k := newVideoKit(t)
	raw := k.ffmpeg("-f", "lavfi", "-i", "color=s=2x2:r=30:d=40", "-vf", "select='"+pickTicks(keys)+"',format=gray", "-fps_mode", "passthrough", "-f", "rawvideo", "-")
	if len(raw) != 4*300 {
		t.Errorf("%d frames passed, want 300", len(raw)/4)
	}
	if got := fmt.Sprint(pickTicks(nil)); got != "0" {
		t.Errorf("no ticks: %q", got)
	}
}
