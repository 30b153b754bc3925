package main

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ninefold/ninefold/pipeline/browsertest"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
)

// The console of a production worker opens with the token, shows what Redis and S3 hold, and sends nothing.
func TestWorkerConsole(t *testing.T) {
	const token = "a token for the test"
	d := deploy(t)
	addr := pipelinetest.FreeAddr(t)
	t.Setenv("NINEFOLD_ADMIN_ADDR", addr)
	t.Setenv("NINEFOLD_ADMIN_TOKEN", token)
	s := newScene(t)
	for _, name := range []string{"photo.jpg", "text.jpg"} {
		if err := uploadFile(t.Context(), d.uploads, name, filepath.Join(s.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	job := s.job(t, item("a", "photo", "photo.jpg")+","+item("b", "photo", "text.jpg"))
	d.work(t)
	ctx, cancel := context.WithTimeout(t.Context(), jobWithin)
	defer cancel()
	call(ctx, "submit", job, "--wait").want(t, exitPartial)

	ask := func(method, path, bearer string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+bearer)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if code, body := ask("GET", "/console/api/jobs", token); code != 200 || !strings.Contains(body, `"job_id":"j1"`) {
		t.Errorf("jobs: %d %s", code, body)
	}
	for _, path := range []string{"/console/", "/console/api/jobs", "/console/api/jobs/j1", "/console/api/jobs/j1/sender"} {
		if code, _ := ask("GET", path, "a wrong token here"); code != http.StatusUnauthorized {
			t.Errorf("%s with a wrong token: %d", path, code)
		}
	}
	for _, path := range []string{"/console/api/messages", "/console/api/uploads"} {
		if code, _ := ask("POST", path, token); code != http.StatusMethodNotAllowed && code != http.StatusNotFound {
			t.Errorf("POST %s: %d", path, code)
		}
	}
	seenByOperator(t, "http://"+addr)
}

// seenByOperator goes through the form to the message, one of whose files was refused.
func seenByOperator(t *testing.T, url string) {
	t.Helper()
	page := browsertest.Open(t)
	page.Scheme("light")
	page.Size(1360, 900)
	page.Do(chromedp.Navigate(url+"/console/"), chromedp.WaitVisible(chromedp.CSS("#token")))
	page.Keep("worker-1-login")
	page.Do(chromedp.SendKeys(chromedp.CSS("#token"), "a token for the test"+kb.Enter))
	page.Until(`document.querySelector("main")?.dataset.ready && document.querySelector(".jobs a")`)
	if browsertest.Value[bool](page, `Boolean(document.querySelector(".drop")) || document.querySelector("#new").checkVisibility()`) {
		t.Error("something can be sent from a production worker's console")
	}
	page.Keep("worker-2-list")
	click(page, ".jobs a")
	page.Until(`document.querySelector("[data-done] .screen .open img")?.naturalWidth > 0`)
	page.Keep("worker-3-message")
	click(page, `[data-viewer="sender"].tab`)
	page.Until(`document.querySelector('.notices [data-status="rejected"]')`)
	page.Keep("worker-4-sender")
	for _, mistake := range page.Mistakes() {
		t.Errorf("the page says: %s", mistake)
	}
}
