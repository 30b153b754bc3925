// Package models fetches the models of the default classifier and ONNX Runtime's library. They are dependencies, pinned by integrity
// hash in package-lock.json and never committed: Fetch installs the packages into a scratch directory, converts the models and throws
// the packages away.
//
// A fetched directory looks like this:
//
//	index.json                 what was made of which packages
//	libonnxruntime.so.1        for this machine's processor
//	nsfwjs-mobilenet-v2/       one directory a model
//	    model.onnx
//	    manifest.json
package models

import (
	_ "embed"
	"path/filepath"

	"github.com/ninefold/ninefold/moderation"
)

//go:embed package.json
var packageJSON []byte

//go:embed package-lock.json
var packageLock []byte

// Default is the model that is used unless another is configured.
const Default = MobileNetV2

// The ids of the models that can be fetched.
const (
	MobileNetV2    = "nsfwjs-mobilenet-v2"
	MobileNetV2Mid = "nsfwjs-mobilenet-v2-mid"
	InceptionV3    = "nsfwjs-inception-v3"
)

// Known is a model that can be fetched.
type Known struct {
	Manifest moderation.Manifest // without SHA256, which conversion gives
	source   string              // its directory, inside the nsfwjs package's dist/models
}

// List returns the models that can be fetched, the default first.
func List() []Known {
	return []Known{
		{nsfwjs(MobileNetV2, 224, mobileNetV2Scores()), "mobilenet_v2"},
		{nsfwjs(MobileNetV2Mid, 224, mobileNetV2MidScores()), "mobilenet_v2_mid"},
		{nsfwjs(InceptionV3, 299, inceptionV3Scores()), "inception_v3"},
	}
}

// selfTestTolerance is far above what two implementations on two processors differ by (2e-6 was seen) and below what any wrong step of
// the preprocessing does.
const selfTestTolerance = 1e-4

// nsfwjs describes one of the package's models: all have the same five classes and take the same preprocessing.
func nsfwjs(id string, side int, selfTest []moderation.SelfTest) moderation.Manifest {
	return moderation.Manifest{
		Schema: moderation.ModelSchema, ID: id, Licence: "MIT",
		Input: moderation.Input{
			Layout: moderation.NHWC, Size: side, Color: moderation.RGB, Resize: moderation.BilinearAlignCorners, Scale: 255,
			Mean: []float64{}, Std: []float64{},
		},
		Output: moderation.Output{Kind: moderation.Probabilities, Labels: []string{"drawing", "hentai", "neutral", "porn", "sexy"}},
		// A drawing is harmless: only hentai counts towards drawn.
		Categories: moderation.Categories{
			Explicit:   moderation.Category{Labels: []string{"porn"}, Reduce: moderation.ReduceMax},
			Drawn:      moderation.Category{Labels: []string{"hentai"}, Reduce: moderation.ReduceMax},
			Suggestive: moderation.Category{Labels: []string{"sexy"}, Reduce: moderation.ReduceMax},
		},
		Thresholds: thresholds(),
		SelfTest:   selfTest,
	}
}

// thresholds returns the bounds for the nsfwjs classes. This project holds no nude picture, so they are not measured here: they are the
// values in customary use with these models. The scores are a softmax over five classes, so at 0.5 a class outweighs the four others
// together. Misskey, the largest open deployment of nsfwjs, marks media sensitive above 0.5 for porn, hentai and sexy alike, and above
// 0.3 at its setting "high" (FileInfoService and DriveService of its back end): one frame decides from 0.5 on, two that are near each
// other from 0.3. An operator with a lawful labelled set replaces them by "ninefold models calibrate".
func thresholds() moderation.Thresholds {
	t := moderation.Threshold{Low: 0.3, High: 0.5}
	return moderation.Thresholds{Explicit: t, Drawn: t, Suggestive: t}
}

// Installed lists the ids of the models that lie in dir, with a manifest, sorted; nil where it cannot be read.
func Installed(dir string) []string {
	found, err := filepath.Glob(filepath.Join(dir, "*", "manifest.json"))
	if err != nil {
		return nil
	}
	var ids []string
	for _, path := range found {
		ids = append(ids, filepath.Base(filepath.Dir(path)))
	}
	return ids
}
