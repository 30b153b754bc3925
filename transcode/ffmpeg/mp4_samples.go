package ffmpeg

import (
	"encoding/binary"
	"fmt"
)

// maxSamples bounds the samples of a track: three minutes at 240 a second, four times over.
const maxSamples = 180 * 240 * 4

// mp4Sample is one sample of a track: where it lies in the file and when it is shown, in the track's ticks.
type mp4Sample struct {
	at, size int64
	shown    int64 // composition time
	length   int64
	sync     bool
}

// sampleTables are the boxes that list reads.
var sampleTables = []string{"stsd", "stts", "ctts", "stss", "stsc", "stsz", "stco", "co64"}

// table reads the entries of a table: a count and as many rows of width 32-bit numbers, which is all that these tables hold.
func (t *mp4Track) table(kind string, skip, width int) ([]uint32, error) {
	body, ok := t.tables[kind]
	if !ok {
		return nil, nil
	}
	if len(body) < skip+4 {
		return nil, fmt.Errorf("mp4: box %q is cut short", kind)
	}
	n := int64(binary.BigEndian.Uint32(body[skip:]))
	if n > maxSamples || int64(len(body)-skip-4) < n*int64(width)*4 {
		return nil, fmt.Errorf("mp4: box %q promises %d entries", kind, n)
	}
	rows := make([]uint32, n*int64(width))
	for i := range rows {
		rows[i] = binary.BigEndian.Uint32(body[skip+4+4*i:])
	}
	return rows, nil
}

// list is every sample of the track in the order in which they are decoded.
func (t *mp4Track) list() ([]mp4Sample, error) {
	if t.samples < 1 || t.samples > maxSamples {
		return nil, fmt.Errorf("mp4: a track of %d samples", t.samples)
	}
	all := make([]mp4Sample, t.samples)
	for _, fill := range []func([]mp4Sample) error{t.fillSizes, t.fillPlaces, t.fillTimes, t.fillShifts, t.fillSync} {
		if err := fill(all); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (t *mp4Track) fillSizes(all []mp4Sample) error {
	body := t.tables["stsz"]
	if len(body) < 12 {
		return fmt.Errorf("mp4: no sizes")
	}
	same := binary.BigEndian.Uint32(body[4:])
	var rows []uint32
	if same == 0 {
		var err error
		if rows, err = t.table("stsz", 8, 1); err != nil {
			return err
		}
	}
	for i := range all {
		all[i].size = int64(same)
		if same == 0 {
			all[i].size = int64(rows[i])
		}
	}
	return nil
}

// chunks are the places of the chunks in the file.
func (t *mp4Track) chunks() ([]int64, error) {
	rows, err := t.table("stco", 4, 1)
	if err != nil || rows != nil {
		places := make([]int64, len(rows))
		for i, r := range rows {
			places[i] = int64(r)
		}
		return places, err
	}
	rows, err = t.table("co64", 4, 2)
	places := make([]int64, len(rows)/2)
	for i := range places {
		places[i] = int64(uint64(rows[2*i])<<32|uint64(rows[2*i+1])) & (1<<62 - 1)
	}
	return places, err
}

func (t *mp4Track) fillPlaces(all []mp4Sample) error {
	places, err := t.chunks()
	if err != nil {
		return err
	}
	runs, err := t.table("stsc", 4, 3)
	if err != nil {
		return err
	}
	next := 0
	for i := 0; i < len(runs); i += 3 {
		last := len(places)
		if i+3 < len(runs) {
			last = min(last, int(runs[i+3])-1)
		}
		if runs[i] == 0 || runs[i+2] != 1 {
			return fmt.Errorf("mp4: chunks of another sample entry")
		}
		for chunk := int(runs[i]) - 1; chunk < last; chunk++ {
			at := places[chunk]
			for n := runs[i+1]; n > 0 && next < len(all); n-- {
				all[next].at = at
				at += all[next].size
				next++
			}
		}
	}
	if next != len(all) {
		return fmt.Errorf("mp4: %d of %d samples have a place", next, len(all))
	}
	return nil
}

func (t *mp4Track) fillTimes(all []mp4Sample) error {
	rows, err := t.table("stts", 4, 2)
	if err != nil {
		return err
	}
	next, at := 0, int64(0)
	for i := 0; i < len(rows); i += 2 {
		for n := rows[i]; n > 0 && next < len(all); n-- {
			all[next].shown, all[next].length = at, int64(rows[i+1])
			at += int64(rows[i+1])
			next++
		}
	}
	if next != len(all) {
		return fmt.Errorf("mp4: %d of %d samples have a time", next, len(all))
	}
	return nil
}

func (t *mp4Track) fillShifts(all []mp4Sample) error {
	rows, err := t.table("ctts", 4, 2)
	next := 0
	for i := 0; i < len(rows); i += 2 {
		for n := rows[i]; n > 0 && next < len(all); n-- {
			all[next].shown += int64(int32(rows[i+1]))
			next++
		}
	}
	if rows != nil && next != len(all) {
		return fmt.Errorf("mp4: %d of %d samples have a composition time", next, len(all))
	}
	return err
}

func (t *mp4Track) fillSync(all []mp4Sample) error {
	rows, err := t.table("stss", 4, 1)
	if err != nil {
		return err
	}
	_, listed := t.tables["stss"]
	for i := range all {
		all[i].sync = !listed
	}
	for _, n := range rows {
		if n < 1 || int64(n) > int64(len(all)) {
			return fmt.Errorf("mp4: sync sample %d of %d", n, len(all))
		}
		all[n-1].sync = true
	}
	return nil
}

// span is when the first sample is shown and when the last one is, in the track's ticks.
func span(all []mp4Sample) (first, last int64) {
	first, last = all[0].shown, all[0].shown
	for _, s := range all {
		first, last = min(first, s.shown), max(last, s.shown)
	}
	return first, last
}

// hides says which sample an edit list leaves out, or "": nothing before the presentation, nothing behind it, nothing twice.
func (t *mp4Track) hides(all []mp4Sample) string {
	first, last := span(all)
	shown := 0
	for i, e := range t.edits {
		if e.media < 0 && i == 0 {
			continue
		}
		if shown++; shown > 1 || e.media < 0 {
			return "several edits"
		}
		if e.media > first {
			return "a sample before the beginning"
		}
		if end := float64(e.media) + float64(e.lengthMS)*float64(t.timescale)/1000; e.lengthMS > 0 && float64(last) >= end {
			return "a sample behind the end"
		}
	}
	if len(t.edits) > 0 && shown == 0 {
		return "everything"
	}
	return ""
}
