// Package moderation finds out what media show and decides who may see it. It holds no model and no I/O of its own.
//
// Facts come first and once: a Screener has a Classifier score the canonical rasters of an item, and aggregate turns the scores of
// its frames into pipeline.Facts, which belong to the content. Decisions come second and per recipient: a Policy looks the facts, the
// sender and the recipient up in a table of fifteen rows and takes the first that matches. Everything that is missing, late, broken or
// out of range reads as unknown, and unknown is never treated better than clear.
//
// A video is seen in frames that its plan picks (transcode.SamplePlan): two a second up to 15 s, at most 0.57 s apart, so that what shows for
// 0.6 s is met; one a second up to 60 s, then 128. Every frame counts, black and repeated ones too, and none can make a clip milder. Around
// frames between a category's two bounds the Screener asks for more (doubts); where it cannot have them, nothing is known. What a scan could
// have missed is in its facts: coverage, and min_detectable_ms. Before a costly render, key frames alone are screened where they may decide
// for everybody (pipeline's stage glance).
//
// Another classifier is five places: an implementation of Classifier in a package of its own; a Manifest for its model; its SelfTest
// scores; its choice in cmd/ninefold/wire.go; a line in doctor. Policy, Screener and the pipeline stay as they are.
//
// What an operator may choose is Config, one versioned file: a field there, its check in Validate, its use in a Row, and its values in
// allConfigs of the tests, whose properties no choice may break. Decisions are recorded by pipeline's audit; Replay decides them again.
//
// Another rule is one Row of Policy's table and the rows of TestTable that it changes; TestProperties must hold as it is.
package moderation
