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

static float half_up(uint16_t h)
{
	const uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, frac = h & 1023;
	uint32_t u = sign | (exp + 112) << 23 | frac << 13;
	if (exp == 31)
		u = sign | 0x7f800000 | frac << 13;
	float f;
	if (exp == 0) {
		f = (float)frac * 0x1p-24f;
		return sign ? -f : f;
	}
	memcpy(&f, &u, sizeof f);
	return f;
}

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
		return half_up(h);
	const uint32_t u = (uint32_t)h << 16;
	memcpy(&f, &u, sizeof f);
	return f;
}

static int32_t row_of(const pl_source *s, int32_t i)
{
	return s->first + i / s->row_group * s->row_stride + i % s->row_group;
}

// block packs 16 rows that fill a block, bf16 to bf16 and no column moved: the
// form of nearly all weights. It returns 1 if an exponent is all ones.
static int block(uint32_t *to, const char *from, int32_t cols)
{
	enum { STRETCH = 16 };
	const int32_t pairs = cols / 2;
	uint32_t bad = 0;
	for (int32_t k = 0; k < pairs; k += STRETCH) {
		const int32_t n = pairs - k < STRETCH ? pairs - k : STRETCH;
		uint32_t t[PL_LANES][STRETCH];
		for (int32_t l = 0; l < PL_LANES; l++)
			memcpy(t[l], from + ((size_t)l * pairs + k) * 4, (size_t)n * 4);
		for (int32_t i = 0; i < n; i++)
			for (int32_t l = 0; l < PL_LANES; l++) {
				const uint32_t v = t[l][i];
				bad |= (uint32_t)((v & 0x7f80) == 0x7f80) | (uint32_t)((v & 0x7f800000) == 0x7f800000);
				to[(size_t)(k + i) * PL_LANES + l] = v;
			}
	}
	return bad != 0;
}

int pl_pack(const pl_matrix *to, void *data, const pl_source *s, int32_t lo, int32_t hi)
{
	const size_t per_block = (size_t)PL_LANES * to->k;
	const int plain = to->type == PL_BF16 && s->type == PL_BF16 && s->col_group == s->cols && s->cols % 2 == 0;
	int bad = 0;
	for (int32_t i = lo; i < hi;) {
		const int32_t row = row_of(s, i), lane = row % PL_LANES;
		const size_t base = (size_t)(row / PL_LANES) * per_block;
		if (plain && lane == 0 && i + 16 <= hi && row_of(s, i + 15) == row + 15) {
			bad |= block((uint32_t *)data + base / 2, (const char *)s->data + (size_t)i * s->cols * 2, s->cols);
			i += 16;
			continue;
		}
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
		i++;
	}
	return bad;
}
