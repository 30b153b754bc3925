package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// clips are the inputs.
type clips struct {
	phone      string // 1080p at a phone's bit rate: transcoded
	compliant  string // 1080p within what is delivered as it is
	large      string // nearly 100 MiB
	largeBytes int64
}

// scene moves, and has the grain of a small sensor.
const scene = "testsrc2=s=1920x1080:r=30:d=20,noise=alls=3:allf=t"

func makeClips(ctx context.Context, dir string) (clips, error) {
	c := clips{phone: filepath.Join(dir, "phone.mp4"), compliant: filepath.Join(dir, "compliant.mp4"), large: filepath.Join(dir, "large.mp4")}
	source := words("-f lavfi -i " + scene + " -f lavfi -i sine=f=440:d=20:r=48000 -pix_fmt yuv420p -g 60 -c:a aac -b:a 128k -c:v libx264")
	for _, f := range []struct{ settings, path string }{
		{"-preset veryfast -b:v 14M", c.phone},
		{"-preset veryfast -profile:v high -level 4.0 -b:v 2600k -maxrate 2900k -bufsize 2900k", c.compliant},
	} {
		if err := run(ctx, "ffmpeg", join(source, words(f.settings), []string{f.path})...); err != nil {
			return c, err
		}
	}
	if err := run(ctx, "ffmpeg", join(words("-stream_loop 1 -i "+c.phone+" -c copy -movflags +faststart"), []string{c.large})...); err != nil {
		return c, err
	}
	return c, c.pad()
}

// pad brings the large clip to just under 100 MiB with a box that players skip: what is measured is the size of the file, and a longer
// one would only cost time.
func (c *clips) pad() error {
	const most = 100<<20 - 1<<10
	info, err := os.Stat(c.large)
	if err != nil {
		return err
	}
	missing := most - info.Size()
	if missing < 8 {
		return fmt.Errorf("%s has %d bytes already", filepath.Base(c.large), info.Size())
	}
	f, err := os.OpenFile(c.large, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write([]byte{byte(missing >> 24), byte(missing >> 16), byte(missing >> 8), byte(missing), 'f', 'r', 'e', 'e'}); err != nil {
		return err
	}
	c.largeBytes = most
	return f.Truncate(most)
}

// encoder are the settings of transcode.DefaultProfile's playback, as one would give them to ffmpeg by hand.
const encoder = "-map 0:v:0 -map 0:a:0 -vf scale=-2:720:flags=bicubic -c:v libx264 -preset veryfast -crf 23 -maxrate 2500k -bufsize 5000k " +
	"-profile:v high -level:v 4.0 -pix_fmt yuv420p -threads:v 4 -force_key_frames expr:gte(t,n_forced*2) " +
	"-c:a aac -b:a 128k -ar 48000 -ac 2 -movflags +faststart"

// bare is one transcode and nothing else.
func bare(ctx context.Context, clip string) error {
	return run(ctx, "ffmpeg", join(words("-i "+clip), words(encoder), []string{beside(clip, "bare.mp4")})...)
}

// usual is what services do today, a process for each step.
func usual(ctx context.Context, clip string) error {
	if err := run(ctx, "ffprobe", words("-v error -show_format -show_streams -of json "+clip)...); err != nil {
		return err
	}
	if err := bare(ctx, clip); err != nil {
		return err
	}
	if err := run(ctx, "ffmpeg", words("-ss 1 -i "+clip+" -frames:v 1 -vf scale=-2:720 -q:v 3 "+beside(clip, "usual.jpg"))...); err != nil {
		return err
	}
	return run(ctx, "ffmpeg", words("-i "+clip+" -vf fps=1,scale=-2:448 -q:v 3 "+beside(clip, "usual-%03d.jpg"))...)
}

func beside(clip, name string) string { return filepath.Join(filepath.Dir(clip), name) }

func run(ctx context.Context, name string, args ...string) error {
	if name == "ffmpeg" {
		args = join(words("-hide_banner -nostdin -nostats -y"), args)
	}
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

func words(s string) []string { return strings.Fields(s) }

func join(parts ...[]string) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
