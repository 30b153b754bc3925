#include "bridge.h"

// A hostile file can make libvips write hundreds of kilobytes of warnings; what matters comes back as an error.
static void quiet(const char *domain, GLogLevelFlags level, const char *message, void *data) {}

// Everything below the loaders we name stays shut, also for a file that a loader would open by itself.
void nf_configure(void) {
	g_log_set_handler("VIPS", G_LOG_LEVEL_WARNING | G_LOG_LEVEL_INFO, quiet, NULL);
	vips_concurrency_set(1);
	vips_cache_set_max(0);
	vips_cache_set_max_mem(0);
	vips_cache_set_max_files(0);
	vips_block_untrusted_set(TRUE);
	vips_operation_block_set("VipsForeignLoad", TRUE);
	vips_operation_block_set("VipsForeignLoadJpeg", FALSE);
	vips_operation_block_set("VipsForeignLoadPng", FALSE);
	vips_operation_block_set("VipsForeignLoadWebp", FALSE);
	vips_operation_block_set("VipsForeignLoadNsgif", FALSE);
	vips_operation_block_set("VipsForeignLoadHeif", FALSE);
	vips_operation_block_set("VipsForeignLoadTiff", FALSE); // our own rasters on their way into bimg
}

int nf_has_operation(const char *name) { return vips_type_find("VipsOperation", name) != 0; }

static int load_file(const nf_source *s, VipsImage **out) {
	VipsAccess seq = VIPS_ACCESS_SEQUENTIAL;
	switch (s->type) {
	case NF_JPEG: return vips_jpegload(s->path, out, "shrink", s->shrink, "autorotate", FALSE, "access", seq, "fail_on", s->fail_on, NULL);
	case NF_PNG: return vips_pngload(s->path, out, "access", seq, "fail_on", s->fail_on, NULL);
	case NF_WEBP: return vips_webpload(s->path, out, "page", 0, "n", s->all_pages ? -1 : 1, "scale", 1.0, "access", seq, "fail_on", s->fail_on, NULL);
	case NF_HEIF: return vips_heifload(s->path, out, "thumbnail", FALSE, "access", seq, "fail_on", s->fail_on, NULL);
	}
	vips_error("ninefold", "no such loader");
	return -1;
}

// A HEIC or AVIF is given no page: only then is the primary picture taken, which need not be the first.
int nf_load(const nf_source *s, VipsImage **out) {
	if (s->buf && s->type == NF_GIF)
		return vips_gifload_buffer(s->buf, s->len, out, "page", 0, "n", 1, "access", VIPS_ACCESS_SEQUENTIAL, "fail_on", s->fail_on, NULL);
	if (s->buf && s->type == NF_JPEG)
		return vips_jpegload_buffer(s->buf, s->len, out, "shrink", s->shrink, "autorotate", FALSE,
			"access", VIPS_ACCESS_SEQUENTIAL, "fail_on", s->fail_on, NULL);
	if (s->buf)
		return vips_heifload_buffer(s->buf, s->len, out, "thumbnail", FALSE, "access", VIPS_ACCESS_SEQUENTIAL,
			"fail_on", s->fail_on, NULL);
	return load_file(s, out);
}

int nf_page_count(VipsImage *in) { return vips_image_get_n_pages(in); }
int nf_orientation(VipsImage *in) { return vips_image_get_orientation(in); }
// The Exif block as it stands in the file, NULL where there is none.
const void *nf_exif(VipsImage *in, size_t *len) {
	const void *data = NULL;
	*len = 0;
	if (vips_image_get_typeof(in, VIPS_META_EXIF_NAME) && vips_image_get_blob(in, VIPS_META_EXIF_NAME, &data, len))
		vips_error_clear();
	return data;
}

int nf_has_profile(VipsImage *in) { return vips_image_get_typeof(in, VIPS_META_ICC_NAME) != 0; }

// The profile as it stands in the file, NULL where there is none.
const void *nf_profile(VipsImage *in, size_t *len) {
	const void *data = NULL;
	*len = 0;
	if (nf_has_profile(in) && vips_image_get_blob(in, VIPS_META_ICC_NAME, &data, len))
		vips_error_clear();
	return data;
}

// Reads from the top and returns how many rows came before the decoder gave up: all of them for a whole picture.
int nf_good_rows(VipsImage *in) {
	VipsRegion *region = vips_region_new(in);
	int y = 0;
	for (; y < in->Ysize; y++) {
		VipsRect row = { 0, y, in->Xsize, 1 };
		if (vips_region_prepare(region, &row))
			break;
	}
	g_object_unref(region);
	vips_error_clear();
	return y;
}

int nf_crop(VipsImage *in, VipsImage **out, int x, int y, int w, int h) { return vips_extract_area(in, out, x, y, w, h, NULL); }

// Deep pictures have 16 bits a band, all others 8: libvips would guess the range from the interpretation.
static double most(VipsImage *in) { return in->BandFmt == VIPS_FORMAT_USHORT ? 65535 : 255; }

// Eight bits a band, rounded.
static int eight(VipsImage *in, VipsImage **out) {
	VipsImage *t = NULL;
	if (in->BandFmt == VIPS_FORMAT_UCHAR)
		return vips_copy(in, out, NULL);
	if (vips_linear1(in, &t, 255 / most(in), 0.5, "uchar", FALSE, NULL))
		return -1;
	int bad = vips_cast(t, out, VIPS_FORMAT_UCHAR, "shift", FALSE, NULL);
	g_object_unref(t);
	return bad;
}

// Transparent pixels have a colour, too; without the premultiplication it would bleed over the edges.
static int weighted(VipsImage *in, VipsImage **out, double sx, double sy, int area) {
	VipsObject *scope = VIPS_OBJECT(vips_image_new());
	VipsImage **t = (VipsImage **) vips_object_local_array(scope, 4);
	VipsImage *from = in;
	int alpha = vips_image_hasalpha(in);
	int bad = 0;
	if (alpha) {
		bad = vips_premultiply(in, &t[0], "max_alpha", most(in), NULL);
		from = t[0];
	}
	if (!bad)
		bad = area ? vips_shrink(from, alpha ? &t[1] : out, 1 / sx, 1 / sy, "ceil", FALSE, NULL)
			: vips_resize(from, alpha ? &t[1] : out, sx, "vscale", sy, "kernel", VIPS_KERNEL_LANCZOS3, "gap", 2.0, NULL);
	if (!bad && alpha)
		bad = vips_unpremultiply(t[1], &t[2], "max_alpha", most(in), "alpha_band", in->Bands - 1, NULL) ||
			vips_rint(t[2], &t[3], NULL) || vips_cast(t[3], out, in->BandFmt, "shift", FALSE, NULL);
	g_object_unref(scope);
	return bad;
}

static double ratio(int to, int from) { return (double) to / from; }

// Resizing rounds on its own account; the caller gets the size it asked for, the last row or column repeated if need be.
static int exactly(VipsImage *in, VipsImage **out, int w, int h) {
	if (in->Xsize == w && in->Ysize == h)
		return vips_copy(in, out, NULL);
	return vips_embed(in, out, 0, 0, w, h, "extend", VIPS_EXTEND_COPY, NULL);
}

static int scaled(VipsImage *in, VipsImage **out, int w, int h, int area) {
	VipsImage *t = NULL;
	if (in->Xsize == w && in->Ysize == h)
		return vips_copy(in, out, NULL);
	if (weighted(in, &t, ratio(w, in->Xsize), ratio(h, in->Ysize), area))
		return -1;
	int bad = exactly(t, out, w, h);
	g_object_unref(t);
	return bad;
}

int nf_resize(VipsImage *in, VipsImage **out, int w, int h) { return scaled(in, out, w, h, 0); }
int nf_area_shrink(VipsImage *in, VipsImage **out, int w, int h) { return scaled(in, out, w, h, 1); }

int nf_with_profile(VipsImage *in, VipsImage **out, const void *profile, size_t len) {
	if (vips_copy(in, out, NULL))
		return -1;
	vips_image_set_blob_copy(*out, VIPS_META_ICC_NAME, profile, len);
	return 0;
}

int nf_without_profile(VipsImage *in, VipsImage **out) {
	if (vips_copy(in, out, NULL))
		return -1;
	vips_image_remove(*out, VIPS_META_ICC_NAME);
	return 0;
}

// From limited to full range: 16 and 235 of 255, and likewise of 65535, become the ends. An alpha band is in full range already.
int nf_full_range(VipsImage *in, VipsImage **out) {
	VipsObject *scope = VIPS_OBJECT(vips_image_new());
	VipsImage **t = (VipsImage **) vips_object_local_array(scope, 4);
	int colours = vips_image_hasalpha(in) ? in->Bands - 1 : in->Bands;
	double step = (most(in) + 1) / 256, scale = most(in) / (219 * step);
	int bad = vips_extract_band(in, &t[0], 0, "n", colours, NULL) ||
		vips_linear1(t[0], &t[1], scale, 0.5 - 16 * step * scale, "uchar", FALSE, NULL) ||
		vips_cast(t[1], &t[2], in->BandFmt, "shift", FALSE, NULL);
	if (!bad && colours < in->Bands)
		bad = vips_extract_band(in, &t[3], colours, "n", 1, NULL) || vips_bandjoin2(t[2], t[3], out, NULL);
	else if (!bad)
		bad = vips_copy(t[2], out, NULL);
	g_object_unref(scope);
	return bad;
}

static int three(VipsImage *in, VipsImage **out) {
	VipsImage *bands[3] = { in, in, in };
	VipsImage *t = NULL;
	if (in->Bands != 1)
		return vips_copy(in, out, NULL);
	if (vips_bandjoin(bands, &t, 3, NULL))
		return -1;
	VipsInterpretation space = in->BandFmt == VIPS_FORMAT_USHORT ? VIPS_INTERPRETATION_RGB16 : VIPS_INTERPRETATION_sRGB;
	int bad = vips_copy(t, out, "interpretation", space, NULL);
	g_object_unref(t);
	return bad;
}

// Without a profile a value is sRGB's, whatever its depth.
static int assumed(VipsImage *in, VipsImage **out) {
	VipsObject *scope = VIPS_OBJECT(vips_image_new());
	VipsImage **t = (VipsImage **) vips_object_local_array(scope, 2);
	int bad = eight(in, &t[0]) || three(t[0], &t[1]) || vips_copy(t[1], out, "interpretation", VIPS_INTERPRETATION_sRGB, NULL);
	g_object_unref(scope);
	return bad;
}

// Ink without a profile, as browsers show it: what cyan, magenta and yellow leave of the light, times what black leaves.
static int ink(VipsImage *in, VipsImage **out) {
	VipsObject *scope = VIPS_OBJECT(vips_image_new());
	VipsImage **t = (VipsImage **) vips_object_local_array(scope, 6);
	int bad = eight(in, &t[0]) || vips_linear1(t[0], &t[1], -1.0 / 255, 1, "uchar", FALSE, NULL) ||
		vips_extract_band(t[1], &t[2], 0, "n", 3, NULL) || vips_extract_band(t[1], &t[3], 3, "n", 1, NULL) ||
		vips_multiply(t[2], t[3], &t[4], NULL) || vips_linear1(t[4], &t[5], 255, 0.5, "uchar", FALSE, NULL);
	VipsImage *u = NULL;
	if (!bad && !(bad = vips_cast(t[5], &u, VIPS_FORMAT_UCHAR, "shift", FALSE, NULL)))
		bad = vips_copy(u, out, "interpretation", VIPS_INTERPRETATION_sRGB, NULL);
	if (u)
		g_object_unref(u);
	g_object_unref(scope);
	return bad;
}

// Light by a table, other primaries by a matrix, sRGB by a table. Light that sRGB has no colour for is cut off, as everywhere.
static int deep_rgb(VipsImage *in, VipsImage **out, const nf_tables *by) {
	const size_t steps = 65536;
	VipsObject *scope = VIPS_OBJECT(vips_image_new());
	VipsImage **t = (VipsImage **) vips_object_local_array(scope, 8);
	int bad = !(t[0] = vips_image_new_from_memory_copy(by->light, 3 * steps * sizeof(float), steps, 1, 3, VIPS_FORMAT_FLOAT)) ||
		!(t[1] = vips_image_new_matrix_from_array(3, 3, by->matrix, 9)) ||
		!(t[2] = vips_image_new_from_memory_copy(by->coded, steps, steps, 1, 1, VIPS_FORMAT_UCHAR)) || three(in, &t[3]) ||
		vips_maplut(t[3], &t[4], t[0], "band", -1, NULL) || vips_recomb(t[4], &t[5], t[1], NULL) ||
		vips_cast(t[5], &t[6], VIPS_FORMAT_USHORT, "shift", FALSE, NULL) || vips_maplut(t[6], &t[7], t[2], "band", -1, NULL) ||
		vips_copy(t[7], out, "interpretation", VIPS_INTERPRETATION_sRGB, NULL);
	g_object_unref(scope);
	return bad;
}

// The colour bands alone: what a colour engine does with an alpha band differs between versions.
static int coloured(VipsImage *in, VipsImage **out, int how, const nf_tables *deep) {
	VipsImage *t = NULL;
	if (how == NF_ASSUMED)
		return assumed(in, out);
	if (how == NF_INK)
		return ink(in, out);
	if (how == NF_DEEP_RGB)
		return deep_rgb(in, out, deep);
	if (how == NF_EMBEDDED_RGB ? three(in, &t) : vips_copy(in, &t, NULL))
		return -1;
	int bad = vips_icc_transform(t, out, "srgb", "embedded", TRUE, "intent", VIPS_INTENT_RELATIVE, "pcs", VIPS_PCS_LAB,
		"black_point_compensation", FALSE, "depth", 8, NULL);
	g_object_unref(t);
	return bad;
}

int nf_srgb(VipsImage *in, VipsImage **out, int how, const nf_tables *deep) {
	VipsObject *scope = VIPS_OBJECT(vips_image_new());
	VipsImage **t = (VipsImage **) vips_object_local_array(scope, 4);
	int bad;
	if (!vips_image_hasalpha(in))
		bad = coloured(in, out, how, deep);
	else
		bad = vips_extract_band(in, &t[0], 0, "n", in->Bands - 1, NULL) || coloured(t[0], &t[1], how, deep) ||
			vips_extract_band(in, &t[2], in->Bands - 1, "n", 1, NULL) || eight(t[2], &t[3]) || vips_bandjoin2(t[1], t[3], out, NULL);
	g_object_unref(scope);
	return bad;
}

int nf_rotate(VipsImage *in, VipsImage **out, int degrees) {
	VipsAngle angle = degrees == 90 ? VIPS_ANGLE_D90 : degrees == 180 ? VIPS_ANGLE_D180 : VIPS_ANGLE_D270;
	return vips_rot(in, out, angle, NULL);
}

int nf_flip(VipsImage *in, VipsImage **out, int vertical) {
	return vips_flip(in, out, vertical ? VIPS_DIRECTION_VERTICAL : VIPS_DIRECTION_HORIZONTAL, NULL);
}

// matrix is 3×3 by rows; an alpha band passes unchanged. offset is in 0..255.
int nf_recomb(VipsImage *in, VipsImage **out, double *matrix, double offset) {
	VipsObject *scope = VIPS_OBJECT(vips_image_new());
	VipsImage **t = (VipsImage **) vips_object_local_array(scope, 6);
	int bad = !(t[0] = vips_image_new_matrix_from_array(3, 3, matrix, 9));
	if (!bad)
		bad = vips_extract_band(in, &t[1], 0, "n", 3, NULL) || vips_recomb(t[1], &t[2], t[0], NULL) ||
			vips_linear1(t[2], &t[3], 1, offset + 0.5, "uchar", FALSE, NULL) ||
			vips_cast(t[3], &t[4], VIPS_FORMAT_UCHAR, "shift", FALSE, NULL);
	if (!bad && in->Bands > 3)
		bad = vips_extract_band(in, &t[5], 3, "n", 1, NULL) || vips_bandjoin2(t[4], t[5], out, NULL);
	else if (!bad)
		bad = vips_copy(t[4], out, NULL);
	g_object_unref(scope);
	return bad;
}

int nf_flatten(VipsImage *in, VipsImage **out, double grey) {
	VipsArrayDouble *background = vips_array_double_newv(1, grey);
	int bad = vips_flatten(in, out, "background", background, "max_alpha", most(in), NULL);
	vips_area_unref(VIPS_AREA(background));
	return bad;
}

int nf_opaque(VipsImage *in, int *opaque) {
	VipsImage *t = NULL;
	double least = 0;
	int bad = vips_extract_band(in, &t, in->Bands - 1, "n", 1, NULL) || vips_min(t, &least, NULL);
	if (t)
		g_object_unref(t);
	*opaque = least >= most(in);
	return bad;
}

int nf_drop_alpha(VipsImage *in, VipsImage **out) { return vips_extract_band(in, out, 0, "n", in->Bands - 1, NULL); }
int nf_rgba(VipsImage *in, VipsImage **out) { return vips_image_hasalpha(in) ? vips_copy(in, out, NULL) : vips_addalpha(in, out, NULL); }

// The picture, which has four bands, at x, y of a canvas that is transparent around it.
int nf_on_canvas(VipsImage *in, VipsImage **out, int x, int y, int w, int h) {
	VipsArrayDouble *nothing = vips_array_double_newv(4, 0.0, 0.0, 0.0, 0.0);
	int bad = vips_embed(in, out, x, y, w, h, "extend", VIPS_EXTEND_BACKGROUND, "background", nothing, NULL);
	vips_area_unref(VIPS_AREA(nothing));
	return bad;
}

int nf_blur(VipsImage *in, VipsImage **out, double sigma) { return vips_gaussblur(in, out, sigma, "min_ampl", 0.2, "precision", VIPS_PRECISION_INTEGER, NULL); }

int nf_memory(VipsImage *in, VipsImage **out) {
	*out = vips_image_copy_memory(in);
	return *out ? 0 : -1;
}

int nf_from_memory(const void *data, size_t len, int w, int h, int bands, VipsImage **out) {
	VipsImage *t = vips_image_new_from_memory_copy(data, len, w, h, bands, VIPS_FORMAT_UCHAR);
	if (!t)
		return -1;
	t->Type = VIPS_INTERPRETATION_sRGB; // nobody else holds it yet
	*out = t;
	return 0;
}

void *nf_pixels(VipsImage *in) { return VIPS_IMAGE_ADDR(in, 0, 0); }

// libvips 8.16 has another name for it.
int nf_write_raw(VipsImage *in, int fd) {
#if VIPS_MAJOR_VERSION > 8 || VIPS_MINOR_VERSION >= 16
	VipsTarget *target = vips_target_new_to_descriptor(fd);
	int bad = !target || vips_rawsave_target(in, target, NULL);
	if (target)
		g_object_unref(target);
	return bad;
#else
	return vips_rawsave_fd(in, fd, NULL);
#endif
}

void nf_kill(VipsImage *in) { vips_image_set_kill(in, TRUE); }
void nf_unref(VipsImage *in) { g_object_unref(in); }
