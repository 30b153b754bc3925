package moderation

import (
	"fmt"
	"strconv"
	"strings"
)

// Threshold holds two bounds of a score: at High one frame suffices, from Low on a second frame near it does.
type Threshold struct {
	Low  float64 `json:"low"`  // 0 < Low <= High
	High float64 `json:"high"` // <= 1
}

// Thresholds holds the bounds of each category.
type Thresholds struct {
	Explicit   Threshold `json:"explicit"`
	Drawn      Threshold `json:"drawn"`
	Suggestive Threshold `json:"suggestive"`
}

// String writes the bounds as facts carry them: "explicit=0.3:0.5 drawn=0.3:0.5", without the categories that the model cannot tell.
func (t Thresholds) String() string {
	var out []string
	for _, c := range t.categories() {
		if c.valid() {
			out = append(out, fmt.Sprintf("%s=%v:%v", c.level, c.Low, c.High))
		}
	}
	return strings.Join(out, " ")
}

// ParseThresholds reads what String writes. A category it does not name has no bounds.
func ParseThresholds(text string) (Thresholds, error) {
	var t Thresholds
	places := map[string]*Threshold{"explicit": &t.Explicit, "drawn": &t.Drawn, "suggestive": &t.Suggestive}
	for _, field := range strings.Fields(text) {
		name, bounds, _ := strings.Cut(field, "=")
		low, high, _ := strings.Cut(bounds, ":")
		place := places[name]
		if place == nil {
			return Thresholds{}, fmt.Errorf("thresholds: unknown category %q", name)
		}
		var lowErr, highErr error
		place.Low, lowErr = strconv.ParseFloat(low, 64)
		place.High, highErr = strconv.ParseFloat(high, 64)
		if lowErr != nil || highErr != nil || !place.valid() {
			return Thresholds{}, fmt.Errorf("thresholds: %s: want LOW:HIGH", name)
		}
	}
	return t, nil
}

func (t Threshold) valid() bool { return t.Low > 0 && t.Low <= t.High && t.High <= 1 }
