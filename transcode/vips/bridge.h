// What libvips is asked for beyond bimg: each function is one operation; varargs cannot be called from Go.
#include <stddef.h>
#include <vips/vips.h>

enum nf_type { NF_JPEG, NF_PNG, NF_WEBP, NF_GIF, NF_HEIF };

// What a picture's values mean.
enum nf_how {
	NF_ASSUMED,      // sRGB, or grey with sRGB's curve
	NF_EMBEDDED,     // the profile's, which has as many bands
	NF_EMBEDDED_RGB, // the profile's; a grey picture is spread over its three bands
	NF_DEEP_RGB,     // likewise, of 16 bits a band, by tables that the caller has made of the profile
	NF_INK           // cyan, magenta, yellow and black without a profile of its own
};

typedef struct {
	int type;         // enum nf_type
	const char *path; // read the file, or
	void *buf;        // read these bytes, which must outlive the image
	size_t len;
	int shrink;       // JPEG: 1, 2, 4 or 8
	int all_pages;    // WebP: every frame, one under the other
	int fail_on;      // VipsFailOn
} nf_source;

// From 16 bits a band to sRGB in 8.
typedef struct {
	const float *light;   // of each value, three bands
	double *matrix;       // 3×3 by rows, from that to light in sRGB's primaries, 0..65535
	const void *coded;    // of each of those, a byte
} nf_tables;

void nf_configure(void);
int nf_has_operation(const char *name);

int nf_load(const nf_source *src, VipsImage **out);
int nf_page_count(VipsImage *in);
int nf_orientation(VipsImage *in);
const void *nf_exif(VipsImage *in, size_t *len);
int nf_has_profile(VipsImage *in);
const void *nf_profile(VipsImage *in, size_t *len);
int nf_good_rows(VipsImage *in);

int nf_crop(VipsImage *in, VipsImage **out, int x, int y, int w, int h);
int nf_resize(VipsImage *in, VipsImage **out, int w, int h);
int nf_area_shrink(VipsImage *in, VipsImage **out, int w, int h);
int nf_with_profile(VipsImage *in, VipsImage **out, const void *profile, size_t len);
int nf_without_profile(VipsImage *in, VipsImage **out);
int nf_full_range(VipsImage *in, VipsImage **out);
int nf_srgb(VipsImage *in, VipsImage **out, int how, const nf_tables *deep); // enum nf_how; deep for NF_DEEP_RGB alone
int nf_rotate(VipsImage *in, VipsImage **out, int degrees);
int nf_flip(VipsImage *in, VipsImage **out, int vertical);
int nf_recomb(VipsImage *in, VipsImage **out, double *matrix, double offset);
int nf_flatten(VipsImage *in, VipsImage **out, double grey);
int nf_opaque(VipsImage *in, int *opaque);
int nf_drop_alpha(VipsImage *in, VipsImage **out);
int nf_rgba(VipsImage *in, VipsImage **out);
int nf_on_canvas(VipsImage *in, VipsImage **out, int x, int y, int w, int h);
int nf_blur(VipsImage *in, VipsImage **out, double sigma);
int nf_memory(VipsImage *in, VipsImage **out);
int nf_from_memory(const void *data, size_t len, int w, int h, int bands, VipsImage **out);
void *nf_pixels(VipsImage *in);
int nf_write_raw(VipsImage *in, int fd);
void nf_kill(VipsImage *in);
void nf_unref(VipsImage *in);
