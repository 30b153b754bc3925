package moderation

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzDecodeManifest: no input makes the reader of a model's manifest panic; what it takes is valid and read again as it was.
func FuzzDecodeManifest(f *testing.F) {
	whole, err := json.Marshal(validManifest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"id":"x"}{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeManifest(bytes.NewReader(data))
		if err != nil {
			return
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeManifest(bytes.NewReader(again)); err != nil {
			t.Errorf("%s was taken, its copy is not: %v", data, err)
		}
		raw := map[string]float64{}
		for _, label := range m.Output.Labels {
			raw[label] = 1 / float64(len(m.Output.Labels))
		}
		if s, err := m.Scores(raw); err == nil && !s.Valid() {
			t.Errorf("%s makes the scores %+v", data, s)
		}
	})
}
