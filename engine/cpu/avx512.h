//go:build native

// Vectors of 16 floats for the AVX-512 rows; the file that includes this defines FN,
// IN, TABLE, NAME and perhaps HAVE_VNNI and HAVE_DOT.
#if defined(__x86_64__)
#include "kernels.h"

#include <immintrin.h>

typedef __m512 vf;
typedef __m512i vi;
enum {
	VL = 16,      // floats of a vector
	TILE_M = 12,  // rows of the product's register tile …
	TILE_B = 2,   // … and blocks: 24 accumulators of 32 registers
	TILE_SM = 12, // the same for s8 weights
#ifdef HAVE_VNNI
	TILE_QM = 12, // the same for quantised weights
#else
	TILE_QM = 6, // the same, with room for what the sign trick needs
#endif
	TILE_QB = 2,
	LINE_B = 4, // blocks of a single row
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
IN vf v_abs(vf a) { return _mm512_abs_ps(a); }
IN vf v_whole(vi a) { return _mm512_cvtepi32_ps(a); }
IN vi vi_set(int32_t i) { return _mm512_set1_epi32(i); }
IN vi vi_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
IN void vi_store(int32_t *p, vi a) { _mm512_storeu_si512(p, a); }
// v_nearest rounds to whole numbers, ties to even.
IN vi v_nearest(vf a) { return _mm512_cvtps_epi32(a); }
IN void v_store_s8(int8_t *p, vi a) { _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(a)); }
// v_sum folds halves: eight and eight, four and four, two and two, one and one.
IN float v_sum(vf a) { return _mm512_reduce_add_ps(a); }
IN float v_top(vf a) { return _mm512_reduce_max_ps(a); }
// v_half widens binary16.
IN vf v_half(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }
// v_byte is byte h of each four, signed, as floats.
IN vf v_byte(const void *p, int h)
{
	return _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(_mm512_loadu_si512(p), 24 - 8 * h), 24));
}
IN vi v_low(const void *p) { return _mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(15)); }
IN vi v_high(const void *p)
{
	return _mm512_and_si512(_mm512_srli_epi16(_mm512_loadu_si512(p), 4), _mm512_set1_epi8(15));
}
#ifdef HAVE_VNNI
// v_dot8 and v_dot4 add the products of four unsigned weights a lane and the four
// signed activations at x. It is assembly for the operand in memory, broadcast as it is
// read: the compiler's own form takes a register for it, and the sums go to memory.
enum { W8_BIAS = 128 };
IN vi v_w8(const void *p) { return _mm512_loadu_si512(p); }
IN vi v_dot8(vi acc, vi w, const int8_t *x)
{
	__asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(w), "m"(*(const int32_t(*)[1])x));
	return acc;
}
IN vi v_dot4(vi acc, vi w, const int8_t *x) { return v_dot8(acc, w, x); }
#else
// v_dot8 adds the products of four signed weights a lane and the four activations at
// x. The multiplier takes one unsigned side: the weights get the activations' signs.
// Sums of two products fit 16 bits, as neither side is -128.
enum { W8_BIAS = 0 };
IN vi v_four(const int8_t *x)
{
	int32_t four;
	__builtin_memcpy(&four, x, sizeof four);
	return _mm512_set1_epi32(four);
}
IN vi v_pairs(vi acc, vi unsigned8, vi signed8)
{
	return _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_maddubs_epi16(unsigned8, signed8), _mm512_set1_epi16(1)));
}
IN vi v_w8(const void *p) { return _mm512_xor_si512(_mm512_loadu_si512(p), _mm512_set1_epi8(-128)); }
IN vi v_dot8(vi acc, vi w, const int8_t *x)
{
	const vi a = v_four(x);
	return v_pairs(acc, _mm512_abs_epi8(a), _mm512_mask_sub_epi8(w, _mm512_movepi8_mask(a), _mm512_setzero_si512(), w));
}
// v_dot4 does it for unsigned weights of 4 bits.
IN vi v_dot4(vi acc, vi w, const int8_t *x) { return v_pairs(acc, w, v_four(x)); }
#endif
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
