package vips

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline/browsertest"
)

// fieldsAcross is how many fields a picture is compared in, along each side.
const fieldsAcross = 32

// shownInBrowser has the browser show a picture on white and returns the mean colour of each field.
func shownInBrowser(t testing.TB, page *browsertest.Page, data []byte) raster {
	t.Helper()
	means := browsertest.Value[[]float64](page, fmt.Sprintf(`(async () => {
		const img = new Image(), n = %d
		img.src = "data:image/*;base64,%s"
		try { await img.decode() } catch (e) { return [] }
		const w = img.naturalWidth, h = img.naturalHeight, c = document.createElement("canvas").getContext("2d", {colorSpace: "srgb"})
		c.canvas.width = w; c.canvas.height = h
		c.fillStyle = "#fff"; c.fillRect(0, 0, w, h); c.drawImage(img, 0, 0)
		const px = c.getImageData(0, 0, w, h).data, out = []
		for (let y = 0; y < n; y++) for (let x = 0; x < n; x++) {
			const x0 = Math.floor(x*w/n), x1 = Math.max(x0+1, Math.floor((x+1)*w/n)), y0 = Math.floor(y*h/n), y1 = Math.max(y0+1, Math.floor((y+1)*h/n))
			for (let k = 0; k < 3; k++) {
				let sum = 0
				for (let yy = y0; yy < y1; yy++) for (let xx = x0; xx < x1; xx++) sum += px[4*(yy*w+xx)+k]
				out.push(Math.round(sum/((x1-x0)*(y1-y0))))
			}
		}
		return out
	})()`, fieldsAcross, base64.StdEncoding.EncodeToString(data)))
	if len(means) == 0 {
		t.Fatal("the browser cannot show this file")
	}
	out := raster{make([]byte, len(means)), fieldsAcross, fieldsAcross, 3}
	for i, v := range means {
		out.pix[i] = byte(v)
	}
	return out
}

// shownByUs is a rendition in the same fields.
func shownByUs(t testing.TB, page *browsertest.Page, r rendered, name, mime string) raster {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, r.find(t, name, mime).Path))
	if err != nil {
		t.Fatal(err)
	}
	return shownInBrowser(t, page, data)
}
