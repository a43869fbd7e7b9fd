//go:build native

// Vectors of 16 floats for the two AVX-512 rows; the file that includes this
// defines FN, IN, TABLE, NAME and perhaps HAVE_DOT.
#if defined(__x86_64__)
#include "kernels.h"

#include <immintrin.h>

typedef __m512 vf;
enum {
	VL = 16,     // floats of a vector
	TILE_M = 12, // rows of the product's register tile …
	TILE_B = 2,  // … and blocks: 24 accumulators of 32 registers
	LINE_B = 4,  // blocks of a single row
	SMALL_M = 6, // tile of `small`, in rows …
	SMALL_V = 4, // … and vectors
};

IN vf v_load(const float *p) { return _mm512_loadu_ps(p); }
IN void v_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
IN vf v_set(float f) { return _mm512_set1_ps(f); }
IN vf v_at(const float *p) { return _mm512_set1_ps(*p); }
IN vf v_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
IN vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
IN vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
IN vf v_even(const void *p)
{
	return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16));
}
IN vf v_odd(const void *p)
{
	return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32((int)0xffff0000)));
}
IN vf v_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// v_exp2n is a·2^n for whole n in -126 … 127.
IN vf v_exp2n(vf a, vf n) { return _mm512_scalef_ps(a, n); }
// v_zero_below is a where x ≥ limit, else 0.
IN vf v_zero_below(vf a, vf x, float limit)
{
	return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_GE_OQ), a);
}
IN __m512i bf16_bits(vf a)
{
	__m512i u = _mm512_castps_si512(a);
	__m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
	return _mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
}
IN vf v_bf16(vf a)
{
	return _mm512_castsi512_ps(_mm512_and_si512(bf16_bits(a), _mm512_set1_epi32((int)0xffff0000)));
}
IN void v_store_bf16(uint16_t *p, vf a)
{
	_mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_srli_epi32(bf16_bits(a), 16)));
}
#ifdef HAVE_DOT
// v_dot adds w·x of 16 pairs of bf16, the pair at x broadcast.
IN vf v_dot(vf acc, const void *w, const void *x)
{
	int32_t pair;
	__builtin_memcpy(&pair, x, sizeof pair);
	return _mm512_dpbf16_ps(acc, (__m512bh)_mm512_loadu_si512(w), (__m512bh)_mm512_set1_epi32(pair));
}
#endif

#include "simd.h"
#endif
