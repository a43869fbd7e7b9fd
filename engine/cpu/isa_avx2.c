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
typedef __m256i vi;
enum {
	VL = 8,      // floats of a vector
	TILE_M = 6,  // rows of the product's register tile …
	TILE_B = 1,  // … and blocks: 12 accumulators of 16 registers
	TILE_SM = 4, // the same for s8 weights
	TILE_QM = 2, // the same for quantised weights: 4 accumulators
	TILE_QB = 1,
	LINE_B = 4, // blocks of a single row
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
IN vf v_abs(vf a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
IN vf v_whole(vi a) { return _mm256_cvtepi32_ps(a); }
IN vi v_load_vi(const void *p) { return _mm256_loadu_si256((const __m256i *)p); }
IN vi vi_set(int32_t i) { return _mm256_set1_epi32(i); }
IN vi vi_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
IN void vi_store(int32_t *p, vi a) { _mm256_storeu_si256((__m256i *)p, a); }
// v_nearest rounds to whole numbers, ties to even.
IN vi v_nearest(vf a) { return _mm256_cvtps_epi32(a); }
IN void v_store_s8(int8_t *p, vi a)
{
	const __m128i h = _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
	_mm_storel_epi64((__m128i *)p, _mm_packs_epi16(h, h));
}
// v_sum folds halves: four and four, two and two, one and one.
IN float v_sum(vf a)
{
	const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
	const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
	return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
IN float v_top(vf a)
{
	const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
	const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
	return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}
// v_half widens binary16.
IN vf v_half(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
// v_byte is byte h of each four, signed, as floats.
IN vf v_byte(const void *p, int h)
{
	return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(v_load_vi(p), 24 - 8 * h), 24));
}
IN vi v_low(const void *p) { return _mm256_and_si256(v_load_vi(p), _mm256_set1_epi8(15)); }
IN vi v_high(const void *p) { return _mm256_and_si256(_mm256_srli_epi16(v_load_vi(p), 4), _mm256_set1_epi8(15)); }
// v_dot8 adds the products of four signed weights a lane and the four activations at
// x. The multiplier takes one unsigned side: the weights get the activations' signs.
// Sums of two products fit 16 bits, as neither side is -128.
enum { W8_BIAS = 0 };
IN vi v_four(const int8_t *x)
{
	int32_t four;
	__builtin_memcpy(&four, x, sizeof four);
	return _mm256_set1_epi32(four);
}
IN vi v_pairs(vi acc, vi unsigned8, vi signed8)
{
	return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(unsigned8, signed8), _mm256_set1_epi16(1)));
}
IN vi v_w8(const void *p) { return _mm256_xor_si256(v_load_vi(p), _mm256_set1_epi8(-128)); }
IN vi v_dot8(vi acc, vi w, const int8_t *x)
{
	const vi a = v_four(x);
	return v_pairs(acc, _mm256_abs_epi8(a), _mm256_sign_epi8(w, a));
}
// v_dot4 does it for unsigned weights of 4 bits.
IN vi v_dot4(vi acc, vi w, const int8_t *x) { return v_pairs(acc, w, v_four(x)); }

#include "simd.h"
#endif
