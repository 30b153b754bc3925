package onnx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// LibraryName is the file name of ONNX Runtime's shared library.
const LibraryName = "libonnxruntime.so.1"

// environment guards ONNX Runtime's process-wide state: one library and one environment, for the life of the process. The library keeps
// global state of its own, so this cannot be a value.
var environment struct {
	sync.Mutex
	library string // what was loaded
}

// loadRuntime loads the library and makes the environment, once per process. A failure may be tried again.
func loadRuntime(setting, modelDir string) error {
	environment.Lock()
	defer environment.Unlock()
	if environment.library != "" {
		if setting != "" && setting != environment.library {
			return fmt.Errorf("ONNX Runtime was already loaded from %s: one process cannot load %s too", environment.library, setting)
		}
		return nil
	}
	var errs []error
	for _, path := range candidates(setting, modelDir) {
		ort.SetSharedLibraryPath(path)
		err := ort.InitializeEnvironment(ort.WithLogLevelError())
		if err == nil {
			environment.library = path
			return nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", path, err))
	}
	return fmt.Errorf("ONNX Runtime cannot be loaded; run \"ninefold models fetch\" or set the library's path: %w", errors.Join(errs...))
}

// candidates lists where the library is looked for: the setting alone where there is one; else where "models fetch" puts it, beside
// the executable, and on the loader's path.
func candidates(setting, modelDir string) []string {
	if setting != "" {
		return []string{setting}
	}
	beside := []string{filepath.Dir(filepath.Clean(modelDir))}
	if exe, err := os.Executable(); err == nil {
		beside = append(beside, filepath.Dir(exe))
	}
	var out []string
	for _, dir := range beside {
		path := filepath.Join(dir, LibraryName)
		if _, err := os.Stat(path); err == nil {
			out = append(out, path)
		}
	}
	return append(out, LibraryName)
}

// Version returns the version of the loaded library and where it was loaded from; "" before the first Open.
func Version() (version, path string) {
	environment.Lock()
	defer environment.Unlock()
	if environment.library == "" {
		return "", ""
	}
	return ort.GetVersion(), environment.library
}
