package main

import (
	"bufio"
	"context"
	"encoding/json"
	"image"
	"image/color"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/pipeline/browsertest"
	"github.com/ninefold/ninefold/pipeline/pipelinetest"
	"github.com/ninefold/ninefold/queue"
)

// album is what a person has on their disk.
func album(t *testing.T) noteScene {
	t.Helper()
	s := noteScene{scene{t.TempDir()}}
	s.write(t, "lake.jpg", encodeJPEG(t, landscape(1600, 1200, color.NRGBA{250, 214, 165, 255}, color.NRGBA{38, 84, 110, 255})))
	s.write(t, "dusk.jpg", encodeJPEG(t, landscape(1200, 1500, color.NRGBA{232, 128, 112, 255}, color.NRGBA{62, 44, 92, 255})))
	s.ffmpeg(t, "-f", "lavfi", "-i", "gradients=s=960x540:d=4:r=25:speed=0.03:c0=0x0b6e5f:c1=0xf0b457:c2=0x26546e:n=3:seed=7",
		"-f", "lavfi", "-i", "sine=f=330:d=4", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "clip.mp4")
	s.ffmpeg(t, "-f", "lavfi", "-i", "aevalsrc='0.5*sin(2*PI*220*t)*abs(sin(2.1*t))*abs(sin(9*t))':s=48000:d=6", "-c:a", "libopus", "note.ogg")
	return s
}

// landscape paints a sky, a sun, hills and water: something to look at in the screenshots.
func landscape(w, h int, sky, hills color.NRGBA) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	mix := func(a, b color.NRGBA, share float64) color.NRGBA {
		m := func(x, y uint8) uint8 { return uint8(float64(x)*(1-share) + float64(y)*share) }
		return color.NRGBA{m(a.R, b.R), m(a.G, b.G), m(a.B, b.B), 255}
	}
	white := color.NRGBA{255, 250, 238, 255}
	for y := range h {
		for x := range w {
			u, v := float64(x)/float64(w), float64(y)/float64(h)
			c := mix(mix(hills, sky, 0.45), sky, math.Min(1, v*1.7))
			if math.Hypot((u-0.7)*float64(w)/float64(h), v-0.36) < 0.07 {
				c = white
			}
			for i := range 3 {
				ridge := 0.5 + 0.06*float64(i) + 0.07*math.Sin(u*(5+3*float64(i))+2*float64(i)) + 0.015*math.Sin(u*41+float64(i))
				if v > ridge {
					c = mix(sky, hills, 0.4+0.25*float64(i))
				}
			}
			if v > 0.72 {
				c = mix(mix(sky, hills, 0.35), white, 0.12+0.1*math.Sin(v*260+math.Sin(u*18)*2))
			}
			img.SetNRGBA(x, y, c)
		}
	}
	return img
}

// startDev runs ninefold dev until the test ends and returns the address that it prints.
func startDev(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	out, printed := io.Pipe()
	var stderr strings.Builder
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, append([]string{"dev", "--addr", "127.0.0.1:0", "--store", t.TempDir()}, args...), printed, &stderr)
		printed.Close()
		ended <- code
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != exitOK {
			t.Errorf("dev ended with %d: %s", code, stderr.String())
		}
	})
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, url, ok := strings.Cut(lines.Text(), "http://"); ok {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return "http://" + url
		}
	}
	cancel()
	t.Fatalf("dev says no address: %s", stderr.String())
	return ""
}

// openConsole opens the page in a browser.
func openConsole(t *testing.T, url string, width, height int64) *browsertest.Page {
	t.Helper()
	page := browsertest.Open(t)
	page.Scheme("light")
	page.Size(width, height)
	page.Do(chromedp.Navigate(url))
	page.Until(`document.querySelector("main").dataset.ready`)
	return page
}

// drop lets go of files over an element, as a hand with a mouse would.
func drop(page *browsertest.Page, selector string, files ...string) {
	at := browsertest.Value[[]float64](page, `(() => { const r = document.querySelector("`+selector+`").getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`)
	page.Do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		for _, kind := range []input.DispatchDragEventType{input.DispatchDragEventTypeDragEnter, input.DispatchDragEventTypeDragOver, input.DispatchDragEventTypeDrop} {
			_, err := chromedp.Call(ctx, input.DispatchDragEvent, input.DispatchDragEventParams{
				Type: kind, X: at[0], Y: at[1], Data: &input.DragData{Items: []*input.DragDataItem{}, Files: files, DragOperationsMask: 1},
			})
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

func click(page *browsertest.Page, selector string) { page.Do(chromedp.Click(chromedp.CSS(selector))) }

// press presses a key, on whatever has the focus.
func press(page *browsertest.Page, keys string) { page.Do(chromedp.KeyEvent(keys)) }

// see chooses whose phone is looked at and waits until it shows.
func see(page *browsertest.Page, viewer string) {
	click(page, `[data-viewer="`+viewer+`"].tab`)
	page.Until(`document.querySelector(".screen").dataset.viewer === "` + viewer + `" && [...document.querySelectorAll(".screen img")].every((i) => i.complete)`)
}

// actionsOf are the actions of the parts on the phone that is looked at.
func actionsOf(page *browsertest.Page) string {
	return browsertest.Value[string](page, `[...document.querySelectorAll(".screen .cell")].map((c) => c.dataset.action).join(" ")`)
}

// A person's path: drop two photos, a video and a voice note, write captions, crop and rotate, send, watch, and see the message as an
// adult, as an adult with a filter, as somebody of 16 and as the sender.
func TestConsole(t *testing.T) {
	s := album(t)
	setUp(t)
	url := startDev(t, "--models-dir", pipelinetest.StrictModels(t, os.Getenv("NINEFOLD_MODELS_DIR")))
	page := openConsole(t, url, 1360, 900)
	page.Keep("console-1-empty")
	drop(page, ".drop", filepath.Join(s.dir, "lake.jpg"), filepath.Join(s.dir, "dusk.jpg"), filepath.Join(s.dir, "clip.mp4"), filepath.Join(s.dir, "note.ogg"))
	page.Until(`document.querySelectorAll(".tile").length === 4`)
	page.Do(
		chromedp.SendKeys(chromedp.CSS(`.tile [data-field="caption"]`), "Morning on the <b>lake</b>"),
		chromedp.SendKeys(chromedp.CSS(`.tile [data-field="alt"]`), "A lake under hills at sunrise"),
		chromedp.SendKeys(chromedp.CSS("#caption"), "Three days out. Wish you were here!"),
	)
	cropAndRotate(page)
	page.Until(`!document.querySelector("#send").disabled`)
	page.Keep("console-2-composed")
	click(page, "#send")
	page.Until(`document.querySelector(".item .step.at")`)
	page.Keep("console-3-in-work")
	page.Until(`document.querySelector("[data-done]")`)
	m, job := fetched(t, page, url)
	checkEdited(t, m, job)

	see(page, "u_ada")
	if got := actionsOf(page); got != "deliver deliver deliver" {
		t.Errorf("an adult without a filter: %q", got)
	}
	page.Keep("console-4-adult")
	lightboxShows(t, page)
	voicePlays(t, page)
	see(page, "u_ben")
	if got := actionsOf(page); got != "blur_reveal blur_reveal blur_reveal" {
		t.Errorf("an adult with a filter: %q", got)
	}
	page.Keep("console-5-blurred")
	reveals(t, page)
	see(page, "u_kim")
	if got := actionsOf(page); got != "withhold withhold withhold" {
		t.Errorf("16 or 17: %q", got)
	}
	page.Keep("console-6-teen")
	for _, p := range m.Parts[:3] {
		for _, r := range p.Renditions {
			if code := status(t, url+"media/"+m.JobID+"/recipients/u_kim/"+p.ItemID+"/"+r.SHA256); code != http.StatusNotFound {
				t.Errorf("%s %s is served to somebody of 16: %d", p.ItemID, r.Name, code)
			}
		}
	}
	see(page, "sender")
	if got := browsertest.Value[string](page, `[...document.querySelectorAll(".notices li")].map((n) => n.dataset.status).join(" ")`); got != "not_delivered not_delivered not_delivered delivered" {
		t.Errorf("the sender is told %q", got)
	}
	page.Keep("console-7-sender")
	if n := browsertest.Value[int](page, `document.querySelectorAll(".plot polyline").length`); n != 3 {
		t.Errorf("%d curves in the plot of the video", n)
	}
	looksWell(t, page, "console-8")
	for _, mistake := range page.Mistakes() {
		t.Errorf("the page says: %s", mistake)
	}
}

// cropAndRotate drags a corner of the crop inwards and turns the first picture.
func cropAndRotate(page *browsertest.Page) {
	click(page, `.tile[data-item="i1"] .button`)
	page.Until(`document.querySelector(".editor .stage img")?.naturalWidth > 0 && document.querySelector(".handle.se")`)
	at := browsertest.Value[[]float64](page, `(() => { const h = document.querySelector(".handle.se").getBoundingClientRect(); const s = document.querySelector(".stage").getBoundingClientRect();
		return [h.x + 8, h.y + 8, s.width, s.height] })()`)
	page.Do(
		chromedp.MouseEvent(input.DispatchMouseEventTypeMousePressed, at[0], at[1], chromedp.ButtonLeft, chromedp.ClickCount(1)),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at[0]-at[2]/4, at[1]-at[3]/8, chromedp.ButtonLeft),
		chromedp.MouseEvent(input.DispatchMouseEventTypeMouseReleased, at[0]-at[2]/4, at[1]-at[3]/8, chromedp.ButtonLeft),
		chromedp.Click(chromedp.CSS(".editor .controls .button")),
		chromedp.SendKeys(chromedp.CSS(`.editor [data-field="burned"]`), "day one 🛶"),
	)
	page.Until(`Number(document.querySelector('[data-crop="w"]').value) < 80`)
	page.Keep("console-2-editor")
	click(page, `.editor button[value="keep"]`)
	page.Until(`!document.querySelector(".editor") && document.querySelector(".thumb.edited")`)
}

// fetched reads the job that the page shows.
func fetched(t *testing.T, page *browsertest.Page, url string) (pipeline.Manifest, pipeline.Job) {
	t.Helper()
	id := browsertest.Value[string](page, `location.hash.split("/")[2]`)
	resp, err := http.Get(url + "api/jobs/" + id)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var d struct {
		Manifest pipeline.Manifest
		Job      pipeline.Job
	}
	if err := json.NewDecoder(resp.Body).Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d.Manifest, d.Job
}

func status(t *testing.T, url string) int {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// checkEdited holds the first photo to what was drawn: about three quarters by seven eighths of 1600 × 1200, standing.
func checkEdited(t *testing.T, m pipeline.Manifest, job pipeline.Job) {
	t.Helper()
	if len(m.Parts) != 4 || m.Status != pipeline.StatusReady || job.Caption != "Three days out. Wish you were here!" {
		t.Fatalf("status %s, %d parts, caption %q", m.Status, len(m.Parts), job.Caption)
	}
	edits := job.Items[0].Edits
	if len(edits) != 3 || edits[0].Op != pipeline.OpCrop || edits[1].Degrees != 90 || edits[2].Text != "day one 🛶" {
		t.Fatalf("edits %+v", edits)
	}
	const slack = 0.03 // of a side: where exactly the corner was taken
	if math.Abs(edits[0].W-0.75) > slack || math.Abs(edits[0].H-0.875) > slack {
		t.Errorf("crop %+v, want about 0.75 × 0.875", edits[0])
	}
	p := m.Parts[0]
	if w, h := edits[0].H*1200, edits[0].W*1600; math.Abs(float64(p.Width)-w) > 2 || math.Abs(float64(p.Height)-h) > 2 {
		t.Errorf("%d × %d, want %.0f × %.0f", p.Width, p.Height, w, h)
	}
	if p.Caption != "Morning on the <b>lake</b>" || p.Alt != "A lake under hills at sunrise" {
		t.Errorf("caption %q, alt %q", p.Caption, p.Alt)
	}
}

// lightboxShows opens the photo, goes on to the video, which plays, and closes with Escape; the focus comes back.
func lightboxShows(t *testing.T, page *browsertest.Page) {
	t.Helper()
	click(page, `.screen .open`)
	page.Until(`document.querySelector(".lightbox img")?.naturalWidth > 0`)
	page.Keep("console-4-lightbox")
	press(page, kb.ArrowRight)
	press(page, kb.ArrowRight)
	page.Until(`document.querySelector(".lightbox video")?.readyState >= 2`)
	if seeked := browsertest.Value[float64](page, `(async () => { const v = document.querySelector(".lightbox video"); v.muted = true;
		const at = new Promise((r) => v.addEventListener("seeked", () => r(v.currentTime), { once: true })); v.currentTime = 3; await at; await v.play(); return v.currentTime })()`); seeked < 2.9 {
		t.Errorf("the video is at %.2f s after a seek to 3", seeked)
	}
	page.Until(`document.querySelector(".lightbox video").currentTime > 3.1`)
	press(page, kb.Escape)
	page.Until(`!document.querySelector(".lightbox") && document.activeElement.matches(".open")`)
}

// voicePlays plays the note, and seeks in it with the keys and with the pointer.
func voicePlays(t *testing.T, page *browsertest.Page) {
	t.Helper()
	if loud := browsertest.Value[int](page, `[...document.querySelectorAll(".wave rect")].filter((r) => r.getAttribute("height") > 8).length`); loud < 10 {
		t.Errorf("%d tall bars in the waveform of a loud note", loud)
	}
	click(page, ".voice .play")
	page.Until(`document.querySelector(".voice audio").currentTime > 0.2 && document.querySelector(".play").ariaLabel === "Pause voice note"`)
	click(page, ".voice .play")
	page.Do(chromedp.Focus(chromedp.CSS(".voice .wave")))
	press(page, kb.Home)
	press(page, kb.ArrowRight)
	page.Until(`Math.abs(document.querySelector(".voice audio").currentTime - 1) < 0.05 && document.querySelector(".wave").getAttribute("aria-valuetext") === "0:01 of 0:06"`)
	page.Do(chromedp.Click(chromedp.CSS(".voice .wave")))
	page.Until(`Math.abs(document.querySelector(".voice audio").currentTime - 3) < 0.2 && document.querySelectorAll(".wave .played").length >= 24`)
}

// reveals shows one of the blurred photos and blurs it again.
func reveals(t *testing.T, page *browsertest.Page) {
	t.Helper()
	blurred := `document.querySelectorAll(".screen .blurred").length`
	if n := browsertest.Value[int](page, blurred); n != 3 {
		t.Errorf("%d blurred pictures before anything is revealed", n)
	}
	page.Do(chromedp.Focus(chromedp.CSS(`[data-reveal="i1"]`)))
	press(page, kb.Enter)
	page.Until(blurred + ` === 2 && document.querySelector(".cell .open img")?.naturalWidth > 0 && document.activeElement.matches(".open")`)
	page.Keep("console-5-revealed")
	click(page, ".again")
	page.Until(blurred + ` === 3 && document.activeElement.matches("[data-reveal]")`)
}

// tabTo presses Tab until an element has the focus, as somebody without a mouse would.
func tabTo(t *testing.T, page *browsertest.Page, selector string) {
	t.Helper()
	const most = 80 // tab stops of a page
	for range most {
		press(page, kb.Tab)
		if browsertest.Value[bool](page, `document.activeElement.matches('`+selector+`')`) {
			return
		}
	}
	t.Fatalf("%s cannot be reached with the Tab key", selector)
}

// The whole way without a mouse: files, caption, crop, send, look, enlarge, close, seek. The note is a WebM, which the system calls a video.
func TestConsoleByKeyboard(t *testing.T) {
	setUp(t)
	s := album(t)
	page := openConsole(t, startDev(t), 1360, 900)
	tabTo(t, page, "#files")
	note := filepath.Join(s.dir, "note.webm")
	if out, err := exec.Command("ffmpeg", "-v", "error", "-i", filepath.Join(s.dir, "note.ogg"), "-c:a", "libopus", note).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files := []string{filepath.Join(s.dir, "dusk.jpg"), note}
	page.Do(chromedp.SetUploadFiles(chromedp.CSS("#files"), files)) // the system's own dialog has no page
	page.Until(`document.querySelectorAll('.tile[data-state="ready"]').length === 2 && document.querySelectorAll(".tile.is-voice").length === 1`)
	tabTo(t, page, `.tile [data-field="caption"]`)
	press(page, "By keys alone")
	tabTo(t, page, ".tile .button")
	press(page, kb.Enter)
	page.Until(`document.activeElement.matches(".crop-box") && document.querySelector(".stage img").naturalWidth > 0`)
	page.Do(chromedp.KeyEvent(kb.ArrowUp, chromedp.KeyModifiers(kb.ModifierShift)), chromedp.KeyEvent(kb.ArrowUp, chromedp.KeyModifiers(kb.ModifierShift)))
	page.Until(`document.querySelector('[data-crop="h"]').value === "96"`)
	tabTo(t, page, `button[value="keep"]`)
	press(page, kb.Enter)
	page.Until(`!document.querySelector(".editor") && document.querySelector(".thumb.edited")`)
	named(t, page)
	readable(t, page, "compose")
	tabTo(t, page, "#send")
	press(page, kb.Enter)
	page.Until(`document.querySelector("[data-done] .screen .open img")?.naturalWidth > 0`)
	if heard := browsertest.Value[string](page, `document.querySelector("#live").textContent`); heard != "The message is ready" {
		t.Errorf("a screen reader heard %q", heard)
	}
	tabTo(t, page, `[role="tab"][aria-selected="true"]`)
	press(page, kb.End)
	page.Until(`document.querySelector(".screen").dataset.viewer === "sender" && document.activeElement.dataset.viewer === "sender"`)
	press(page, kb.Home)
	page.Until(`document.querySelector(".screen").dataset.viewer === "u_ada"`)
	tabTo(t, page, ".open")
	press(page, kb.Enter)
	page.Until(`document.querySelector(".lightbox:modal img")?.naturalWidth > 0`)
	press(page, kb.Escape)
	page.Until(`!document.querySelector(".lightbox") && document.activeElement.matches(".open")`)
	tabTo(t, page, ".voice .wave")
	press(page, kb.ArrowRight)
	page.Until(`document.querySelector(".wave").getAttribute("aria-valuetext") === "0:01 of 0:06"`)
	for _, mistake := range page.Mistakes() {
		t.Errorf("the page says: %s", mistake)
	}
}

// A voice note is recorded in the page, sent and heard, on a phone in the dark.
func TestConsoleRecords(t *testing.T) {
	setUp(t)
	page := openConsole(t, startDev(t), 360, 780)
	page.Scheme("dark")
	page.Keep("console-9-phone-compose")
	click(page, ".recorder .button")
	page.Until(`document.querySelector(".recording .time")?.textContent === "0:01"`)
	page.Keep("console-9-recording")
	click(page, ".recorder .primary")
	page.Until(`document.querySelector('.tile.is-voice[data-state="ready"]')`)
	if wide := browsertest.Value[int](page, `document.documentElement.scrollWidth`); wide > 360 {
		t.Errorf("the page is %d wide on a screen of 360", wide)
	}
	readable(t, page, "compose in the dark")
	page.Keep("console-9-recorded")
	click(page, "#send")
	page.Until(`document.querySelector("[data-done] .voice")`)
	click(page, ".voice .play")
	page.Until(`document.querySelector(".voice audio").currentTime > 0.3`)
	page.Keep("console-9-heard")
	for _, mistake := range page.Mistakes() {
		t.Errorf("the page says: %s", mistake)
	}
}

// What is refused for everybody leaves no trace with the recipients; the sender is told of what can be mended, such as a file that is none.
func TestConsoleRefuses(t *testing.T) {
	setUp(t)
	s := album(t)
	s.write(t, "letter.jpg", []byte("Dear Sir or Madam"))
	page := openConsole(t, startDev(t, "--models-dir", pipelinetest.StrictModels(t, os.Getenv("NINEFOLD_MODELS_DIR"))), 1360, 900)
	drop(page, ".drop", filepath.Join(s.dir, "dusk.jpg"), filepath.Join(s.dir, "letter.jpg"))
	page.Do(chromedp.SetValue(chromedp.CSS(`[aria-label="Your age"]`), "16_17"))
	browsertest.Value[bool](page, `document.querySelector('[aria-label="Your age"]').dispatchEvent(new Event("change"))`)
	page.Until(`document.querySelectorAll('.tile[data-state="ready"]').length === 2`)
	click(page, "#send")
	page.Until(`document.querySelector("[data-done] .screen .nothing")`)
	see(page, "u_ada")
	if got := browsertest.Value[string](page, `document.querySelector(".nothing").textContent`); !strings.Contains(got, "Nothing reaches Ada") {
		t.Errorf("a recipient sees %q", got)
	}
	page.Keep("console-a-refused")
	see(page, "sender")
	if got := browsertest.Value[string](page, `[...document.querySelectorAll(".notices li")].map((n) => n.dataset.status).join(" ")`); got != "rejected rejected" {
		t.Errorf("the sender is told %q", got)
	}
	page.Keep("console-a-refused-sender")
	m, _ := fetched(t, page, browsertest.Value[string](page, `location.origin + "/"`))
	if m.Status != pipeline.StatusRejected || m.Parts[0].Error.Code != pipeline.CodeBlockedNudity || m.Parts[1].Error.Code != pipeline.CodeUnsupportedType {
		t.Errorf("status %s, %+v, %+v", m.Status, m.Parts[0].Error, m.Parts[1].Error)
	}
	for _, mistake := range page.Mistakes() {
		t.Errorf("the page says: %s", mistake)
	}
}

// Where others can reach the console a token is needed; where they cannot, another site's name and another site's page get nothing.
func TestDevIsGuarded(t *testing.T) {
	setUp(t)
	for _, addr := range []string{":0", "0.0.0.0:0", "192.0.2.1:80", "[::]:0"} {
		r := call(t.Context(), "dev", "--addr", addr, "--store", t.TempDir(), "--model", "none").want(t, exitUsage)
		if !strings.Contains(r.stderr, "--token") {
			t.Errorf("%s: %s", addr, r.stderr)
		}
	}
	url := startDev(t, "--model", "none")
	ask := func(method, path string, change func(*http.Request)) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		change(r)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for name, tc := range map[string]struct {
		method, path string
		change       func(*http.Request)
		want         int
	}{
		"our own":               {"GET", "api/about", func(*http.Request) {}, http.StatusOK},
		"a rebound name":        {"GET", "api/about", func(r *http.Request) { r.Host = "evil.example:9900" }, http.StatusMisdirectedRequest},
		"a post from elsewhere": {"POST", "api/messages", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, http.StatusForbidden},
		"metrics":               {"GET", "metrics", func(*http.Request) {}, http.StatusOK},
		"metrics, rebound":      {"GET", "metrics", func(r *http.Request) { r.Host = "evil.example:9900" }, http.StatusMisdirectedRequest},
		"our own post":          {"POST", "api/messages", func(r *http.Request) { r.Header.Set("Origin", strings.TrimSuffix(url, "/")) }, http.StatusUnprocessableEntity},
	} {
		if got := ask(tc.method, tc.path, tc.change); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

// What is watched on a worker is watched here, and a program is told where.
func TestDevForPrograms(t *testing.T) {
	setUp(t)
	line := startDev(t, "--model", "none", "--json")
	var told struct{ Console, Metrics string }
	if err := json.Unmarshal([]byte(`{"console":"`+line), &told); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	resp, err := http.Get(told.Metrics)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, series := range []string{"ninefold_redis_up 1", `ninefold_admission_limit{class="voice"}`, `ninefold_build_info{model="none"`} {
		if !strings.Contains(string(body), series) {
			t.Errorf("%s: no %s in\n%.2000s", told.Metrics, series, body)
		}
	}
}

// An idle console leaves the machine to others: what is asked of the embedded Redis costs this process, too.
func TestDevPollsAsSeldomAsAWorker(t *testing.T) {
	if got, want := devQueue("redis://127.0.0.1:1/0").Poll, queue.DefaultConfig().Poll; got < want {
		t.Errorf("an empty queue is looked at every %s, a worker looks every %s", got, want)
	}
}

// looksWell takes pictures in the dark and on a phone, where nothing may be wider than the screen, and holds every text to the
// contrast of WCAG 2 AA.
func looksWell(t *testing.T, page *browsertest.Page, name string) {
	t.Helper()
	for _, viewer := range []string{"u_ada", "u_ben", "u_kim", "sender"} {
		see(page, viewer)
		for _, scheme := range []string{"light", "dark"} {
			page.Scheme(scheme)
			readable(t, page, viewer+" "+scheme)
		}
	}
	see(page, "u_ada")
	page.Keep(name + "-dark")
	named(t, page)
	page.Size(360, 780)
	page.Until(`innerWidth === 360`)
	if wide := browsertest.Value[int](page, `document.documentElement.scrollWidth`); wide > 360 {
		t.Errorf("the page is %d wide on a screen of 360", wide)
	}
	page.Keep(name + "-phone-dark")
	page.Scheme("light")
	page.Keep(name + "-phone")
}

// faint lists the texts whose contrast is below 4.5 to 1, 3 to 1 where they are large. Texts over pictures have a veil of their own.
const faint = `(() => {
  const x = document.createElement("canvas").getContext("2d", { willReadFrequently: true }), seen = new Map();
  const read = (c) => { x.clearRect(0, 0, 1, 1); x.fillStyle = c; x.fillRect(0, 0, 1, 1); return [...x.getImageData(0, 0, 1, 1).data]; };
  const parse = (c) => seen.get(c) ?? seen.set(c, read(c)).get(c);
  const lum = ([r, g, b]) => { const f = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }; return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b); };
  const ground = (el) => { for (let e = el; e; e = e.parentElement) { if (e.matches(".cover, .badge, .lightbox, .chat")) return e.matches(".chat") ? parse(getComputedStyle(document.querySelector(".phone")).backgroundColor) : null; const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 250) return c; } return [255, 255, 255, 255]; };
  const out = [];
  for (const el of document.querySelectorAll("body *")) {
    if (![...el.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || !el.checkVisibility() || el.closest("svg, :disabled, .unseen")) continue;
    const style = getComputedStyle(el); const back = ground(el); if (!back) continue;
    const [a, b] = [lum(parse(style.color)), lum(back)]; const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) out.push(el.className + " " + ratio.toFixed(2) + " " + el.textContent.trim().slice(0, 30));
  }
  return out;
})()`

func readable(t *testing.T, page *browsertest.Page, where string) {
	t.Helper()
	for _, text := range browsertest.Value[[]string](page, faint) {
		t.Errorf("%s: too faint: %s", where, text)
	}
}

// named holds what a screen reader is given: everything that can be used has a name, and every picture that is not decoration.
func named(t *testing.T, page *browsertest.Page) {
	t.Helper()
	if twice := browsertest.Value[[]string](page, `[...document.querySelectorAll("[id]")].map((e) => e.id).filter((id, i, all) => all.indexOf(id) !== i)`); len(twice) > 0 {
		t.Errorf("ids that stand twice: %v", twice)
	}
	page.Do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		tree, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
		if err != nil {
			return err
		}
		checkNames(t, tree.Nodes)
		return nil
	}))
}

func checkNames(t *testing.T, nodes []*accessibility.Node) {
	t.Helper()
	roles := map[string]int{}
	for _, n := range nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		role := said(n.Role)
		roles[role]++
		switch role {
		case "button", "link", "textbox", "combobox", "slider", "tab", "image", "img", "progressbar", "dialog", "region", "spinbutton", "Video", "Audio":
			if said(n.Name) == "" {
				t.Errorf("a %s has no name (node %v)", role, n.BackendDOMNodeID)
			}
		}
	}
	for _, role := range []string{"main", "navigation", "banner", "heading", "button", "link"} {
		if roles[role] == 0 {
			t.Errorf("the page has no %s: %v", role, roles)
		}
	}
}

// said is a value of the accessibility tree as text.
func said(v *accessibility.Value) string {
	var s string
	if v == nil || json.Unmarshal([]byte(v.Value), &s) != nil {
		return ""
	}
	return s
}
