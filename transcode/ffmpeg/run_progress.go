package ffmpeg

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// readProgress reads ffmpeg's -progress lines, "out_time_us=1234567", until the child closes its end. It reads on whatever it
// finds: a full pipe would stop the child.
func readProgress(r io.Reader, report func(outMS int64)) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		value, ok := strings.CutPrefix(lines.Text(), "out_time_us=")
		if !ok {
			continue
		}
		if us, err := strconv.ParseInt(value, 10, 64); err == nil && us >= 0 {
			report(us / 1000)
		}
	}
	_, _ = io.Copy(io.Discard, r)
}
