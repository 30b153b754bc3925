// Package sandbox keeps the engines: it starts them ahead of need, confined, speaks with each in length-prefixed JSON over its standard
// input and output, bounds every request, checks every answer, and kills the whole process group when it is done.
//
// Confinement is the worker's doing (confinement, room, limit, watch); an engine only seals itself before its first request. What an
// attacker inside an engine finds is the table that "go test -v -run TestEscapes" prints.
//
// An engine serves one message, in a room of its own, and one request at a time. A file that crashes it, hangs it or has it
// answer nonsense is a coded result for that item; the message's next item gets another engine.
//
// There are two engine programs. ninefold-engine does everything; ninefold-voice-engine, where it lies beside that, does what only
// sounds, and starts in a tenth of the time because it links no libvips. Which one a request needs, the request itself tells.
//
// RunProgram and Serve are an engine's side of the conversation, Pool the worker's.
package sandbox
