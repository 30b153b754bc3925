package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// The words that must not be found outside of the job and its manifest.
const (
	toldCaption = "CaptionQ7Zx"
	toldBurned  = "BurnedQ7Zx"
	toldAlt     = "AltTextQ7Zx"
)

// onlookers is what anybody on the machine can see of our children: command lines and, as the same user, environments.
type onlookers struct {
	mu   sync.Mutex
	seen map[string]string // program and what was found, to the text around it
	all  int
}

// look reads what the descendants of this process show.
func (o *onlookers) look(words []string) {
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range procs {
		exe, err := os.Readlink(filepath.Join(proc, "exe"))
		if name := filepath.Base(exe); err != nil || !strings.HasPrefix(name, "ninefold-") && !strings.HasPrefix(name, "ff") {
			continue
		}
		for _, view := range []string{"cmdline", "environ"} {
			data, err := os.ReadFile(filepath.Join(proc, view))
			if err != nil || len(data) == 0 {
				continue
			}
			o.mu.Lock()
			o.all++
			for _, word := range words {
				if bytes.Contains(data, []byte(word)) {
					o.seen[filepath.Base(exe)+" "+view+" "+word] = string(data)
				}
			}
			o.mu.Unlock()
		}
	}
}

// watch looks again and again until stop.
func (o *onlookers) watch(words []string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() {
		for ctx.Err() == nil {
			o.look(words)
		}
	})
	return func() { cancel(); done.Wait() }
}

// TestNothingTells runs a worker at its most talkative over a message full of words: no credential is in its log, its events, its
// children's command lines or environments, and no caption is in any but the event's manifest.
func TestNothingTells(t *testing.T) {
	d := deploy(t)
	const awsSecret = "awsQ7ZxSecretOfTheMachine"
	t.Setenv("AWS_SECRET_ACCESS_KEY", awsSecret)
	secrets := []string{awsSecret, os.Getenv("NINEFOLD_S3_SECRET_KEY")}
	words := append([]string{toldCaption, toldBurned, toldAlt}, secrets...)
	s := newScene(t)
	for _, name := range []string{"photo.jpg", "text.jpg"} {
		if err := uploadFile(t.Context(), d.uploads, name, filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	burn := `{"op":"caption","text":"` + toldBurned + `","position":"bottom","style":"bar"}`
	spoken := `,"caption":"` + toldCaption + `","alt":"` + toldAlt + `"}`
	told := func(id, key string) string { return strings.TrimSuffix(item(id, "photo", key, burn), "}") + spoken }
	job := s.job(t, told("a", "photo.jpg")+","+told("b", "text.jpg"))
	events := d.events(t)

	var log bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"worker", "--log-level", "debug"}, &bytes.Buffer{}, &log) }()
	watcher := &onlookers{seen: map[string]string{}}
	stop := watcher.watch(words)
	within, done := context.WithTimeout(t.Context(), jobWithin)
	defer done()
	r := call(within, "submit", job, "--wait", "--json").want(t, exitPartial)
	waitFor(t, "event", func() bool { return len(events()) == 1 })
	stop()
	cancel()
	<-ended
	if !strings.Contains(r.stdout, toldCaption) {
		t.Error("the manifest lost the caption")
	}
	if log.Len() == 0 || watcher.all == 0 {
		t.Fatalf("nothing to look at: %d bytes of log, %d looks at children", log.Len(), watcher.all)
	}
	for _, word := range words {
		if at := strings.Index(log.String(), word); at >= 0 {
			t.Errorf("the log tells %s: …%s…", word, log.String()[max(0, at-200):min(log.Len(), at+100)])
		}
	}
	for what, text := range watcher.seen {
		t.Errorf("%s: %s", what, strconv.Quote(text))
	}
	event, err := json.Marshal(events()[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range secrets {
		if bytes.Contains(event, []byte(secret)) {
			t.Errorf("the event tells %s", secret)
		}
	}
}
