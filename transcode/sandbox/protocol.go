package sandbox

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// maxFrame bounds one message between worker and engine, bytes. The largest honest one lists 300 samples.
const maxFrame = 4 << 20

// maxTalk bounds everything an engine says in answer to one request, bytes: progress comes a few times a second, in 40 bytes.
const maxTalk = 2 * maxFrame

// Op names a request.
type Op string

// The requests. Open comes first and once.
const (
	OpOpen     Op = "open"     // work in this directory
	OpIdentify Op = "identify" // header read
	OpRender   Op = "render"   // carry out a plan
	OpLook     Op = "look"     // key frames of a video, nothing else
	OpVerify   Op = "verify"   // probe what was rendered
	OpReadBack Op = "read"     // decode what was rendered, for the judge
	OpInspect  Op = "inspect"  // say what this machine's libraries can do
	OpProve    Op = "prove"    // make of known media what must become of them
)

// Request is what the worker asks. Paths are relative to the opened directory.
type Request struct {
	Op       Op                 `json:"op"`
	Dir      string             `json:"dir,omitempty"`
	File     *pipeline.File     `json:"file,omitempty"`
	Plan     *transcode.Plan    `json:"plan,omitempty"`
	Out      string             `json:"out,omitempty"` // directory for what is written
	Rendered *pipeline.Rendered `json:"rendered,omitempty"`
	Kind     pipeline.Kind      `json:"kind,omitempty"` // of prove

	Read *pipeline.ReadOrder  `json:"read,omitempty"`
	Safe *transcode.PhotoPlan `json:"safe,omitempty"` // of read: what is made of the picture that stands for the item
}

// Response is one of many: any number of Progress, then exactly one with Done.
type Response struct {
	Progress float64            `json:"progress,omitempty"` // per cent
	Done     bool               `json:"done,omitempty"`
	Failure  *Failure           `json:"failure,omitempty"`
	Media    *pipeline.Media    `json:"media,omitempty"`
	Rendered *pipeline.Rendered `json:"rendered,omitempty"`
	Samples  []pipeline.Sample  `json:"samples,omitempty"`
	ReadBack *pipeline.ReadBack `json:"read_back,omitempty"`
	Checks   []Check            `json:"checks,omitempty"`
}

// Check is one thing a deployment needs, as the engine finds it.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`         // what was found, or what to do
	Warn   bool   `json:"warn,omitempty"` // it works, with less than it should have
}

// Failure is a coded error with its cause, which is for the log only.
type Failure struct {
	pipeline.Failure
	Op    string `json:"op"`
	Cause string `json:"cause,omitempty"`
}

// writeFrame writes v as JSON behind its length, 4 bytes, big-endian.
func writeFrame(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(data) > maxFrame {
		return fmt.Errorf("sandbox: a frame of %d bytes is larger than %d", len(data), maxFrame)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
	return err
}

// readFrame reads one frame into v and returns its length. That is checked before anything is allocated for it.
func readFrame(r io.Reader, v any) (int, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return 0, fmt.Errorf("sandbox: a frame of %d bytes is larger than %d", n, maxFrame)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return 0, err
	}
	return int(n), json.Unmarshal(data, v)
}
