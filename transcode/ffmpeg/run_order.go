package ffmpeg

import (
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
)

// Debian's ffmpeg links 215 libraries, and the loader looks every one of 43,000 symbols up in the order in which they were loaded: the ones
// that most are found in come near the end. Loaded first they are found first: 62.7 ms of CPU for a start became 50.1 (least of 60
// starts each, taking turns). Nothing is loaded that would not be anyway, and every symbol is bound to what it was bound to before; that is
// TestLinkOrderChangesNothing, and it is why libm stands before libc: both have a frexp.
var firstLibraries = []string{
	"libm.so.6", "libc.so.6", "libcrypto.so.3", "libepoxy.so.0", "libstdc++.so.6", "libglib-2.0.so.0", "libgio-2.0.so.0", "libnettle.so.8",
	"libmbedcrypto.so.7", "libunistring.so.2", "libpango-1.0.so.0", "libdb-5.3.so", "libdbus-1.so.3", "libgnutls.so.30",
}

// linkOrder is LD_PRELOAD for the program, "" for one that is not Debian's or lacks one of the libraries: the loader would complain, or
// load what is not needed.
func linkOrder(program string) string {
	dir := debianLibraries(program)
	if dir == "" {
		return ""
	}
	var paths []string
	for _, name := range firstLibraries {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			return ""
		}
		paths = append(paths, path)
	}
	return strings.Join(paths, ":")
}

// debianLibraries is where a program of Debian's has its libraries, "" for another.
func debianLibraries(program string) string {
	path, err := filepath.EvalSymlinks(program)
	if err != nil || filepath.Dir(path) != "/usr/bin" {
		return ""
	}
	f, err := elf.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	dir := map[elf.Machine]string{elf.EM_X86_64: "/usr/lib/x86_64-linux-gnu", elf.EM_AARCH64: "/usr/lib/aarch64-linux-gnu"}[f.Machine]
	needs, err := f.ImportedLibraries()
	if err != nil || dir == "" {
		return ""
	}
	for _, name := range needs {
		if strings.HasPrefix(name, "libavdevice.so.") { // what brings the desktop's libraries
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return dir
			}
		}
	}
	return ""
}
