package main

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/browsertest"
)

// What a browser may be off, seconds: one frame of either codec. An Opus frame is 20 ms, an AAC frame 1024 samples.
var frameSeconds = map[string]float64{"audio/ogg": 0.020, "audio/mp4": 1024.0 / 48_000}

// listen has an <audio> element load, jump near the end and play it out, and the Web Audio API decode the whole file.
const listen = `(async () => {
  const audio = new Audio(%q), told = {error: ""};
  const wait = name => new Promise((done, failed) => {
    audio.addEventListener(name, done, {once: true});
    audio.addEventListener("error", () => failed(audio.error.message), {once: true});
  });
  try {
    const loaded = wait("loadedmetadata");
    audio.preload = "auto";
    audio.load();
    await loaded;
    told.duration = audio.duration;
    const sought = wait("seeked");
    audio.currentTime = audio.duration - 0.5;
    await sought;
    told.sought = audio.currentTime;
    const ended = wait("ended");
    await audio.play();
    await ended;
    told.end = audio.currentTime;
    const bytes = await (await fetch(%q)).arrayBuffer();
    const sound = await new OfflineAudioContext(1, 1, 48000).decodeAudioData(bytes);
    const x = sound.getChannelData(0);
    told.samples = sound.length;
    told.channels = sound.numberOfChannels;
    told.peak = x.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  } catch (e) {
    told.error = String(e);
  }
  return told;
})()`

// heard is what listen tells.
type heard struct {
	Error    string  `json:"error"`
	Duration float64 `json:"duration"` // of the element, seconds
	Sought   float64 `json:"sought"`
	End      float64 `json:"end"`
	Samples  float64 `json:"samples"` // decoded, at 48 kHz
	Channels int     `json:"channels"`
	Peak     float64 `json:"peak"`
}

// TestVoicePlaysInABrowser plays both renditions of a note that was cut at a minute, and of a short one.
func TestVoicePlaysInABrowser(t *testing.T) {
	page := browsertest.Open(t)
	setUp(t)
	s := noteScene{scene{t.TempDir()}}
	s.ffmpeg(t, "-f", "lavfi", "-i", "sine=r=16000:d=61", "-af", "volume=-10dB", "long.wav")
	s.ffmpeg(t, "-f", "lavfi", "-i", "sine=r=16000:d=1.234", "-c:a", "libopus", "short.webm")
	for name, wantMS := range map[string]int64{"long.wav": 60_000, "short.webm": 0} {
		out := t.TempDir()
		r := call(t.Context(), "process", filepath.Join(s.dir, name), "--out", out, "--json", "--model", "none").want(t, exitOK)
		part := r.manifest(t).Parts[0]
		if wantMS != 0 && part.DurationMS != wantMS {
			t.Errorf("%s lasts %d ms", name, part.DurationMS)
		}
		server := httptest.NewServer(http.FileServer(http.Dir(out)))
		page.Do(chromedp.Navigate(server.URL))
		for _, rend := range part.Renditions {
			t.Run(name+" "+rend.MIME, func(t *testing.T) { checkHeard(t, page, server.URL+"/"+rend.Key, part, rend) })
		}
		server.Close()
	}
}

func checkHeard(t *testing.T, page *browsertest.Page, url string, part pipeline.Part, r pipeline.Rendition) {
	t.Helper()
	h := browsertest.Value[heard](page, fmt.Sprintf(listen, url, url))
	if h.Error != "" {
		t.Fatalf("the browser says %s", h.Error)
	}
	want, within := float64(part.DurationMS)/1000, frameSeconds[r.MIME]
	for what, got := range map[string]float64{"the element": h.Duration, "its end": h.End, "decodeAudioData": h.Samples / 48_000} {
		if math.Abs(got-want) > within+0.001 { // duration_ms is whole milliseconds
			t.Errorf("%s: %.4f s, want %.3f within %.4f", what, got, want, within)
		}
	}
	if math.Abs(h.Sought-(h.Duration-0.5)) > within {
		t.Errorf("a jump to %.3f came to %.3f", h.Duration-0.5, h.Sought)
	}
	if h.Channels != 1 || h.Peak < 0.05 || h.Peak > 1 {
		t.Errorf("%d channels with a peak of %.3f", h.Channels, h.Peak)
	}
}
