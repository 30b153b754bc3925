package transcode

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The trial of a short moment: so long a marker, at a random place, must be met in so many of a hundred videos of at most 15 s.
const (
	markerMS   = 600
	trials     = 100
	mustBeMet  = 99
	slackTicks = 1 // a marker is cut to whole frames, of the source and of the grid
)

// sampledVideo is the plan of a video of so many milliseconds; every seed is another video.
func sampledVideo(t *testing.T, seed int, lengthMS int64) *VideoPlan {
	t.Helper()
	m := phoneVideo()
	m.Size += int64(seed)
	m.DurationMS = lengthMS
	return mustPlanVideo(t, m)
}

func TestAShortMomentIsMet(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 2026))
	met := 0
	for seed := range trials {
		length := 1000 + rng.Int64N(denseMS-1000+1)
		p, from := sampledVideo(t, seed, length), rng.Int64N(length-markerMS+1)
		if slices.ContainsFunc(p.Samples.Ticks, func(tick int) bool { return TickMS(tick) >= from && TickMS(tick) < from+markerMS }) {
			met++
		}
	}
	if met < mustBeMet {
		t.Errorf("a marker of %d ms was met in %d of %d videos, want %d", markerMS, met, trials, mustBeMet)
	}
	t.Logf("met in %d of %d", met, trials)
}

// TestGapsAreBounded: no two picks are farther apart than a bucket and the drift, whatever the seed, up to the very end.
func TestGapsAreBounded(t *testing.T) {
	for seed := range 50 {
		for _, length := range []int64{700, 5_000, 15_000, 30_000, 60_000, 100_000, 180_000} {
			p := sampledVideo(t, seed, length)
			for i, tick := range p.Samples.Ticks[1:] {
				before := p.Samples.Ticks[i]
				if most := bucketTicks(max(0, tick-1), p.Time) + driftTicks; tick-before > most {
					t.Fatalf("%d ms, seed %d: %d ticks between %d and %d, want at most %d", length, seed, tick-before, before, tick, most)
				}
			}
			within := slices.DeleteFunc(slices.Clone(p.Samples.Ticks), func(tick int) bool { return TickMS(tick) >= length })
			if length-TickMS(within[len(within)-1]) > lastMS/2+TickMS(slackTicks) {
				t.Errorf("%d ms, seed %d: the end is not looked at", length, seed)
			}
		}
	}
	if most := TickMS(denseStep + driftTicks + slackTicks); most > markerMS {
		t.Errorf("a gap of %d ms hides a marker of %d", most, markerMS)
	}
}

// TestNoPlaceToHide: each place in a bucket is picked as often as any other, in the first bucket and in later ones, and no video keeps to one.
func TestNoPlaceToHide(t *testing.T) {
	const videos = 3000
	for _, bucket := range []int{0, 1, 7, 29, 35} {
		counts := map[int]int{}
		width, from := denseStep, bucket*denseStep
		if bucket >= 30 {
			width, from = evenStep, 30*denseStep+(bucket-30)*evenStep
		}
		for seed := range videos {
			d := newDrift(rand.New(rand.NewPCG(uint64(seed), SampleHz)))
			at := 0
			for tick := 0; tick <= from; tick += bucketTicks(tick, VideoTime{ExpectMS: 50_000, LimitMS: 50_000}) {
				at = d.next(bucketTicks(tick, VideoTime{ExpectMS: 50_000, LimitMS: 50_000}))
			}
			counts[at]++
		}
		for place := range width {
			share := float64(counts[place]) * float64(width) / videos
			if share < 0.6 || share > 1.4 { // six standard deviations of 100 in 3000
				t.Errorf("bucket %d: place %d is picked %.2f times as often as it should be", bucket, place, share)
			}
		}
	}
}

func TestOffsetsMove(t *testing.T) {
	for seed := range 20 {
		p := sampledVideo(t, seed, denseMS)
		places := map[int]bool{}
		for _, tick := range p.Samples.Ticks {
			places[tick%denseStep] = true
		}
		if len(places) < 4 {
			t.Errorf("seed %d: a video of 15 s is looked at in %d places of its buckets only", seed, len(places))
		}
	}
}

// A poster is taken from the frames that are scored anyway; only the sender's choice may lie between them.
func TestPostersAreAmongTheSamples(t *testing.T) {
	samples := []int{0, 4, 19, 33, 61}
	for name, tt := range map[string]struct {
		posters PosterTimes
		want    []int
	}{
		"the next frame":          {PosterTimes{WantedTick: -1, Ticks: []int{0, 16, 20}}, []int{0, 19, 33}},
		"two of one bucket":       {PosterTimes{WantedTick: -1, Ticks: []int{0, 20, 25}}, []int{0, 33}},
		"behind the last":         {PosterTimes{WantedTick: -1, Ticks: []int{0, 90}}, []int{0, 90}},
		"the sender's stays":      {PosterTimes{WantedTick: 20, Ticks: []int{0, 20}}, []int{0, 20}},
		"the sender's among them": {PosterTimes{WantedTick: 19, Ticks: []int{0, 19}}, []int{0, 19}},
	} {
		if got := tt.posters.among(samples).Ticks; !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	if got := (PosterTimes{WantedTick: -1, Ticks: []int{0, 20}}).among(nil).Ticks; !slices.Equal(got, []int{0, 20}) {
		t.Errorf("every frame is looked at: %v", got)
	}
}
