package schema_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/schema"
)

// Where schema and types differ on purpose.
var (
	// inWorkspaceOnly are fields of a type that never stand in a manifest.
	inWorkspaceOnly = []string{"Rendition.path"}
	// alwaysSet are fields that are empty on the way and always there in a manifest.
	alwaysSet = []string{"Rendition.key"}
	// fewer are enumerations that hold less than their type at one place.
	fewer = map[string][]string{"Part.status": {"ready", "rejected"}}
	// plain are enumerations of fields that are strings in Go.
	plain = map[string][]string{
		"Job.schema": {pipeline.JobSchema}, "Manifest.schema": {pipeline.ManifestSchema},
		"Part.presentation": {"video", "gif"}, "Part.method": {"transcode", "remux", pipeline.MethodNone}, "Waveform.encoding": {"u8-base64"},
		"Notice.code":    {pipeline.NoticeNotDelivered, pipeline.NoticeRejected},
		"Edit.direction": {pipeline.FlipHorizontal, pipeline.FlipVertical}, "Edit.style": {pipeline.CaptionBar, pipeline.CaptionOutline},
		"Edit.position": {pipeline.CaptionTop, pipeline.CaptionMiddle, pipeline.CaptionBottom},
	}
)

type node = map[string]any

// walker compares one schema with the Go types, level by level.
type walker struct {
	*testing.T
	root      node
	constants map[string][]string // of each named string type, from the source
	nullable  bool                // optional fields may be null: a job's may
	seen      map[string]bool     // fields compared, as Type.field
}

func TestSchemasMatchTypes(t *testing.T) {
	for _, tt := range []struct {
		name     string
		data     []byte
		typ      reflect.Type
		nullable bool
		fields   int // at least: so that the walk is known to have gone everywhere
	}{
		{"job", schema.Job, reflect.TypeFor[pipeline.Job](), true, 38},
		{"parts", schema.Parts, reflect.TypeFor[pipeline.Manifest](), false, 100},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := &walker{T: t, constants: stringConstants(t), nullable: tt.nullable, seen: map[string]bool{}}
			if err := json.Unmarshal(tt.data, &w.root); err != nil {
				t.Fatal(err)
			}
			w.object(tt.typ, w.root)
			if len(w.seen) < tt.fields {
				t.Errorf("%d fields were compared, want at least %d", len(w.seen), tt.fields)
			}
		})
	}
}

// resolve follows $ref; keywords beside it, a description mostly, win.
func (w *walker) resolve(n node) node {
	ref, ok := n["$ref"].(string)
	if !ok {
		return n
	}
	defs := w.root["$defs"].(node)
	target, ok := defs[strings.TrimPrefix(ref, "#/$defs/")].(node)
	if !ok {
		w.Fatalf("%s leads nowhere", ref)
	}
	merged := node{}
	for _, from := range []node{w.resolve(target), n} {
		for k, v := range from {
			merged[k] = v
		}
	}
	delete(merged, "$ref")
	return merged
}

// field is a Go field as JSON has it.
type field struct {
	typ      reflect.Type
	optional bool
}

func fieldsOf(t reflect.Type) map[string]field {
	out := map[string]field{}
	for i := range t.NumField() {
		name, opts, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		id := t.Name() + "." + name
		if slices.Contains(inWorkspaceOnly, id) {
			continue
		}
		out[name] = field{t.Field(i).Type, opts == "omitempty" && !slices.Contains(alwaysSet, id)}
	}
	return out
}

// object compares a struct's fields with an object's properties, in both directions.
func (w *walker) object(t reflect.Type, n node) {
	if n["type"] != "object" || n["additionalProperties"] != false {
		w.Errorf("%s: want a closed object", t.Name())
	}
	properties, _ := n["properties"].(node)
	fields := fieldsOf(t)
	required := texts(n["required"])
	for name := range properties {
		if _, ok := fields[name]; !ok {
			w.Errorf("%s.%s is in the schema and not in the type", t.Name(), name)
		}
	}
	for name, f := range fields {
		property, ok := properties[name].(node)
		if !ok {
			w.Errorf("%s.%s is in the type and not in the schema", t.Name(), name)
			continue
		}
		if slices.Contains(required, name) == f.optional {
			w.Errorf("%s.%s: required %v, optional in Go %v", t.Name(), name, !f.optional, f.optional)
		}
		w.value(t.Name()+"."+name, f, w.resolve(property))
	}
}

// value compares one field's type, or an element's.
func (w *walker) value(id string, f field, n node) {
	w.seen[id] = true
	t, null := f.typ, f.optional && w.nullable
	if t.Kind() == reflect.Pointer {
		t, null = t.Elem(), null || !f.optional
	}
	n, gotNull := w.withoutNull(n)
	if gotNull != null {
		w.Errorf("%s: null allowed %v, want %v", id, gotNull, null)
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		if n["type"] != "string" || n["format"] != "date-time" {
			w.Errorf("%s: want a date-time", id)
		}
	case t == reflect.TypeFor[pipeline.Edit]():
		w.edit(n)
	case t.Kind() == reflect.Struct:
		w.object(t, n)
	case t.Kind() == reflect.Slice:
		w.want(id, n, "array")
		if items, ok := n["items"].(node); ok {
			w.value(id+"[]", field{typ: t.Elem()}, w.resolve(items))
		} else {
			w.Errorf("%s: an array of anything", id)
		}
	case t.Kind() == reflect.Map:
		w.want(id, n, "object")
		if more, ok := n["additionalProperties"].(node); ok {
			w.value(id+"[]", field{typ: t.Elem()}, w.resolve(more))
		} else {
			w.Errorf("%s: a map of anything", id)
		}
	default:
		w.scalar(id, t, n)
	}
}

// withoutNull takes null out of a type list or a oneOf and reports whether it was there.
func (w *walker) withoutNull(n node) (node, bool) {
	if types, ok := n["type"].([]any); ok && len(types) == 2 && types[1] == "null" {
		c := node{}
		for k, v := range n {
			c[k] = v
		}
		c["type"] = types[0]
		return c, true
	}
	if either, ok := n["oneOf"].([]any); ok && len(either) == 2 && either[0].(node)["type"] == "null" {
		return w.resolve(either[1].(node)), true
	}
	return n, false
}

func (w *walker) want(id string, n node, typ string) {
	if n["type"] != typ {
		w.Errorf("%s: type %v, want %s", id, n["type"], typ)
	}
}

func (w *walker) scalar(id string, t reflect.Type, n node) {
	if values, ok := w.enumerated(id, t); ok {
		got := texts(n["enum"])
		if c, ok := n["const"].(string); ok {
			got = []string{c}
		}
		if !sameSet(got, values) {
			w.Errorf("%s: the schema allows %v, Go has %v", id, got, values)
		}
		return
	}
	if n["enum"] != nil && id != "Edit.degrees" {
		w.Errorf("%s: an enumeration that Go does not have", id)
	}
	switch t.Kind() {
	case reflect.String:
		w.want(id, n, "string")
	case reflect.Bool:
		w.want(id, n, "boolean")
	case reflect.Float64:
		w.want(id, n, "number")
	case reflect.Int, reflect.Int64:
		w.want(id, n, "integer")
	default:
		w.Errorf("%s: %s has no place on the wire", id, t)
	}
}

// enumerated lists the values of a closed set.
func (w *walker) enumerated(id string, t reflect.Type) ([]string, bool) {
	if values, ok := fewer[id]; ok {
		return values, true
	}
	if values, ok := plain[id]; ok && (w.nullable || !strings.HasPrefix(id, "Edit.")) {
		return values, true // a manifest repeats edits as they came, right or wrong
	}
	values := w.constants[t.Name()]
	return values, len(values) > 0
}

// edit compares each op's branch with what an Edit of that op writes, and all branches with the type.
func (w *walker) edit(n node) {
	all, ops := fieldsOf(reflect.TypeFor[pipeline.Edit]()), []string{}
	used := map[string]bool{"op": true}
	for _, branch := range n["oneOf"].([]any) {
		b := w.resolve(branch.(node))
		properties := b["properties"].(node)
		op, _ := properties["op"].(node)["const"].(string)
		ops = append(ops, op)
		written := writtenFields(w.T, pipeline.Op(op))
		if b["additionalProperties"] != false || !sameSet(keys(properties), written) {
			w.Errorf("edit %s: the schema has %v, Go writes %v", op, keys(properties), written)
		}
		if required := texts(b["required"]); !w.nullable && !sameSet(required, written) {
			w.Errorf("edit %s: a manifest always has %v, the schema requires %v", op, written, required)
		}
		for name, p := range properties {
			if name != "op" {
				used[name] = true
				w.value("Edit."+name, field{typ: all[name].typ}, w.resolve(p.(node)))
			}
		}
	}
	if !sameSet(ops, w.constants["Op"]) {
		w.Errorf("the schema's edits are %v, Go's %v", ops, w.constants["Op"])
	}
	if !sameSet(keys(used), keys(all)) {
		w.Errorf("the schema's edits use %v, Go has %v", keys(used), keys(all))
	}
}

func writtenFields(t *testing.T, op pipeline.Op) []string {
	data, err := json.Marshal(pipeline.Edit{Op: op})
	if err != nil {
		t.Fatal(err)
	}
	var out node
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return keys(out)
}

// stringConstants reads the constants of each named string type from the source of package pipeline: no list here can forget one.
func stringConstants(t *testing.T) map[string][]string {
	names, err := filepath.Glob("../*.go")
	if err != nil || len(names) == 0 {
		t.Fatalf("no source of package pipeline: %v", err)
	}
	out := map[string][]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			typ, isNamed := spec.Type.(*ast.Ident)
			lit, isString := spec.Values[0].(*ast.BasicLit)
			if isNamed && isString && lit.Kind == token.STRING {
				value, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				out[typ.Name] = append(out[typ.Name], value)
			}
			return true
		})
	}
	for _, typ := range []string{"Code", "Kind", "AgeBand", "Contact", "NudityFilter", "ConversationKind", "Op", "Status", "Class", "FactsStatus", "Level", "Action"} {
		if len(out[typ]) < 2 {
			t.Errorf("no constants of %s were found", typ)
		}
	}
	return out
}

// TestSchemaLimits holds the numbers of the schemas to the constants.
func TestSchemaLimits(t *testing.T) {
	var root node
	if err := json.Unmarshal(schema.Job, &root); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]float64{
		"properties.recipients.maxItems":             pipeline.MaxRecipients,
		"properties.caption.maxLength":               pipeline.MaxCaptionRunes,
		"properties.items.maxItems":                  pipeline.MaxVisualItems + pipeline.MaxVoiceItems,
		"properties.items.allOf.0.maxContains":       pipeline.MaxVoiceItems,
		"properties.items.allOf.1.maxContains":       pipeline.MaxVisualItems,
		"$defs.item.properties.caption.maxLength":    pipeline.MaxCaptionRunes,
		"$defs.item.properties.alt.maxLength":        pipeline.MaxAltRunes,
		"$defs.item.properties.edits.maxItems":       pipeline.MaxEdits,
		"$defs.source.properties.key.maxLength":      pipeline.MaxKeyBytes,
		"$defs.caption.properties.text.maxLength":    pipeline.MaxBurnedRunes,
		"then.properties.recipients.maxItems":        1,
		"properties.items.minItems":                  1,
		"properties.recipients.minItems":             1,
		"$defs.caption.properties.text.minLength":    1,
		"$defs.crop.properties.w.exclusiveMinimum":   0,
		"$defs.adjust.properties.brightness.minimum": -1,
		"$defs.adjust.properties.brightness.maximum": 1,
		"$defs.trim.properties.start_ms.minimum":     0,
		"$defs.poster.properties.at_ms.minimum":      0,
		"properties.items.allOf.0.minContains":       0,
		"properties.items.allOf.1.minContains":       0,
		"$defs.crop.properties.x.minimum":            0,
		"$defs.crop.properties.y.maximum":            1,
		"$defs.adjust.properties.saturation.minimum": -1,
		"$defs.adjust.properties.contrast.maximum":   1,
	} {
		if got := at(root, path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
}

// at finds a value by its dotted path.
func at(v any, path string) any {
	for _, step := range strings.Split(path, ".") {
		switch in := v.(type) {
		case node:
			v = in[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

// TestSchemasDescribe: every definition that a reader lands on says what it is.
func TestSchemasDescribe(t *testing.T) {
	for name, data := range map[string][]byte{"job": schema.Job, "parts": schema.Parts} {
		var root node
		if err := json.Unmarshal(data, &root); err != nil {
			t.Fatal(err)
		}
		for def, n := range root["$defs"].(node) {
			n := n.(node)
			if n["type"] == "object" && n["description"] == nil {
				t.Errorf("%s: %s has no description", name, def)
			}
		}
	}
}

func texts(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func keys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	return out
}

func sameSet(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}
