package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
)

// note is one input.
type note struct {
	label  string
	path   string
	judged bool // against the bare process: a note of the product's full length
}

func (n note) output(name string) string { return filepath.Join(filepath.Dir(n.path), name) }

// sentences are read aloud, over and over.
const sentences = "Hello, it is me. I am at the lake, and the weather is better than they said. We took two kayaks and paddled to the island. " +
	"Call me when you are on the train, I will pick you up at the station! Do you still have the key? Otherwise ask my sister. "

// makeNotes speaks notes of the lengths that the limits are held for, as phones and browsers record them.
func makeNotes(ctx context.Context, dir string) ([]note, error) {
	spoken := filepath.Join(dir, "spoken.wav")
	if _, err := output(ctx, "espeak-ng", "-w", spoken, strings.Repeat(sentences, 8)); err != nil {
		return nil, err
	}
	var notes []note
	for _, n := range []struct {
		seconds  int
		kind     string
		settings string
	}{
		{18, "webm", "-c:a libopus -b:a 32000 -ar 48000"},
		{18, "m4a", "-c:a aac -b:a 64000 -ar 44100"},
		{60, "webm", "-c:a libopus -b:a 32000 -ar 48000"},
		{60, "m4a", "-c:a aac -b:a 64000 -ar 44100"},
		{75, "m4a", "-c:a aac -b:a 64000 -ar 44100"},
	} {
		path := filepath.Join(dir, fmt.Sprintf("note%d.%s", n.seconds, n.kind))
		args := join(words(fmt.Sprintf("-i %s -t %d", spoken, n.seconds)), words(n.settings), []string{path})
		if _, err := ffmpeg(ctx, args...); err != nil {
			return nil, err
		}
		notes = append(notes, note{label: fmt.Sprintf("%d s %s", n.seconds, n.kind), path: path, judged: n.seconds >= 60})
	}
	return notes, nil
}
