package pipeline_test

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/ninefold/ninefold"

// layers orders the packages. Imports go to a smaller number, never sideways; cmd/* is layer 4 without being listed.
// A new package is added here first: the test fails on a package that has no layer.
var layers = map[string]int{
	"pipeline":                   0,
	"moderation/screen":          1,
	"moderation":                 2,
	"pipeline/filestore":         1,
	"pipeline/memstore":          1,
	"pipeline/overlay":           1,
	"pipeline/measure":           1,
	"pipeline/pipelinetest":      1,
	"pipeline/schema":            1,
	"pipeline/webhooksign":       1,
	"transcode":                  1,
	"transcode/icu":              1,
	"moderation/calibrate":       3,
	"moderation/models":          3,
	"moderation/onnx":            3,
	"moderation/tfjs":            3,
	"pipeline/audience":          2,
	"pipeline/browsertest":       2,
	"pipeline/s3store":           2,
	"pipeline/tracetest":         2,
	"queue":                      2,
	"transcode/ffmpeg":           2,
	"transcode/known":            2,
	"transcode/raster":           2,
	"transcode/raster/emojifont": 2,
	"transcode/sandbox":          2,
	"transcode/vips":             2,
}

// owners names the one package that may import a library whose place the design fixes; every other module finds its own single importer.
var owners = map[string]string{
	"github.com/disintegration/imaging": "transcode/raster",
	"github.com/h2non/bimg":             "transcode/vips",
	"github.com/hibiken/asynq":          "queue",
	"github.com/minio/minio-go/v7":      "pipeline/s3store",
	"github.com/redis/go-redis/v9":      "queue",
	"github.com/u2takey/ffmpeg-go":      "transcode/ffmpeg",
	"github.com/yalue/onnxruntime_go":   "moderation/onnx",
}

// cgoPackages are where C of our own is called.
var cgoPackages = []string{"transcode/icu", "transcode/vips"}

// shared are modules that any package may import: they extend the standard library and carry no design decision.
var shared = []string{"golang.org/x/"}

// starters are the packages that may start a process, beside the programs of cmd: the engine's pool, the runner of ffmpeg, the fetcher
// of the models (npm), and what starts a browser or a server for a test (only tests import those).
var starters = []string{"moderation/models", "pipeline/browsertest", "pipeline/pipelinetest", "transcode/ffmpeg", "transcode/sandbox"}

// testOnly are the packages that only tests may import.
var testOnly = []string{"pipeline/browsertest", "pipeline/pipelinetest", "pipeline/tracetest"}

// startCalls are the ways around os/exec.
var startCalls = []string{"os.StartProcess", "syscall.Exec", "syscall.ForkExec", "syscall.StartProcess", "unix.Exec"}

// sourceFile is what the rules need of one Go file.
type sourceFile struct {
	pkg      string // directory from the repository's root, with slashes
	name     string
	test     bool
	imports  []string
	selected []string // qualified names in use, "os.StartProcess"
	hasInit  bool
}

func (f sourceFile) String() string { return path.Join(f.pkg, f.name) }

func TestLayers(t *testing.T) {
	root := repositoryRoot(t)
	files := parseRepository(t, root)
	if len(files) < 10 {
		t.Fatalf("found %d Go files below %s: the rules looked at nothing", len(files), root)
	}
	requires := parseRequires(t, filepath.Join(root, "go.mod"))
	for _, violation := range violations(files, requires) {
		t.Error(violation)
	}
}

// violations applies every rule to every file, in a stable order.
func violations(files []sourceFile, requires []string) []string {
	var found []string
	for _, f := range files {
		found = append(found, layerOf(f)...)
		for _, imported := range f.imports {
			found = append(found, importRules(f, imported)...)
		}
		found = append(found, bodyRules(f)...)
	}
	return append(found, importerRules(files, requires)...)
}

func layerOf(f sourceFile) []string {
	if _, ok := layer(f.pkg); !ok {
		return []string{fmt.Sprintf("%s: package %s has no layer: give it one in pipeline/layers_test.go", f, f.pkg)}
	}
	return nil
}

// layer returns the layer of a package, and whether it has one.
func layer(pkg string) (int, bool) {
	if strings.HasPrefix(pkg, "cmd/") {
		return 4, true
	}
	n, ok := layers[pkg]
	return n, ok
}

// importRules judges one import of one file. A test may look upwards, at a store or a fake, but never at a program.
func importRules(f sourceFile, imported string) []string {
	if imported == "C" && !slices.Contains(cgoPackages, f.pkg) {
		return []string{fmt.Sprintf("%s: cgo of our own belongs in %s only", f, strings.Join(cgoPackages, ", "))}
	}
	if imported == "os/exec" && !f.test && !mayStart(f.pkg) {
		return []string{fmt.Sprintf("%s: imports os/exec; only cmd, %s start processes", f, strings.Join(starters, ", "))}
	}
	if isThirdParty(imported) && f.pkg == "pipeline" && !f.test {
		return []string{fmt.Sprintf("%s: imports %s; pipeline is standard library only", f, imported)}
	}
	if dep, ours := strings.CutPrefix(imported, module+"/"); ours {
		return ownImportRules(f, dep)
	}
	return nil
}

func ownImportRules(f sourceFile, dep string) []string {
	if strings.HasPrefix(dep, "cmd/") && !sameProgram(f.pkg, dep) {
		return []string{fmt.Sprintf("%s: imports %s; nothing imports a program", f, dep)}
	}
	if f.test || sameProgram(f.pkg, dep) {
		return nil
	}
	if slices.Contains(testOnly, dep) && !slices.Contains(testOnly, f.pkg) {
		return []string{fmt.Sprintf("%s: imports %s outside a test", f, dep)}
	}
	from, _ := layer(f.pkg)
	to, known := layer(dep)
	if !known || to >= from {
		return []string{fmt.Sprintf("%s: layer %d imports %s of layer %d; imports go downwards only", f, from, dep, to)}
	}
	return nil
}

// sameProgram reports whether dep is cmd/X or below it, and so is pkg.
func sameProgram(pkg, dep string) bool {
	program := func(p string) string {
		parts := strings.SplitN(p, "/", 3)
		if parts[0] != "cmd" || len(parts) < 2 {
			return ""
		}
		return parts[1]
	}
	return program(dep) != "" && program(pkg) == program(dep)
}

func mayStart(pkg string) bool {
	return strings.HasPrefix(pkg, "cmd/") || slices.Contains(starters, pkg)
}

func bodyRules(f sourceFile) []string {
	if f.test {
		return nil
	}
	var found []string
	if f.hasInit {
		found = append(found, fmt.Sprintf("%s: has an init function; register in one visible list instead", f))
	}
	if mayStart(f.pkg) {
		return found
	}
	for _, call := range startCalls {
		if slices.Contains(f.selected, call) {
			found = append(found, fmt.Sprintf("%s: uses %s; only cmd, %s start processes", f, call, strings.Join(starters, ", ")))
		}
	}
	return found
}

// importerRules: each third-party module has one importing package, and the one the design says where it says one. Tests do not count.
func importerRules(files []sourceFile, requires []string) []string {
	importers := map[string][]string{}
	var found []string
	for _, f := range files {
		for _, imported := range f.imports {
			if f.test || slices.Contains(testOnly, f.pkg) || !isThirdParty(imported) || isShared(imported) {
				continue
			}
			mod := moduleOf(imported, requires)
			if mod == "" {
				found = append(found, fmt.Sprintf("%s: imports %s, which go.mod does not require", f, imported))
			} else if !slices.Contains(importers[mod], f.pkg) {
				importers[mod] = append(importers[mod], f.pkg)
			}
		}
	}
	return append(found, ownerRules(importers)...)
}

func ownerRules(importers map[string][]string) []string {
	var found []string
	for mod, pkgs := range importers {
		slices.Sort(pkgs)
		owner, fixed := owners[mod]
		if fixed && !slices.Equal(pkgs, []string{owner}) {
			found = append(found, fmt.Sprintf("%s is imported by %s; only %s may", mod, strings.Join(pkgs, ", "), owner))
		} else if !fixed && !oneSubtree(pkgs) {
			found = append(found, fmt.Sprintf("%s is imported by %s; a library has one importing subtree", mod, strings.Join(pkgs, ", ")))
		}
	}
	slices.Sort(found)
	return found
}

// oneSubtree reports whether the first of the packages, which are sorted, holds all others.
func oneSubtree(pkgs []string) bool {
	return !slices.ContainsFunc(pkgs[1:], func(pkg string) bool { return !strings.HasPrefix(pkg, pkgs[0]+"/") })
}

// isThirdParty: neither the standard library, whose paths have no dot in their first element, nor ours.
func isThirdParty(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return strings.Contains(first, ".") && imported != module && !strings.HasPrefix(imported, module+"/")
}

func isShared(imported string) bool {
	return slices.ContainsFunc(shared, func(prefix string) bool { return strings.HasPrefix(imported, prefix) })
}

// moduleOf returns the longest required module that is a prefix of the import path.
func moduleOf(imported string, requires []string) string {
	best := ""
	for _, mod := range requires {
		if (imported == mod || strings.HasPrefix(imported, mod+"/")) && len(mod) > len(best) {
			best = mod
		}
	}
	return best
}

// TestLayerRulesBite holds the rules themselves: each breach is reported, and each lawful neighbour of it is not.
func TestLayerRulesBite(t *testing.T) {
	requires := []string{"github.com/h2non/bimg", "github.com/oklog/ulid/v2", "golang.org/x/sync"}
	const ulid, bimg, errgroup = "github.com/oklog/ulid/v2", "github.com/h2non/bimg", "golang.org/x/sync/errgroup"
	file := func(pkg string, imports ...string) sourceFile {
		return sourceFile{pkg: pkg, name: "x.go", imports: imports}
	}
	test := func(pkg string, imports ...string) sourceFile {
		return sourceFile{pkg: pkg, name: "x_test.go", test: true, imports: imports}
	}
	cases := []struct {
		name  string
		files []sourceFile
		want  string // part of the only violation; "" for none
	}{
		{"a package without a layer", []sourceFile{file("queue/extra")}, "has no layer"},
		{"a downward import", []sourceFile{file("queue", module+"/pipeline")}, ""},
		{"an upward import", []sourceFile{file("pipeline", module+"/transcode")}, "downwards only"},
		{"a sideways import", []sourceFile{file("queue", module+"/transcode/sandbox")}, "downwards only"},
		{"an import of an unlisted package", []sourceFile{file("queue", module+"/extra")}, "downwards only"},
		{"an upward import in a test", []sourceFile{test("pipeline", module+"/pipeline/memstore")}, ""},
		{"an import of a program", []sourceFile{file("cmd/ninefold", module+"/cmd/ninefold-engine")}, "imports a program"},
		{"an import of a program in a test", []sourceFile{test("queue", module+"/cmd/ninefold")}, "imports a program"},
		{"an import inside one program", []sourceFile{file("cmd/ninefold", module+"/cmd/ninefold/console")}, ""},
		{"the fakes outside a test", []sourceFile{file("queue", module+"/pipeline/pipelinetest")}, "outside a test"},
		{"the fakes in a test", []sourceFile{test("queue", module+"/pipeline/pipelinetest")}, ""},
		{"a library in pipeline", []sourceFile{file("pipeline", ulid)}, "standard library only"},
		{"an extension of the standard library in pipeline", []sourceFile{file("pipeline", errgroup)}, "standard library only"},
		{"a library in a test of pipeline", []sourceFile{test("pipeline", ulid)}, ""},
		{"a library with its owner", []sourceFile{file("transcode/vips", bimg)}, ""},
		{"a library away from its owner", []sourceFile{file("transcode/raster", bimg)}, "only transcode/vips may"},
		{"a library with one importer", []sourceFile{file("queue", ulid), test("transcode", ulid)}, ""},
		{"a library with two importers", []sourceFile{file("queue", ulid), file("cmd/ninefold", ulid)}, "one importing subtree"},
		{"an extension with two importers", []sourceFile{file("queue", errgroup), file("transcode", errgroup)}, ""},
		{"a library with one importer and a test's helper", []sourceFile{file("queue", ulid), file("pipeline/tracetest", ulid)}, ""},
		{"a test's helper in another one", []sourceFile{file("pipeline/tracetest", module+"/pipeline/pipelinetest")}, ""},
		{"a test's helper in a program", []sourceFile{file("cmd/ninefold", module+"/pipeline/tracetest")}, "outside a test"},
		{"a library go.mod lacks", []sourceFile{file("queue", "example.org/unknown")}, "does not require"},
		{"os/exec in the runner", []sourceFile{file("transcode/ffmpeg", "os/exec")}, ""},
		{"os/exec in a program", []sourceFile{file("cmd/ninefold", "os/exec")}, ""},
		{"os/exec elsewhere", []sourceFile{file("moderation/tfjs", "os/exec")}, "start processes"},
		{"os/exec in a test", []sourceFile{test("queue", "os/exec")}, ""},
		{"a way around os/exec", []sourceFile{{pkg: "queue", name: "x.go", selected: []string{"syscall.ForkExec"}}}, "uses syscall.ForkExec"},
		{"cgo of our own in its place", []sourceFile{file("transcode/icu", "C"), file("transcode/vips", "C")}, ""},
		{"cgo of our own elsewhere", []sourceFile{file("moderation/onnx", "C")}, "transcode/vips only"},
		{"an init function", []sourceFile{{pkg: "cmd/ninefold", name: "x.go", hasInit: true}}, "init function"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := violations(c.files, requires)
			if c.want == "" && len(got) > 0 {
				t.Fatalf("a lawful import is reported: %q", got)
			}
			if c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Fatalf("got %q, want one violation saying %q", got, c.want)
			}
		})
	}
}

// TestParsedFactsBite holds the reader: a file with every breach in it yields every fact the rules look at.
func TestParsedFactsBite(t *testing.T) {
	root := t.TempDir()
	writeFile(t, filepath.Join(root, "queue", "x.go"), `package queue

import (
	"C"
	sc "syscall"
	"example.org/x"
)

func init() { sc.ForkExec("", nil, nil); x.Y() }
`)
	writeFile(t, filepath.Join(root, "queue", "x_test.go"), `package queue

import "testing"

type T struct{}

func (T) init(*testing.T) {}
`)
	writeFile(t, filepath.Join(root, "queue", "testdata", "y.go"), "not Go at all")
	files := parseRepository(t, root)
	if len(files) != 2 {
		t.Fatalf("read %v, want the two files outside testdata", files)
	}
	f := files[0]
	if f.pkg != "queue" || f.test || !f.hasInit || !slices.Equal(f.imports, []string{"C", "syscall", "example.org/x"}) ||
		!slices.Contains(f.selected, "syscall.ForkExec") {
		t.Errorf("facts of x.go: %+v", f)
	}
	if g := files[1]; !g.test || g.hasInit {
		t.Errorf("facts of x_test.go: %+v; a method named init is lawful", g)
	}
}

// TestImportableWithoutCgo builds what the upload API imports as it would, and looks for the worker's heavy libraries in it.
func TestImportableWithoutCgo(t *testing.T) {
	root := repositoryRoot(t)
	targets := []string{"./pipeline", "./pipeline/memstore", "./pipeline/filestore", "./queue"}
	targets = slices.DeleteFunc(targets, func(dir string) bool { return !hasGoFiles(filepath.Join(root, dir)) })
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("CGO_ENABLED=0 go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	run(append([]string{"build"}, targets...)...)
	deps := run(append([]string{"list", "-deps"}, targets...)...)
	for mod, owner := range owners {
		if owner != "queue" && strings.Contains(deps, mod+"\n") {
			t.Errorf("importing queue and pipeline links %s", mod)
		}
	}
}

func hasGoFiles(dir string) bool {
	found, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	return len(found) > 0
}

// repositoryRoot is the nearest directory upwards with a go.mod.
func repositoryRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod in any directory above the test")
		}
		dir = parent
	}
}

// parseRepository reads every Go file below root, whatever its build tags.
func parseRepository(t *testing.T, root string) []sourceFile {
	t.Helper()
	var files []sourceFile
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != root && skipped(entry.Name()) {
			return filepath.SkipDir
		}
		if entry.IsDir() || filepath.Ext(name) != ".go" {
			return nil
		}
		f, err := parseFile(root, name)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func skipped(dir string) bool {
	return strings.HasPrefix(dir, ".") || slices.Contains([]string{"bin", "node_modules", "testdata"}, dir)
}

func parseFile(root, name string) (sourceFile, error) {
	tree, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
	if err != nil {
		return sourceFile{}, err
	}
	rel, err := filepath.Rel(root, name)
	if err != nil {
		return sourceFile{}, err
	}
	rel = filepath.ToSlash(rel)
	f := sourceFile{pkg: path.Dir(rel), name: path.Base(rel), test: strings.HasSuffix(rel, "_test.go")}
	names := map[string]string{} // local name of an import -> last element of its path
	for _, spec := range tree.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return sourceFile{}, err
		}
		f.imports = append(f.imports, imported)
		local := path.Base(imported)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		names[local] = path.Base(imported)
	}
	f.hasInit, f.selected = bodyFacts(tree, names)
	return f, nil
}

// bodyFacts finds an init function and the qualified names in use.
func bodyFacts(tree *ast.File, names map[string]string) (hasInit bool, selected []string) {
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			hasInit = hasInit || n.Recv == nil && n.Name.Name == "init"
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && names[x.Name] != "" {
				selected = append(selected, names[x.Name]+"."+n.Sel.Name)
			}
		}
		return true
	})
	return hasInit, selected
}

// parseRequires returns the module paths of go.mod's require blocks.
func parseRequires(t *testing.T, name string) []string {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var mods []string
	block := false
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 2 && fields[0] == "require" && fields[1] == "(":
			block = true
		case len(fields) == 1 && fields[0] == ")":
			block = false
		case len(fields) >= 3 && fields[0] == "require":
			mods = append(mods, fields[1])
		case block && len(fields) >= 2:
			mods = append(mods, fields[0])
		}
	}
	if len(mods) == 0 {
		t.Fatalf("no require line in %s", name)
	}
	return mods
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
