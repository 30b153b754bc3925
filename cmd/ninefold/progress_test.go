package main

import (
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

func steps() []pipeline.Progress {
	return []pipeline.Progress{
		{ItemID: "lake", Index: 0, Stage: "fetch"},
		{ItemID: "dog", Index: 1, Stage: "fetch"},
		{ItemID: "lake", Index: 0, Stage: "fetch", Percent: 60},
		{ItemID: "lake", Index: 0, Stage: "render", Percent: 37},
		{ItemID: "dog", Index: 1, Stage: "store", Percent: 100},
	}
}

// Bars name the item and its stage, and show the percentage of that stage.
func TestBars(t *testing.T) {
	var out pipelinetest.Log
	b := newBars(&out)
	for _, p := range steps() {
		b.show(p)
	}
	b.say("a word in between")
	b.close()
	for _, want := range []string{"lake", "dog", "render", "37", "store", "100", "a word in between"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the drawing lacks %q:\n%s", want, out.String())
		}
	}
}

// Where nothing can be drawn there is one line a stage, or none.
func TestStageLines(t *testing.T) {
	var out pipelinetest.Log
	for _, quiet := range []bool{false, true} {
		view := viewOn(&out, quiet)
		for _, p := range steps() {
			view.show(p)
		}
		view.close()
	}
	if want := "lake: fetch\ndog: fetch\nlake: render\ndog: store\n"; out.String() != want {
		t.Errorf("got %q, want %q once", out.String(), want)
	}
}
