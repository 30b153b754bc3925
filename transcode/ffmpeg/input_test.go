package ffmpeg

import (
	"slices"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// guard is what stands before every sender's file, but for the lists of decoders.
const guard = "-f ogg -analyzeduration 5000000 -codec_whitelist LIST -format_whitelist ogg -max_pixels 37748736 -max_streams 64 -probesize 5000000 -protocol_whitelist file,pipe"

func shown(args []string) string {
	args = slices.Clone(args)
	for i, a := range args {
		if strings.HasPrefix(a, "opus,libopus,") {
			args[i] = "LIST"
		}
	}
	return strings.Join(args, " ")
}

func TestArgumentsOfVoice(t *testing.T) {
	f := pipeline.File{Path: "src/i1.ogg", Type: pipeline.TypeOgg}
	p := transcode.DefaultProfile().Voice
	const (
		m4a = " -map 0:a -f ipod -aac_coder fast -b:a 48000 -c:a aac -dn -fflags +bitexact -flags:a +bitexact -map_chapters -1 -map_metadata -1" +
			" -movflags +faststart -sn -vn file:out/voice.m4a"
		pcm = "-f f32le -ac 1 -ar 48000 -protocol_whitelist pipe -i pipe:0"
	)
	decode, err := decodeArgs(f, &transcode.VoicePlan{Stream: 1, Channels: 2}, 1000, "libopus")
	if err != nil {
		t.Fatal(err)
	}
	encode, err := encodeArgs("out", p, nil)
	if err != nil {
		t.Fatal(err)
	}
	remux, err := encodeArgs("out", p, &f)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ got, want string }{
		{shown(InputArgs(f)), guard},
		{shown(decode), strings.NewReplacer(" -codec", " -c:1 libopus -codec", " -format_w", " -dn -format_w").Replace(guard) + " -request_sample_fmt:1 flt -sn -vn -i file:src/i1.ogg" +
			" -map 0:1 -f f32le -ac 2 -af aresample=async=1:min_hard_comp=0.1 -ar 48000 -c:a pcm_f32le -flush_packets 0 -fs 1000 -map_chapters -1 -map_metadata -1 pipe:1"},
		{shown(encode), pcm + m4a + " -map 0:a -f ogg -application voip -b:a 32000 -c:a libopus -compression_level 10 -dn -fflags +bitexact" +
			" -flags:a +bitexact -frame_duration 20 -map_chapters -1 -map_metadata -1 -sn -vbr constrained -vn file:out/voice.ogg"},
		{shown(remux), pcm + " " + guard + " -i file:src/i1.ogg" + m4a + " -map 1:a:0 -f ogg -c:a copy -dn -fflags +bitexact -flags:a +bitexact" +
			" -map_chapters -1 -map_metadata -1 -sn -vn file:out/voice.ogg"},
	} {
		if c.got != c.want {
			t.Errorf("got  %s\nwant %s", c.got, c.want)
		}
	}
}

func TestBuildArgsReportsWhatTheLibraryPanicsAbout(t *testing.T) {
	stream := Input(pipeline.File{Path: "a", Type: pipeline.TypeOgg}).Get("a:0")
	if _, err := BuildArgs(stream); err != nil { // no output: the library returns nothing, which ffmpeg refuses
		t.Log(err)
	}
	if _, err := BuildArgs(stream, stream); codeOf(err) != pipeline.CodeInternal {
		t.Error("merging what is no output was taken:", err)
	}
}
