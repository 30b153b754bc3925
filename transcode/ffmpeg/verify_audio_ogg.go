package ffmpeg

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// oggOpus is what an Ogg file with one Opus stream says of itself.
type oggOpus struct {
	Channels int
	PreSkip  int64    // samples to drop at the start
	Samples  int64    // playable, at 48 kHz
	Packets  int      // of sound
	Vendor   string   // of the comment header
	Comments []string // user comments
	Ended    bool     // the last page is marked as the last
}

// oggPage is one page; its payload is not kept apart from the packets it holds.
type oggPage struct {
	flags   byte
	granule int64
	serial  uint32
	lacing  []byte
	body    []byte
}

const (
	oggContinued = 1
	oggFirst     = 2
	oggLast      = 4
	oggHeader    = 27
	// opusTagsCap is the most a comment header may take, bytes: a cover picture may be in it.
	opusTagsCap = 16 << 20
)

var errOgg = errors.New("not an Ogg page")

// readOpus reads a whole Ogg/Opus file (RFC 3533, RFC 7845): one stream, its pages in order, every checksum right.
func readOpus(r io.Reader) (oggOpus, error) {
	var o oggOpus
	var packet []byte
	pages, headers := 0, 0
	serial := uint32(0)
	in := bufio.NewReader(r)
	for {
		page, err := readPage(in)
		if errors.Is(err, io.EOF) {
			return o, o.complete(headers)
		}
		if err != nil {
			return o, err
		}
		if pages == 0 {
			serial = page.serial
		}
		if page.serial != serial || (page.flags&oggFirst != 0) != (pages == 0) || o.Ended {
			return o, fmt.Errorf("ogg: more than one stream")
		}
		pages++
		o.Ended = page.flags&oggLast != 0
		for _, lace := range page.lacing {
			if len(packet)+int(lace) > opusTagsCap {
				return o, fmt.Errorf("ogg: a packet of more than %d bytes", opusTagsCap)
			}
			packet, page.body = append(packet, page.body[:lace]...), page.body[lace:]
			if lace == 255 {
				continue
			}
			if err := o.take(packet, &headers); err != nil {
				return o, err
			}
			packet = packet[:0]
		}
		if page.granule > 0 {
			o.Samples = page.granule - o.PreSkip
		}
	}
}

func (o *oggOpus) complete(headers int) error {
	if headers < 2 || o.Packets == 0 || o.Samples <= 0 {
		return fmt.Errorf("ogg: no sound")
	}
	return nil
}

func (o *oggOpus) take(packet []byte, headers *int) error {
	switch *headers {
	case 0:
		*headers = 1
		return o.takeHead(packet)
	case 1:
		*headers = 2
		return o.takeTags(packet)
	}
	o.Packets++
	if len(packet) == 0 {
		return fmt.Errorf("opus: an empty packet")
	}
	return nil
}

func (o *oggOpus) takeHead(p []byte) error {
	if len(p) < 19 || string(p[:8]) != "OpusHead" || p[8]>>4 != 0 || p[18] != 0 {
		return fmt.Errorf("opus: not an OpusHead of mapping family 0")
	}
	o.Channels, o.PreSkip = int(p[9]), int64(binary.LittleEndian.Uint16(p[10:]))
	return nil
}

func (o *oggOpus) takeTags(p []byte) error {
	rest, ok := bytes.CutPrefix(p, []byte("OpusTags"))
	if !ok {
		return fmt.Errorf("opus: not OpusTags")
	}
	vendor, rest, ok := prefixed(rest)
	if !ok || len(rest) < 4 {
		return fmt.Errorf("opus: broken OpusTags")
	}
	o.Vendor = string(vendor)
	count := binary.LittleEndian.Uint32(rest)
	rest = rest[4:]
	for range count {
		var comment []byte
		if comment, rest, ok = prefixed(rest); !ok {
			return fmt.Errorf("opus: broken OpusTags")
		}
		o.Comments = append(o.Comments, string(comment))
	}
	if len(bytes.Trim(rest, "\x00")) > 0 {
		o.Comments = append(o.Comments, "(padding)")
	}
	return nil
}

func prefixed(p []byte) (value, rest []byte, ok bool) {
	if len(p) < 4 {
		return nil, nil, false
	}
	n := binary.LittleEndian.Uint32(p)
	if uint64(n) > uint64(len(p)-4) {
		return nil, nil, false
	}
	return p[4 : 4+n], p[4+n:], true
}

func readPage(r io.Reader) (oggPage, error) {
	var head [oggHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return oggPage{}, io.EOF
		}
		return oggPage{}, errOgg
	}
	if string(head[:4]) != "OggS" || head[4] != 0 {
		return oggPage{}, errOgg
	}
	page := oggPage{
		flags: head[5], granule: int64(binary.LittleEndian.Uint64(head[6:])), serial: binary.LittleEndian.Uint32(head[14:]),
		lacing: make([]byte, head[26]),
	}
	if _, err := io.ReadFull(r, page.lacing); err != nil {
		return oggPage{}, errOgg
	}
	size := 0
	for _, l := range page.lacing {
		size += int(l)
	}
	page.body = make([]byte, size)
	if _, err := io.ReadFull(r, page.body); err != nil {
		return oggPage{}, errOgg
	}
	want := binary.LittleEndian.Uint32(head[22:])
	clear(head[22:26])
	if oggSum(oggSum(oggSum(0, head[:]), page.lacing), page.body) != want {
		return oggPage{}, fmt.Errorf("ogg: wrong checksum")
	}
	return page, nil
}

// oggTable is the CRC of RFC 3533: polynomial 0x04c11db7, no reflection, which hash/crc32 does not have.
var oggTable = func() (table [256]uint32) {
	for i := range table {
		crc := uint32(i) << 24
		for range 8 {
			if crc&0x80000000 != 0 {
				crc = crc<<1 ^ 0x04c11db7
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()

func oggSum(crc uint32, p []byte) uint32 {
	for _, b := range p {
		crc = crc<<8 ^ oggTable[byte(crc>>24)^b]
	}
	return crc
}

// sameOpus reports whether the file at path is one clean mono Opus stream of exactly n samples, so that its packets may be passed on.
func sameOpus(path string, n int64) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	o, err := readOpus(f)
	return err == nil && o.Ended && o.Channels == 1 && o.Samples == n
}

// endsWhole reports whether the last page is whole and no packet goes on behind it.
func endsWhole(r io.Reader) bool {
	in, last := bufio.NewReader(r), oggPage{}
	for {
		page, err := readPage(in)
		if err != nil {
			goesOn := len(last.lacing) > 0 && last.lacing[len(last.lacing)-1] == 255
			return errors.Is(err, io.EOF) && !goesOn
		}
		last = page
	}
}

// verify says what is wrong with a rendition of n milliseconds, within tolerance.
func (o oggOpus) verify(durationMS int64) error {
	switch {
	case !o.Ended:
		return fmt.Errorf("ogg: no last page")
	case o.Channels != 1:
		return fmt.Errorf("opus: %d channels, want 1", o.Channels)
	case millisOf(o.Samples) != durationMS:
		return fmt.Errorf("opus: %d samples, want %d ms", o.Samples, durationMS)
	case o.Vendor != "ffmpeg":
		return fmt.Errorf("opus: a vendor of its own")
	}
	for _, c := range o.Comments {
		if !strings.HasPrefix(c, "encoder=Lavc") {
			return fmt.Errorf("opus: a comment was left in")
		}
	}
	return nil
}
