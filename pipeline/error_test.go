package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// designCodes is the closed list as the design prints it. An integrator switches over it: it changes with the schema's version only.
const designCodes = `invalid_job too_many_items unsupported_type type_mismatch too_large too_many_pixels too_long too_short
no_audio no_video corrupt invalid_edit decode_timeout engine_crashed out_of_memory encode_failed classifier_unavailable source_missing
sender_under_age recipient_under_age media_first_contact not_deliverable blocked_nudity storage_unavailable expired internal`

func TestCodes(t *testing.T) {
	want := strings.Fields(designCodes)
	var got []string
	for _, c := range pipeline.Codes() {
		got = append(got, string(c))
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestTroubleHasAMessage(t *testing.T) {
	for _, c := range pipeline.Codes() {
		if e := pipeline.Trouble(c, "op", nil); (e.Message != "") != c.Trouble() {
			t.Errorf("%s: trouble %v with message %q", c, c.Trouble(), e.Message)
		}
	}
}

func TestRetryable(t *testing.T) {
	disk := &fs.PathError{Op: "write", Path: "/scratch/x", Err: errors.New("no space left on device")}
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"nothing", nil, false},
		{"a result", pipeline.Refuse(pipeline.CodeCorrupt, "x"), false},
		{"a wrapped result", fmt.Errorf("item: %w", pipeline.Refuse(pipeline.CodeTooLarge, "x")), false},
		{"no storage", pipeline.Trouble(pipeline.CodeStorageUnavailable, "put", disk), true},
		{"no classifier", pipeline.Trouble(pipeline.CodeClassifierUnavailable, "screen", disk), true},
		{"an error without a code", disk, true},
		{"cancelled", context.Canceled, true},
		{"past its deadline", fmt.Errorf("render: %w", context.DeadlineExceeded), true},
		{"an unknown code", pipeline.Refuse("made_up", "x"), false},
	}
	for _, tt := range tests {
		if got := pipeline.Retryable(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestErrorSaysOnce(t *testing.T) {
	cause := errors.New("connection refused")
	err := pipeline.Trouble(pipeline.CodeStorageUnavailable, "fetch", cause)
	if got, want := err.Error(), "fetch: storage_unavailable: connection refused"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, cause) {
		t.Error("the cause is lost")
	}
	if f := err.Failure(); f.Code != "storage_unavailable" || strings.Contains(f.Message, "refused") {
		t.Errorf("%+v leaves the process", f)
	}
	bare := pipeline.Refuse(pipeline.CodeCorrupt, "%d frames", 3)
	named := bare.In("probe")
	if named.Op != "probe" || bare.Op != "" || named.In("other").Op != "probe" || bare.Error() != "corrupt: 3 frames" {
		t.Errorf("%v %v", bare, named)
	}
	if e := pipeline.AsError(cause); e.Code != pipeline.CodeInternal || !errors.Is(e, cause) {
		t.Errorf("%v", e)
	}
	if e := pipeline.AsError(errors.Join(fmt.Errorf("x: %w", bare), cause)); e != bare {
		t.Errorf("%v", e)
	}
}
