//go:build native

// Vectors of 4 floats for the NEON rows, so a block of 16 rows is four of them; the file
// that includes this defines FN, IN, TABLE, NAME and perhaps HAVE_SDOT.
#if defined(__aarch64__)
#include "kernels.h"

#if !defined(__clang__)
// GCC moves loads up before it gives out registers, and then has too few for the
// tiles: sums would go through memory in every round of the loop.
#pragma GCC optimize("no-schedule-insns")
#endif
#include <arm_neon.h>

typedef float32x4_t vf;
typedef int32x4_t vi;
enum {
	VL = 4,      // floats of a vector
	TILE_M = 5,  // rows of the product's register tile …
	TILE_B = 1,  // … and blocks: 20 accumulators of 32 registers; with 24 GCC spills
	TILE_SM = 5, // the same for s8 weights
	TILE_QM = 3, // the same for quantised weights: 12 accumulators
	TILE_QB = 1,
	LINE_B = 2, // blocks of a single row
};

IN vf v_load(const float *p) { return vld1q_f32(p); }
IN void v_store(float *p, vf a) { vst1q_f32(p, a); }
IN vf v_set(float f) { return vdupq_n_f32(f); }
IN vf v_at(const float *p) { return vld1q_dup_f32(p); }
IN vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
// v_max and v_min are b where the two are equal or one is not a number, as x86 has
// it; FMAX would hand the NaN on.
IN vf v_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
IN vf v_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
IN vf v_even(const void *p)
{
	return vreinterpretq_f32_u32(vshlq_n_u32(vld1q_u32((const uint32_t *)p), 16));
}
IN vf v_odd(const void *p)
{
	return vreinterpretq_f32_u32(vandq_u32(vld1q_u32((const uint32_t *)p), vdupq_n_u32(0xffff0000)));
}
IN vf v_round(vf a) { return vrndnq_f32(a); }
// v_exp2n is a·2^n for whole n in -126 … 127.
IN vf v_exp2n(vf a, vf n)
{
	int32x4_t e = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23);
	return vmulq_f32(a, vreinterpretq_f32_s32(e));
}
// v_zero_below is a where x ≥ limit, else 0.
IN vf v_zero_below(vf a, vf x, float limit)
{
	return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vcgeq_f32(x, vdupq_n_f32(limit))));
}
IN uint32x4_t bf16_bits(vf a)
{
	uint32x4_t u = vreinterpretq_u32_f32(a);
	uint32x4_t odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
	return vaddq_u32(u, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
}
IN vf v_bf16(vf a)
{
	return vreinterpretq_f32_u32(vandq_u32(bf16_bits(a), vdupq_n_u32(0xffff0000)));
}
IN void v_store_bf16(uint16_t *p, vf a) { vst1_u16(p, vshrn_n_u32(bf16_bits(a), 16)); }
IN vf v_abs(vf a) { return vabsq_f32(a); }
IN vf v_whole(vi a) { return vcvtq_f32_s32(a); }
IN vi v_load_vi(const void *p) { return vld1q_s32((const int32_t *)p); }
IN vi vi_set(int32_t i) { return vdupq_n_s32(i); }
IN vi vi_add(vi a, vi b) { return vaddq_s32(a, b); }
IN void vi_store(int32_t *p, vi a) { vst1q_s32(p, a); }
// v_nearest rounds to whole numbers, ties to even.
IN vi v_nearest(vf a) { return vcvtnq_s32_f32(a); }
IN void v_store_s8(int8_t *p, vi a)
{
	const int16x4_t h = vmovn_s32(a);
	const int32x2_t b = vreinterpret_s32_s8(vmovn_s16(vcombine_s16(h, h)));
	const int32_t four = vget_lane_s32(b, 0);
	__builtin_memcpy(p, &four, sizeof four);
}
// v_sum folds halves: two and two, one and one.
IN float v_sum(vf a) { return vaddv_f32(vadd_f32(vget_low_f32(a), vget_high_f32(a))); }
IN float v_top(vf a) { return vmaxvq_f32(a); }
// v_half widens binary16.
IN vf v_half(const uint16_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p))); }
// v_byte is byte h of each four, signed, as floats.
IN vf v_byte(const void *p, int h)
{
	return vcvtq_f32_s32(vshrq_n_s32(vshlq_s32(v_load_vi(p), vdupq_n_s32(24 - 8 * h)), 24));
}
IN vi v_low(const void *p)
{
	return vreinterpretq_s32_u8(vandq_u8(vld1q_u8((const uint8_t *)p), vdupq_n_u8(15)));
}
IN vi v_high(const void *p) { return vreinterpretq_s32_u8(vshrq_n_u8(vld1q_u8((const uint8_t *)p), 4)); }
// v_dot8 adds the products of four signed weights a lane and the four activations at
// x; v_dot4 does it for weights of 4 bits, which are no less than 0.
enum { W8_BIAS = 0 };
IN vi v_w8(const void *p)
{
	return vreinterpretq_s32_u8(veorq_u8(vld1q_u8((const uint8_t *)p), vdupq_n_u8(128)));
}
IN vi v_dot8(vi acc, vi w, const int8_t *x)
{
	int32_t four;
	__builtin_memcpy(&four, x, sizeof four);
	const int8x16_t b = vreinterpretq_s8_s32(w), a = vreinterpretq_s8_s32(vdupq_n_s32(four));
#ifdef HAVE_SDOT
	return vdotq_s32(acc, b, a);
#else
	const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(b), vget_low_s8(a)));
	return vaddq_s32(acc, vpaddq_s32(low, vpaddlq_s16(vmull_high_s8(b, a))));
#endif
}
IN vi v_dot4(vi acc, vi w, const int8_t *x) { return v_dot8(acc, w, x); }

#include "simd.h"
#endif
