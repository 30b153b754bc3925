// Package moderation finds out what media show and decides who may see it. It holds no model and no I/O of its own.
//
// Facts come first and once: a Screener has a Classifier score the canonical rasters of an item, and aggregate turns the scores of
// its frames into pipeline.Facts, which belong to the content. Decisions come second and per recipient: a Policy looks the facts, the
// sender and the recipient up in a table of fifteen rows and takes the first that matches. Everything that is missing, late, broken or
// out of range reads as unknown, and unknown is never treated better than clear.
//
// Another classifier is five places: an implementation of Classifier in a package of its own; a Manifest for its model; its SelfTest
// scores; its choice in cmd/ninefold/wire.go; a line in doctor. Policy, Screener and the pipeline stay as they are.
//
// What an operator may choose is Config, one versioned file: a field there, its check in Validate, its use in a Row, and its values in
// allConfigs of the tests, whose properties no choice may break. Decisions are recorded by pipeline's audit; Replay decides them again.
//
// Another rule is one Row of Policy's table and the rows of TestTable that it changes; TestProperties must hold as it is.
package moderation
