package tfjs

import (
	"context"
	"strings"
	"testing"
	"time"
)

func TestEvaluateReadsWhatMinifiersWrite(t *testing.T) {
	got, err := evaluate(t.Context(), "m", []byte(bundle("m", `{a:!0,b:!1,c:[.5,-0.25,1e3],"d-e":null,f:"it's \"x\""}`)))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"a":true,"b":false,"c":[0.5,-0.25,1000],"d-e":null,"f":"it's \"x\""}`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

type hostile struct{ name, script, want string }

// limit is short for the one script that only a deadline ends.
func (h hostile) limit() time.Duration {
	if h.want == "deadline" {
		return 200 * time.Millisecond
	}
	return 20 * time.Second
}

func TestEvaluateEndsHostileScripts(t *testing.T) {
	tests := []hostile{
		{"endless loop", `for(;;){}`, "deadline"},
		{"growing string", `var s="aaaaaaaaaaaaaaaa";for(;;)s+=s`, "memory"},
		{"growing array", `var a=[];for(;;)a.push({},{},{},{})`, "memory"},
		{"deep recursion", `function f(){return f()}f()`, "at f"},
		{"one huge string", `module.exports="a".repeat(1<<30)`, "repeat"},
		{"one huge buffer", `module.exports=new ArrayBuffer(1<<30)`, "ArrayBuffer"},
		{"an exception", `throw new Error("no")`, "no"},
		{"a syntax error", `{{{`, "Unexpected"},
		{"deep nesting", "module.exports=" + strings.Repeat("[", 300<<10), "bytes of code"},
		{"a regular expression that hides a quote", `var a=/"/;`, "no bundle of plain data"},
		{"a host function", `require("fs")`, "require"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), tt.limit())
			defer cancel()
			_, err := evaluate(ctx, "m", []byte(tt.script))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}
