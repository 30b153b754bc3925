package calibrate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Targets say what thresholds are to be found.
type Targets struct {
	// Recall is the share of explicit media that must reach the low threshold; 0 < Recall < 1.
	Recall float64 `json:"recall"`
	// FalseAlarms is the share of harmless media that may reach the high threshold, where one frame decides; 0 < FalseAlarms < 1.
	FalseAlarms float64 `json:"false_alarms"`
}

// DefaultTargets looks again at 95 of 100 explicit pictures and blocks at once one harmless picture in a hundred.
func DefaultTargets() Targets { return Targets{Recall: 0.95, FalseAlarms: 0.01} }

// Validate names every target that cannot be used, all in one error.
func (t Targets) Validate() error {
	var wrong []error
	for _, s := range []struct {
		name  string
		value float64
	}{{"recall", t.Recall}, {"false alarms", t.FalseAlarms}} {
		if !(s.value > 0 && s.value < 1) {
			wrong = append(wrong, fmt.Errorf("%s: want a share above 0 and below 1, got %v", s.name, s.value))
		}
	}
	return errors.Join(wrong...)
}

// Prevalences are the shares of explicit media that precision is told for: 0.1 % and 1 %.
func Prevalences() []float64 { return []float64{0.001, 0.01} }

// Point is what a threshold does: every score at or above it is an alarm.
type Point struct {
	Threshold   float64 `json:"threshold"`
	Recall      float64 `json:"recall"`       // share of the explicit that reach it, 0..1
	FalseAlarms float64 `json:"false_alarms"` // share of the harmless that reach it, 0..1
	// Precision is the share of alarms that are right at each of Prevalences; 0 where nothing raises an alarm.
	Precision []float64 `json:"precision"`
}

// Report is what a set of scores says of a model.
type Report struct {
	Explicit    int       `json:"explicit"` // pictures
	Harmless    int       `json:"harmless"`
	AUC         float64   `json:"auc"` // chance that an explicit picture scores above a harmless one, a tie counting half
	Prevalences []float64 `json:"prevalences"`
	Targets     Targets   `json:"targets"`
	// Low is the highest threshold that Targets.Recall of the explicit reach; High the lowest, not below Low, that no more than
	// Targets.FalseAlarms of the harmless reach. High is absent where no threshold does.
	Low  Point  `json:"low"`
	High *Point `json:"high"`
	// Notes say where the set is too small to support what is asked of it.
	Notes []string `json:"notes"`
	ROC   []Point  `json:"roc"` // from no alarm to alarm always, 1000 points at most
}

// Calibrate measures scores, which hold at least one picture of either kind.
func Calibrate(scores []Score, t Targets) (Report, error) {
	if err := t.Validate(); err != nil {
		return Report{}, err
	}
	r := Report{Prevalences: Prevalences(), Targets: t, Notes: []string{}}
	for _, s := range scores {
		if s.Explicit {
			r.Explicit++
		} else {
			r.Harmless++
		}
	}
	if r.Explicit == 0 || r.Harmless == 0 {
		return Report{}, fmt.Errorf("%d explicit and %d harmless pictures: thresholds need some of both", r.Explicit, r.Harmless)
	}
	points := r.points(scores)
	r.AUC, r.ROC = area(points), thinned(points)
	r.suggest(points)
	r.note()
	return r, nil
}

// points goes through the thresholds from the highest score down: one point for each score that occurs, after one that nothing reaches.
func (r *Report) points(scores []Score) []Point {
	sorted := slices.Clone(scores)
	slices.SortFunc(sorted, func(a, b Score) int { return cmp.Compare(b.Score, a.Score) })
	explicit, harmless := 0, 0
	points := []Point{r.point(math.Nextafter(max(1, sorted[0].Score), 2), 0, 0)}
	for i, s := range sorted {
		if s.Explicit {
			explicit++
		} else {
			harmless++
		}
		if i+1 == len(sorted) || sorted[i+1].Score != s.Score {
			points = append(points, r.point(s.Score, explicit, harmless))
		}
	}
	return points
}

func (r *Report) point(threshold float64, explicit, harmless int) Point {
	p := Point{
		Threshold: threshold, Recall: float64(explicit) / float64(r.Explicit), FalseAlarms: float64(harmless) / float64(r.Harmless),
	}
	for _, share := range r.Prevalences {
		right, wrong := share*p.Recall, (1-share)*p.FalseAlarms
		precision := 0.0
		if right > 0 {
			precision = right / (right + wrong)
		}
		p.Precision = append(p.Precision, precision)
	}
	return p
}

// area is what lies under the curve through points.
func area(points []Point) float64 {
	sum := 0.0
	for i, p := range points[1:] {
		sum += (p.FalseAlarms - points[i].FalseAlarms) * (p.Recall + points[i].Recall) / 2
	}
	return sum
}

// maxROC is how many points a report holds: more than a plot shows.
const maxROC = 1000

// thinned is points, evenly thinned where there are too many. The first and the last stay.
func thinned(points []Point) []Point {
	if len(points) <= maxROC {
		return points
	}
	out := make([]Point, maxROC)
	for i := range out {
		out[i] = points[i*(len(points)-1)/(maxROC-1)]
	}
	return out
}

// suggest finds the thresholds. The last point reaches every recall, so there is always a low one. Scores above 1 do not occur: the point
// that nothing reaches is no threshold.
func (r *Report) suggest(points []Point) {
	r.Low = points[slices.IndexFunc(points, func(p Point) bool { return p.Recall >= r.Targets.Recall })]
	for _, p := range points[1:] {
		if p.FalseAlarms > r.Targets.FalseAlarms || p.Threshold < r.Low.Threshold {
			return
		}
		r.High = &p
	}
}

// ruleOfThree: where none of n was seen, a share of up to 3/n is still likely (95 %).
const ruleOfThree = 3

func (r *Report) note() {
	if need := int(math.Ceil(ruleOfThree / r.Targets.FalseAlarms)); r.Harmless < need {
		r.Notes = append(r.Notes, fmt.Sprintf("%d harmless pictures cannot show a false alarm rate of %g: take at least %d", r.Harmless, r.Targets.FalseAlarms, need))
	}
	if need := int(math.Ceil(ruleOfThree / (1 - r.Targets.Recall))); r.Explicit < need {
		r.Notes = append(r.Notes, fmt.Sprintf("%d explicit pictures cannot show a recall of %g: take at least %d", r.Explicit, r.Targets.Recall, need))
	}
	if r.High == nil {
		r.Notes = append(r.Notes, "no threshold keeps false alarms that rare: raise --false-alarms, or take another model")
	}
	if r.Low.Threshold == 0 {
		r.Notes = append(r.Notes, "at this recall the low threshold would be 0, which it cannot be: lower --recall, or take another model")
	}
	if r.AUC < 0.5 {
		r.Notes = append(r.Notes, "harmless pictures score above explicit ones: the labels or the scores are the wrong way round")
	}
}
