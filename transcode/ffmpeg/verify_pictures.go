package ffmpeg

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"slices"
)

// checkDelivered holds a delivered MP4 to what every decoder shows in the same way, by its headers and its samples; nothing is decoded. No
// frame may be in it that is not presented, and no byte that is not part of a frame or of the sound.
func checkDelivered(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return err
	}
	info, err := parseMP4(f, stat.Size())
	if err != nil {
		return err
	}
	if err := checkBoxes(info); err != nil {
		return err
	}
	d := delivered{r: f, info: info}
	for _, check := range []func() error{d.checkTracks, d.checkPictures, d.checkSound, d.checkBytes} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// delivered is a file under check.
type delivered struct {
	r    io.ReaderAt
	info *mp4
	all  []mp4Sample // of all tracks
}

func (d *delivered) checkTracks() error {
	video, sound := 0, 0
	for i := range d.info.tracks {
		t := &d.info.tracks[i]
		switch t.handler {
		case "vide":
			video++
		case "soun":
			sound++
		default:
			return fmt.Errorf("mp4: a track of %q", t.handler)
		}
		if t.entries != 1 || t.outside || t.timescale <= 0 || t.durationMS <= 0 {
			return fmt.Errorf("mp4: %s with %d sample entries, %d ms", t.handler, t.entries, t.durationMS)
		}
	}
	if video != 1 || sound > 1 {
		return fmt.Errorf("mp4: %d tracks of pictures and %d of sound", video, sound)
	}
	return nil
}

// maxPriming is the most sound that an edit list may leave out at the beginning: what encoders need to settle, milliseconds.
const maxPriming = editSlackMS

func (d *delivered) checkSound() error {
	t := d.info.track("soun")
	if t == nil {
		return nil
	}
	samples, err := t.list()
	if err != nil {
		return err
	}
	d.all = append(d.all, samples...)
	if t.format != "mp4a" || !t.startsClean(maxPriming) {
		return fmt.Errorf("mp4: sound that begins %d edits later", len(t.edits))
	}
	return nil
}

func (d *delivered) checkPictures() error {
	t := d.info.track("vide")
	samples, err := t.list()
	if err != nil {
		return err
	}
	d.all = append(d.all, samples...)
	if what := t.hides(samples); what != "" {
		return fmt.Errorf("mp4: an edit list hides %s", what)
	}
	if wait := t.waitMS(); wait > editSlackMS {
		return fmt.Errorf("mp4: the pictures begin %d ms late", wait)
	}
	if err := distinct(samples); err != nil {
		return err
	}
	if err := t.checkSets(); err != nil {
		return err
	}
	return d.checkUnits(t, samples)
}

// distinct wants every picture at a time of its own.
func distinct(samples []mp4Sample) error {
	times := make([]int64, len(samples))
	for i, s := range samples {
		times[i] = s.shown
	}
	slices.Sort(times)
	if len(slices.Compact(times)) != len(samples) {
		return fmt.Errorf("mp4: two pictures at the same time")
	}
	return nil
}

// checkSets wants one sequence parameter set, understood in full, of the track's size and with its range said: limited.
func (t *mp4Track) checkSets() error {
	s, ok := readSPS(t.config)
	switch {
	case t.format != "avc1" || !ok:
		return fmt.Errorf("h264: parameter sets that are not understood")
	case s.width != t.width || s.height != t.height || !t.square() || s.sarNum != s.sarDen:
		return fmt.Errorf("h264: %d×%d in a track of %d×%d", s.width, s.height, t.width, t.height)
	case !s.ranged || s.full:
		return fmt.Errorf("h264: the range is not said to be limited")
	case !t.coloured(s):
		return fmt.Errorf("h264: colours that decoders read differently")
	}
	return nil
}

// Types of NAL units (ITU-T H.264, table 7-1). In a delivered sample there are slices only; the parameter sets are in the headers, once.
const (
	sliceNAL = 1
	idrNAL   = 5
)

// checkUnits walks the NAL units of every picture.
func (d *delivered) checkUnits(t *mp4Track, samples []mp4Sample) error {
	prefix := int64(t.config[4]&3) + 1
	var data []byte
	for i, s := range samples {
		if s.size > maxAlloc || s.at < 0 {
			return fmt.Errorf("mp4: a picture of %d bytes", s.size)
		}
		data = slices.Grow(data[:0], int(s.size))[:s.size]
		if !readAt(d.r, data, s.at) {
			return fmt.Errorf("mp4: picture %d lies outside of the file", i)
		}
		idr, err := pictureUnits(data, prefix)
		if err != nil {
			return fmt.Errorf("picture %d: %w", i, err)
		}
		if !idr && (s.sync || i == 0) {
			return fmt.Errorf("h264: sync sample %d is no IDR picture", i)
		}
	}
	return nil
}

// pictureUnits wants slices of one picture and nothing else, each behind the one before, and reports whether it is an IDR picture. Of two
// slices of the same place, one decoder shows the first and another the last.
func pictureUnits(data []byte, prefix int64) (idr bool, err error) {
	last := -1
	for n := 0; len(data) > 0; n++ {
		if int64(len(data)) < prefix {
			return false, fmt.Errorf("h264: a unit is cut short")
		}
		size := int64(0)
		for _, b := range data[:prefix] {
			size = size<<8 | int64(b)
		}
		data = data[prefix:]
		if size < 2 || size > int64(len(data)) {
			return false, fmt.Errorf("h264: a unit of %d bytes, %d are left", size, len(data))
		}
		kind, at := data[0]&0x1f, firstMacroblock(data[:size])
		switch {
		case data[0]&0x80 != 0 || kind != sliceNAL && kind != idrNAL:
			return false, fmt.Errorf("h264: a unit of type %d", kind)
		case (at == 0) != (n == 0):
			return false, fmt.Errorf("h264: two pictures in one sample, or a part of one")
		case at <= last:
			return false, fmt.Errorf("h264: a slice of what another one shows")
		case n > 0 && idr != (kind == idrNAL):
			return false, fmt.Errorf("h264: a picture that is half IDR")
		}
		idr, data, last = kind == idrNAL, data[size:], at
	}
	return idr, nil
}

// firstMacroblock is where a slice begins, the first number of its header. It is 32 bits long at most, which no escape byte falls into before
// a number that large.
func firstMacroblock(unit []byte) int {
	r := &bitReader{data: bytes.ReplaceAll(unit[1:min(len(unit), 8)], []byte{0, 0, 3}, []byte{0, 0})}
	if at := r.exp(); !r.short {
		return at
	}
	return -1
}

// checkBytes wants the media to be the samples, one behind the other, and nothing beside them.
func (d *delivered) checkBytes() error {
	slices.SortFunc(d.all, func(a, b mp4Sample) int { return int(a.at - b.at) })
	next := int64(-1)
	for _, b := range d.info.boxes {
		switch b.kind {
		case "mdat":
			if next >= 0 {
				return fmt.Errorf("mp4: media in several boxes")
			}
			next = b.body
			for _, s := range d.all {
				if s.at != next {
					return fmt.Errorf("mp4: %d bytes of the media belong to no sample", s.at-next)
				}
				next += s.size
			}
			if next != b.end {
				return fmt.Errorf("mp4: %d bytes of the media belong to no sample", b.end-next)
			}
		case "free":
			if body := section(d.r, b.body, min(b.end-b.body, maxMoovBytes)); b.end-b.body > maxMoovBytes || len(bytes.Trim(body, "\x00")) > 0 {
				return fmt.Errorf("mp4: bytes in a box that nobody reads")
			}
		}
	}
	return nil
}

// presentsAll reports whether a source may be copied: its edit lists leave out no picture, and of the sound no more than encoders need to
// begin and to end. A copy holds every sample, whatever the edit list says.
func presentsAll(path string) bool {
	info, err := readMP4(path)
	if err != nil {
		return false
	}
	for i := range info.tracks {
		t := &info.tracks[i]
		if t.handler != "vide" && t.handler != "soun" {
			continue
		}
		if t.samples == 0 { // fragments
			if len(t.edits) > 0 {
				return false
			}
			continue
		}
		samples, err := t.list()
		if err != nil || t.entries != 1 {
			return false
		}
		if t.handler == "vide" && (t.hides(samples) != "" || !t.startsClean(editSlackMS)) || t.handler == "soun" && !t.soundsAll(samples) {
			return false
		}
	}
	return true
}

// paddingBlocks is how many blocks at the end of sound may be an encoder's padding: those that its beginning pushed back, and one to fill.
const paddingBlocks = 3

func (t *mp4Track) soundsAll(samples []mp4Sample) bool {
	if !t.startsClean(maxPriming) {
		return false
	}
	_, last := span(samples)
	for _, e := range t.edits {
		if e.media < 0 || e.lengthMS == 0 {
			continue
		}
		end := float64(e.media) + float64(e.lengthMS)*float64(t.timescale)/1000
		if float64(last-(paddingBlocks-1)*samples[len(samples)-1].length) >= end {
			return false
		}
	}
	return true
}
