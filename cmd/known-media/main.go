// Command known-media makes the media of transcode/known anew, from the repository's root:
//
//	go run ./cmd/known-media transcode/known
//
// It needs heif-enc (libheif 1.15 or newer, with x265), vips, and ffmpeg (with x265 and libaom). The pictures show four plain fields in
// the stored values that mean their colours, whatever the space and the depth. iphone18.heic is not made here: it is the case "all
// references" of TestTodaysIPhones in transcode/vips, whose kit writes HEICs as iPhones do.
package main

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"math"
	"os"
	"os/exec"
	"path/filepath"
)

const width, height = 96, 64

// fields are the four colours, in sRGB: top left, top right, bottom left, bottom right. All are darker than the tone curve's knee.
var fields = [4][3]float64{{180, 60, 50}, {60, 160, 70}, {50, 80, 170}, {128, 128, 128}}

type matrix [3][3]float64

// From linear sRGB to linear Display P3 and BT.2020, all with a white of D65 (the spaces' own chromaticities).
var (
	toP3   = matrix{{0.822462, 0.177538, 0}, {0.033194, 0.966806, 0}, {0.017083, 0.072397, 0.910520}}
	to2020 = matrix{{0.627404, 0.329283, 0.043313}, {0.069097, 0.919540, 0.011362}, {0.016391, 0.088013, 0.895595}}
)

func (m matrix) of(c [3]float64) (out [3]float64) {
	for i, row := range m {
		out[i] = row[0]*c[0] + row[1]*c[1] + row[2]*c[2]
	}
	return out
}

func light(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

func coded(l float64) float64 {
	if l <= 0.0031308 {
		return 12.92 * l
	}
	return 1.055*math.Pow(l, 1/2.4) - 0.055
}

// pq is SMPTE ST 2084 with paper white at 203 nits.
func pq(l float64) float64 {
	const m1, m2, c1, c2, c3 = 2610.0 / 16384, 2523.0 / 4096 * 128, 3424.0 / 4096, 2413.0 / 4096 * 32, 2392.0 / 4096 * 32
	y := math.Pow(l*203/10_000, m1)
	return math.Pow((c1+c2*y)/(1+c3*y), m2)
}

// picture has 16 bits a channel; store turns light into what is stored.
func picture(space matrix, store func(float64) float64) *image.NRGBA64 {
	img := image.NewNRGBA64(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			c := fields[y*2/height*2+x*2/width]
			l := space.of([3]float64{light(c[0] / 255), light(c[1] / 255), light(c[2] / 255)})
			v := func(i int) uint16 { return uint16(math.Round(65535 * max(0, store(l[i])))) }
			img.SetNRGBA64(x, y, color.NRGBA64{R: v(0), G: v(1), B: v(2), A: 65535})
		}
	}
	return img
}

var same = matrix{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}

// png writes depth 8 or 16, with a profile where there is one: the standard library writes none.
func png(img *image.NRGBA64, depth int, profile []byte) []byte {
	var raw bytes.Buffer
	for y := range height {
		raw.WriteByte(0)
		for x := range width {
			c := img.NRGBA64At(x, y)
			for _, v := range []uint16{c.R, c.G, c.B} {
				if depth == 16 {
					raw.Write([]byte{byte(v >> 8), byte(v)})
				} else {
					raw.WriteByte(byte((uint32(v) + 128) / 257))
				}
			}
		}
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	head = append(head, byte(depth), 2, 0, 0, 0)
	out := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", head)...)
	if profile != nil {
		out = append(out, chunk("iCCP", append([]byte("p3\x00\x00"), deflated(profile)...))...)
	}
	return append(append(out, chunk("IDAT", deflated(raw.Bytes()))...), chunk("IEND", nil)...)
}

func chunk(name string, data []byte) []byte {
	out := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), name...)
	out = append(out, data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[4:]))
}

func deflated(data []byte) []byte {
	var b bytes.Buffer
	w, _ := zlib.NewWriterLevel(&b, 9)
	_, err := w.Write(data)
	must(err)
	must(w.Close())
	return b.Bytes()
}

// profileP3 is an ICC 4 profile of Display P3: three columns, adapted to D50, and sRGB's curve as parameters.
func profileP3() []byte {
	fixed := func(v ...float64) (b []byte) {
		for _, x := range v {
			b = binary.BigEndian.AppendUint32(b, uint32(int32(math.Round(x*65536))))
		}
		return b
	}
	xyz := func(v ...float64) []byte { return append([]byte("XYZ \x00\x00\x00\x00"), fixed(v...)...) }
	text := append([]byte("mluc\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x0cenUS\x00\x00\x00\x04\x00\x00\x00\x1c"), "\x00P\x003"...)
	curve := append([]byte("para\x00\x00\x00\x00\x00\x03\x00\x00"), fixed(2.4, 1/1.055, 0.055/1.055, 1/12.92, 0.04045)...)
	tags := []struct {
		name string
		data []byte
	}{
		{"desc", text},
		{"cprt", text},
		{"wtpt", xyz(0.9642, 1, 0.8249)},
		{"rXYZ", xyz(0.515102, 0.241182, -0.001053)},
		{"gXYZ", xyz(0.291965, 0.692236, 0.041885)},
		{"bXYZ", xyz(0.157153, 0.066582, 0.784378)},
		{"rTRC", curve},
		{"gTRC", curve},
		{"bTRC", curve},
	}
	head := make([]byte, 128)
	copy(head[8:], "\x04\x00\x00\x00mntrRGB XYZ ")
	copy(head[36:], "acsp")
	copy(head[68:], xyz(0.9642, 1, 0.8249)[8:])
	table, body := binary.BigEndian.AppendUint32(nil, uint32(len(tags))), []byte{}
	for _, t := range tags {
		table = append(table, t.name...)
		table = binary.BigEndian.AppendUint32(table, uint32(128+4+12*len(tags)+len(body)))
		table = binary.BigEndian.AppendUint32(table, uint32(len(t.data)))
		body = append(body, t.data...)
	}
	out := append(append(head, table...), body...)
	binary.BigEndian.PutUint32(out, uint32(len(out)))
	return out
}

// turned is a JPEG that lies on its side and says so in its Exif: shown, it has the fields in their places.
func turned(img *image.NRGBA64) []byte {
	side := image.NewNRGBA(image.Rect(0, 0, height, width))
	for y := range side.Rect.Dy() {
		for x := range side.Rect.Dx() {
			side.Set(x, y, img.At(width-1-y, x)) // orientation 6: to be turned clockwise
		}
	}
	var b bytes.Buffer
	must(jpeg.Encode(&b, side, &jpeg.Options{Quality: 95}))
	return segment(b.Bytes(), 0xe1, "Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00")
}

func segment(jpg []byte, marker byte, payload string) []byte {
	head := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(payload)+2))
	return append(append(append([]byte{0xff, 0xd8}, head...), payload...), jpg[2:]...)
}

// wideJPEG is a JPEG in Display P3.
func wideJPEG(img image.Image, profile []byte) []byte {
	var b bytes.Buffer
	must(jpeg.Encode(&b, img, &jpeg.Options{Quality: 95}))
	return segment(b.Bytes(), 0xe2, "ICC_PROFILE\x00\x01\x01"+string(profile))
}

// grey is 16 bits of grey with alpha, as PNG: the fields' greys are 40, 100, 180 and 230, all opaque.
func grey() []byte {
	var raw bytes.Buffer
	for y := range height {
		raw.WriteByte(0)
		for x := range width {
			v := []uint16{40, 100, 180, 230}[y*2/height*2+x*2/width] * 257
			raw.Write([]byte{byte(v >> 8), byte(v), 255, 255})
		}
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	out := append([]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", append(head, 16, 4, 0, 0, 0))...)
	return append(append(out, chunk("IDAT", deflated(raw.Bytes()))...), chunk("IEND", nil)...)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "known-media:", err)
		os.Exit(1)
	}
}

func run(name string, args ...string) {
	if out, err := exec.CommandContext(context.Background(), name, args...).CombinedOutput(); err != nil {
		must(fmt.Errorf("%s %q: %w: %s", name, args, err, out))
	}
}

func write(name string, data []byte) string {
	must(os.WriteFile(name, data, 0o644))
	return name
}

func main() {
	if len(os.Args) != 2 {
		must(fmt.Errorf("%v", "name the directory to write to"))
	}
	must(os.Chdir(os.Args[1]))
	dir, err := os.MkdirTemp("", "known")
	must(err)
	defer os.RemoveAll(dir)
	temp := func(name string, data []byte) string { return write(filepath.Join(dir, name), data) }
	profile := profileP3()
	srgb, p3 := picture(same, coded), picture(toP3, coded)

	write("turned.jpg", turned(srgb))
	write("p3.jpg", wideJPEG(p3, profile))
	write("p3-16.png", png(p3, 16, profile))
	write("grey-alpha-16.png", grey())
	run("vips", "webpsave", temp("srgb.png", png(srgb, 8, nil)), "srgb.webp", "--Q", "95", "--smart-subsample")
	run("heif-enc", "-q", "90", "-b", "10", "-o", "p3-10.heic", temp("p3.png", png(p3, 16, profile)))
	run("ffmpeg", "-y", "-v", "error", "-i", temp("pq.png", png(picture(to2020, pq), 16, nil)),
		"-vf", "scale=in_range=pc:out_range=pc:out_color_matrix=bt2020nc:flags=accurate_rnd+full_chroma_int,format=yuv444p10le,"+
			"setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=pc",
		"-c:v", "libaom-av1", "-still-picture", "1", "-cpu-used", "6", "-crf", "0", "-map_metadata", "-1", "-fflags", "+bitexact", "-f", "avif", "pq.avif")

	// Two tones with a pause: 440 Hz, silence, 880 Hz, 0.4 s each.
	run("ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i",
		"aevalsrc='0.1*(sin(2*PI*440*t)*lt(t,0.4)+sin(2*PI*880*t)*gte(t,0.8))':s=48000:d=1.2",
		"-c:a", "libopus", "-b:a", "24k", "-map_metadata", "-1", "-fflags", "+bitexact", "note.ogg")
	// Twelve pictures, the second half turned upside down and mirrored, with a tone.
	fieldsPNG := temp("fields.png", png(srgb, 8, nil))
	run("ffmpeg", "-y", "-v", "error", "-loop", "1", "-r", "12", "-t", "1", "-i", fieldsPNG, "-f", "lavfi", "-i", "sine=f=440:r=48000:d=1",
		"-filter_complex", "[0:v]scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd+full_chroma_int,format=yuv420p,"+
			"setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709:range=tv,split[a][b];[b]hflip,vflip[c];[a][c]overlay=enable='gte(n,6)'[v]",
		"-map", "[v]", "-map", "1:a", "-c:v", "libx265", "-x265-params", "log-level=error:info=0", "-crf", "18",
		"-tag:v", "hvc1", "-c:a", "aac", "-b:a", "32k", "-ac", "1",
		"-map_metadata", "-1", "-fflags", "+bitexact", "-movflags", "+faststart", "video.mp4")
	fmt.Println("made; go test shows whether this machine's libraries answer as they must")
}
