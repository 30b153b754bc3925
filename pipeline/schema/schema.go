// Package schema holds the JSON Schemas (2020-12) of what goes in and what comes out, for integrators and for tests.
//
// They are written by hand, for their descriptions and units, and held to the Go types of package pipeline by this package's tests:
// the same fields at every level, the same enumerations and the same limits. A new field of a wire type is a line here as well.
// "format" asserts; validators that treat it as an annotation only must be told so.
package schema

import _ "embed" // for the two files

// Job is the schema of ninefold.job/1. An edit with wrong values fails it, while the pipeline takes the job and rejects that item.
//
//go:embed job.schema.json
var Job []byte

// Parts is the schema of ninefold.parts/1, the manifest.
//
//go:embed parts.schema.json
var Parts []byte
