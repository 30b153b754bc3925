// Package transcode says how media become renditions: a Profile holds every number, and NewPlan turns facts, edits and a profile
// into a work order. Everything here is a pure function of values; the packages below it carry plans out in the engine process:
// vips (photos), ffmpeg (voice, video, animations), raster (captions, placeholders, posters) and sandbox, which keeps the engines.
//
// # A new kind of media
//
// Six places, and neither pipeline's Run nor queue among them:
//
//  1. pipeline/item.go and edit.go: the Kind, and which edits it takes.
//  2. pipeline/sniff.go: a row for its magic bytes.
//  3. here: its plan in a file of its own, a field of Plan, a case in NewPlan and in CheckLimits.
//  4. a renderer and a verifier, in ffmpeg, vips or a new package.
//  5. cmd/ninefold-engine/engine.go: a case in Identify, Render and verify; cmd/ninefold-voice-engine does voice notes alone.
//  6. sandbox/check.go and config.go: the names and types it may answer with, and its wall time.
//
// # A new edit
//
// Three places: a constant and a row of opRules in pipeline/edit.go; a Step in Geometry here; its drawing in vips and in ffmpeg.
//
// # A new rendition
//
// A row in the profile, and its name in sandbox/check.go.
package transcode
