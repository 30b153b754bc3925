// Package sandbox keeps the engines: it starts ninefold-engine ahead of need, speaks with it in length-prefixed JSON over its
// standard input and output, bounds every request, checks every answer, and kills the whole process group when it is done.
//
// An engine serves one message, in that message's workspace, and one request at a time. A file that crashes it, hangs it or has it
// answer nonsense is a coded result for that item; the message's next item gets another engine.
//
// Serve is the engine's side of the conversation, Pool the worker's.
package sandbox
