package vips

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
)

// arithmeticJPEG is the card, written by libjpeg-turbo's cjpeg -arithmetic: no encoder that tests can count on writes such.
const arithmeticJPEG = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMUFRUVDA8XGBYUGBIUFRT/2wBDAQMEBA" +
	"UEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBT/yQARCAB4AKADAREAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMB" +
	"AAIRAxEAPwD/AMzqAQ8MCXUI2ekW/v6Zad4YGKHmDSnRFD99ruNZJOhzojeZdIpXXpKFXJPIVbsELLTiYMLtB10AcaYHkQtBEHNvu5ETbTLjEn4Qeffk70BSMKUGX4WuJw" +
	"HDFrsI44TZk+EbbkhOv0SQr8Gtm93B0Cypds+6FczM1pIBzyDR2YN0Daq/aRnh8ZpJ8hE3qtySCf1DhkbLJoFxdenglXZWAyU9yaT9DdUaYxcwig8m5W6P17oq5W/Styv2" +
	"c2R8k7J1B2MZ2m5ZAUkMbF1j7Llbq4r7lURhuZHl4XLnVMM5VWo8vEuNq/7w6kUxjFGKZLhet759BF17Aibm7VHFXgdrRQ6U5/ZZhq4YDlljBeAXk4roXeFPAjvxR7hi2X" +
	"cAVKaEDfwgtne7KzgpARz6WlAXot869H1IjwGLpu2xBvT6nuxPp/he1sZct3QENUWJo4W1EayVdUE7pPptd1wccMLJOrr0/tgOxrRy0fV8IUP+4to72dS0+SsIRr0RuzQX" +
	"xTeKWgE2FskL65tCuTr6eHDp3j3W9HcJWM7eyP2BzA6Mj8efrdGOO2g5SK42s1VXEXDO8FmHz86bMpKRAIrhnCi2ku564t84JzomW0LxQQVG2xUdUfqVFKOr3IVZ11CyA5" +
	"6PJyqMvZd2BgYqi5pDQP214L9WdRBsKsUCZ6wVxMlXwUl63CfAMEWAQ7HI+Qc7hJv9gr0/aI+rmvIM0/GhWv7lDKkxqhfNd5LLG1NCfzOe0Lu1YhFw3j3oApWRIFGNKsia" +
	"EvmsyPTPyY82gdOIG5NEykACzze+C/fCTr0iE72pxEkpoh2zpDBUlxQlgusKi76z8rb7ZijCl04Nh5KnbDtWUly4UMtEwgV/iJhh5BCH3dxR03KNO31n60OjwPpsoG7hUs" +
	"KFgWGLy/CV78kPzP8At8IMuwyQlexvvGR3H9b0CgQQ94JI0d6RjQSoqOktC2eM0n/NQMUGBw+giQaoxAZWb2kcX8i9rRCsPvh+EyOLqlDBLMHegdvH3zKUuIgHEP3lUDFq" +
	"PQcKiIf9fVNjRY1BsYo6IBO5qEqEPQLXg8Iob3ZnBVE2aemb4NWi6KqGluXntZydn4UGsko76ucw/OyfQz5KIwoIAwYTqhxLlU6BgXrheB25hShWP79Dqok3MJtEdD+KlZ" +
	"P+D/ZJPZKo6ZFOwGgcv9PgssOLNUXALIXMgO6+yOyV6aISG/VS+C28RA8uQQAPXgRdgU9RjocUpe8u3mvD+ow+eJqAkNkzPuWTpllr2K1ecA8pxL2cFossQRbeWjnOTahA" +
	"0UdplkP8jBaNUpEXuWEt4SraKDPM76+s8w+NFrXtuRxRa/0BoFpwwTOsHa4fvQhhLG9mOEOxn6g3xsAahpvNlc+iN53zlmPAv97kmVGZuIDNUueElFrPUe2AI407B7J62k" +
	"YnC+QeKhYIdrxxbrmgOGkZutVGQP/Z"

func TestArithmeticJPEG(t *testing.T) {
	data, err := base64.StdEncoding.DecodeString(arithmeticJPEG)
	if err != nil {
		t.Fatal(err)
	}
	if segs, _, _ := walkJPEG(data); !hasMarker(segs, 0xc9) {
		t.Fatal("not arithmetic coded")
	}
	dir, f := staged(t, data)
	allRenditions(t, "arithmetic", mustProcess(t, dir, f), cardW, cardH, wholeCard)
}

func hasMarker(segs []jpegSegment, marker byte) bool {
	for _, s := range segs {
		if s.marker == marker {
			return true
		}
	}
	return false
}

// What phones hang behind the picture of a JPEG is no part of the photo: the second eye or the preview of an MPO, the video of a motion
// photo, a gain map. All come out as plain photos without a byte of it.
func TestWhatHangsBehindAJPEG(t *testing.T) {
	first := withSegment(jpegOf(t, card(cardW, cardH)), 0xe1, exifBlock(1))
	second := withSegment(jpegOf(t, image.NewNRGBA(image.Rect(0, 0, cardW, cardH))), 0xe1, exifBlock(1))
	video := animation(t, "-pix_fmt", "yuv420p", "-metadata", "comment=SecretComment", "-f", "mp4")
	motion := []byte("http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta xmlns:GCamera='http://ns.google.com/photos/1.0/camera/' GCamera:MotionPhoto='1'/>")
	gainMap := []byte("http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/' hdrgm:Version='1.0'/>")
	for name, data := range map[string][]byte{
		"MPO":          append(withSegment(first, 0xe2, mpf(len(first), len(second))), second...),
		"motion photo": append(withSegment(first, 0xe1, motion), video...),
		"gain map":     append(withSegment(first, 0xe1, gainMap), second...),
		"Live Photo":   withSegment(jpegOf(t, card(cardW, cardH)), 0xe1, livePhotoExif()),
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, data)
			r := mustProcess(t, dir, f)
			if r.media.Kind != pipeline.KindPhoto || r.media.Frames != 1 || len(r.Part.Warnings) != 0 {
				t.Errorf("probed %+v, warnings %v", r.media, r.Part.Warnings)
			}
			allRenditions(t, name, r, cardW, cardH, wholeCard)
			noTraces(t, r)
			for _, x := range r.Part.Renditions {
				data, err := os.ReadFile(filepath.Join(dir, x.Path))
				if err != nil {
					t.Fatal(err)
				}
				for _, trace := range []string{"MPF\x00", "ftyp", "GCamera", "hdrgm"} {
					if bytes.Contains(data, []byte(trace)) {
						t.Errorf("%s carries %q", x.Name, trace)
					}
				}
			}
		})
	}
}

// livePhotoExif has Apple's maker note with the identifier that ties the still to its video, and a thumbnail.
func livePhotoExif() []byte {
	be := binary.BigEndian
	b := []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08")
	entry := func(tag, typ uint16, count, value uint32) {
		b = be.AppendUint32(be.AppendUint32(be.AppendUint16(be.AppendUint16(b, tag), typ), count), value)
	}
	const exifIFD = 8 + 2 + 12 + 4
	const noteAt = exifIFD + 2 + 12 + 4
	note := be.AppendUint16([]byte("Apple iOS\x00\x00\x01MM"), 1)
	note = be.AppendUint32(be.AppendUint32(be.AppendUint16(be.AppendUint16(note, 0x11), 2), 37), 32)
	note = append(append(note, 0, 0, 0, 0), "SecretMaker-AAAA-BBBB-CCCC-0123456789\x00"...)
	thumb := []byte("\xff\xd8\xff\xfe\x00\x0fSecretComment\xff\xd9")
	secondAt := uint32(noteAt + len(note))
	b = be.AppendUint16(b, 1)
	entry(tagExifIFD, 4, 1, exifIFD)
	b = be.AppendUint16(be.AppendUint32(b, secondAt), 1)
	entry(0x927c, 7, uint32(len(note)), noteAt)
	b = append(be.AppendUint32(b, 0), note...)
	b = be.AppendUint16(b, 2)
	entry(0x0201, 4, 1, secondAt+2+24+4) // where the thumbnail is
	entry(0x0202, 4, 1, uint32(len(thumb)))
	return append(be.AppendUint32(b, 0), thumb...)
}

// mpf is the index of a multi-picture file of two, as CIPA DC-007 has it.
func mpf(first, second int) []byte {
	be := binary.BigEndian
	b := []byte("MPF\x00MM\x00*\x00\x00\x00\x08\x00\x02")
	entry := func(tag, typ uint16, count, value uint32) {
		b = be.AppendUint32(be.AppendUint32(be.AppendUint16(be.AppendUint16(b, tag), typ), count), value)
	}
	entry(0xb001, 4, 1, 2)           // number of pictures
	entry(0xb002, 7, 32, 8+2+2*12+4) // their list
	b = be.AppendUint32(b, 0)
	for i, size := range []int{first, second} {
		b = be.AppendUint32(be.AppendUint32(be.AppendUint32(b, 0x030000), uint32(size)), uint32(i*first))
		b = be.AppendUint32(b, 0)
	}
	return b
}

// AVIF and HEIC can cut and turn by boxes: clean aperture first, then the turn.
func TestCleanApertureAndRotation(t *testing.T) {
	wide := image.NewNRGBA(image.Rect(0, 0, cardW+40, cardH+20)) // the card in the middle of black
	for y := range cardH {
		for x := range cardW {
			wide.SetNRGBA(x+20, y+10, cardAt(x, y, cardW, cardH))
		}
	}
	number := func(values ...uint32) (b []byte) {
		for _, v := range values {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		return b
	}
	clap := boxOf("clap", number(cardW, 1, cardH, 1, 0, 1, 0, 1))
	for name, options := range map[string][]string{"HEIC": {"-q", "95"}, "AVIF": {"-A", "-q", "95"}} {
		t.Run(name, func(t *testing.T) {
			dir, f := staged(t, withProperties(t, heif(options...)(t, wide, 1), clap))
			allRenditions(t, "cut", mustProcess(t, dir, f), cardW, cardH, wholeCard)
			dir, f = staged(t, withProperties(t, heif(options...)(t, wide, 1), clap, boxOf("irot", []byte{2})))
			allRenditions(t, "cut and turned", mustProcess(t, dir, f), cardW, cardH, map[string]color.NRGBA{
				"top left": bottomRight, "top right": bottomLeft, "bottom left": topRight, "bottom right": topLeft, "middle": middle,
			})
		})
	}
}
