// Package ffmpeg renders voice notes, videos and animations with the ffmpeg and ffprobe programs. It is the only importer of ffmpeg-go
// and the only place that starts either program.
//
// ffmpeg-go builds graphs and argument vectors; Tools.Run starts the process itself, because the library kills only the process
// and not its group, logs each command line and panics on misuse.
//
// Every input is read the same way, by Input or InputArgs: the demuxer is forced to the sniffed type, protocols and demuxers are
// whitelisted, and probing, allocations, pixels and streams are bounded. A playlist under a media name is then not opened at all.
//
// A new kind of audio input: a row in pipeline's sniff table and its demuxer and decoder in decoders and needed.
package ffmpeg
