package ffmpeg

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	ff "github.com/u2takey/ffmpeg-go"

	"github.com/ninefold/ninefold/transcode"
)

// standsAt is where a video's first picture is to be found. In a trimmed one that is the picture that stands when the trim begins: it came
// before it. The zero value is a video of which that is not known.
type standsAt struct {
	found bool
	at    float64 // seconds of the trim's clock: when the first picture begins
	after float64 // pictures before this are left out
}

// begin drops what comes before the first picture, and lets that one stand from 0 on: no empty edit in the MP4, and sound keeps its
// distance to every other picture. The first one is known by its time: ffmpeg may build the graph anew in mid-stream, where a message of
// another orientation comes, and would count from 0 again.
func (s standsAt) begin(v *ff.Stream) *ff.Stream {
	if !s.found {
		return v.Filter("setpts", ff.Args{"if(eq(N,0),0,PTS)"})
	}
	return selected(v, fmt.Sprintf("gte(t,%.6f)", s.after)).
		Filter("setpts", ff.Args{fmt.Sprintf("if(lte(T,%.6f)+eq(N,0)*lte(T,%.6f),0,PTS)", s.at+clockSlack, s.at+firstLateS)})
}

// firstLateS is how late the first picture may be because those before it could not be decoded, seconds.
const firstLateS = 0.25

// early makes a trimmed reading begin with the key frame before the trim, so that the picture that stands there is decoded.
func early(plan *transcode.VideoPlan) ff.KwArgs {
	if plan.Time.StartMS == 0 {
		return ff.KwArgs{}
	}
	return ff.KwArgs{"noaccurate_seek": ""}
}

// beginReadMS is how far behind a trim's beginning its packets are read: a picture may be stored behind one that is shown later.
const beginReadMS = 10_000

// firstPackets are enough to find the first picture of a video: it may be stored behind others.
const firstPackets = 40

// findBeginning asks for the timestamps around the beginning. Nothing is decoded.
func (j *videoJob) findBeginning(ctx context.Context) error {
	when := j.plan.Time
	if j.plan.Animated {
		return nil
	}
	at := when.OriginMS + when.StartMS
	interval := fmt.Sprintf("%%+#%d", firstPackets)
	if when.StartMS > 0 {
		interval = signed(at) + "%" + signed(at+beginReadMS)
	}
	args := append([]string{"-hide_banner", "-loglevel", "error", "-max_alloc", strconv.Itoa(maxAlloc)}, InputArgs(j.file)...)
	args = append(args, "-select_streams", strconv.Itoa(j.plan.VideoIndex), "-read_intervals", interval,
		"-show_entries", "packet=pts_time,flags:format=start_time", "-of", "json", "-i", inputName(j.file))
	out := &capped{left: probeCap}
	err := process{name: j.tools.FFprobe, order: j.tools.order, args: args, run: Run{Dir: j.dir, Stdout: out}, probes: true}.start(ctx)
	if err != nil && ctx.Err() != nil {
		return err
	}
	j.from = readStanding(out.buf.Bytes(), when.StartMS)
	return nil
}

// signed is seconds of milliseconds that may be negative.
func signed(ms int64) string {
	if ms < 0 {
		return "-" + seconds(-ms)
	}
	return seconds(ms)
}

// packetTimes is ffprobe's JSON.
type packetTimes struct {
	Packets []struct {
		PTS   string `json:"pts_time"`
		Flags string `json:"flags"`
	} `json:"packets"`
	Format struct {
		StartTime string `json:"start_time"`
	} `json:"format"`
}

// since lists the times of the pictures that are shown, in seconds since startMS of the presentation, ascending.
func (p packetTimes) since(startMS int64) []float64 {
	zero, _ := strconv.ParseFloat(p.Format.StartTime, 64)
	zero += float64(startMS) / 1000
	var times []float64
	for _, packet := range p.Packets {
		if pts, err := strconv.ParseFloat(packet.PTS, 64); err == nil && !strings.Contains(packet.Flags, discarded) {
			times = append(times, pts-zero)
		}
	}
	slices.Sort(times)
	return times
}

// discarded is ffprobe's flag of a packet that an edit list leaves out.
const discarded = "D"

// readStanding finds the last picture that begins at startMS of the presentation or before it, else the first one.
func readStanding(data []byte, startMS int64) standsAt {
	var read packetTimes
	if json.Unmarshal(bytes.ToValidUTF8(data, []byte("?")), &read) != nil {
		return standsAt{}
	}
	times := read.since(startMS)
	if len(times) == 0 {
		return standsAt{}
	}
	stands := standsAt{found: true, at: times[0], after: times[0] - clockSlack}
	for i, at := range times[1:] {
		if at > clockSlack {
			break
		}
		stands.at, stands.after = at, max(at-clockSlack, (at+times[i])/2)
	}
	return stands
}

// clockSlack is what containers' clocks round by, seconds.
const clockSlack = 0.001
