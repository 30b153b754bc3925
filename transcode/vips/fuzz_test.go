package vips

import "testing"

// FuzzWalkers has every walker that reads a sender's structure look at anything: it must end, and stay within the bytes.
func FuzzWalkers(f *testing.F) {
	for _, seed := range [][]byte{
		adobeExif(), exifBlock(6), gifOf(3, 16, 16, 16, 16), hugePNG(),
		boxOf("ftyp", []byte("hevc\x00\x00\x00\x00msf1")),
		append(boxOf("ftyp", []byte("avis\x00\x00\x00\x00avif")), boxOf("moov", boxOf("trak", append(boxOf("tkhd", make([]byte, 84)),
			boxOf("mdia", append(boxOf("hdlr", []byte("\x00\x00\x00\x00\x00\x00\x00\x00pict")), boxOf("mdhd", make([]byte, 20))...))...)))...),
		boxOf("meta", append([]byte{0, 0, 0, 0}, append(boxOf("pitm", []byte{0, 0, 0, 0, 0, 1}),
			boxOf("iprp", append(boxOf("ipco", nclx(primariesP3, transferPQ)), boxOf("ipma", []byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0x81})...))...)...)),
		heicFile{
			brands: []string{"heic", "mif1"}, primary: 1, items: []heicItem{
				{id: 1, kind: "tmap", pointsTo: []heicRef{{"dimg", []uint16{2, 3}}}},
				{id: 2, kind: "grid", pointsTo: []heicRef{{"dimg", []uint16{3}}}},
				{id: 3, kind: "hvc1", boxes: [][]byte{boxOf("hvcC", make([]byte, 23)), ispe(9, 9)}},
				{id: 4, kind: "hvc1", pointsTo: []heicRef{{"auxl", []uint16{1, 2}}, {"thmb", []uint16{1}}}},
			},
		}.bytes(),
		[]byte("RIFF\x0c\x00\x00\x00WEBPVP8 \x00\x00\x00\x00"),
		{0xff, 0xd8, 0xff, 0xda, 0, 4, 1, 1, 0xff, 0xd9},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		readSequence(data)
		codePoints(data)
		turnsItself(data)
		largestExtent(data)
		exifSaysAdobe(data)
		exifOrientation(data)
		_, _ = walkGIF(data)
		_, _ = webpChunks(data)
		_, _ = pictureOnly(data)
		segs, _, _ := walkJPEG(data)
		firstPassWhole(segs)
		for _, check := range checks {
			_, _, _ = check(data)
		}
		undecodable(data)
		for _, m := range heifMends {
			m.mend(data)
		}
	})
}
