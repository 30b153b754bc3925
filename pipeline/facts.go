package pipeline

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// JudgeVersion numbers how frames are taken from what is delivered and prepared for the model. It is raised when facts of today meet what
// facts of before could miss. It stands in facts and not in Config.Engine: renditions are not made again because the judge is another one.
const JudgeVersion = "2"

// firstJudge is the version of facts that name no evidence.
const firstJudge = 1

// Evidence names what facts were taken from.
type Evidence struct {
	Renditions []string `json:"renditions"` // SHA-256 of every delivered file that was judged, sorted, each once
	Judge      string   `json:"judge"`      // JudgeVersion of the look
	Frames     int      `json:"frames"`     // delivered frames that are like a scored one; 1 for a still
	Scored     int      `json:"scored"`     // frames that the model scored
	CoveredMS  int64    `json:"covered_ms"` // displayed time of Frames
}

// judge is the number of the judge that found f.
func (f Facts) judge() int {
	if f.Evidence == nil {
		return firstJudge
	}
	n, err := strconv.Atoi(f.Evidence.Judge)
	if err != nil || n < firstJudge {
		return 0 // older than any
	}
	return n
}

// Outdated reports whether f was found by an older judge than today's: it is not reused for anybody who is protected.
func (f Facts) Outdated() bool {
	now, _ := strconv.Atoi(JudgeVersion)
	return f.Looked() && f.Status != Reviewed && f.judge() < now
}

// Looked reports whether f says what somebody or something has seen. Whether that is enough to believe its level is Complete's question.
func (f Facts) Looked() bool {
	switch f.Status {
	case Scored, PartScored:
		return f.Scores != nil && f.Scores.Valid()
	case Reviewed:
		return f.Evidence != nil && len(f.Evidence.Renditions) > 0
	}
	return false
}

// Complete reports whether every frame and every displayed moment of what was judged is covered. Below that only explicit is believed.
// Facts that name no evidence are complete when their status says so.
func (f Facts) Complete() bool {
	switch {
	case !f.Looked() || f.Status == PartScored:
		return false
	case f.Evidence == nil || f.Status == Reviewed:
		return true
	}
	return f.Coverage >= 1 && f.UnseenMS == 0 && f.UnseenFrames == 0
}

// WeakerThan reports whether f rests on less than other does. Weaker facts may raise a level; they never lower one. Facts are weaker when
// nothing was looked at, when a model found them and other is a person's review, when an older judge found them, when they are about other
// files, and when they cover less of the frames or of the displayed time.
func (f Facts) WeakerThan(other Facts) bool {
	if !other.Looked() {
		return false
	}
	return f.shallowerThan(other) || !f.sameFiles(other) || f.coversLess(other)
}

// shallowerThan compares how hard two looks were, whatever files they were at.
func (f Facts) shallowerThan(other Facts) bool {
	switch {
	case !other.Looked():
		return false
	case !f.Looked():
		return true
	case (f.Status == Reviewed) != (other.Status == Reviewed):
		return other.Status == Reviewed
	case f.Status == Reviewed:
		return false
	}
	return f.judge() < other.judge() || other.Complete() && !f.Complete() || f.share() < other.share() || f.scoredLess(other)
}

// scoredLess tells two looks apart that name no evidence: key frames alone were a look at all that was planned, too.
func (f Facts) scoredLess(other Facts) bool {
	return f.Evidence == nil && other.Evidence == nil && f.Frames != nil && other.Frames != nil && f.Frames.Scored < other.Frames.Scored
}

// share is how much of what was judged is covered, 0 to 1.
func (f Facts) share() float64 {
	switch {
	case f.Evidence != nil:
		return f.Coverage
	case f.Frames != nil:
		return f.Frames.Coverage
	}
	return 1
}

// sameFiles reports whether f is about every file that other is about. Facts that name no evidence are about whatever they stand beside.
func (f Facts) sameFiles(other Facts) bool {
	if other.Evidence == nil {
		return true
	}
	return f.Evidence != nil && containsAll(f.Evidence.Renditions, other.Evidence.Renditions)
}

func containsAll(set, of []string) bool {
	return !slices.ContainsFunc(of, func(s string) bool { return !slices.Contains(set, s) })
}

// coversLess compares how many frames and how much time two looks at the same files cover.
func (f Facts) coversLess(other Facts) bool {
	a, b := f.Evidence, other.Evidence
	switch {
	case f.Status == Reviewed:
		return false
	case a != nil && b != nil:
		return a.Frames < b.Frames || a.CoveredMS < b.CoveredMS
	}
	return a == nil && f.Frames == nil && other.Frames != nil // one picture in place of a video
}

// beside returns f as what two looks have found together: where f is the weaker one, the evidence is the stronger one's.
func (f Facts) beside(other *Facts) *Facts {
	if other != nil && f.WeakerThan(*other) && other.Evidence != nil {
		f.Coverage, f.UnseenMS, f.UnseenFrames, f.Evidence = other.Coverage, other.UnseenMS, other.UnseenFrames, other.Evidence
	}
	return &f
}

// validate holds what a worker writes to what the schema says.
func (f Facts) validate() error {
	var wrong []error
	if !(f.Coverage >= 0 && f.Coverage <= 1) {
		wrong = append(wrong, errors.New("coverage: want 0 to 1"))
	}
	if f.UnseenMS < 0 || f.UnseenFrames < 0 {
		wrong = append(wrong, errors.New("unseen_ms, unseen_frames: want 0 or more"))
	}
	if f.Status == NotNeeded && (f.Model != nil || f.Scores != nil || f.Raw != nil || f.Frames != nil || f.Evidence != nil || f.Level != LevelUnknown) {
		wrong = append(wrong, errors.New("not_needed: want the level unknown and nothing that anybody has found"))
	}
	if f.Status == Reviewed && f.Evidence == nil {
		wrong = append(wrong, errors.New("reviewed: want the evidence that was looked at"))
	}
	if f.Evidence != nil {
		wrong = append(wrong, f.Evidence.validate())
	}
	return errors.Join(wrong...)
}

func (e Evidence) validate() error {
	var wrong []error
	for i, sum := range e.Renditions {
		if b, err := hex.DecodeString(sum); err != nil || len(b) != 32 || hex.EncodeToString(b) != sum {
			wrong = append(wrong, fmt.Errorf("evidence.renditions[%d]: want a SHA-256 in lower-case hex", i))
		}
		if i > 0 && e.Renditions[i-1] >= sum {
			wrong = append(wrong, fmt.Errorf("evidence.renditions[%d]: want them sorted, each once", i))
		}
	}
	if e.Judge == "" || len(e.Judge) > 64 {
		wrong = append(wrong, errors.New("evidence.judge: want 1 to 64 characters"))
	}
	if e.Frames < 0 || e.Scored < 0 || e.CoveredMS < 0 {
		wrong = append(wrong, errors.New("evidence: want no count below 0"))
	}
	return errors.Join(wrong...)
}
