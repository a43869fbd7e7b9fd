//go:build native

// NEON, which every aarch64 machine has: vectors of 4, so a block of 16 rows is
// four of them.
#if defined(__aarch64__)
#include "kernels.h"

#if !defined(__clang__)
// GCC moves loads up before it gives out registers, and then has too few for the
// tiles: sums would go through memory in every round of the loop.
#pragma GCC optimize("no-schedule-insns")
#endif
#include <arm_neon.h>

#define FN static
#define IN static inline __attribute__((always_inline))
#define TABLE pl_neon
#define NAME "neon"

typedef float32x4_t vf;
enum {
	VL = 4,      // floats of a vector
	TILE_M = 5,  // rows of the product's register tile …
	TILE_B = 1,  // … and blocks: 20 accumulators of 32 registers; with 24 GCC spills
	LINE_B = 2,  // blocks of a single row
	SMALL_M = 6, // tile of `small`, in rows …
	SMALL_V = 4, // … and vectors
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

#include "simd.h"
#endif
