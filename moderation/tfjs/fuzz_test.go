package tfjs

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"
)

// FuzzScript: a package's script can neither panic nor outlast its bounds, and what it exports is JSON.
func FuzzScript(f *testing.F) {
	for _, script := range []string{
		bundle("m", `{a:!0,b:[1,2]}`), bundle("m", `"`+base64.StdEncoding.EncodeToString([]byte("weights"))+`"`),
		`module.exports={}`, `for(;;);`, `(function f(){f()})()`, `module.exports=[[[[1]]]]`, "\"\\", `/*`,
	} {
		f.Add([]byte(script))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		out, err := evaluate(ctx, "fuzz", script)
		if err == nil && !json.Valid(out) {
			t.Errorf("%q gives %q", script, out)
		}
		if took := time.Since(start); took > 10*time.Second { // ten times its limit: the machine may be busy
			t.Errorf("%q took %v", script, took)
		}
	})
}

// FuzzConvert: no model document makes the converter panic or take memory that its weights do not justify.
func FuzzConvert(f *testing.F) {
	for _, doc := range []string{
		`{"modelTopology":{"model_config":{"class_name":"Sequential","config":{"layers":[]}}},"weightsManifest":[]}`,
		`{"format":"graph-model","modelTopology":{"node":[{"name":"x","op":"Placeholder","attr":{"shape":{"shape":{"dim":[{"size":"-1"},{"size":"4"}]}}}}]},"weightsManifest":[{"paths":["s"],"weights":[{"name":"k","shape":[2,2],"dtype":"float32"}]}]}`,
		`{"format":"graph-model","modelTopology":{"node":[]},"weightsManifest":[{"paths":["s"],"weights":[{"name":"k","shape":[99999,99999],"dtype":"uint8","quantization":{"scale":1,"min":0,"dtype":"uint8"}}]}]}`,
	} {
		f.Add([]byte(doc))
	}
	shard := base64.StdEncoding.EncodeToString(make([]byte, 64))
	f.Fuzz(func(_ *testing.T, doc []byte) {
		if g, err := convert(doc, func(string) (string, error) { return shard, nil }); err == nil {
			g.Encode()
		}
	})
}
