#include "bridge.h"
#include <unicode/ubrk.h>

// Writes the places, in code units, where a line may end within the text, and returns how many there are; negative is an error of ICU's.
int32_t nf_line_breaks(const uint16_t *text, int32_t len, int32_t *out, int32_t room) {
	UErrorCode bad = U_ZERO_ERROR;
	UBreakIterator *breaks = ubrk_open(UBRK_LINE, "", (const UChar *) text, len, &bad);
	if (U_FAILURE(bad))
		return -(int32_t) bad;
	int32_t n = 0;
	for (int32_t at = ubrk_next(breaks); at != UBRK_DONE && at < len && n < room; at = ubrk_next(breaks))
		out[n++] = at;
	ubrk_close(breaks);
	return n;
}
