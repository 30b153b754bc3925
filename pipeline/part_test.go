package pipeline_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// goodManifest has a ready and a rejected part.
func goodManifest() pipeline.Manifest {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	rendition := pipeline.Rendition{
		Name: "display", Class: pipeline.ClassFull, Key: "media/ab/ab.jpg", MIME: "image/jpeg", Size: 7, SHA256: strings.Repeat("ab", 32), Default: true,
	}
	return pipeline.Manifest{
		Schema: pipeline.ManifestSchema, JobID: "j", MessageID: "m", ConversationID: "c", SenderID: "s", Status: pipeline.StatusPartial,
		CreatedAt: now, FinishedAt: now,
		Parts: []pipeline.Part{
			{
				ItemID: "i1", Kind: pipeline.KindPhoto, Status: pipeline.StatusReady, Renditions: []pipeline.Rendition{rendition},
				Edits: []pipeline.Edit{{Op: pipeline.OpCrop, W: 1, H: 1}},
			},
			{
				ItemID: "i2", Index: 1, Kind: pipeline.KindVideo, Status: pipeline.StatusRejected, Error: pipeline.Refuse(pipeline.CodeCorrupt, "x").Failure(),
				Edits: []pipeline.Edit{},
			},
		},
		Deliveries:    []pipeline.Delivery{{RecipientID: "u", Parts: []pipeline.PartDelivery{{ItemID: "i1", Action: pipeline.Deliver, Reasons: []string{"clear"}}}, Notices: []pipeline.Notice{}}},
		SenderNotices: []pipeline.Notice{},
	}
}

func TestManifestRoundTrip(t *testing.T) {
	m := goodManifest()
	if err := m.Validate(); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var back pipeline.Manifest
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("%v: the manifest changed on its way out and in:\n%+v\n%+v", err, m, back)
	}
}

func TestManifestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*pipeline.Manifest)
	}{
		{"schema", func(m *pipeline.Manifest) { m.Schema = "ninefold.parts/2" }},
		{"job id", func(m *pipeline.Manifest) { m.JobID = "../x" }},
		{"message id", func(m *pipeline.Manifest) { m.MessageID = "" }},
		{"status", func(m *pipeline.Manifest) { m.Status = "processing" }},
		{"no status", func(m *pipeline.Manifest) { m.Status = "" }},
		{"rejected without an error", func(m *pipeline.Manifest) { m.Status = pipeline.StatusRejected }},
		{"ready with an error", func(m *pipeline.Manifest) {
			m.Status, m.Error = pipeline.StatusReady, pipeline.Refuse(pipeline.CodeCorrupt, "x").Failure()
		}},
		{"a part without a status", func(m *pipeline.Manifest) { m.Parts[0].Status = "" }},
		{"a ready part with an error", func(m *pipeline.Manifest) { m.Parts[0].Error = &pipeline.Failure{} }},
		{"a ready part without renditions", func(m *pipeline.Manifest) { m.Parts[0].Renditions = nil }},
		{"a rejected part without an error", func(m *pipeline.Manifest) { m.Parts[1].Error = nil }},
		{"a rejected part that shows something", func(m *pipeline.Manifest) { m.Parts[1].Renditions = m.Parts[0].Renditions }},
		{"a rejected part with a placeholder", func(m *pipeline.Manifest) { m.Parts[1].Placeholder = &pipeline.Placeholder{} }},
		{"a rendition never stored", func(m *pipeline.Manifest) { m.Parts[0].Renditions[0].Key = "" }},
		{"a rendition with a scratch path", func(m *pipeline.Manifest) { m.Parts[0].Renditions[0].Path = "out/x" }},
		{"a rendition under a key that climbs", func(m *pipeline.Manifest) { m.Parts[0].Renditions[0].Key = "a/../b" }},
		{"an empty rendition", func(m *pipeline.Manifest) { m.Parts[0].Renditions[0].Size = 0 }},
		{"a short digest", func(m *pipeline.Manifest) { m.Parts[0].Renditions[0].SHA256 = "ab" }},
		{"no class", func(m *pipeline.Manifest) { m.Parts[0].Renditions[0].Class = "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := goodManifest()
			tt.change(&m)
			if err := m.Validate(); err == nil {
				t.Error("it was taken")
			}
		})
	}
}

func TestScoresValid(t *testing.T) {
	for _, good := range []float64{0, 0.5, 1} {
		if !(pipeline.Scores{Explicit: good, Drawn: good, Suggestive: good}).Valid() {
			t.Errorf("%v is no probability", good)
		}
	}
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), -0.0001, 1.0001} {
		for _, s := range []pipeline.Scores{{Explicit: bad}, {Drawn: bad}, {Suggestive: bad}} {
			if s.Valid() {
				t.Errorf("%+v are probabilities", s)
			}
		}
	}
}

func TestHDR(t *testing.T) {
	var none *pipeline.Stream
	if none.HDR() || (&pipeline.Stream{Transfer: "bt709"}).HDR() {
		t.Error("SDR is tone-mapped")
	}
	for _, transfer := range []string{"smpte2084", "arib-std-b67"} {
		if !(&pipeline.Stream{Transfer: transfer}).HDR() {
			t.Errorf("%s is not tone-mapped", transfer)
		}
	}
}
