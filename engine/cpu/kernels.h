//go:build native

// The kernel table: every piece of arithmetic that has one version an
// instruction set. Kernels check nothing and decide nothing; Go checks arguments
// before a step starts.
//
// Layouts.
//   matrix      blocks of 16 output rows, one lane a row, so that no product needs a
//               horizontal sum; within a block, in order of inputs:
//                 f32  [N/16][K][16]
//                 bf16 [N/16][K/2][16][2]
//                 s8   [N/16][K/4][16][4]   signed
//                 w8   [N/16][K/4][16][4]   value + 128, and a scale a row: f32 [N]
//                 w4   [N/16][K/8][16][4]   value + 8: byte i of a lane's four holds
//                      input i in its low nibble and input 4+i in its high one, and a
//                      scale a row and group of 128 inputs: f16 [N/16][K/128][16]
//               K is padded to a multiple of 16 and N to one of 16, with zeros.
//   activations row-major, row strides in elements: f32; bf16 for gemm_dot; for gemm_q
//               s8 with a scale (f32) and a sum of the integers (s32) a group of 128
//   a KV page   K is a matrix of 64 outputs (tokens) and dim inputs, V one of dim
//               outputs and 64 inputs, in f32, bf16 or s8
//
// Order of a sum. Each output of a product with floats is
//   (((init + s0) + s1) + …), s_j the sum over inputs j·256 … j·256+255 taken in
//   rising order by one chain of fused multiply-adds that starts at zero,
// and each of one with quantised weights is
//   fma(n_1, a_1·w_1, fma(n_0, a_0·w_0, init)) …, n_j the exact integer sum over group
//   j, a_j and w_j the scales of activations and weights.
// Nothing in it depends on how many rows are computed together, on the tile or on
// the thread, which is what makes prefill, decode and every batch agree bit for
// bit. Keep it so: a second accumulator over k in one path only would break it.
#ifndef PL_KERNELS_H
#define PL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { PL_LANES = 16, PL_PAGE = 64, PL_KBLOCK = 256, PL_GROUP = 128 };
enum { PL_BF16 = 0, PL_F32 = 1, PL_F16 = 2, PL_S8 = 3, PL_W8 = 4, PL_W4 = 5 };

// pl_matrix is a packed weight matrix.
typedef struct {
	const void *data;
	const void *scales; // of w8 and w4
	int32_t type;
	int32_t blocks; // N/16, padded
	int32_t k;      // inputs, padded
} pl_matrix;

// pl_gemm is one call of a matrix product over blocks [b0, b1):
// c[i][16·(b-b0)+lane] = init + Σ_k a[i][k]·w.
typedef struct {
	const pl_matrix *w;
	int32_t k;     // inputs to take, from the first: a multiple of 4, at most w->k
	const void *a; // m rows of f32 (gemm), bf16 (gemm_dot) or s8 (gemm_q)
	size_t lda;
	const float *as;   // of s8: scales [m][lds] …
	const int32_t *az; // … and sums [m][lds]
	size_t lds;
	float *c; // column 0 belongs to block b0
	size_t ldc;
	const float *init; // m rows at stride ldi (0: one row for all); NULL: zero; may be c
	size_t ldi;
	int32_t m;
} pl_gemm;

// pl_kernels is one row of the table.
typedef struct {
	const char *name;

	// gemm: f32 activations, exact products of f32, bf16 and s8 weights.
	void (*gemm)(const pl_gemm *g, int32_t b0, int32_t b1);
	// gemm_dot: bf16 activations and weights by the instruction set's own dot
	// product with f32 accumulation; NULL where there is none.
	void (*gemm_dot)(const pl_gemm *g, int32_t b0, int32_t b1);
	// gemm_q: s8 activations, w8 and w4 weights. Equal bits on every instruction set
	// that has fused multiply-adds.
	void (*gemm_q)(const pl_gemm *g, int32_t b0, int32_t b1);
	// quantize: n (a multiple of 16) values to s8, by groups: scale = max|x|/127,
	// q = x·(127/max|x|) rounded to even, sum = Σ q.
	void (*quantize)(int8_t *q, float *scale, int32_t *sum, const float *x, int32_t n);
	// softmax folds one page of scores s[rows][64] into running maxima and sums,
	// turns s into weights and rescales o[rows][dim]. A masked score is -inf.
	void (*softmax)(float *s, float *o, float *maxima, float *sums, int32_t rows, int32_t dim);
	// rmsnorm: y = x/sqrt(mean(x²)+eps)·w over n padded values, of which real count.
	void (*rmsnorm)(float *y, const float *x, const float *w, int32_t n, int32_t real, float eps);
	// swiglu: y[16p+i] = silu(g[32p+i])·g[32p+16+i] for p < panels.
	void (*swiglu)(float *y, const float *g, int32_t panels);
	// scale: x[i] *= f for n (a multiple of 16) values; scale_each: x[i] *= f[i].
	void (*scale)(float *x, float f, int32_t n);
	void (*scale_each)(float *x, const float *f, int32_t n);
	// round: bf16 (to nearest even) of n values, to h where h isn't NULL, else in place.
	void (*round)(float *x, uint16_t *h, int32_t n);
	// logsumexp of n values, any n.
	double (*logsumexp)(const float *x, int32_t n);
} pl_kernels;

extern const pl_kernels pl_scalar;
#if defined(__x86_64__)
extern const pl_kernels pl_avx2;
extern const pl_kernels pl_avx512;
extern const pl_kernels pl_avx512vnni;
extern const pl_kernels pl_avx512bf16;
extern const pl_kernels pl_amx;
#elif defined(__aarch64__)
extern const pl_kernels pl_neon;
extern const pl_kernels pl_neondot;
#endif

// pl_isa is the i-th row of the table, best first, or NULL after the last;
// *have says whether this machine can run it.
const pl_kernels *pl_isa(int32_t i, int32_t *have);

// Scalar conversions that all kernel sets share.
static inline float pl_bf16_up(uint16_t h)
{
	const uint32_t u = (uint32_t)h << 16;
	float f;
	__builtin_memcpy(&f, &u, sizeof f);
	return f;
}

// pl_bf16 rounds to nearest even. It takes no NaN.
static inline uint16_t pl_bf16(float f)
{
	uint32_t u;
	__builtin_memcpy(&u, &f, sizeof u);
	return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// pl_f16_up converts IEEE binary16; every such value is a float.
static inline float pl_f16_up(uint16_t h)
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
	__builtin_memcpy(&f, &u, sizeof f);
	return f;
}

#endif
