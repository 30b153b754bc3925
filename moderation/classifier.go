package moderation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/ninefold/ninefold/pipeline"
)

// Classifier scores one raster at a time. It is safe for concurrent use.
type Classifier interface {
	// Classify returns a probability 0..1 for each of the model's own labels.
	//
	//  1. A raster that is no picture, a failed or a cancelled run is an error; there are no partial scores.
	//  2. Scores that are not finite or not within 0..1 are an error too: unknown is never safe.
	//  3. It ends soon after ctx does, and keeps nothing of r when it has ended.
	Classify(ctx context.Context, r Raster) (map[string]float64, error)
	// Model returns the manifest of the model in use.
	Model() Manifest
	// Close frees the model. Classify fails after it.
	Close() error
}

// Ref names the model, how it is used and the bounds in use beyond doubt, for facts and audit records: facts that were found otherwise are
// found again.
func (m Manifest) Ref() pipeline.ModelRef {
	return pipeline.ModelRef{ID: m.ID, SHA256: m.SHA256, Usage: m.usage(), Thresholds: m.Thresholds.String()}
}

// usage identifies how pictures are fed to the model and how its answers are read: 16 digits of a SHA-256.
func (m Manifest) usage() string {
	data, err := json.Marshal(struct {
		Input      Input
		Output     Output
		Categories Categories
	}{m.Input, m.Output, m.Categories})
	if err != nil {
		return "" // a scale that is no number; such a manifest is not valid
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
