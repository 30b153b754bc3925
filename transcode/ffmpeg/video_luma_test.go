package ffmpeg

import (
	"testing"

	"github.com/ninefold/ninefold/moderation/screen"
	"github.com/ninefold/ninefold/pipeline"
)

// TestLumaBeyondItsRangeIsSaid reads back copies of a picture that is drawn below black, one above white, and honest ones.
func TestLumaBeyondItsRangeIsSaid(t *testing.T) {
	k := newVideoKit(t)
	for _, tc := range []struct {
		name, luma string
		want       bool
	}{
		{"below black", "if(lt(X,80),1,16)", true},
		{"above white", "if(lt(X,80),235,250)", true},
		{"a small one", "if(lt(X,16)*lt(Y,16),1,16)", true},
		{"black and white", "if(lt(X,80),16,235)", false},
		{"a camera's", "if(lt(X,80),12,240)", false},
		{"grain", "16+219*mod(X*7919+Y*104729+N*15485863,251)/250", false},
	} {
		k.ffmpeg("-y", "-f", "lavfi", "-i", "color=black:s=160x128:r=10:d=0.3", "-vf", "format=yuv420p,geq=lum='"+tc.luma+"':cb=128:cr=128,setparams=range=tv",
			"-c:v", "libx264", "-crf", "20", "-color_range", "tv", "-movflags", "+faststart", "luma.mp4")
		said, n := false, 0
		to := Reduction{Width: 79, Height: 64, ShiftX: 1}
		_, err := k.tools.ReadBack(t.Context(), k.dir, pipeline.Rendition{Path: "luma.mp4", Width: 160, Height: 128}, to, func(f DeliveredFrame) error {
			n++
			said = said || screen.LeavesRange(f.Points, screen.Pixels{W: to.Width, H: to.Height, Pix: f.Base})
			return nil
		})
		if err != nil || n != 3 || said != tc.want {
			t.Errorf("%s: %v, want %v; %d frames, %v", tc.name, said, tc.want, n, err)
		}
	}
}
