package vips

// #cgo pkg-config: vips
// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"runtime"
	"sync"
	"unsafe"

	"github.com/h2non/bimg"
)

// configure sets libvips up once: one thread per call (the worker runs several calls at a time instead), no caches (a message's
// pixels do not stay behind), and no loader but those of the types we take.
var configure = sync.OnceFunc(func() { C.nf_configure() })

// onThread runs fn on one operating system thread and ends libvips' thread state after it: libvips keeps per-thread buffers, and a
// goroutine that moved would free another's.
func onThread(fn func() error) error {
	configure()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer C.vips_thread_shutdown()
	return fn()
}

// Version is the version of libvips.
func Version() string { return bimg.VipsVersion }

// Loaders tells what this libvips can do: "jpeg load", "jpeg save" and so on for jpeg, png, webp, gif, heif and avif.
// Ninefold needs load of all six, and save of jpeg and webp.
func Loaders() map[string]bool {
	configure()
	out := map[string]bool{}
	for name, t := range map[string]bimg.ImageType{
		"jpeg": bimg.JPEG, "png": bimg.PNG, "webp": bimg.WEBP, "gif": bimg.GIF, "heif": bimg.HEIF, "avif": bimg.AVIF,
	} {
		out[name+" load"] = bimg.VipsIsTypeSupported(t)
		out[name+" save"] = bimg.VipsIsTypeSupportedSave(t)
	}
	return out
}

// has reports whether libvips knows an operation.
func has(operation string) bool {
	name := C.CString(operation)
	defer C.free(unsafe.Pointer(name))
	return C.nf_has_operation(name) != 0
}
