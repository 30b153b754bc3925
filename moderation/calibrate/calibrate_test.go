package calibrate

import (
	"bytes"
	"fmt"
	"image/png"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// set makes scores of both kinds.
func set(explicit, harmless []float64) []Score {
	var out []Score
	for i, s := range explicit {
		out = append(out, Score{fmt.Sprint("e", i), true, s})
	}
	for i, s := range harmless {
		out = append(out, Score{fmt.Sprint("h", i), false, s})
	}
	return out
}

func mustCalibrate(t *testing.T, scores []Score, targets Targets) Report {
	t.Helper()
	r, err := Calibrate(scores, targets)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAUC(t *testing.T) {
	for name, c := range map[string]struct {
		explicit, harmless []float64
		want               float64
	}{
		"apart":               {[]float64{0.9, 0.8}, []float64{0.1, 0.2}, 1},
		"the wrong way round": {[]float64{0.1}, []float64{0.9}, 0},
		"all alike":           {[]float64{0.5, 0.5}, []float64{0.5}, 0.5},
		"one of four pairs":   {[]float64{0.9, 0.4}, []float64{0.5, 0.1}, 0.75},
		"a tie counts half":   {[]float64{0.5, 0.9}, []float64{0.5, 0.1}, 0.875},
	} {
		if got := mustCalibrate(t, set(c.explicit, c.harmless), DefaultTargets()).AUC; math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// TestAUCIsThePairsShare holds the area against its meaning, counted pair by pair.
func TestAUCIsThePairsShare(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	score := func(by float64) float64 { return math.Round(100*min(1, rng.Float64()*by)) / 100 } // ties occur
	var explicit, harmless []float64
	for range 200 {
		explicit, harmless = append(explicit, score(1.2)), append(harmless, score(0.8))
	}
	wins := 0.0
	for _, e := range explicit {
		for _, h := range harmless {
			switch {
			case e > h:
				wins++
			case e == h:
				wins += 0.5
			}
		}
	}
	if got, want := mustCalibrate(t, set(explicit, harmless), DefaultTargets()).AUC, wins/40_000; math.Abs(got-want) > 1e-9 {
		t.Errorf("area %v, share of pairs %v", got, want)
	}
}

// spread is n values from a to b, evenly.
func spread(n int, a, b float64) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = a + (b-a)*float64(i)/float64(n-1)
	}
	return out
}

// TestSuggestions is about 1000 explicit pictures from 0.3 to 1 and 1000 harmless ones from 0 to 0.7, evenly.
func TestSuggestions(t *testing.T) {
	const tolerance = 0.002 // two pictures' worth
	r := mustCalibrate(t, set(spread(1000, 0.3, 1), spread(1000, 0, 0.7)), Targets{Recall: 0.95, FalseAlarms: 0.01})
	if want := 0.3 + 0.05*0.7; math.Abs(r.Low.Threshold-want) > tolerance || r.Low.Recall < 0.95 {
		t.Errorf("low %+v, want a threshold of %.3f", r.Low, want)
	}
	if want := 0.7 - 0.01*0.7; r.High == nil || math.Abs(r.High.Threshold-want) > tolerance || r.High.FalseAlarms > 0.01 {
		t.Errorf("high %+v, want a threshold of %.3f", r.High, want)
	}
	recall := (1 - r.High.Threshold) / 0.7
	for i, share := range []float64{0.001, 0.01} {
		want := share * recall / (share*recall + (1-share)*0.01)
		if got := r.High.Precision[i]; math.Abs(got-want) > 0.01 {
			t.Errorf("precision at %v: %.3f, want %.3f", share, got, want)
		}
	}
	if len(r.Notes) != 0 {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestSuggestionsOnTheEdge(t *testing.T) {
	apart := mustCalibrate(t, set(spread(300, 0.8, 1), spread(300, 0, 0.2)), DefaultTargets())
	if apart.High == nil || apart.Low.Threshold != apart.High.Threshold || apart.High.FalseAlarms != 0 {
		t.Errorf("kinds far apart: low %+v, high %+v, want one threshold for both", apart.Low, apart.High)
	}
	blind := mustCalibrate(t, set(spread(300, 0, 1), append(spread(290, 0, 0.9), slices.Repeat([]float64{1}, 10)...)), DefaultTargets())
	if blind.High != nil || len(blind.Notes) != 1 || !strings.Contains(blind.Notes[0], "no threshold") {
		t.Errorf("harmless pictures at 1: high %+v, notes %q", blind.High, blind.Notes)
	}
	few := mustCalibrate(t, set([]float64{0.9}, []float64{0.1}), DefaultTargets())
	if len(few.Notes) != 2 {
		t.Errorf("two pictures are enough? notes %q", few.Notes)
	}
	turned := mustCalibrate(t, set(spread(300, 0, 0.2), spread(300, 0.8, 1)), DefaultTargets())
	if !slices.ContainsFunc(turned.Notes, func(n string) bool { return strings.Contains(n, "wrong way round") }) {
		t.Errorf("labels turned round: notes %q", turned.Notes)
	}
}

func TestCalibrateRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		scores  []Score
		targets Targets
		want    string
	}{
		"nothing":        {nil, DefaultTargets(), "0 explicit and 0 harmless"},
		"one kind":       {set([]float64{1}, nil), DefaultTargets(), "1 explicit and 0 harmless"},
		"all of recall":  {set([]float64{1}, []float64{0}), Targets{1, 0.5}, "recall"},
		"targets of NaN": {set([]float64{1}, []float64{0}), Targets{0.5, math.NaN()}, "false alarms"},
	} {
		if _, err := Calibrate(c.scores, c.targets); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestManyPointsAreThinned(t *testing.T) {
	r := mustCalibrate(t, set(spread(5000, 0, 1), spread(5000, 0, 0.99)), DefaultTargets())
	last := r.ROC[len(r.ROC)-1]
	if len(r.ROC) > maxROC || r.ROC[0].Recall != 0 || last.Recall != 1 || last.FalseAlarms != 1 {
		t.Errorf("%d points from %+v to %+v", len(r.ROC), r.ROC[0], last)
	}
}

func TestPlot(t *testing.T) {
	r := mustCalibrate(t, set(spread(300, 0.3, 1), spread(300, 0, 0.7)), DefaultTargets())
	var b bytes.Buffer
	if err := r.WritePlot(&b); err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(&b)
	if err != nil {
		t.Fatal(err)
	}
	if s := img.Bounds().Size(); s.X != 1200 || s.Y < 500 {
		t.Errorf("%v pixels", s)
	}
	for i, c := range colours() { // each curve is in it
		want, found := c, 0
		for y := range img.Bounds().Dy() {
			for x := range img.Bounds().Dx() {
				wr, wg, wb, _ := want.RGBA()
				if r, g, b, _ := img.At(x, y).RGBA(); r == wr && g == wg && b == wb {
					found++
				}
			}
		}
		if found < 100 {
			t.Errorf("curve %d has %d pixels of its colour", i, found)
		}
	}
}
