package models

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
)

// Convert turns the TensorFlow.js model in directory source into the bytes of an .onnx file. The caller passes the converter, so that
// this package needs none.
type Convert func(ctx context.Context, source string) ([]byte, error)

// Fetch puts the models ids (none = Default) and ONNX Runtime's library into dir. Progress goes to log.
//
//  1. What is there and verifies is left alone: a second call does nothing and needs no network.
//  2. Files appear whole: each is written beside its place and renamed; index.json, which Verify reads, comes last.
//  3. It needs npm, and says so when there is none.
func Fetch(ctx context.Context, dir string, convert Convert, log io.Writer, ids ...string) error {
	wanted, err := choose(ids)
	if err != nil {
		return err
	}
	if have, err := verifyIndex(dir); err == nil && have.complete(wanted) {
		fmt.Fprintf(log, "models: %s: nothing to do\n", dir)
		return nil
	}
	wanted = withListed(wanted, dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp(dir, ".fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	if err := install(ctx, scratch, log); err != nil {
		return err
	}
	f := fetcher{dir: dir, packages: filepath.Join(scratch, "node_modules"), convert: convert, log: log}
	return f.run(ctx, wanted)
}

// withListed adds the models that dir already lists: one fetch mends or renews them all.
func withListed(wanted []Known, dir string) []Known {
	x, err := readIndex(dir)
	if err != nil {
		return wanted
	}
	return slices.DeleteFunc(List(), func(k Known) bool {
		same := func(o Known) bool { return o.Manifest.ID == k.Manifest.ID }
		return !slices.ContainsFunc(wanted, same) && !x.complete([]Known{k})
	})
}

// choose finds the models by id, without duplicates.
func choose(ids []string) ([]Known, error) {
	if len(ids) == 0 {
		ids = []string{Default}
	}
	var out []Known
	for _, id := range ids {
		if !slices.ContainsFunc(List(), func(k Known) bool { return k.Manifest.ID == id }) {
			return nil, fmt.Errorf("unknown model %q: want %s, %s or %s", id, MobileNetV2, MobileNetV2Mid, InceptionV3)
		}
	}
	for _, k := range List() {
		if slices.Contains(ids, k.Manifest.ID) {
			out = append(out, k)
		}
	}
	return out, nil
}

// install runs npm ci on the pinned lock file in scratch. No script of a package runs, and TensorFlow.js, a peer, is left out.
func install(ctx context.Context, scratch string, log io.Writer) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errors.New("models: npm is not installed; install Node.js with npm (Debian: apt-get install npm) and run this again")
	}
	for name, data := range map[string][]byte{"package.json": packageJSON, "package-lock.json": packageLock} {
		if err := os.WriteFile(filepath.Join(scratch, name), data, 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintln(log, "models: installing the pinned packages (about 255 MB, removed afterwards)")
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--omit=peer", "--legacy-peer-deps", "--no-audit", "--no-fund",
		"--loglevel=error")
	cmd.Dir, cmd.Stdout, cmd.Stderr = scratch, log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("models: npm ci: %w", err)
	}
	return nil
}

// fetcher makes the files of dir out of the installed packages.
type fetcher struct {
	dir, packages string
	convert       Convert
	log           io.Writer
	index         index
}

func (f *fetcher) run(ctx context.Context, wanted []Known) error {
	made, err := madeFrom()
	if err != nil {
		return err
	}
	f.index = index{Schema: indexSchema, Made: made}
	if err := f.library(); err != nil {
		return err
	}
	for _, k := range wanted {
		if err := f.model(ctx, k); err != nil {
			return fmt.Errorf("models: %s: %w", k.Manifest.ID, err)
		}
	}
	return f.index.write(f.dir)
}

// library copies the library for this machine's processor.
func (f *fetcher) library() error {
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[runtime.GOARCH]
	if runtime.GOOS != "linux" || arch == "" {
		return fmt.Errorf("models: no ONNX Runtime library for %s/%s in the package: set the library's path yourself", runtime.GOOS, runtime.GOARCH)
	}
	data, err := os.ReadFile(filepath.Join(f.packages, "onnxruntime-node", "bin", "napi-v6", "linux", arch, LibraryName))
	if err != nil {
		return fmt.Errorf("models: the package holds no library: %w", err)
	}
	f.index.Library = digest(data)
	fmt.Fprintf(f.log, "models: %s for %s\n", LibraryName, runtime.GOARCH)
	return replaceFile(filepath.Join(f.dir, LibraryName), data, 0o755)
}

// model converts one model and writes its directory.
func (f *fetcher) model(ctx context.Context, k Known) error {
	data, err := f.convert(ctx, filepath.Join(f.packages, "nsfwjs", "dist", "models", k.source))
	if err != nil {
		return err
	}
	m := k.Manifest
	m.SHA256 = digest(data)
	if err := m.Validate(); err != nil {
		return err
	}
	manifest, err := encode(m)
	if err != nil {
		return err
	}
	dir := filepath.Join(f.dir, m.ID)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f.index.Models = append(f.index.Models, Entry{ID: m.ID, Model: m.SHA256, Manifest: digest(manifest)})
	fmt.Fprintf(f.log, "models: %s, %d bytes\n", m.ID, len(data))
	return errors.Join(replaceFile(filepath.Join(dir, "model.onnx"), data, 0o644), replaceFile(filepath.Join(dir, "manifest.json"), manifest, 0o644))
}

// replaceFile writes a file so that its name never shows a part of it, even after a power cut.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once it is renamed
	_, werr := f.Write(data)
	if err := errors.Join(werr, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
