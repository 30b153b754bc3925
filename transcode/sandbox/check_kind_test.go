package sandbox

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// An engine that was taken over calls media what it likes. The worker has read the leading bytes itself.
func TestAKindIsWhatTheBytesAllow(t *testing.T) {
	r := newHall(t, nil)
	heads := map[string]string{
		"JPEG": "\xff\xd8\xff\xe0", "MP4": "\x00\x00\x00\x10ftypisom\x00\x00\x00\x00", "MP3": "ID3\x04\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x64",
	}
	may := map[string]map[pipeline.Kind]bool{
		"JPEG": {pipeline.KindPhoto: true, pipeline.KindVideo: true}, // a picture that moves is a video
		"MP4":  {pipeline.KindVoice: true, pipeline.KindVideo: true},
		"MP3":  {pipeline.KindVoice: true},
	}
	n := 0
	for name, head := range heads {
		for _, kind := range []pipeline.Kind{pipeline.KindVoice, pipeline.KindPhoto, pipeline.KindVideo, "text", ""} {
			file, _ := r.stageBytes(t, n, head+"|"+string(kind))
			n++
			_, err := r.proc.Identify(t.Context(), file)
			if (err == nil) != may[name][kind] {
				t.Errorf("%s called %q: %v", name, kind, err)
			}
		}
	}
}

func (r *hall) stageBytes(t *testing.T, n int, data string) (pipeline.File, error) {
	t.Helper()
	file, err := pipeline.StageFile(r.ws, fmt.Sprintf("in/%d", n), strings.NewReader(data), int64(len(data)), 1<<20)
	if err != nil || file.Type.MIME == "" {
		t.Fatalf("%q: %+v, %v", data, file, err)
	}
	return file, err
}

// What was identified as one kind is not rendered as another, whatever the engine says of it.
func TestAPlanIsAnsweredInItsKind(t *testing.T) {
	r := newHall(t, nil)
	for n, tc := range []struct {
		word string
		plan transcode.Plan
		ok   bool
	}{
		{"fine", transcode.Plan{Photo: &transcode.PhotoPlan{}}, true},
		{"fine", transcode.Plan{Voice: &transcode.VoicePlan{}}, false},
		{"fine", transcode.Plan{Video: &transcode.VideoPlan{}}, false},
		{"voice", transcode.Plan{Voice: &transcode.VoicePlan{}}, false}, // the bytes are a picture's
		{"note", transcode.Plan{Voice: &transcode.VoicePlan{}}, false},
		{"film", transcode.Plan{Video: &transcode.VideoPlan{}}, false},     // display is no rendition of a video
		{"playback", transcode.Plan{Photo: &transcode.PhotoPlan{}}, false}, // nor playback one of a photo
	} {
		file, _ := r.stage(t, n, tc.word)
		_, err := r.proc.Render(t.Context(), file, &tc.plan, nil)
		if (err == nil) != tc.ok {
			t.Errorf("%q for a %s: %v", tc.word, kindOf(&tc.plan), err)
		}
	}
}

// Nothing is beside the index of a sprite, the one rendition that is no media.
func TestAnIndexIsNothingElse(t *testing.T) {
	t.Parallel()
	const index = `{"columns":1,"rows":1,"width":2,"height":3,"interval_ms":4,"count":1}`
	for data, ok := range map[string]bool{
		index: true, index + " ": false, strings.Replace(index, "{", `{"picture":"AAAA",`, 1): false, "": false, "[]": false,
		index + strings.Repeat(" ", headBytes): false,
	} {
		if err := checkIndex([]byte(data)); (err == nil) != ok {
			t.Errorf("%.90q: %v", data, err)
		}
	}
}
