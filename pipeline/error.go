package pipeline

import (
	"errors"
	"fmt"
)

// Code names one way a job or an item can end badly. The list is closed: an integrator may switch over it.
type Code string

// The closed list of codes, in the order a message meets them.
const (
	CodeInvalidJob            Code = "invalid_job"            // the job breaks its schema, or its id is another message's; mend the caller
	CodeTooManyItems          Code = "too_many_items"         // more than nine photos and videos, or two voice notes
	CodeUnsupportedType       Code = "unsupported_type"       // the bytes are of no type we take
	CodeTypeMismatch          Code = "type_mismatch"          // the bytes are not of the kind the item says
	CodeTooLarge              Code = "too_large"              // more bytes than the kind allows
	CodeTooManyPixels         Code = "too_many_pixels"        // more pixels, a longer side, or more frames a second than allowed
	CodeTooLong               Code = "too_long"               // lasts longer than allowed
	CodeTooShort              Code = "too_short"              // a voice note under 300 ms, or nothing left after a trim
	CodeNoAudio               Code = "no_audio"               // a voice note without an audio stream
	CodeNoVideo               Code = "no_video"               // a video without a picture stream
	CodeCorrupt               Code = "corrupt"                // empty, cut short or undecodable
	CodeInvalidEdit           Code = "invalid_edit"           // an edit that cannot be applied to this item
	CodeDecodeTimeout         Code = "decode_timeout"         // decoding did not end within its limit
	CodeEngineCrashed         Code = "engine_crashed"         // the decoder died on this file
	CodeOutOfMemory           Code = "out_of_memory"          // decoding takes more memory than an engine is given; the file may be sound
	CodeEncodeFailed          Code = "encode_failed"          // a rendition could not be made; one that does not verify is internal
	CodeClassifierUnavailable Code = "classifier_unavailable" // no scores could be had
	CodeSourceMissing         Code = "source_missing"         // the store has no object under the item's key
	CodeSenderUnderAge        Code = "sender_under_age"       // direct messages are not for under 16
	CodeRecipientUnderAge     Code = "recipient_under_age"    // direct messages are not for under 16
	CodeMediaFirstContact     Code = "media_first_contact"    // text goes first to a new contact
	CodeNotDeliverable        Code = "not_deliverable"        // generic on purpose: never says who blocked whom
	CodeBlockedNudity         Code = "blocked_nudity"         // explicit media from a sender of 16 or 17
	CodeStorageUnavailable    Code = "storage_unavailable"    // the object store did not answer
	CodeExpired               Code = "expired"                // the job's expires_at passed first
	CodeInternal              Code = "internal"               // our own trouble
)

// The codes of a reprocessing, beside those of the closed list: why a part was left as it was. They never stand in a manifest.
const (
	CodeSourceChanged  = Code("source_changed")  // the object under the item's key is not the one that was processed
	CodeWeakerEvidence = Code("weaker_evidence") // a new look saw less than the one in force: only what it found worse counts
)

// Codes returns the closed list, in its documented order.
func Codes() []Code {
	return []Code{
		CodeInvalidJob, CodeTooManyItems, CodeUnsupportedType, CodeTypeMismatch, CodeTooLarge, CodeTooManyPixels,
		CodeTooLong, CodeTooShort, CodeNoAudio, CodeNoVideo, CodeCorrupt, CodeInvalidEdit, CodeDecodeTimeout,
		CodeEngineCrashed, CodeOutOfMemory, CodeEncodeFailed, CodeClassifierUnavailable, CodeSourceMissing, CodeSenderUnderAge,
		CodeRecipientUnderAge, CodeMediaFirstContact, CodeNotDeliverable, CodeBlockedNudity, CodeStorageUnavailable,
		CodeExpired, CodeInternal,
	}
}

// Trouble reports whether c is our own trouble: worth another try. Every other code is a result, final for its input.
func (c Code) Trouble() bool {
	switch c {
	case CodeStorageUnavailable, CodeClassifierUnavailable, CodeInternal:
		return true
	}
	return false
}

// Error is what went wrong, said once: the operation, the code, what to do, and the cause.
//
//  1. Code and Message go to the manifest; Message says what to do and quotes no user text, path or key.
//  2. Op and Err go to the log only.
type Error struct {
	Code    Code
	Op      string // "fetch", "vips.Render"
	Message string
	Err     error
}

// Refuse makes the result of a refused job or item. The message must tell the sender's side what to change.
func Refuse(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// OutOfMemory is the result for a file that could not be decoded for want of memory. The file may be sound, so the sender is not told
// otherwise.
func OutOfMemory(op string, cause error) *Error {
	return &Error{
		Code: CodeOutOfMemory, Op: op, Err: cause,
		Message: "the file is not damaged, but decoding it takes more memory than we give to one file; a smaller version of it can be sent",
	}
}

// Trouble wraps a failure of our own: an unreachable store, a full disk, a bug.
func Trouble(code Code, op string, err error) *Error {
	return &Error{Code: code, Op: op, Message: troubleMessage[code], Err: err}
}

var troubleMessage = map[Code]string{
	CodeStorageUnavailable:    "the object store did not answer; send the message again later",
	CodeClassifierUnavailable: "the classifier did not answer; send the message again later",
	CodeInternal:              "the worker failed on its own account; send the message again later",
}

// Error says operation, code, message and cause, for a log. The message of our own trouble is for a sender, who cannot mend it: an operator
// is told the cause.
func (e *Error) Error() string {
	s := string(e.Code)
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Message != "" && (e.Err == nil || !e.Code.Trouble()) {
		s += ": " + e.Message
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// In returns e with the operation set, where none was.
func (e *Error) In(op string) *Error {
	if e.Op != "" {
		return e
	}
	c := *e
	c.Op = op
	return &c
}

// AsError finds the coded error in err's chain; an error without a code, a panic included, is CodeInternal.
func AsError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Trouble(CodeInternal, "", err)
}

// Retryable is the one place that decides whether trying again may help. A result never is; a cancelled run, and whatever else
// has no code, always is.
func Retryable(err error) bool {
	if err == nil {
		return false
	}
	var coded *Error
	if errors.As(err, &coded) { // a decode_timeout is a result, though its cause is a deadline
		return coded.Code.Trouble()
	}
	return true
}

// Failure is an error on the wire.
type Failure struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Failure returns the part of e that may leave the process.
func (e *Error) Failure() *Failure { return &Failure{Code: e.Code, Message: e.Message} }
