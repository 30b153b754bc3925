package moderation

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"
)

func nsfwInput(size int) Input {
	return Input{Layout: NHWC, Size: size, Color: RGB, Resize: BilinearAlignCorners, Scale: 255}
}

func randomRaster(width, height int, seed uint64) Raster {
	rng := rand.New(rand.NewPCG(seed, 1))
	r := Raster{Width: width, Height: height, Pix: make([]byte, width*height*3)}
	for i := range r.Pix {
		r.Pix[i] = byte(rng.IntN(256))
	}
	return r
}

func fill(t testing.TB, in Input, r Raster) []float32 {
	t.Helper()
	p := NewPreprocessor(in)
	dst := make([]float32, p.Len())
	if err := p.Fill(dst, r); err != nil {
		t.Fatal(err)
	}
	return dst
}

func TestFillKeepsAPictureOfTheRightSize(t *testing.T) {
	for _, how := range []Resize{BilinearAlignCorners, BilinearHalfPixel} {
		in := nsfwInput(7)
		in.Resize = how
		r := randomRaster(7, 7, 1)
		for i, v := range fill(t, in, r) {
			if v != float32(float64(r.Pix[i])/255) {
				t.Fatalf("%s: number %d is %v, want %d/255", how, i, v, r.Pix[i])
			}
		}
	}
}

// TestFillStretches compares with values worked out by hand: one row 0, 100 (red only) to three columns.
func TestFillStretches(t *testing.T) {
	r := Raster{Width: 2, Height: 1, Pix: []byte{0, 0, 0, 100, 0, 0}}
	for how, want := range map[Resize][3]float64{BilinearAlignCorners: {0, 50, 100}, BilinearHalfPixel: {0, 50, 100}} {
		checkRow(t, how, r, want[:])
	}
	r = Raster{Width: 4, Height: 1, Pix: []byte{0, 0, 0, 30, 0, 0, 60, 0, 0, 90, 0, 0}}
	for how, want := range map[Resize][2]float64{BilinearAlignCorners: {0, 90}, BilinearHalfPixel: {15, 75}} {
		checkRow(t, how, r, want[:])
	}
}

func checkRow(t *testing.T, how Resize, r Raster, want []float64) {
	t.Helper()
	in := nsfwInput(len(want))
	in.Resize, in.Scale = how, 1
	got := fill(t, in, r)
	for x, w := range want {
		if math.Abs(float64(got[x*3])-w) > 1e-4 {
			t.Errorf("%s, %d to %d pixels: column %d is %v, want %v", how, r.Width, len(want), x, got[x*3], w)
		}
	}
}

// TestFillMatchesTheDefinition compares with the four-tap formula written out, for sizes up and down and of one pixel.
func TestFillMatchesTheDefinition(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 9}, {13, 5}, {300, 200}, {64, 64}, {5, 400}} {
		r := randomRaster(size[0], size[1], 9)
		got := fill(t, nsfwInput(33), r)
		for y := range 33 {
			for x := range 33 {
				for c := range 3 {
					want := bilinear(r, float64(x)*float64(r.Width-1)/32, float64(y)*float64(r.Height-1)/32, c)
					if off := math.Abs(float64(got[(y*33+x)*3+c]) - want); off > 1e-6 {
						t.Fatalf("%v: pixel %d, %d is off by %g", size, x, y, off)
					}
				}
			}
		}
	}
}

// bilinear is the weighted mean of the four pixels around a place, 0..1.
func bilinear(r Raster, x, y float64, c int) float64 {
	sum := 0.0
	for _, py := range []float64{math.Floor(y), math.Floor(y) + 1} {
		for _, px := range []float64{math.Floor(x), math.Floor(x) + 1} {
			ix, iy := min(int(px), r.Width-1), min(int(py), r.Height-1)
			weight := (1 - math.Abs(x-px)) * (1 - math.Abs(y-py))
			sum += weight * float64(r.Pix[(iy*r.Width+ix)*3+c]) / 255
		}
	}
	return sum
}

func TestFillOrdersChannelsAndAxes(t *testing.T) {
	r := randomRaster(20, 11, 5)
	base := fill(t, nsfwInput(8), r)
	in := nsfwInput(8)
	in.Layout, in.Color, in.Mean, in.Std = NCHW, BGR, []float64{0.1, 0.2, 0.3}, []float64{0.5, 1, 2}
	got := fill(t, in, r)
	for i := range 64 {
		for c := range 3 {
			want := (float64(base[i*3+2-c]) - in.Mean[c]) / in.Std[c]
			if off := math.Abs(float64(got[c*64+i]) - want); off > 1e-6 {
				t.Fatalf("channel %d, pixel %d is off by %g", c, i, off)
			}
		}
	}
}

func TestFillRefusesWhatIsNoPicture(t *testing.T) {
	p := NewPreprocessor(nsfwInput(4))
	dst := make([]float32, p.Len())
	for _, r := range []Raster{
		{},
		{Width: 1, Height: 1},
		{Width: 1, Height: 1, Pix: make([]byte, 4)},
		{Width: -1, Height: -3, Pix: make([]byte, 9)},
		{Width: MaxRasterSide + 1, Height: 1, Pix: make([]byte, 3*(MaxRasterSide+1))},
		{Width: math.MaxInt, Height: math.MaxInt, Pix: make([]byte, 3)},
	} {
		if err := p.Fill(dst, r); err == nil {
			t.Errorf("took %d x %d pixels of %d bytes", r.Width, r.Height, len(r.Pix))
		}
	}
	if err := p.Fill(dst[1:], randomRaster(4, 4, 1)); err == nil {
		t.Error("took a tensor of the wrong size")
	}
}

// TestPicturesStayTheSame holds the generated pictures: every recorded self-test depends on them.
func TestPicturesStayTheSame(t *testing.T) {
	want := map[string]string{
		"ramps": "83ffa94195d5c020",
		"discs": "53db2108855e4efe",
		"noise": "9e621b1c715f589f",
	}
	for _, name := range TestPictures() {
		r, err := TestPicture(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
		sum := sha256.Sum256(r.Pix)
		if got := hex.EncodeToString(sum[:8]); got != want[name] {
			t.Errorf("%s has digest %s, want %s", name, got, want[name])
		}
	}
	if _, err := TestPicture("cat"); err == nil {
		t.Error("made a picture it does not know")
	}
}

func BenchmarkFill(b *testing.B) {
	p := NewPreprocessor(nsfwInput(224))
	dst, r := make([]float32, p.Len()), randomRaster(448, 597, 1)
	for b.Loop() {
		if err := p.Fill(dst, r); err != nil {
			b.Fatal(err)
		}
	}
}
