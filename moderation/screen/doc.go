// Package screen decides which delivered frames a classifier must score, so that no frame a client can show goes unjudged.
//
// Every delivered frame is reduced to a base raster: its shorter side is the side of the model's input, its proportions stay, and each
// value is the mean of all the pixels that it covers (Reduce). A Selector compares each base raster with those that were scored last. Two
// are alike only if no block of BlockSide × BlockSide values differs by more than Bound on average; a mean over a coarser grid could be
// forged by shuffling pixels inside a cell. What is not like a scored frame is scored, as far as the budget reaches; what the budget does
// not reach is counted as unseen.
//
// Averaging loses what is finer than a base pixel. LostDetail measures that, and a frame that loses more than photographs do is judged by
// its map of lost detail and by tiles of full size besides.
//
// Pictures that alternate faster than eyes follow are seen as their mean: where frames are shown for 25 ms at most and change more than once
// within 100 ms, the mean of their light is scored, too, if it is like nothing that was. What forms more slowly is not found: two pictures that
// alternate at 30 frames a second, of which each is seen, or slices of a picture, one every tenth of a second.
//
// The package is pure: no I/O, no clock. The engine that reads delivered files back uses it to select; the worker uses it to cut a base
// raster into the regions that are scored (Regions).
package screen
