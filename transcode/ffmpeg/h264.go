package ffmpeg

import "bytes"

// sps is what the sequence parameter set of an H.264 stream says (ITU-T H.264, 7.3.2.1.1 and annex E). Only what is delivered by phones
// is read: 4:2:0, 8 bit, frames without fields.
type sps struct {
	profile       string // ffmpeg's name
	level         int    // 40 = 4.0
	width, height int    // pixels that are shown
	sarNum        int    // 0 = not said
	sarDen        int
	full          bool // range 0..255
	ranged        bool // the range is said
	colour        [3]int
}

// unspecified is the colour code for "not said".
const unspecified = 2

// readSPS reads the first parameter set of an avcC box. ok is false for all that is not fully understood.
func readSPS(avcC []byte) (s sps, ok bool) {
	if len(avcC) < 8 || avcC[0] != 1 || avcC[5]&0x1f != 1 {
		return s, false
	}
	n := int(avcC[6])<<8 | int(avcC[7])
	if n < 4 || len(avcC) < 8+n || avcC[8]&0x1f != 7 {
		return s, false
	}
	r := &bitReader{data: bytes.ReplaceAll(avcC[9:8+n], []byte{0, 0, 3}, []byte{0, 0})}
	profile, flags, level := r.bits(8), r.bits(8), r.bits(8)
	s.profile, s.level = profileName(profile, flags), level
	if s.profile == "" || level == 11 && flags&0x10 != 0 { // level 1b
		return s, false
	}
	r.exp() // id
	if profile == 100 && !r.plainHigh() {
		return s, false
	}
	r.exp() // frame numbers
	if !r.pictureOrder() {
		return s, false
	}
	r.exp() // reference frames
	r.bits(1)
	s.width, s.height = 16*(r.exp()+1), 16*(r.exp()+1)
	if r.bits(1) == 0 { // fields
		return s, false
	}
	r.bits(1)
	if r.bits(1) == 1 {
		left, right, top, bottom := r.exp(), r.exp(), r.exp(), r.exp()
		s.width, s.height = s.width-2*(left+right), s.height-2*(top+bottom)
	}
	s.colour = [3]int{unspecified, unspecified, unspecified}
	if r.bits(1) == 1 {
		s.usability(r)
	}
	return s, !r.short && s.width > 0 && s.height > 0
}

func profileName(profile, flags int) string {
	switch {
	case profile == 66 && flags&0x40 != 0:
		return "Constrained Baseline"
	case profile == 66:
		return "Baseline"
	case profile == 77:
		return "Main"
	case profile == 100:
		return "High"
	}
	return ""
}

// plainHigh reads what only the high profiles have, and is true for 4:2:0, 8 bit and no matrices of its own.
func (r *bitReader) plainHigh() bool {
	chroma, luma8, chroma8 := r.exp(), r.exp(), r.exp()
	bypass, matrices := r.bits(1), r.bits(1)
	return chroma == 1 && luma8 == 0 && chroma8 == 0 && bypass == 0 && matrices == 0
}

func (r *bitReader) pictureOrder() bool {
	switch r.exp() {
	case 0:
		r.exp()
		return true
	case 2:
		return true
	}
	return false // type 1 is in no phone's file
}

// sarTable are the sample aspect ratios of table E-1 that are in use: square.
const (
	sarUnknown  = 0
	sarSquare   = 1
	sarExtended = 255
)

// usability reads the beginning of the VUI: pixel aspect and colour.
func (s *sps) usability(r *bitReader) {
	if r.bits(1) == 1 {
		switch idc := r.bits(8); idc {
		case sarUnknown:
		case sarSquare:
			s.sarNum, s.sarDen = 1, 1
		case sarExtended:
			s.sarNum, s.sarDen = r.bits(16), r.bits(16)
		default:
			s.sarNum, s.sarDen = idc, 0 // a ratio other than 1:1, by number
		}
	}
	if r.bits(1) == 1 {
		r.bits(1) // overscan
	}
	if r.bits(1) == 1 {
		r.bits(3)
		s.full, s.ranged = r.bits(1) == 1, true
		if r.bits(1) == 1 {
			s.colour = [3]int{r.bits(8), r.bits(8), r.bits(8)}
		}
	}
}

// bitReader reads bits, most significant first. Behind the end it reads zeros and says so.
type bitReader struct {
	data  []byte
	at    int // bits
	short bool
}

func (r *bitReader) bits(n int) (v int) {
	for range n {
		v <<= 1
		if r.at>>3 >= len(r.data) {
			r.short = true
			continue
		}
		v |= int(r.data[r.at>>3]>>(7-r.at&7)) & 1
		r.at++
	}
	return v
}

// exp reads an exponential Golomb code, ue(v).
func (r *bitReader) exp() int {
	zeros := 0
	for r.bits(1) == 0 {
		if zeros++; zeros > 16 || r.short {
			r.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + r.bits(zeros)
}
