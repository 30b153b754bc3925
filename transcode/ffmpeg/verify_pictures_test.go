package ffmpeg

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// TestDeliveredIsStrict changes a delivered file in every way in which decoders would come to differ.
func TestDeliveredIsStrict(t *testing.T) {
	k := newVideoKit(t)
	k.clip("a.mp4")
	res, _ := k.video("a.mp4", pipeline.Edit{Op: pipeline.OpFlip, Direction: pipeline.FlipHorizontal})
	path := filepath.Join(k.dir, res.Rendered.Part.Renditions[0].Path)
	clean, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkDelivered(path); err != nil {
		t.Fatal(err)
	}
	video := func(data []byte, kind string) []byte { return data[bytes.Index(data, []byte(kind))+4:] } // its track comes first
	add := func(p []byte, n int32) {
		binary.BigEndian.PutUint32(p, binary.BigEndian.Uint32(p)+uint32(n))
	}
	picture := func(data []byte, n int) []byte { // the first unit of a picture, with its header
		info, err := parseMP4(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		all, err := info.track("vide").list()
		if err != nil {
			t.Fatal(err)
		}
		return data[all[n].at+4:]
	}
	for name, tc := range map[string]struct {
		change func(data []byte) []byte
		want   string
	}{
		"a beginning that is hidden": {func(d []byte) []byte { add(video(d, "elst")[12:], 6000); return d }, "before the beginning"},
		"an end that is hidden":      {func(d []byte) []byte { add(video(d, "elst")[8:], -500); return d }, "behind the end"},
		"a sync sample that is a P":  {func(d []byte) []byte { binary.BigEndian.PutUint32(video(d, "stss")[8:], 2); return d }, "IDR"},
		"a message":                  {func(d []byte) []byte { picture(d, 3)[0] = 6; return d }, "type 6"},
		"a filler":                   {func(d []byte) []byte { picture(d, 3)[0] = 12; return d }, "type 12"},
		"an auxiliary picture":       {func(d []byte) []byte { picture(d, 3)[0] = 19; return d }, "type 19"},
		"a type nobody has defined":  {func(d []byte) []byte { picture(d, 3)[0] = 24; return d }, "type 24"},
		"parameter sets again":       {func(d []byte) []byte { picture(d, 3)[0] = 0x67; return d }, "type 7"},
		"a part of a picture":        {func(d []byte) []byte { picture(d, 3)[1] &= 0x7f; return d }, "part of one"},
		"bytes behind the media": {func(d []byte) []byte {
			at := bytes.LastIndex(d, []byte("mdat")) - 4
			add(d[at:], 16)
			return append(d, "GPSLatitude=52.5"...)
		}, "belong to no sample"},
		"bytes in a free box": {func(d []byte) []byte { return append(d, makeBox("free", []byte("GPS")...)...) }, "nobody reads"},
		"all at the same time": {func(d []byte) []byte {
			p := video(d, "stts")
			for i := range binary.BigEndian.Uint32(p[4:]) {
				binary.BigEndian.PutUint32(p[8+8*i+4:], 0)
			}
			binary.BigEndian.PutUint32(video(d, "elst")[12:], 0)
			return d
		}, "same time"},
		"two sample entries":      {func(d []byte) []byte { add(video(d, "stsd")[4:], 1); return d }, "2 sample entries"},
		"two parameter sets":      {func(d []byte) []byte { video(d, "avcC")[5]++; return d }, "not understood"},
		"a size of another video": {func(d []byte) []byte { add(video(video(d, "stsd"), "avc1")[24:], 16<<16); return d }, "in a track of"},
		"a track of another kind": {func(d []byte) []byte { copy(d[bytes.LastIndex(d, []byte("soun")):], "vide"); return d }, "tracks of pictures"},
	} {
		k.write("changed.mp4", tc.change(bytes.Clone(clean)))
		if err := checkDelivered(filepath.Join(k.dir, "changed.mp4")); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
	for name, said := range map[string]string{ // written into the stream: what options say is lost or refused by the one or the other ffmpeg
		"a linear transfer": "transfer_characteristics=8", "PQ": "transfer_characteristics=16", "no matrix": "matrix_coefficients=8",
	} {
		k.clip("colour.mp4", "-fflags", "+bitexact", "-flags", "+bitexact", "-map_metadata", "-1", "-movflags", "+faststart",
			"-bsf:v", slicesOnly+",h264_metadata=video_full_range_flag=0:"+said)
		if err := checkDelivered(filepath.Join(k.dir, "colour.mp4")); err == nil || !strings.Contains(err.Error(), "colours") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, args := range map[string][]string{"full range": {"-color_range", "pc"}, "no word about the range": nil} {
		k.clip("range.mp4", append(args, "-fflags", "+bitexact", "-flags", "+bitexact", "-map_metadata", "-1", "-movflags", "+faststart", "-bsf:v", slicesOnly)...)
		if err := checkDelivered(filepath.Join(k.dir, "range.mp4")); err == nil || !strings.Contains(err.Error(), "range") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTwoPicturesInASample is what some decoders show as two and some as one.
func TestTwoPicturesInASample(t *testing.T) {
	unit := func(kind, first byte) []byte { return []byte{0, 0, 0, 3, kind, first, 0} }
	for name, tc := range map[string]struct {
		data []byte
		ok   bool
	}{
		"one slice":           {unit(1, 0x80), true},
		"two slices":          {append(unit(1, 0x80), unit(1, 0x40)...), true},
		"a slice again":       {append(append(unit(1, 0x80), unit(1, 0x40)...), unit(1, 0x40)...), false},
		"slices in disorder":  {append(append(unit(1, 0x80), unit(1, 0x60)...), unit(1, 0x40)...), false},
		"two pictures":        {append(unit(1, 0x80), unit(1, 0x80)...), false},
		"IDR and another":     {append(unit(5, 0x80), unit(1, 0x40)...), false},
		"cut short":           {unit(1, 0x80)[:6], false},
		"bytes behind a unit": {append(unit(1, 0x80), 0), false},
		"the forbidden bit":   {unit(0x81, 0x80), false},
	} {
		if _, err := pictureUnits(tc.data, 4); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCopiesPresentTheSame sends what may be copied and what may not.
func TestCopiesPresentTheSame(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x120:r=30:d=4", "-f", "lavfi", "-i", "sine=d=4:r=48000", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2",
		"-g", "60", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart", "a.mp4")
	k.ffmpeg("-i", "a.mp4", "-c", "copy", "-bsf:v", "h264_metadata=aud=insert:sei_user_data=086f3693-b7b3-4f2c-9653-21492feee5b8+GPSLatitude", "sei.mp4")
	k.ffmpeg("-i", "a.mp4", "-c:v", "libx264", "-x264-params", "open-gop=1:keyint=30:bframes=2:scenecut=0", "-c:a", "copy", "open.mp4")
	k.ffmpeg("-i", "a.mp4", "-map", "0:v", "-c", "copy", "-bsf:v", "h264_mp4toannexb", "a.264")
	k.ffmpeg("-framerate", "30", "-i", "a.264", "-c", "copy", "inband.mp4")
	whole, err := os.ReadFile(filepath.Join(k.dir, "a.mp4"))
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range map[string][2]uint32{"end.mp4": {2500, 0}, "begin.mp4": {3000, 12_800}, "middle.mp4": {1000, 12_800}} {
		data := bytes.Clone(whole)
		p := data[bytes.Index(data, []byte("elst"))+4:]
		binary.BigEndian.PutUint32(p[8:], e[0])
		binary.BigEndian.PutUint32(p[12:], binary.BigEndian.Uint32(p[12:])+e[1])
		k.write(name, data)
	}
	for name, tc := range map[string]struct {
		method string
		want   int64
	}{
		"a.mp4":      {transcode.MethodRemux, 4000},
		"sei.mp4":    {transcode.MethodRemux, 4000},
		"open.mp4":   {transcode.MethodTranscode, 4000},
		"inband.mp4": {transcode.MethodTranscode, 3960}, // a stream without a clock: its first frames are put together
		"end.mp4":    {transcode.MethodTranscode, 4000}, // its sound goes on
		"begin.mp4":  {transcode.MethodTranscode, 4000},
		"middle.mp4": {transcode.MethodTranscode, 4000},
		k.fault("02-edit-list-end-is-copied/el-end.mp4"):                   {transcode.MethodTranscode, 3000},
		k.fault("02-edit-list-end-is-copied/trimmed-3s-delivered-13s.mp4"): {transcode.MethodTranscode, 3000},
	} {
		res, _ := k.video(name)
		p := res.Rendered.Part
		if p.Method != tc.method || abs(p.DurationMS-tc.want) > 40 || len(p.Warnings) > 0 {
			t.Errorf("%s: %s of %d ms, want %s of %d; %v", name, p.Method, p.DurationMS, tc.method, tc.want, p.Warnings)
		}
		data, err := os.ReadFile(filepath.Join(k.dir, p.Renditions[0].Path))
		if err != nil || bytes.Contains(data, []byte("GPSLatitude")) {
			t.Errorf("%s: a message is left in it, %v", name, err)
		}
	}
}

// TestLumaStaysInRange sends a picture in luma that a decoder should show as black.
func TestLumaStaysInRange(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "color=black:s=64x64:r=10:d=1", "-vf", "format=yuv420p,geq=lum='if(lt(X,32),1,15)':cb=128:cr=128,setparams=range=tv", "-c:v", "libx264", "-qp", "1", "-color_range", "tv", "below.mp4")
	res, _ := k.video("below.mp4", pipeline.Edit{Op: pipeline.OpMute})
	raw := k.ffmpeg("-i", res.Rendered.Part.Renditions[0].Path, "-vf", "extractplanes=y", "-f", "rawvideo", "-pix_fmt", "gray", "-")
	for i, y := range raw {
		if y < 15 || y > 18 {
			t.Fatalf("luma %d at %d", y, i)
		}
	}
}

// TestAMissingSliceIsSaid takes the second of two slices out of one picture: ffmpeg puts something in its place without a word on the level of
// errors, and others show something else.
func TestAMissingSliceIsSaid(t *testing.T) {
	k := newVideoKit(t)
	k.ffmpeg("-f", "lavfi", "-i", "testsrc2=s=160x128:r=10:d=1", "-c:v", "libx264", "-preset", "ultrafast", "-threads", "1", "-x264-params", "slices=2", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "whole.mp4")
	data := k.readFile("whole.mp4")
	info, err := parseMP4(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	all, err := info.track("vide").list()
	if err != nil {
		t.Fatal(err)
	}
	picture := data[all[5].at:][:all[5].size]
	second := picture[4+binary.BigEndian.Uint32(picture):]
	second[4] = 12 // filler data: no decoder shows it
	k.write("missing.mp4", data)
	for name, want := range map[string]bool{"whole.mp4": true, "missing.mp4": false} {
		n := 0
		whole, err := k.tools.ReadBack(t.Context(), k.dir, pipeline.Rendition{Path: name, Width: 160, Height: 128}, Reduction{Width: 80, Height: 64}, func(DeliveredFrame) error { n++; return nil })
		if err != nil || n != 10 || whole != want {
			t.Errorf("%s: whole %v, %d frames, %v", name, whole, n, err)
		}
	}
}
