package vips

import _ "embed"

//go:embed known/iphone18.heic
var knownIPhone []byte

// KnownIPhone is a HEIC as iPhones write since iOS 18: a grid of tiles in Display P3 that is turned upright by a box; its gain map and its
// metadata name two pictures each. A machine whose libraries do not show KnownColours of it must not serve photos.
func KnownIPhone() []byte { return append([]byte(nil), knownIPhone...) }

// KnownWidth and KnownHeight are the size of what KnownIPhone shows, as displayed.
const KnownWidth, KnownHeight = 160, 120

// KnownColours are what KnownIPhone shows in sRGB in the middle of its quarters (top left, top right, bottom left, bottom right), and in
// the middle: at most 3 levels away in each channel.
func KnownColours() [5][3]uint8 {
	return [5][3]uint8{{230, 20, 20}, {20, 190, 40}, {20, 40, 220}, {230, 210, 20}, {128, 128, 128}}
}
