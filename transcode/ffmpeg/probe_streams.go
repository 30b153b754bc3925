package ffmpeg

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// chosen are the streams that are delivered; nil = there is none.
type chosen struct{ picture, sound *probedStream }

// choose takes the streams that a player would show and play: what can be decoded, of that the default, then the longest and largest real
// video and the first sound. A picture that cannot be decoded is chosen where there is no other, so that it can be named.
func (p probed) choose(f pipeline.File) chosen {
	var c chosen
	longest := p.longestPicture()
	for i := range p.Streams {
		s := &p.Streams[i]
		switch {
		case s.isPicture() && (c.picture == nil || s.before(c.picture, longest, f)):
			c.picture = s
		case s.Type == "audio" && s.playable() && (c.sound == nil || s.louder(c.sound)):
			c.sound = s
		}
	}
	return c
}

// before reports whether s is to be shown rather than other, which comes first in the file.
func (s *probedStream) before(other *probedStream, longest int64, f pipeline.File) bool {
	for _, rule := range [][2]bool{
		{s.showable(f), other.showable(f)},
		{s.moves(), other.moves()},
		{s.isDefault(), other.isDefault()},
		{s.lengthMS() >= longest*longShare/100, other.lengthMS() >= longest*longShare/100},
	} {
		if rule[0] != rule[1] {
			return rule[0]
		}
	}
	return s.Width*s.Height > other.Width*other.Height
}

// longShare is from what share of the longest picture on two count as equally long, per cent.
const longShare = 90

// louder reports whether s is to be played rather than other, which comes first in the file.
func (s *probedStream) louder(other *probedStream) bool {
	if s.empty() != other.empty() {
		return !s.empty()
	}
	return s.isDefault() && !other.isDefault()
}

func (s *probedStream) isDefault() bool { return s.Disposition.Default != 0 }

// showable reports whether the pictures are of a codec that is taken.
func (s *probedStream) showable(f pipeline.File) bool {
	return f.Type.Family == pipeline.FamilyImage || transcode.TakesVideo(s.Codec)
}

// playable reports whether the sound is of a codec that is taken.
func (s *probedStream) playable() bool {
	return transcode.TakesSound(s.Codec) && whole(s.SampleRate) > 0
}

// moves reports whether there is more than one picture, or nobody counted them.
func (s *probedStream) moves() bool { return s.Packets == "" || whole(s.Packets) > 1 }

// empty reports whether the stream is announced and has no packet.
func (s *probedStream) empty() bool { return s.Packets != "" && whole(s.Packets) == 0 }

// frames is how many pictures there are, 0 = not known.
func (s *probedStream) frames() int64 { return max(whole(s.Frames), whole(s.Packets)) }

// lengthMS is how long the stream lasts as its container says, 0 = it does not. Matroska's tag is the better answer: ffmpeg gives the first
// stream the length of the whole.
func (s *probedStream) lengthMS() int64 {
	if ms := clock(s.Tags.Duration); ms > 0 {
		return ms
	}
	return millis(s.Duration)
}

func (p probed) longestPicture() (longest int64) {
	for i := range p.Streams {
		if s := &p.Streams[i]; s.isPicture() && s.moves() {
			longest = max(longest, s.lengthMS())
		}
	}
	return longest
}

// leftOut names the pictures and the sound that are not delivered though a player might have shown them. A further sound that could be played
// is another language, and no player plays two.
func (p probed) leftOut(c chosen, f pipeline.File) (left []pipeline.LeftOut) {
	for i := range p.Streams {
		s := &p.Streams[i]
		switch {
		case s.isPicture() && s != c.picture:
			left = append(left, pipeline.LeftOut{Kind: pipeline.KindVideo, Codec: s.name(), Taken: s.showable(f)})
		case s.Type == "audio" && s != c.sound && !s.playable():
			left = append(left, pipeline.LeftOut{Kind: pipeline.KindVoice, Codec: s.name()})
		}
	}
	return left[:min(len(left), maxLeftOut)]
}

// maxLeftOut bounds what is named.
const maxLeftOut = 8

// name is the codec's as a sender may read it: ffmpeg's, else the container's own, in letters and digits only.
func (s *probedStream) name() string {
	name := s.Codec
	if name == "" || name == "unknown" || name == "none" {
		name = s.Tag
	}
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return -1
	}, strings.TrimSpace(name))
	if plain == "" || strings.Trim(plain, "0") == "" {
		return "unknown"
	}
	return plain[:min(len(plain), maxCodecName)]
}

// maxCodecName bounds a name in a message, bytes.
const maxCodecName = 24

// shorten takes the length of what is delivered where something longer is not.
func (c chosen) shorten(p probed, m *pipeline.Media) {
	length, others := int64(0), false
	for i := range p.Streams {
		s := &p.Streams[i]
		switch {
		case s == c.picture || s == c.sound:
			if s.lengthMS() <= 0 {
				return
			}
			length = max(length, s.lengthMS())
		case s.isPicture() || s.Type == "audio":
			others = true
		}
	}
	if m.Format == pipeline.TypeMKV.Demuxer { // counted from 0, wherever the recording begins
		length -= max(0, m.StartMS)
	}
	if others && length > 0 {
		m.DurationMS = min(m.DurationMS, length)
	}
}

// maxOpened bounds the decoders outside of the list that ffprobe may open for the names of their streams.
const maxOpened = 6

var (
	notListed = regexp.MustCompile(`Codec \(([a-z0-9_]+)\) not on whitelist`)
	noObject  = regexp.MustCompile(`Audio object type (\d+) is not implemented|AAC (USAC) \w+ is not implemented`)
)

// refusedDecoders are the decoders that ffprobe asked for in vain.
func refusedDecoders(log string) (names []string) {
	for _, m := range notListed.FindAllStringSubmatch(log, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

// audioObjects are the kinds of MPEG-4 audio that are known and that ffmpeg does not decode, by the words of its log. 7.1 decodes a plain
// xHE-AAC, and logs of what is not.
var audioObjects = map[string]string{"42": "xHE-AAC", "USAC": "xHE-AAC", "39": "AAC-ELD", "23": "AAC-LD", "36": "ALS", "3": "AAC-SSR", "4": "AAC-LTP"}

// unknownSound names sound that a decoder on the list does not take, "" where that was not the reason.
func unknownSound(log string) string {
	m := noObject.FindStringSubmatch(log)
	if m == nil {
		return ""
	}
	if name := audioObjects[m[1]+m[2]]; name != "" {
		return name
	}
	return "MPEG-4-audio-" + m[1]
}
