// Package browsertest gives tests a real browser: Debian's chromium without a window, driven by chromedp. Only tests import it.
//
//	page := browsertest.Open(t)
//	page.Do(chromedp.Navigate(url), chromedp.Click(chromedp.CSS("#send")))
//	page.Until(`document.querySelector("audio").currentTime > 1`)
package browsertest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// within bounds one test's use of the browser: a machine that needs longer has something wrong with it.
const within = 2 * time.Minute

// flags keep the browser to itself: no network of its own, no account, no prompts; a microphone that beeps.
func flags(t testing.TB, binary string, log *pipelinetest.Log) []chromedp.ExecAllocatorOption {
	return append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(binary), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.CombinedOutput(log),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en-GB"),
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"),
	)
}

// Page is one tab.
type Page struct {
	Ctx context.Context // for chromedp.Run and chromedp.Do

	t        testing.TB
	mu       sync.Mutex
	mistakes []string // uncaught exceptions and console errors of the page
}

// Open starts a browser with an empty profile and returns its tab; both end with the test. The test is skipped where chromium is
// not installed, and fails with CI=true.
func Open(t testing.TB) *Page {
	t.Helper()
	binary := find()
	if binary == "" {
		const missing = "chromium is not installed; on Debian: apt-get install chromium"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	log := &pipelinetest.Log{Most: 1 << 16} // for the message of a failed start
	limited, cancel := context.WithTimeout(context.Background(), within)
	alloc, stop := chromedp.NewExecAllocator(limited, flags(t, binary, log)...)
	ctx, closeTab := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		closeTab()
		stop()
		cancel()
	})
	p := &Page{Ctx: ctx, t: t}
	if err := chromedp.Do(ctx); err != nil { // starts the browser
		t.Fatalf("chromium: %v\n%s", err, log)
	}
	go p.listen()
	return p
}

func find() string {
	for _, name := range []string{os.Getenv("NINEFOLD_CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// listen notes what goes wrong inside the page until the tab is closed.
func (p *Page) listen() {
	for m, err := range chromedp.Console(p.Ctx) {
		if err != nil {
			return
		}
		if m.IsException() || m.Type == "error" {
			p.mu.Lock()
			p.mistakes = append(p.mistakes, m.String())
			p.mu.Unlock()
		}
	}
}

// Mistakes returns the uncaught exceptions and console errors so far.
func (p *Page) Mistakes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.mistakes...)
}

// Do carries steps out and ends the test with the page's state when one fails.
func (p *Page) Do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.Ctx, steps...); err != nil {
		p.fail(err.Error())
	}
}

// Until waits until a JavaScript expression is truthy, on this page or on one that it leads to.
func (p *Page) Until(expression string) {
	p.t.Helper()
	const patience = 60 * time.Second
	ctx, cancel := context.WithTimeout(p.Ctx, patience)
	defer cancel()
	poll := chromedp.Poll[bool]("!!("+expression+")", chromedp.WithPollingTimeout(patience))
	_, err := chromedp.Run(ctx, poll)
	for err != nil && left(err) && ctx.Err() == nil {
		_, err = chromedp.Run(ctx, poll)
	}
	if err != nil {
		p.fail("never true: " + expression + ": " + err.Error())
	}
}

// left reports whether the page that was asked has been left for another one.
func left(err error) bool {
	for _, sign := range []string{"navigated", "Cannot find context", "context was destroyed"} {
		if strings.Contains(err.Error(), sign) {
			return true
		}
	}
	return false
}

// fail keeps a picture of what a person would have seen.
func (p *Page) fail(what string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.Ctx, 10*time.Second)
	defer cancel()
	if png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot()); err == nil {
		pipelinetest.Keep(p.t, "screenshots/failed-"+strings.ReplaceAll(p.t.Name(), "/", "-")+".png", png)
	}
	p.t.Fatalf("%s\nthe page said: %s", what, strings.Join(p.Mistakes(), "\n"))
}

// Value evaluates a JavaScript expression, a promise included.
func Value[T any](p *Page, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.Ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.fail(expression + ": " + err.Error())
	}
	return v
}

// Size makes the window this large, in CSS pixels.
func (p *Page) Size(width, height int64) {
	p.t.Helper()
	p.Do(chromedp.EmulateViewport(width, height))
}

// Scheme has the page believe that the person prefers "light" or "dark".
func (p *Page) Scheme(name string) {
	p.t.Helper()
	p.Do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

// Keep writes a picture of the page to bin/screenshots/NAME.png of the repository.
func (p *Page) Keep(name string) {
	p.t.Helper()
	png, err := chromedp.Run(p.Ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	pipelinetest.Keep(p.t, "screenshots/"+name+".png", png)
}
