package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// The encoders' settings are those of transcode/ffmpeg: what is compared is the way there.
var (
	opus = words("-c:a libopus -b:a 32000 -vbr constrained -application voip -frame_duration 20 -compression_level 10")
	aac  = words("-c:a aac -aac_coder fast -b:a 48000 -movflags +faststart -f ipod")
	mono = words("-vn -sn -dn -ac 1 -ar 48000 -t 60 -map_metadata -1 -map_chapters -1 -fflags +bitexact -flags:a +bitexact")
)

func words(s string) []string { return strings.Fields(s) }

// bare decodes once and encodes both outputs in one process. It measures nothing, levels nothing and checks nothing.
func bare(ctx context.Context, n note) error {
	args := words("-i " + n.path)
	args = join(args, words("-map 0:a:0"), mono, aac, []string{n.output("bare.m4a")})
	args = join(args, words("-map 0:a:0"), mono, opus, []string{n.output("bare.ogg")})
	_, err := ffmpeg(ctx, args...)
	return err
}

// loudnorm is the usual filter at the usual target; its sound comes out at 192 kHz and is brought back.
const loudnorm = "loudnorm=I=-16:TP=-1.5:LRA=11"

// usual is what services do today, a process for each step: probe, measure, encode, encode, and decode again for the waveform.
func usual(ctx context.Context, n note) error {
	if _, err := output(ctx, "ffprobe", words("-v error -show_format -show_streams -of json "+n.path)...); err != nil {
		return err
	}
	log, err := ffmpeg(ctx, join(words("-i "+n.path+" -map 0:a:0 -t 60 -af"), []string{loudnorm + ":print_format=json"}, words("-f null -"))...)
	if err != nil {
		return err
	}
	filter, err := secondPass(log)
	if err != nil {
		return err
	}
	for _, out := range []struct {
		settings []string
		name     string
	}{{opus, "usual.ogg"}, {aac, "usual.m4a"}} {
		args := join(words("-i "+n.path+" -map 0:a:0 -af"), []string{filter}, mono, out.settings, []string{n.output(out.name)})
		if _, err := ffmpeg(ctx, args...); err != nil {
			return err
		}
	}
	_, err = ffmpeg(ctx, words("-i "+n.path+" -map 0:a:0 -t 60 -ac 1 -ar 8000 -f s16le "+n.output("usual.pcm"))...)
	return err
}

// secondPass reads what the first pass measured.
func secondPass(log []byte) (string, error) {
	at := bytes.LastIndexByte(log, '{')
	if at < 0 {
		return "", fmt.Errorf("loudnorm printed no JSON")
	}
	var m map[string]string
	if err := json.NewDecoder(bytes.NewReader(log[at:])).Decode(&m); err != nil {
		return "", fmt.Errorf("loudnorm's JSON: %w", err)
	}
	return fmt.Sprintf("%s:measured_I=%s:measured_TP=%s:measured_LRA=%s:measured_thresh=%s:offset=%s:linear=true,aresample=48000", loudnorm,
		m["input_i"], m["input_tp"], m["input_lra"], m["input_thresh"], m["target_offset"]), nil
}

func ffmpeg(ctx context.Context, args ...string) (log []byte, err error) {
	return output(ctx, "ffmpeg", join(words("-hide_banner -nostdin -nostats -y"), args)...)
}

func output(ctx context.Context, name string, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	return out, nil
}

func join(parts ...[]string) []string {
	var all []string
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
