package browsertest_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/ninefold/ninefold/pipeline/browsertest"
)

func TestPage(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!doctype html><title>here</title><button onclick="this.textContent='pressed'; throw new Error('on purpose')">press</button>`))
	}))
	defer srv.Close()
	page := browsertest.Open(t)
	page.Scheme("dark")
	page.Size(360, 640)
	page.Do(chromedp.Navigate(srv.URL), chromedp.Click(chromedp.CSS("button")))
	page.Until(`document.querySelector("button").textContent == "pressed"`)
	if !browsertest.Value[bool](page, `matchMedia("(prefers-color-scheme: dark)").matches`) {
		t.Error("the page is not dark")
	}
	if got := browsertest.Value[int](page, `Promise.resolve(innerWidth)`); got != 360 {
		t.Errorf("the page is %d wide", got)
	}
	page.Until(`true`)
	for len(page.Mistakes()) == 0 && t.Context().Err() == nil {
		page.Until(`true`)
	}
	if m := strings.Join(page.Mistakes(), "\n"); !strings.Contains(m, "on purpose") {
		t.Errorf("the page's exception is not noted: %q", m)
	}
}
