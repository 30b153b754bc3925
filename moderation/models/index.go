package models

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// LibraryName is the file name of ONNX Runtime's library in a fetched directory.
const LibraryName = "libonnxruntime.so.1"

// converterVersion changes when the converter makes other files: what an older one made is then made anew.
const converterVersion = "1"

const (
	indexSchema = "ninefold.models/1"
	indexName   = "index.json"
)

// index says what a fetched directory holds and what it was made of. All digests are SHA-256 in lower-case hex.
type index struct {
	Schema  string  `json:"schema"`
	Made    string  `json:"made_from"` // digest of the lock file, the converter's version and the manifests
	Library string  `json:"library"`
	Models  []Entry `json:"models"`
}

// Entry is one fetched model. The digests are SHA-256 in lower-case hex.
type Entry struct {
	ID       string `json:"id"`
	Model    string `json:"model_sha256"`
	Manifest string `json:"manifest_sha256"`
}

// madeFrom identifies everything that shapes the files: the pinned packages, the converter and the manifests.
func madeFrom() (string, error) {
	parts := [][]byte{[]byte(converterVersion), packageLock}
	for _, k := range List() {
		m, err := encode(k.Manifest)
		if err != nil {
			return "", err
		}
		parts = append(parts, m)
	}
	return digest(bytes.Join(parts, []byte{'\n'})), nil
}

// complete reports whether x lists all of wanted.
func (x index) complete(wanted []Known) bool {
	for _, k := range wanted {
		if !slices.ContainsFunc(x.Models, func(e Entry) bool { return e.ID == k.Manifest.ID }) {
			return false
		}
	}
	return true
}

func (x index) write(dir string) error {
	data, err := encode(x)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, indexName), data, 0o644)
}

// Verify reads every file of a fetched directory and holds it against its recorded digest. It returns the models it holds, and an error
// that names the first file that is missing, changed, or made from other packages than those pinned now.
func Verify(dir string) ([]Entry, error) {
	x, err := verifyIndex(dir)
	return x.Models, err
}

func verifyIndex(dir string) (index, error) {
	x, err := readIndex(dir)
	if err != nil {
		return index{}, err
	}
	if made, err := madeFrom(); err != nil || x.Made != made {
		return index{}, errors.New("models: made from other packages than those pinned now; run \"ninefold models fetch\"")
	}
	if err := verifyFile(dir, LibraryName, x.Library); err != nil {
		return index{}, err
	}
	for _, e := range x.Models {
		err := errors.Join(verifyFile(dir, filepath.Join(e.ID, "model.onnx"), e.Model), verifyFile(dir, filepath.Join(e.ID, "manifest.json"), e.Manifest))
		if err != nil {
			return index{}, err
		}
	}
	return x, nil
}

func readIndex(dir string) (index, error) {
	data, err := os.ReadFile(filepath.Join(dir, indexName))
	if err != nil {
		return index{}, fmt.Errorf("models: nothing fetched; run \"ninefold models fetch\": %w", err)
	}
	var x index
	if err := json.Unmarshal(data, &x); err != nil || x.Schema != indexSchema {
		return index{}, fmt.Errorf("models: %s is not of schema %s; run \"ninefold models fetch\"", indexName, indexSchema)
	}
	for _, e := range x.Models {
		if !filepath.IsLocal(e.ID) {
			return index{}, fmt.Errorf("models: %s names a model outside its directory", indexName)
		}
	}
	return x, nil
}

func verifyFile(dir, name, want string) error {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return fmt.Errorf("models: %s is missing; run \"ninefold models fetch\": %w", name, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("models: %s has SHA-256 %s, recorded %s; run \"ninefold models fetch\"", name, got, want)
	}
	return nil
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func encode(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}
