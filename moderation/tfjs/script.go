package tfjs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/metrics"
	"time"

	"github.com/dop251/goja"
)

// The bounds of one script. The package's largest shard has 5.6 MB, nearly all of it one string; its largest model file 180 kB.
const (
	maxScriptBytes = 16 << 20
	maxCodeBytes   = 256 << 10        // outside string literals: bounds the parser's recursion, which nothing can interrupt
	maxCallDepth   = 64               // JavaScript calls
	maxHeapGrowth  = 256 << 20        // bytes, of the whole process while a script runs
	maxScriptTime  = 30 * time.Second // a shard takes about 0.1 s
)

// hazards are the standard functions that make something huge in one step, where no watch can interrupt them.
const hazards = `(function(g){
 delete String.prototype.repeat; delete String.prototype.padStart; delete String.prototype.padEnd; delete Array.prototype.fill;
 ["ArrayBuffer","SharedArrayBuffer","DataView","Uint8Array","Uint8ClampedArray","Uint16Array","Uint32Array","Int8Array","Int16Array",
  "Int32Array","Float32Array","Float64Array","BigInt64Array","BigUint64Array","BigInt","RegExp","eval","Function"].forEach(function(n){delete g[n]})
})(this)`

// evaluate runs a UMD script that exports plain data and returns the data as JSON. The script sees no host function, no clock that
// matters and no file; it is stopped when ctx ends, after maxScriptTime, or when the heap grows by maxHeapGrowth.
func evaluate(ctx context.Context, name string, source []byte) ([]byte, error) {
	if err := checkScript(source); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, maxScriptTime)
	defer cancel()
	vm := goja.New()
	vm.SetMaxCallStackSize(maxCallDepth)
	if _, err := vm.RunString(hazards); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() { defer close(watched); watch(ctx, vm, done) }()
	out, err := exported(vm, name, source)
	close(done)
	<-watched
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out, nil
}

// exported runs source as a CommonJS module and returns module.exports.
func exported(vm *goja.Runtime, name string, source []byte) ([]byte, error) {
	module := vm.NewObject()
	if err := errors.Join(module.Set("exports", vm.NewObject()), vm.Set("module", module), vm.Set("exports", module.Get("exports"))); err != nil {
		return nil, err
	}
	if _, err := vm.RunScript(name, string(source)); err != nil {
		return nil, err
	}
	if s, ok := module.Get("exports").Export().(string); ok {
		return json.Marshal(s)
	}
	text, err := vm.RunString("JSON.stringify(module.exports)")
	if err != nil {
		return nil, err
	}
	s, ok := text.Export().(string)
	if !ok {
		return nil, errors.New("the script exports nothing")
	}
	return []byte(s), nil
}

// watch interrupts vm when ctx ends or the heap grows too far, until done is closed.
func watch(ctx context.Context, vm *goja.Runtime, done <-chan struct{}) {
	start := heapBytes()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-ctx.Done():
			vm.Interrupt(ctx.Err())
			return
		case <-tick.C:
			if heapBytes() > start+maxHeapGrowth {
				vm.Interrupt("the script takes too much memory")
				return
			}
		}
	}
}

func heapBytes() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

// checkScript bounds the code outside string literals. The package's bundles hold neither comments, divisions, templates nor regular
// expressions, so a slash or a backquote outside a string is refused; without them string literals can be told apart exactly.
func checkScript(source []byte) error {
	if len(source) > maxScriptBytes {
		return fmt.Errorf("script of %d bytes: at most %d", len(source), maxScriptBytes)
	}
	var quote byte
	code := 0
	for i := 0; i < len(source); i++ {
		c := source[i]
		switch {
		case quote != 0 && c == '\\':
			i++
		case quote != 0 && (c == '\n' || c == quote):
			quote = 0
		case quote != 0:
		case c == '\'' || c == '"':
			quote = c
		case c == '/' || c == '`':
			return errors.New("the script is no bundle of plain data: it holds a comment, a template or a regular expression")
		default:
			code++
		}
	}
	if code > maxCodeBytes {
		return fmt.Errorf("the script holds %d bytes of code: at most %d", code, maxCodeBytes)
	}
	return nil
}
