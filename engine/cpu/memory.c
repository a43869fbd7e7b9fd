//go:build native

#define _GNU_SOURCE
#include "memory.h"

#include <string.h>
#include <sys/mman.h>
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { HUGE = 2 << 20 };

static size_t whole(size_t bytes) { return (bytes + HUGE - 1) / HUGE * HUGE; }

void *pl_map(size_t bytes)
{
	const size_t n = whole(bytes);
	char *p = mmap(NULL, n + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	// Cut the ends off, so that what is left is aligned.
	const size_t skip = (HUGE - (uintptr_t)p % HUGE) % HUGE;
	if (skip)
		munmap(p, skip);
	if (skip < HUGE)
		munmap(p + skip + n, HUGE - skip);
#ifdef MADV_HUGEPAGE
	madvise(p + skip, n, MADV_HUGEPAGE);
#endif
	return p + skip;
}

void pl_unmap(void *p, size_t bytes)
{
	ASAN_UNPOISON_MEMORY_REGION(p, whole(bytes)); // others may get these addresses
	munmap(p, whole(bytes));
}

void pl_forbid(void *p, size_t bytes) { ASAN_POISON_MEMORY_REGION(p, bytes); }

static float source_at(const pl_source *s, size_t i)
{
	uint16_t h;
	float f;
	if (s->type == PL_F32) {
		memcpy(&f, (const char *)s->data + 4 * i, sizeof f);
		return f;
	}
	memcpy(&h, (const char *)s->data + 2 * i, sizeof h);
	if (s->type == PL_F16)
		return pl_f16_up(h);
	return pl_bf16_up(h);
}

static int32_t row_of(const pl_source *s, int32_t i)
{
	return s->first + i / s->row_group * s->row_stride + i % s->row_group;
}

// spread turns eight nibbles, in order from the lowest, into the order of PL_W4: bytes of
// input i (low) and input 4+i (high).
static uint32_t spread(uint32_t v)
{
	uint32_t low = v & 0xffff, high = v >> 16;
	low = (low | low << 8) & 0x00ff00ff;
	low = (low | low << 4) & 0x0f0f0f0f;
	high = (high | high << 8) & 0x00ff00ff;
	high = (high | high << 4) & 0x0f0f0f0f;
	return low | high << 4;
}

// block packs 16 rows that fill a block, type to the same type and no column moved: the
// form of nearly all weights. A word is four bytes of a row: two inputs in bf16, four in
// W8, eight in W4. It returns 1 if an exponent is all ones.
static inline int block(int32_t type, uint32_t *to, const char *from, int32_t words)
{
	enum { STRETCH = 16 };
	uint32_t bad = 0;
	for (int32_t k = 0; k < words; k += STRETCH) {
		const int32_t n = words - k < STRETCH ? words - k : STRETCH;
		uint32_t t[PL_LANES][STRETCH];
		for (int32_t l = 0; l < PL_LANES; l++)
			memcpy(t[l], from + ((size_t)l * words + k) * 4, (size_t)n * 4);
		for (int32_t i = 0; i < n; i++)
			for (int32_t l = 0; l < PL_LANES; l++) {
				uint32_t v = t[l][i];
				if (type == PL_BF16)
					bad |= (uint32_t)((v & 0x7f80) == 0x7f80) | (uint32_t)((v & 0x7f800000) == 0x7f800000);
				else
					v = type == PL_W8 ? v ^ 0x80808080 : spread(v);
				to[(size_t)(k + i) * PL_LANES + l] = v;
			}
	}
	return bad != 0;
}

// inputs_of is how many inputs a word of four bytes holds, 0 for types that block doesn't take.
static int32_t inputs_of(int32_t type) { return type == PL_BF16 ? 2 : type == PL_W8 ? 4 : type == PL_W4 ? 8 : 0; }

// quant_row packs one row of a quantised source, wherever its columns go.
static void quant_row(const pl_matrix *to, uint8_t *data, const pl_source *s, int32_t i, int32_t row)
{
	const uint8_t *from = (const uint8_t *)s->data + (size_t)i * (to->type == PL_W8 ? s->cols : (s->cols + 1) / 2);
	const int32_t lane = row % PL_LANES;
	uint8_t *block = data + (size_t)(row / PL_LANES) * PL_LANES * to->k / (to->type == PL_W8 ? 1 : 2);
	for (int32_t k = 0; k < s->cols; k++) {
		if (to->type == PL_W8) {
			const int32_t c = k / s->col_group * s->col_stride + k % s->col_group;
			block[(size_t)(c / 4) * 64 + 4 * lane + c % 4] = from[k] ^ 0x80;
		} else {
			const uint8_t nibble = from[k / 2] >> (k % 2 * 4) & 15;
			block[(size_t)(k / 8) * 64 + 4 * lane + k % 4] |= (uint8_t)(nibble << (k % 8 < 4 ? 0 : 4));
		}
	}
}

// quant_scales moves the scales of one row.
static void quant_scales(const pl_matrix *to, void *scales, const pl_source *s, int32_t i, int32_t row)
{
	if (to->type == PL_W8) {
		memcpy((float *)scales + row, (const char *)s->scales + (size_t)i * sizeof(float), sizeof(float));
		return;
	}
	const int32_t groups = (to->k + PL_GROUP - 1) / PL_GROUP;
	uint16_t *at = (uint16_t *)scales + (size_t)(row / PL_LANES) * groups * PL_LANES + row % PL_LANES;
	for (int32_t g = 0; g < groups; g++)
		memcpy(at + (size_t)g * PL_LANES, (const char *)s->scales + ((size_t)i * groups + g) * 2, 2);
}

// float_row packs one row of floats and returns 1 if one of them isn't finite.
static int float_row(const pl_matrix *to, void *data, const pl_source *s, int32_t i, int32_t row)
{
	const size_t base = (size_t)(row / PL_LANES) * PL_LANES * to->k;
	const int32_t lane = row % PL_LANES;
	int bad = 0;
	for (int32_t k = 0; k < s->cols; k++) {
		const float f = source_at(s, (size_t)i * s->cols + k);
		const int32_t c = k / s->col_group * s->col_stride + k % s->col_group;
		uint32_t u;
		memcpy(&u, &f, sizeof u);
		bad |= (u & 0x7f800000) == 0x7f800000;
		if (to->type == PL_F32)
			((float *)data)[base + (size_t)c * PL_LANES + lane] = f;
		else // the source is bf16 too, so nothing is lost
			((uint16_t *)data)[base + (size_t)(c / 2) * 32 + 2 * lane + c % 2] = (uint16_t)(u >> 16);
	}
	return bad;
}

int pl_pack(const pl_matrix *to, void *data, void *scales, const pl_source *s, int32_t lo, int32_t hi)
{
	const int32_t per = inputs_of(to->type);
	const int quant = to->type == PL_W8 || to->type == PL_W4;
	const int plain = per && to->type == s->type && s->col_group == s->cols && s->cols % per == 0;
	int bad = 0;
	for (int32_t i = lo; i < hi;) {
		const int32_t row = row_of(s, i);
		int32_t n = 1;
		if (plain && row % PL_LANES == 0 && i + PL_LANES <= hi && row_of(s, i + PL_LANES - 1) == row + PL_LANES - 1) {
			const int32_t words = s->cols / per;
			uint32_t *at = (uint32_t *)data + (size_t)row * to->k / per;
			const char *from = (const char *)s->data + (size_t)i * words * 4;
			n = PL_LANES;
			switch (to->type) {
			case PL_BF16: bad |= block(PL_BF16, at, from, words); break;
			case PL_W8: block(PL_W8, at, from, words); break;
			default: block(PL_W4, at, from, words);
			}
		} else if (quant) {
			quant_row(to, data, s, i, row);
		} else {
			bad |= float_row(to, data, s, i, row);
		}
		for (int32_t r = 0; quant && r < n; r++)
			quant_scales(to, scales, s, i + r, row + r);
		i += n;
	}
	return bad;
}
