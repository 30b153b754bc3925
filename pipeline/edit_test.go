package pipeline_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// wireEdits is one edit of each op as it is written: all its fields, zeros included, and no other.
var wireEdits = map[string]pipeline.Edit{
	`{"h":1,"op":"crop","w":0.5,"x":0,"y":0}`:                           {Op: pipeline.OpCrop, W: 0.5, H: 1},
	`{"degrees":270,"op":"rotate"}`:                                     {Op: pipeline.OpRotate, Degrees: 270},
	`{"direction":"horizontal","op":"flip"}`:                            {Op: pipeline.OpFlip, Direction: pipeline.FlipHorizontal},
	`{"brightness":0,"contrast":-1,"op":"adjust","saturation":0.25}`:    {Op: pipeline.OpAdjust, Contrast: -1, Saturation: 0.25},
	`{"op":"caption","position":"top","style":"outline","text":"שלום"}`: {Op: pipeline.OpCaption, Text: "שלום", Position: pipeline.CaptionTop, Style: pipeline.CaptionOutline},
	`{"end_ms":0,"op":"trim","start_ms":1500}`:                          {Op: pipeline.OpTrim, StartMS: 1500},
	`{"op":"mute"}`:             {Op: pipeline.OpMute},
	`{"at_ms":0,"op":"poster"}`: {Op: pipeline.OpPoster},
}

func TestEditRoundTrip(t *testing.T) {
	ops := map[pipeline.Op]bool{}
	for wire, edit := range wireEdits {
		ops[edit.Op] = true
		data, err := json.Marshal(edit)
		if err != nil || string(data) != wire {
			t.Errorf("wrote %s %v, want %s", data, err, wire)
		}
		var back pipeline.Edit
		if err := json.Unmarshal([]byte(wire), &back); err != nil || back != edit {
			t.Errorf("%s: read %+v %v, want %+v", wire, back, err, edit)
		}
	}
	if len(ops) != 8 {
		t.Errorf("%d ops are tried, want 8", len(ops))
	}
	if _, err := json.Marshal(pipeline.Edit{Op: "sharpen"}); err == nil {
		t.Error("an unknown edit was written")
	}
}

// item is a photo with one edit, or whatever kind is given.
func edited(kind pipeline.Kind, edits ...pipeline.Edit) pipeline.Item {
	return pipeline.Item{ID: "i", Kind: kind, Source: pipeline.Source{Key: "k"}, Edits: edits}
}

func TestValidateEdits(t *testing.T) {
	crop := func(x, y, w, h float64) pipeline.Edit {
		return pipeline.Edit{Op: pipeline.OpCrop, X: x, Y: y, W: w, H: h}
	}
	caption := func(text, position, style string) pipeline.Edit {
		return pipeline.Edit{Op: pipeline.OpCaption, Text: text, Position: position, Style: style}
	}
	trim := func(start, end int64) pipeline.Edit {
		return pipeline.Edit{Op: pipeline.OpTrim, StartMS: start, EndMS: end}
	}
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		name  string
		kind  pipeline.Kind
		edit  pipeline.Edit
		names string // what the message must name, "" = the edit is taken
	}{
		{"whole picture", "photo", crop(0, 0, 1, 1), ""},
		{"a crop of floats", "photo", crop(0.7, 0.1, 0.3, 0.9), ""},
		{"crop without width", "photo", crop(0, 0, 0, 1), "w"},
		{"crop to the left of it", "photo", crop(-0.1, 0, 0.5, 1), "x"},
		{"crop out of the picture", "photo", crop(0.5, 0, 0.6, 1), "x+w"},
		{"crop out at the bottom", "photo", crop(0, 0.2, 1, 0.9), "y+h"},
		{"crop of NaN", "photo", crop(nan, 0, 1, 1), "crop"},
		{"crop of infinity", "photo", crop(0, 0, inf, 1), "crop"},
		{"rotate 180", "photo", pipeline.Edit{Op: pipeline.OpRotate, Degrees: 180}, ""},
		{"rotate 45", "photo", pipeline.Edit{Op: pipeline.OpRotate, Degrees: 45}, "degrees"},
		{"rotate 0", "photo", pipeline.Edit{Op: pipeline.OpRotate}, "degrees"},
		{"rotate 360", "photo", pipeline.Edit{Op: pipeline.OpRotate, Degrees: 360}, "degrees"},
		{"flip", "video", pipeline.Edit{Op: pipeline.OpFlip, Direction: "vertical"}, ""},
		{"flip sideways", "photo", pipeline.Edit{Op: pipeline.OpFlip, Direction: "sideways"}, "direction"},
		{"adjust to the limits", "photo", pipeline.Edit{Op: pipeline.OpAdjust, Brightness: 1, Contrast: -1}, ""},
		{"adjust beyond", "photo", pipeline.Edit{Op: pipeline.OpAdjust, Saturation: 1.01}, "saturation"},
		{"adjust by NaN", "photo", pipeline.Edit{Op: pipeline.OpAdjust, Contrast: nan}, "contrast"},
		{"caption", "photo", caption(strings.Repeat("字", pipeline.MaxBurnedRunes), "middle", "bar"), ""},
		{"caption too long", "photo", caption(strings.Repeat("字", pipeline.MaxBurnedRunes+1), "middle", "bar"), "text"},
		{"caption empty", "photo", caption("", "top", "bar"), "text"},
		{"caption not UTF-8", "photo", caption("\xff", "top", "bar"), "text"},
		{"caption left", "photo", caption("x", "left", "bar"), "position"},
		{"caption without position", "photo", caption("x", "", "bar"), "position"},
		{"caption in neon", "photo", caption("x", "top", "neon"), "style"},
		{"trim to the end", "voice", trim(500, 0), ""},
		{"trim nothing", "video", trim(0, 0), ""},
		{"trim backwards", "video", trim(500, 400), "start_ms < end_ms"},
		{"trim to nothing", "video", trim(500, 500), "start_ms < end_ms"},
		{"trim before the beginning", "video", trim(-1, 400), "start_ms"},
		{"trim to before the beginning", "video", trim(0, -400), "end_ms"},
		{"mute", "video", pipeline.Edit{Op: pipeline.OpMute}, ""},
		{"poster", "video", pipeline.Edit{Op: pipeline.OpPoster, AtMS: 1}, ""},
		{"poster before the beginning", "video", pipeline.Edit{Op: pipeline.OpPoster, AtMS: -1}, "at_ms"},
		{"trim of a photo", "photo", trim(0, 1), "photo item"},
		{"mute of a voice note", "voice", pipeline.Edit{Op: pipeline.OpMute}, "voice item"},
		{"crop of a voice note", "voice", crop(0, 0, 1, 1), "voice item"},
		{"anything of an auto item", "auto", trim(0, 1), ""},
		{"unknown", "photo", pipeline.Edit{Op: "sharpen"}, "op"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := edited(tt.kind, tt.edit).ValidateEdits()
			if tt.names == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if coded(err) != pipeline.CodeInvalidEdit || !strings.Contains(err.Error(), "edits[0]") || !strings.Contains(err.Error(), tt.names) {
				t.Errorf("got %v, want invalid_edit naming edits[0] and %q", err, tt.names)
			}
		})
	}
}

func TestValidateEditsCount(t *testing.T) {
	mute := pipeline.Edit{Op: pipeline.OpMute}
	full := edited(pipeline.KindVideo)
	for range pipeline.MaxEdits {
		full.Edits = append(full.Edits, mute)
	}
	if err := full.ValidateEdits(); err != nil {
		t.Error(err)
	}
	full.Edits = append(full.Edits, mute)
	if err := full.ValidateEdits(); coded(err) != pipeline.CodeInvalidEdit {
		t.Errorf("%d edits: %v", len(full.Edits), err)
	}
}

// TestCheckEdits: what an auto item was allowed to carry is checked again once its kind is known.
func TestCheckEdits(t *testing.T) {
	edits := []pipeline.Edit{{Op: pipeline.OpCrop, W: 1, H: 1}, {Op: pipeline.OpTrim, EndMS: 1}}
	for kind, ok := range map[pipeline.Kind]bool{"video": true, "auto": true, "photo": false, "voice": false} {
		err := pipeline.CheckEdits(edits, kind)
		if (err == nil) != ok || (!ok && coded(err) != pipeline.CodeInvalidEdit) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

// FuzzEdit: no input makes an edit panic; what is read is written and read again as it was.
func FuzzEdit(f *testing.F) {
	for wire := range wireEdits {
		f.Add([]byte(wire))
	}
	f.Add([]byte(`{"op":"crop","x":1e308,"w":-0,"h":5e-324}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var e pipeline.Edit
		if err := json.Unmarshal(data, &e); err != nil {
			return
		}
		err := edited(pipeline.KindAuto, e).ValidateEdits()
		if err != nil && coded(err) != pipeline.CodeInvalidEdit {
			t.Fatalf("%s: %v", data, err)
		}
		out, err := json.Marshal(e)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		var back pipeline.Edit
		if err := json.Unmarshal(out, &back); err != nil || !reflect.DeepEqual(back, e) {
			t.Fatalf("%s\nbecame\n%s %v", data, out, err)
		}
	})
}
