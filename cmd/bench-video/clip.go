package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/ninefold/ninefold/transcode"
)

// clips are the inputs.
type clips struct {
	talking    string // 1080p at a phone's bit rate: transcoded
	restless   string // the same, of which everything moves
	copy30     string // 1080p within what is delivered as it is, 30 frames a second
	copy60     string
	large      string // nearly the largest that is taken
	largeBytes int64
}

// grain is that of a small sensor.
const grain = "noise=alls=3:allf=t"

// talkingScene is a room in which a head sways and a mouth moves.
func talkingScene(seconds, fps int) string {
	room := standing(fmt.Sprintf("mandelbrot=s=1920x1080:r=%d:start_scale=0.9", fps), fps)
	head := standing(fmt.Sprintf("color=c=0xC09070:s=420x560:r=%d,format=yuva420p,"+
		"geq=lum='p(X,Y)+20*X/W':cb='p(X,Y)':cr='p(X,Y)':a='255*lt(hypot((X-W/2)/W,(Y-H/2)/H),0.5)'", fps), fps)
	return fmt.Sprintf("%s[room];%s[head];[room][head]overlay=x='750+18*sin(2*t)':y='300+10*sin(3*t)',"+
		"drawbox=x=900:y=720:w=120:h=24+24*lt(mod(t\\,0.4)\\,0.2):c=0x602020:t=fill,trim=duration=%d,%s", room, head, seconds, grain)
}

// restlessScene pans over a picture and cuts to another part of it, in other colours, every second. Half of its frames must be scored, as of
// real restless clips.
func restlessScene(seconds int) string {
	wide := standing("mandelbrot=s=3840x2160:r=30:start_scale=0.8,gblur=sigma=12", 30)
	return fmt.Sprintf("%s,crop=1920:1080:x='mod(floor(t)*554\\,1600)+120*mod(t\\,1)':y='mod(floor(t)*262\\,900)+40*mod(t\\,1)',"+
		"hue=H='floor(t)*1.3',trim=duration=%d,%s", wide, seconds, grain)
}

// standing is the first frame of a source, for ever. It is computed once.
func standing(source string, fps int) string {
	return fmt.Sprintf("%s,trim=end_frame=1,loop=-1:1,setpts=N/(%d*TB)", source, fps)
}

func noiseScene(seconds int) string {
	return fmt.Sprintf("color=c=gray:s=640x360:r=30:d=%d,noise=alls=100:allf=t", seconds)
}

// phoneSettings are a phone's encoder: more bits than are delivered.
const phoneSettings = "-preset veryfast -b:v 14M"

// copySettings stay within what is delivered as it is.
const copySettings = "-preset veryfast -profile:v high -b:v 2600k -maxrate 2900k -bufsize 2900k"

func makeClips(ctx context.Context, dir string) (clips, error) {
	in := func(name string) string { return filepath.Join(dir, name) }
	c := clips{talking: in("talking.mp4"), restless: in("restless.mp4"), copy30: in("copy30.mp4"), copy60: in("copy60.mp4"), large: in("large.mp4")}
	for _, f := range []struct{ scene, settings, path string }{
		{talkingScene(20, 30), phoneSettings, c.talking},
		{restlessScene(20), phoneSettings, c.restless},
		{talkingScene(20, 30), copySettings, c.copy30},
		{talkingScene(20, 60), copySettings, c.copy60},
	} {
		if err := film(ctx, f.scene, f.settings, f.path); err != nil {
			return c, err
		}
	}
	if err := run(ctx, "ffmpeg", join(words("-stream_loop 1 -i "+c.talking+" -c copy -movflags +faststart"), []string{c.large})...); err != nil {
		return c, err
	}
	return c, c.pad()
}

// film encodes a scene with sound.
func film(ctx context.Context, scene, settings, path string) error {
	args := join([]string{"-filter_complex", scene + ",format=yuv420p[v]"}, words("-f lavfi -i sine=f=440:r=48000 -map [v] -map 0:a -shortest -g 60"),
		words("-c:a aac -b:a 128k -c:v libx264"), words(settings), []string{path})
	return run(ctx, "ffmpeg", args...)
}

// pad brings the large clip to just under the limit with a box that players skip: what is measured is the size of the file, and a longer
// one would only cost time.
func (c *clips) pad() error {
	most := transcode.DefaultProfile().Video.MaxBytes - 1<<10
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
