package console

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/queue"
)

// writeJSON answers with a document that no cache keeps.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the reader has gone
}

// errNotShown says that a viewer may not have what was asked for. It reads like something that is not there.
var errNotShown = errors.New("not shown to this viewer")

// fail says what went wrong in the form of a pipeline.Failure. Only our own trouble is logged.
func (c *console) fail(w http.ResponseWriter, r *http.Request, err error) {
	var coded *pipeline.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, queue.ErrUnknownJob), errors.Is(err, pipeline.ErrNotExist), errors.Is(err, pipeline.ErrNoRecipient), errors.Is(err, errNotShown):
		writeJSON(w, http.StatusNotFound, failure("not_found", "There is no such message, or nothing of it for this viewer."))
	case errors.As(err, &tooLarge):
		writeJSON(w, http.StatusRequestEntityTooLarge, pipeline.Refuse(pipeline.CodeTooLarge, "the file has more than %d MiB", tooLarge.Limit>>20).Failure())
	case errors.As(err, &coded) && !coded.Code.Trouble():
		writeJSON(w, http.StatusUnprocessableEntity, coded.Failure())
	case r.Context().Err() != nil: // the reader has gone
	default:
		c.Log.Warn("console", slog.String("path", r.URL.Path), slog.Any("error", err))
		writeJSON(w, http.StatusInternalServerError, failure("internal", "This worker is in trouble; its log says why."))
	}
}

func failure(code, message string) *pipeline.Failure {
	return &pipeline.Failure{Code: pipeline.Code(code), Message: message}
}
