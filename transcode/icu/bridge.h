// What is asked of ICU; its functions carry the version in their names, which only its header knows.
#include <stdint.h>

int32_t nf_line_breaks(const uint16_t *text, int32_t len, int32_t *out, int32_t room);
