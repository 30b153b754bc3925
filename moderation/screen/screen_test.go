package screen

import (
	"fmt"
	"image"
	_ "image/jpeg"
	_ "image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	_ "golang.org/x/image/webp"
)

// side is the side of the model that the tests judge for.
const side = 224

func filled(w, h int, colour func(x, y int) [Channels]byte) Pixels {
	p := New(w, h)
	for y := range h {
		for x := range w {
			c := colour(x, y)
			copy(p.Pix[(y*w+x)*Channels:], c[:])
		}
	}
	return p
}

func grey(v byte) func(int, int) [Channels]byte {
	return func(int, int) [Channels]byte { return [Channels]byte{v, v, v} }
}

func noise(r *rand.Rand, w, h int) Pixels {
	return filled(w, h, func(int, int) [Channels]byte {
		return [Channels]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}
	})
}

// means collects what Average emits.
func means(p Pixels, part Rect, w, h int) []float32 {
	var all []float32
	Average(p, part, w, h, func(_ int, line []float32) { all = append(all, line...) })
	return all
}

// TestEveryPixelMovesTheMeans changes single pixels of pictures of odd sizes by one step of 255: the means must change, and by what that
// pixel's share is.
func TestEveryPixelMovesTheMeans(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		w, h := 1+r.IntN(700), 1+r.IntN(500)
		ow, oh := 1+r.IntN(min(w, side)), 1+r.IntN(min(h, side))
		p := noise(r, w, h)
		before := means(p, Rect{W: w, H: h}, ow, oh)
		for range 4 {
			at := r.IntN(len(p.Pix))
			old := p.Pix[at]
			p.Pix[at] = old ^ 0x80
			moved, after := 0.0, means(p, Rect{W: w, H: h}, ow, oh)
			for i := range after {
				moved += float64(after[i]) - float64(before[i])
			}
			p.Pix[at] = old
			want := float64(int(old^0x80)-int(old)) * float64(ow*oh) / float64(w*h)
			if moved/want < 0.9 || moved/want > 1.1 {
				t.Errorf("%d×%d to %d×%d: value %d moves the sum by %g, want %g", w, h, ow, oh, at, moved, want)
			}
		}
	}
}

// TestEveryPixelOfASmallPictureMoves walks all pixels of small pictures, at every size they can be reduced to.
func TestEveryPixelOfASmallPictureMoves(t *testing.T) {
	t.Parallel()
	for w := 1; w <= 9; w++ {
		for ow := 1; ow <= w; ow++ {
			p := New(w, 3)
			for at := range p.Pix {
				p.Pix[at] = 1
				sum := float32(0)
				for _, v := range means(p, Rect{W: w, H: 3}, ow, 2) {
					sum += v
				}
				if p.Pix[at] = 0; sum <= 0 {
					t.Fatalf("value %d of %d×3 is lost on the way to %d×2", at, w, ow)
				}
			}
		}
	}
}

// TestReduceKeepsTheMean compares the means of a picture and of what it is reduced to, within rounding.
func TestReduceKeepsTheMean(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	mean := func(p Pixels) (m float64) {
		for _, v := range p.Pix {
			m += float64(v) / float64(len(p.Pix))
		}
		return m
	}
	for range 20 {
		p := noise(r, 30+r.IntN(600), 30+r.IntN(400))
		w, h := BaseSize(p.W, p.H, 1+r.IntN(300))
		if d := mean(p) - mean(Reduce(p, w, h)); d > 0.6 || d < -0.6 {
			t.Errorf("%d×%d to %d×%d: the mean moves by %.2f", p.W, p.H, w, h, d)
		}
	}
}

// TestAlikeNeverForgivesABlock makes pairs that agree but for one block, which is shuffled, mirrored, moved, or other noise with the very
// same mean: whenever a block's mean difference is beyond the bound, alike must say no, and where none is, yes.
func TestAlikeNeverForgivesABlock(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	said := map[bool]int{}
	for range 400 {
		a := noise(r, 1+r.IntN(60), 1+r.IntN(60))
		b := Pixels{W: a.W, H: a.H, Pix: append([]byte(nil), a.Pix...)}
		disturb(r, b)
		want := worstBlock(a, b) <= Bound
		said[want]++
		if got := alike(a, b, Bound); got != want {
			t.Fatalf("%d×%d: alike = %v, the worst block differs by %.2f", a.W, a.H, got, worstBlock(a, b))
		}
		if d := sign(a).distance(sign(b)); want && d > Bound {
			t.Fatalf("%d×%d: signatures are %d apart, and no block is more than %.2f", a.W, a.H, d, worstBlock(a, b))
		}
	}
	if said[true] < 40 || said[false] < 40 {
		t.Errorf("pairs are one-sided: %v", said)
	}
}

// disturb shuffles the pixels of one block, or draws it nearer to a grey.
func disturb(r *rand.Rand, p Pixels) {
	bx, by := r.IntN(blocks(p.W)), r.IntN(blocks(p.H))
	var at []int
	for y := by * BlockSide; y < min(p.H, (by+1)*BlockSide); y++ {
		for x := bx * BlockSide; x < min(p.W, (bx+1)*BlockSide); x++ {
			at = append(at, (y*p.W+x)*Channels)
		}
	}
	if r.IntN(2) == 0 {
		r.Shuffle(len(at), func(i, j int) {
			for c := range Channels {
				p.Pix[at[i]+c], p.Pix[at[j]+c] = p.Pix[at[j]+c], p.Pix[at[i]+c]
			}
		})
		return
	}
	share := r.IntN(100)
	for _, i := range at {
		for c := range Channels {
			p.Pix[i+c] = byte((int(p.Pix[i+c])*(100-share) + 128*share) / 100)
		}
	}
}

// worstBlock is alike's measure, computed the plain way.
func worstBlock(a, b Pixels) (worst float64) {
	for top := 0; top < a.H; top += BlockSide {
		for left := 0; left < a.W; left += BlockSide {
			sum, n := 0, 0
			for y := top; y < min(a.H, top+BlockSide); y++ {
				for x := left; x < min(a.W, left+BlockSide); x++ {
					for c := range Channels {
						d := int(a.Pix[(y*a.W+x)*Channels+c]) - int(b.Pix[(y*a.W+x)*Channels+c])
						sum, n = sum+max(d, -d), n+1
					}
				}
			}
			worst = max(worst, float64(sum)/float64(n))
		}
	}
	return worst
}

// TestRegionsHoldEveryPixel looks at rasters of every proportion.
func TestRegionsHoldEveryPixel(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		w, h := 1+r.IntN(400), 1+r.IntN(400)
		if r.IntN(2) == 0 {
			w = min(MaxSide, w*(1+r.IntN(40)))
		}
		checkRegions(t, w, h)
	}
	for _, size := range [][2]int{{1, 1}, {1, 2}, {2, 3}, {3, 2}, {224, 336}, {224, 337}, {7168, 224}, {224, 7168}, {1, 7168}} {
		checkRegions(t, size[0], size[1])
	}
}

func checkRegions(t *testing.T, w, h int) {
	t.Helper()
	regions := Regions(w, h)
	if regions[0] != (Rect{W: w, H: h}) {
		t.Errorf("%d×%d: the first region is %v, not the whole", w, h, regions[0])
	}
	tiles := regions[1:]
	if len(tiles) == 0 {
		tiles = regions
	}
	long, seen := max(w, h), 0
	for _, r := range tiles {
		at, length := r.X, r.W
		if h > w {
			at, length = r.Y, r.H
		}
		if r.X < 0 || r.Y < 0 || r.X+r.W > w || r.Y+r.H > h || min(r.W, r.H) != min(w, h) {
			t.Errorf("%d×%d: a region %v", w, h, r)
		}
		if at > seen {
			t.Errorf("%d×%d: nobody sees %d to %d", w, h, seen, at)
		}
		seen = max(seen, at+length)
		// a tile is whole pixels, so that it may be one longer
		if len(tiles) < maxTiles && float64(length-1) > LongestTile*float64(min(w, h)) {
			t.Errorf("%d×%d: a region %v is longer than %v:1", w, h, r, LongestTile)
		}
	}
	if seen != long {
		t.Errorf("%d×%d: regions end at %d", w, h, seen)
	}
}

// still is a clip of one grey picture with a mark in some frames.
func still(marked map[int]bool) func(i int) Pixels {
	plain := filled(48, 32, grey(90))
	mark := filled(48, 32, func(x, y int) [Channels]byte {
		if x < BlockSide && y < BlockSide {
			return [Channels]byte{255, 0, 255}
		}
		return [Channels]byte{90, 90, 90}
	})
	return func(i int) Pixels {
		if marked[i] {
			return mark
		}
		return plain
	}
}

// offer runs n frames through a Selector and returns the indices that are scored.
func offer(seed [32]byte, n int, frame func(i int) Frame) (map[int]bool, Coverage) {
	choices, c := choose(seed, n, frame)
	scored := map[int]bool{}
	for i := range choices {
		scored[i] = true
	}
	return scored, c
}

// choose is offer with what is scored of each frame.
func choose(seed [32]byte, n int, frame func(i int) Frame) (map[int]Choice, Coverage) {
	s, choices := NewSelector(seed, n), map[int]Choice{}
	for i := range n {
		f := frame(i)
		f.AtMS, f.ForMS = int64(i), 1
		if choice := s.Offer(f); choice != None {
			choices[i] = choice
		}
	}
	if last := s.Finish(); last != nil {
		choices[int(last.AtMS)] = All
	}
	return choices, s.Coverage
}

// TestSelectorScoresWhatIsUnlike puts one marked frame anywhere in a still clip, and sync frames at every thirtieth.
func TestSelectorScoresWhatIsUnlike(t *testing.T) {
	t.Parallel()
	const n = 300
	for at := 0; at < n; at += 13 {
		for _, at := range []int{at, n - 1} {
			picture := still(map[int]bool{at: true})
			scored, c := offer([32]byte{1}, n, func(i int) Frame { return Frame{Base: picture(i), Always: i%30 == 0} })
			if !scored[at] || !scored[0] || !scored[n-1] || !scored[270] {
				t.Errorf("marked frame %d, first, last and sync: scored %v", at, scored)
			}
			if c.Frames != n || c.Covered != n || c.CoveredMS != n || c.LongestMS != 0 || c.Scored != len(scored) || c.Scored > 80 {
				t.Errorf("a still clip: %+v", c)
			}
		}
	}
}

// TestSelectorDrawsBySeed wants the same frames for the same seed and others for another, about as many as drawn.
func TestSelectorDrawsBySeed(t *testing.T) {
	t.Parallel()
	picture := still(nil)
	draw := func(seed byte) map[int]bool {
		scored, _ := offer([32]byte{seed}, 2000, func(i int) Frame { return Frame{Base: picture(i)} })
		return scored
	}
	a, again, b := draw(1), draw(1), draw(2)
	if fmt.Sprint(a) != fmt.Sprint(again) {
		t.Error("the same seed draws others")
	}
	if fmt.Sprint(a) == fmt.Sprint(b) {
		t.Error("another seed draws the same")
	}
	if len(a) < drawn/3 || len(a) > 3*drawn {
		t.Errorf("%d frames drawn, want about %d", len(a), drawn)
	}
}

// TestSelectorSaysWhatItLeavesOut offers more noise than the budget reaches: what it leaves out is counted, the last frame is scored still.
func TestSelectorSaysWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	const n = Budget + 500
	r := rand.New(rand.NewPCG(9, 10))
	scored, c := offer([32]byte{3}, n, func(int) Frame { return Frame{Base: noise(r, 16, 16)} })
	if !scored[n-1] || c.Scored > Budget+reserve || c.Scored < Budget {
		t.Errorf("%d scored, the last one %v", c.Scored, scored[n-1])
	}
	if left := n - c.Scored; c.Covered != c.Scored || int(c.LongestMS) < left-reserve || c.CoveredMS != float64(c.Covered) {
		t.Errorf("%d are left out: %+v", left, c)
	}
}

// TestSelectorNeverCoversTheUnlike is the promise itself: over random clips that drift, cut and return, a covered frame is within the bound of a
// scored one, block by block.
func TestSelectorNeverCoversTheUnlike(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(11, 12))
	for range 10 {
		scenes := []Pixels{noise(r, 24, 24), noise(r, 24, 24), filled(24, 24, grey(100))}
		frames := make([]Pixels, 120)
		for i := range frames {
			base := scenes[r.IntN(len(scenes))]
			frames[i] = Pixels{W: 24, H: 24, Pix: append([]byte(nil), base.Pix...)}
			disturb(r, frames[i])
		}
		choices, c := choose([32]byte{4}, len(frames), func(i int) Frame { return Frame{Base: frames[i]} })
		for i := range frames {
			near, tilesNear := false, false
			for j, choice := range choices {
				worst := worstBlock(frames[i], frames[j])
				near = near || worst <= Bound
				tilesNear = tilesNear || choice == All && worst <= TileBound
			}
			if !near || !tilesNear {
				t.Errorf("frame %d is like none that is scored (whole %v, tiles %v), and coverage is %+v", i, near, tilesNear, c)
			}
		}
		if c.Covered != len(frames) {
			t.Errorf("coverage %+v", c)
		}
	}
}

// TestTilesDoNotDrift offers a frame that is like one whose whole alone was scored, and unlike every one whose tiles were.
func TestTilesDoNotDrift(t *testing.T) {
	t.Parallel()
	values := map[int]byte{1000: 40, 1001: 55} // every other frame is black; of two thousand few are drawn
	choices, _ := choose([32]byte{6}, 2000, func(i int) Frame { return Frame{Base: filled(16, 8, grey(values[i]))} })
	if choices[0] != All || choices[1000] != Whole || choices[1001] != All {
		t.Errorf("scored of 0, 40 and 55: %v, %v, %v; want all, the whole, all", choices[0], choices[1000], choices[1001])
	}
}

// TestDetailBeyondTheRasterIsNotCovered: a frame drawn in contrast alone is never covered by its flat raster.
func TestDetailBeyondTheRasterIsNotCovered(t *testing.T) {
	t.Parallel()
	lost := &Detail{W: 1, H: 1, Lost: []byte{DetailBound + 1}}
	_, c := offer([32]byte{5}, 10, func(i int) Frame {
		f := Frame{Base: filled(8, 8, grey(128))}
		if i == 4 {
			f.Lost = lost
		}
		return f
	})
	if c.Covered != 9 || c.LongestMS != 1 {
		t.Errorf("%+v", c)
	}
}

// checker is a checkerboard of two colours in cells of some pixels.
func checker(n, cell int, a, b [Channels]byte) Pixels {
	return filled(n, n, func(x, y int) [Channels]byte {
		if (x/cell+y/cell)%2 == 0 {
			return a
		}
		return b
	})
}

// TestCheckerboardsLoseDetail: black and white, and two colours of one brightness, are found beyond the bound, by the map of a still and by the
// points of a video.
func TestCheckerboardsLoseDetail(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]Pixels{
		"black and white":           checker(8*side, 4, [3]byte{}, [3]byte{255, 255, 255}),
		"two colours of equal luma": checker(8*side, 4, [3]byte{255, 0, 255}, [3]byte{0, 102, 0}),
	} {
		base := Reduce(p, side, side)
		lost := LostDetail(p, base).Blocks().Worst()
		sampled := SampledDetail(pointsOf(p, base), base).Worst()
		if lost <= DetailBound || sampled <= DetailBound {
			t.Errorf("%s: lost %d, sampled %d, want more than %d", name, lost, sampled, DetailBound)
		}
	}
	flat := filled(8*side, 8*side, grey(77))
	if lost := LostDetail(flat, Reduce(flat, side, side)).Worst(); lost != 0 {
		t.Errorf("a flat picture loses %d", lost)
	}
}

// pointsOf takes a pixel of those that each odd base pixel covers, as the readback of a video does.
func pointsOf(p, base Pixels) []byte {
	points := make([]byte, base.W*(base.H/2)*Channels)
	for y := range base.H / 2 {
		for x := range base.W / 2 {
			from := ((2*y+1)*p.H/base.H*p.W + (2*x+1)*p.W/base.W) * Channels
			copy(points[(y*base.W+x)*Channels:], p.Pix[from:from+Channels])
		}
	}
	return points
}

// safePhotos is the folder of photographs beside the repository.
const safePhotos = "../../../shared/fixtures/classifier/safe"

// TestPhotographsKeepTheirDetail: of every fourth photograph none is beyond the bound as a still, and at most one as a frame of a video.
func TestPhotographsKeepTheirDetail(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob(safePhotos + "/*")
	if len(files) == 0 {
		t.Skip("no photographs: ", safePhotos)
	}
	worst, beyond, n := 0, 0, 0
	for i, file := range files {
		if i%4 > 0 {
			continue
		}
		p, ok := decoded(t, file)
		if !ok {
			continue
		}
		n++
		w, h := BaseSize(p.W, p.H, min(p.W, p.H)/5)
		base := Reduce(p, w, h)
		worst = max(worst, LostDetail(p, base).Blocks().Worst())
		if SampledDetail(pointsOf(p, base), base).Worst() > DetailBound {
			beyond++
		}
	}
	t.Logf("of %d photographs the worst block loses %d; by points, %d are beyond the bound", n, worst, beyond)
	if worst > DetailBound || beyond > 1 {
		t.Errorf("the worst block loses %d, and by points %d of %d are beyond %d", worst, beyond, n, DetailBound)
	}
}

func decoded(t *testing.T, file string) (Pixels, bool) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, _, err := image.Decode(f)
	if err != nil {
		return Pixels{}, false
	}
	b := img.Bounds()
	return filled(b.Dx(), b.Dy(), func(x, y int) [Channels]byte {
		r, g, bl, _ := img.At(b.Min.X+x, b.Min.Y+y).RGBA()
		return [Channels]byte{byte(r >> 8), byte(g >> 8), byte(bl >> 8)}
	}), true
}

// TestStillsCoverOnlyWhatIsAlike: another size of a picture is covered by it, another picture of the same means is not.
func TestStillsCoverOnlyWhatIsAlike(t *testing.T) {
	t.Parallel()
	photo := filled(800, 600, func(x, y int) [Channels]byte { return [Channels]byte{byte(x / 4), byte(y / 3), byte((x + y) / 6)} })
	s := NewStills(side)
	if n := len(s.Offer(photo)); n != 1 {
		t.Errorf("the display is scored %d times", n)
	}
	if n := len(s.Offer(Reduce(photo, 400, 300))); n != 0 {
		t.Errorf("its preview is scored %d times", n)
	}
	marked := Pixels{W: 800, H: 600, Pix: append([]byte(nil), photo.Pix...)}
	for y := 300; y < 340; y++ {
		for x := 400; x < 440; x++ {
			copy(marked.Pix[(y*800+x)*Channels:], []byte{255, 0, 255})
		}
	}
	if n := len(s.Offer(marked)); n != 1 {
		t.Errorf("a picture with a mark is scored %d times", n)
	}
	contrast := checker(1600, 4, [3]byte{}, [3]byte{255, 255, 255})
	if n := len(s.Offer(contrast)); n < 3 {
		t.Errorf("a picture in contrast is scored %d times, want its map and tiles as well", n)
	}
	if s.Covered != s.Frames {
		t.Errorf("%+v", s.Coverage)
	}
}

// TestStillOfContrastAtTheBaseSize: a picture no larger than the base raster loses its detail in the model's own reduction, and that is told.
func TestStillOfContrastAtTheBaseSize(t *testing.T) {
	t.Parallel()
	const n, side = 448, 224
	p := New(n, n)
	for i := range n * n {
		x, y, v := i%n, i/n, byte(128)
		if (x/32+y/32)%2 == 1 {
			v = byte(1 + 254*((x+y)%2))
		}
		p.Pix[i*Channels], p.Pix[i*Channels+1], p.Pix[i*Channels+2] = v, v, v
	}
	if got := NewStills(side).Offer(p); len(got) < 3 {
		t.Errorf("%d rasters of a picture drawn in contrast alone, want the map and tiles besides", len(got))
	}
}

// TestMostIsNeverTooLittle: whatever stills and videos show, no more is scored of them than their sizes promise.
func TestMostIsNeverTooLittle(t *testing.T) {
	t.Parallel()
	checkers := func(w, h, cell int) Pixels {
		return filled(w, h, func(x, y int) [Channels]byte {
			v := byte(255 * ((x/cell + y/cell) % 2))
			return [Channels]byte{v, v, v}
		})
	}
	for _, size := range [][2]int{{100, 80}, {224, 224}, {640, 360}, {1500, 1100}, {2048, 300}, {300, 2048}} {
		w, h := size[0], size[1]
		for cell := 1; cell <= 4; cell++ {
			s := NewStills(side)
			scored := 0
			for _, raster := range s.Offer(checkers(w, h, cell)) {
				scored += len(Regions(raster.W, raster.H))
			}
			if most := MostOfStill(w, h, side); scored > most || scored == 0 {
				t.Errorf("%d × %d, checkers of %d: %d pictures, promised are %d", w, h, cell, scored, most)
			}
		}
	}
	const frames = 300
	bw, bh := BaseSize(640, 360, side)
	s, scored := NewSelector([32]byte{}, frames), 0
	for i := range frames {
		shown := filled(bw, bh, grey(byte(20*i)))
		f := Frame{AtMS: int64(i * 33), ForMS: 33, Base: shown}
		switch s.Offer(f) {
		case All:
			scored += len(Regions(bw, bh))
		case Whole:
			scored++
		case None:
		}
		if s.Fused() != nil {
			scored++
		}
	}
	if s.Finish() != nil {
		scored += len(Regions(bw, bh))
	}
	if most := MostOfVideo(640, 360, frames, side); scored > most || scored < frames {
		t.Errorf("%d pictures of %d frames, promised are %d", scored, frames, most)
	}
	if MostOfVideo(640, 360, 1e6, side) != len(Regions(bw, bh))*(Budget+reserve)+FusedBudget {
		t.Error("a budget is no bound")
	}
}
