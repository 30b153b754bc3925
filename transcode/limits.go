package transcode

import "github.com/ninefold/ninefold/pipeline"

// CheckLimits refuses media by what their headers say, before anything is decoded.
func CheckLimits(m pipeline.Media, prof Profile) error {
	switch {
	case m.Animated:
		return checkAnimation(m, prof)
	case m.Kind == pipeline.KindPhoto:
		return checkPicture(m, prof.Photo)
	case m.Kind == pipeline.KindVoice:
		return checkVoice(m, prof.Voice)
	}
	return checkVideo(m, prof.Video)
}

func checkPicture(m pipeline.Media, p PhotoProfile) error {
	if m.Size > p.MaxBytes {
		return tooLarge(m.Size, p.MaxBytes)
	}
	if m.Width < 1 || m.Height < 1 {
		return pipeline.Refuse(pipeline.CodeCorrupt, "the picture has no size; send it again")
	}
	most := p.MaxPixels
	if m.MIME == pipeline.TypeJPEG.MIME {
		most = p.MaxJPEGPixels
	}
	if m.Width > p.MaxSide || m.Height > p.MaxSide || int64(m.Width)*int64(m.Height) > most {
		return pipeline.Refuse(pipeline.CodeTooManyPixels, "the picture is %d×%d; at most %d pixels in all and %d a side, scale it down",
			m.Width, m.Height, most, p.MaxSide)
	}
	return nil
}

// checkAnimation holds an animation to a video's seconds, and to a budget of pixels instead of a number of frames.
func checkAnimation(m pipeline.Media, prof Profile) error {
	p := prof.Photo
	if err := checkPicture(m, p); err != nil {
		return err
	}
	if err := checkFrames(m, p); err != nil {
		return err
	}
	if int64(m.Width)*int64(m.Height) > p.MaxFramePixels/int64(max(1, m.Frames)) {
		return pipeline.Refuse(pipeline.CodeTooManyPixels, "the animation has %d frames of %d×%d; at most %d pixels in all, scale it down or cut it",
			m.Frames, m.Width, m.Height, p.MaxFramePixels)
	}
	if m.DurationMS > prof.Video.MaxMS+LimitGraceMS {
		return tooLong(m.DurationMS, prof.Video.MaxMS)
	}
	return nil
}

// checkFrames bounds what tiny pictures could still make of a budget of pixels: more of them a second than anybody sees.
func checkFrames(m pipeline.Media, p PhotoProfile) error {
	if m.Frames > p.MaxFrames {
		return pipeline.Refuse(pipeline.CodeTooManyPixels, "the animation has %d frames; at most %d, cut it or send it as a video", m.Frames, p.MaxFrames)
	}
	return nil
}

func checkVoice(m pipeline.Media, p VoiceProfile) error {
	if m.Size > p.MaxBytes {
		return tooLarge(m.Size, p.MaxBytes)
	}
	if name := soundLeftOut(m); m.Audio == nil && name != "" {
		return RefuseSound(name)
	}
	if m.Audio == nil {
		return pipeline.Refuse(pipeline.CodeNoAudio, "the recording has no sound; record it again")
	}
	if m.DurationMS > p.MaxSourceMS {
		return tooLong(m.DurationMS, p.MaxSourceMS)
	}
	return nil
}

// LimitGraceMS is how much longer than the limit a video may be whose recorder stopped at the limit: its last frame and its last block of
// sound. It is delivered up to the limit.
const LimitGraceMS = 250

func checkVideo(m pipeline.Media, p VideoProfile) error {
	if m.Size > p.MaxBytes {
		return tooLarge(m.Size, p.MaxBytes)
	}
	if m.Video == nil {
		return pipeline.Refuse(pipeline.CodeNoVideo, "the video has no pictures; send it as voice")
	}
	if !TakesVideo(m.Video.Codec) {
		return refusePicture(m.Video.Codec)
	}
	if m.DurationMS > p.MaxMS+LimitGraceMS {
		return tooLong(m.DurationMS, p.MaxMS)
	}
	long, short := max(m.Video.Width, m.Video.Height), min(m.Video.Width, m.Video.Height)
	if long > p.MaxLong || short > p.MaxShort {
		return pipeline.Refuse(pipeline.CodeTooManyPixels, "the video is %d×%d; at most %d×%d", m.Video.Width, m.Video.Height, p.MaxLong, p.MaxShort)
	}
	if short < 1 {
		return pipeline.Refuse(pipeline.CodeCorrupt, "the video has no picture size; send it again")
	}
	if m.Streams > p.MaxStreams {
		return pipeline.Refuse(pipeline.CodeUnsupportedType, "the video has %d streams; at most %d", m.Streams, p.MaxStreams)
	}
	return nil
}

func tooLarge(got, most int64) error {
	return pipeline.Refuse(pipeline.CodeTooLarge, "the file has %d bytes; at most %d, send a smaller one", got, most)
}

func tooLong(got, most int64) error {
	return pipeline.Refuse(pipeline.CodeTooLong, "it lasts %.1f s; at most %.1f, send a shorter one", float64(got)/1000, float64(most)/1000)
}
