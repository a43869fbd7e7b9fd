//go:build native

// AVX2 and FMA: vectors of 8, so a block of 16 rows is two of them.
#if defined(__x86_64__)
#include "kernels.h"

#include <immintrin.h>

#define FN static __attribute__((target("avx2,fma,f16c")))
#define IN static inline __attribute__((always_inline, target("avx2,fma,f16c")))
#define TABLE pl_avx2
#define NAME "avx2"

typedef __m256 vf;
enum {
	VL = 8,      // floats of a vector
	TILE_M = 6,  // rows of the product's register tile …
	TILE_B = 1,  // … and blocks: 12 accumulators of 16 registers
	LINE_B = 4,  // blocks of a single row
	SMALL_M = 3, // tile of `small`, in rows …
	SMALL_V = 4, // … and vectors
};

IN vf v_load(const float *p) { return _mm256_loadu_ps(p); }
IN void v_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
IN vf v_set(float f) { return _mm256_set1_ps(f); }
IN vf v_at(const float *p) { return _mm256_broadcast_ss(p); }
IN vf v_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
IN vf v_max(vf a, vf b) { return _mm256_max_ps(a, b); }
IN vf v_min(vf a, vf b) { return _mm256_min_ps(a, b); }
IN vf v_even(const void *p)
{
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256((const __m256i *)p), 16));
}
// v_odd clears the lower half by two shifts: a mask would take the one register
// that the tile has left, and a sum would go to memory instead.
IN vf v_odd(const void *p)
{
	__m256i w = _mm256_loadu_si256((const __m256i *)p);
	return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_srli_epi32(w, 16), 16));
}
IN vf v_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// v_exp2n is a·2^n for whole n in -126 … 127.
IN vf v_exp2n(vf a, vf n)
{
	__m256i e = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
	return _mm256_mul_ps(a, _mm256_castsi256_ps(e));
}
// v_zero_below is a where x ≥ limit, else 0.
IN vf v_zero_below(vf a, vf x, float limit)
{
	return _mm256_and_ps(a, _mm256_cmp_ps(x, _mm256_set1_ps(limit), _CMP_GE_OQ));
}
IN __m256i bf16_bits(vf a)
{
	__m256i u = _mm256_castps_si256(a);
	__m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
	return _mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
}
IN vf v_bf16(vf a)
{
	return _mm256_castsi256_ps(_mm256_and_si256(bf16_bits(a), _mm256_set1_epi32((int)0xffff0000)));
}
IN void v_store_bf16(uint16_t *p, vf a)
{
	__m256i u = _mm256_srli_epi32(bf16_bits(a), 16);
	u = _mm256_permute4x64_epi64(_mm256_packus_epi32(u, u), 0x08);
	_mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(u));
}

#include "simd.h"
#endif
