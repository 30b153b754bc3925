package sandbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
)

// room is the only place an engine can write to, and of what is not the system's the only one it can read. It is made before its engine,
// so that an engine can be confined to it before it starts, long before a message comes. The worker carries files in and out:
//
//	in/      what one request is about: linked from the message's workspace, readable only
//	out/     what the engine writes: copied into the workspace when the request is done, then removed
//	codecs/  libvips' modules, see codecs
//
// A rendition in the workspace is thus the worker's copy. No engine can write to it, not through a descriptor it kept either: the bytes
// that were verified are the bytes that are published.
//
// An engine with a user of its own may pass through the room, read in/ as its group and own out/.
type room struct {
	*pipeline.Workspace
	user user
}

const (
	roomIn     = "in"
	roomOut    = "out"
	roomCodecs = "codecs"
)

func newRoom(scratch string, u user) (*room, error) {
	ws, err := pipeline.NewWorkspace(scratch)
	if err != nil {
		return nil, err
	}
	r := &room{ws, u}
	for _, dir := range []string{roomIn, roomOut} {
		err = errors.Join(err, os.Mkdir(r.path(dir), 0o700))
	}
	if err = errors.Join(err, linkCodecs(r.path(roomCodecs)), r.admit(), r.hand()); err != nil {
		return nil, pipeline.Trouble(pipeline.CodeInternal, "scratch", errors.Join(err, r.Close()))
	}
	return r, nil
}

func (r *room) path(name string) string { return filepath.Join(r.Dir(), name) }

// rules are the room's part of what its engine may touch.
func (r *room) rules() []pathRule {
	return []pathRule{{r.path(roomIn), rightsRead}, {r.path(roomOut), rightsWrite}, {r.path(roomCodecs), rightsRead}}
}

// lend makes a file of the workspace readable under the same name below in/, in place of the first directory of its name where that is
// in/ already. The name inside is returned.
func (r *room) lend(ws *pipeline.Workspace, name string) (string, error) {
	inside := name
	if !strings.HasPrefix(name, roomIn+"/") {
		inside = path.Join(roomIn, name)
	}
	from, err := ws.Abs(name)
	if err != nil {
		return "", err
	}
	to, err := r.Abs(inside)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return "", err
	}
	if os.Link(from, to) == nil {
		return inside, nil
	}
	return inside, carry(ws, r.Workspace, name, inside, maxLent) // another file system, or one without links
}

const (
	// maxCarried bounds one file that an engine wrote, bytes; RLIMIT_FSIZE is the same.
	maxCarried = 256 << 20
	// maxLent bounds one file that an engine is to read: above the largest original that any profile should take.
	maxLent = 1 << 30
)

// carry copies a file of at most so many bytes from one workspace to another. Nothing about it is believed: see Workspace.Open.
func carry(from, to *pipeline.Workspace, name, as string, most int64) error {
	src, size, err := from.Open(name, most)
	if err != nil {
		return crashed("%w", err)
	}
	defer src.Close()
	dst, err := to.Create(as)
	if err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "scratch", err)
	}
	n, err := io.Copy(dst, io.LimitReader(src, size))
	if err = errors.Join(err, dst.Close()); err != nil {
		return pipeline.Trouble(pipeline.CodeInternal, "scratch", err)
	}
	if n != size {
		return crashed("%s shrank while it was read", path.Base(name))
	}
	return nil
}

// admit lets the room's user pass through it.
func (r *room) admit() error {
	if r.user == 0 {
		return nil
	}
	return errors.Join(os.Chown(r.Dir(), -1, int(r.user)), os.Chmod(r.Dir(), 0o710))
}

// hand gives the room's user what lies in it: in/ to read, out/ to own. The engine cannot write to in/, so that nothing there is a link of its
// making; in out/ no link is followed.
func (r *room) hand() error {
	if r.user == 0 {
		return nil
	}
	root, err := os.OpenRoot(r.Dir())
	if err != nil {
		return err
	}
	defer root.Close()
	id := int(r.user)
	read := func(path string, d fs.DirEntry) error {
		mode := fs.FileMode(0o640)
		if d.IsDir() {
			mode = 0o750
		}
		return errors.Join(root.Lchown(path, -1, id), root.Chmod(path, mode))
	}
	own := func(path string, _ fs.DirEntry) error { return root.Lchown(path, id, id) }
	return errors.Join(eachIn(root, roomIn, read), eachIn(root, roomOut, own))
}

// eachIn does something with a directory and everything below it.
func eachIn(root *os.Root, dir string, do func(path string, d fs.DirEntry) error) error {
	return fs.WalkDir(root.FS(), dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return do(path, d)
	})
}

// furnish carries in what a request is about and returns the request as its engine is to see it.
func (r *room) furnish(ws *pipeline.Workspace, req Request) (Request, error) {
	inside, err := r.fill(ws, req)
	if err != nil {
		return inside, err
	}
	if err := r.hand(); err != nil {
		return inside, pipeline.Trouble(pipeline.CodeInternal, "scratch", err)
	}
	return inside, nil
}

func (r *room) fill(ws *pipeline.Workspace, req Request) (Request, error) {
	if req.File != nil {
		if _, err := r.lend(ws, req.File.Path); err != nil {
			return req, pipeline.Trouble(pipeline.CodeInternal, "scratch", err)
		}
	}
	if req.Read != nil {
		order := *req.Read
		var err error
		if order.Part.Renditions, err = r.lendAll(ws, order.Part.Renditions); err != nil {
			return req, err
		}
		req.Read = &order
	}
	if req.Rendered == nil {
		return req, nil
	}
	lent := *req.Rendered
	var err error
	if lent.Part.Renditions, err = r.lendAll(ws, lent.Part.Renditions); err != nil {
		return req, err
	}
	req.Rendered = &lent
	return req, nil
}

// lendAll lends delivered files and returns them with their names inside.
func (r *room) lendAll(ws *pipeline.Workspace, files []pipeline.Rendition) ([]pipeline.Rendition, error) {
	lent := slices.Clone(files)
	for i := range lent {
		inside, err := r.lend(ws, lent[i].Path)
		if err != nil {
			return nil, pipeline.Trouble(pipeline.CodeInternal, "scratch", err)
		}
		lent[i].Path = inside
	}
	return lent, nil
}

// collect carries out what an answer names, each file once.
func (r *room) collect(ws *pipeline.Workspace, op Op, resp Response) error {
	var files []pipeline.Rendition
	var samples []pipeline.Sample
	switch op {
	case OpRender:
		files = resp.Rendered.Part.Renditions
	case OpReadBack:
		files, samples = resp.ReadBack.Safe, resp.ReadBack.Screen.Samples
	case OpLook:
		samples = resp.Samples
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Path)
	}
	for _, s := range samples {
		names = append(names, s.Path)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if err := carry(r.Workspace, ws, name, name, maxCarried); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := checkBytes(ws, f); err != nil {
			return err
		}
	}
	return nil
}

// clear empties in and out for the next request.
func (r *room) clear() error {
	var all error
	for _, dir := range []string{roomIn, roomOut} {
		entries, err := os.ReadDir(r.path(dir))
		all = errors.Join(all, err)
		for _, e := range entries {
			all = errors.Join(all, r.Remove(path.Join(dir, e.Name())))
		}
	}
	return all
}

// linkCodecs makes a tree at home that VIPSHOME can point to: every module directory a libvips of this machine may look for, with the
// one module that decodes for us. ImageMagick, poppler and the others are never loaded; an engine starts in two thirds of the CPU time.
func linkCodecs(home string) error {
	if err := os.Mkdir(home, 0o755); err != nil {
		return err
	}
	for _, dir := range moduleDirs() {
		rel, err := filepath.Rel(dir.prefix, dir.path)
		if err != nil {
			return err
		}
		name, parent := filepath.Base(rel), filepath.Base(filepath.Dir(rel))
		for _, as := range []string{rel, filepath.Join(parent, name), filepath.Join("lib", name)} { // versions differ in what they keep
			if err := linkCodec(dir.path, filepath.Join(home, as)); err != nil {
				return err
			}
		}
	}
	return nil
}

const heifModule = "vips-heif.so"

func linkCodec(from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	module := filepath.Join(from, heifModule)
	if _, err := os.Stat(module); err != nil {
		return nil //nolint:nilerr // a libvips with HEIF built in has no such module
	}
	if err := os.Symlink(module, filepath.Join(to, heifModule)); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("codecs: %w", err)
	}
	return nil
}

type moduleDir struct{ prefix, path string }

// moduleDirs finds the module directories of every libvips where distributions and make install put them.
func moduleDirs() []moduleDir {
	var found []moduleDir
	for _, prefix := range []string{"/usr/local", "/usr"} {
		for _, lib := range []string{"lib", "lib64", "lib/*"} {
			dirs, _ := filepath.Glob(filepath.Join(prefix, lib, "vips-modules-*")) // the pattern is sound
			for _, dir := range dirs {
				found = append(found, moduleDir{prefix, dir})
			}
		}
	}
	return found
}
