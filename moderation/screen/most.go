package screen

// MostOfStill is how many pictures are scored at most of a still of w × h pixels, whatever it shows: its regions, those of the map of what
// it lost, and the tiles of full size.
func MostOfStill(w, h, side int) int {
	if w < 1 || h < 1 || side < 1 {
		return 0
	}
	regions := len(Regions(BaseSize(w, h, stillBase*side)))
	if bw, bh := BaseSize(w, h, side); bw == w && bh == h {
		return regions // nothing is lost
	}
	return 2*regions + min(maxFullTiles, len(steps(w, side))*len(steps(h, side)))
}

// MostOfVideo is how many pictures are scored at most of a video of w × h pixels and so many frames, whatever it shows.
func MostOfVideo(w, h, frames, side int) int {
	if w < 1 || h < 1 || side < 1 {
		return 0
	}
	return len(Regions(BaseSize(w, h, side)))*min(frames, Budget+reserve) + min(frames/fusedLeast, FusedBudget)
}
