// Package emojifont makes the font of emoji that captions are set with: Noto Color Emoji comes as drawings, and package raster draws
// pictures of one size, as Debian's build of the same font has them. It runs when a machine is set up, never in the worker.
package emojifont
