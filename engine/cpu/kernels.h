//go:build native

// The kernel table: every piece of arithmetic that has one version an
// instruction set. Kernels check nothing and decide nothing; Go checks arguments
// before a step starts.
//
// Layouts.
//   matrix      blocks of 16 output rows; within a block, pairs of inputs:
//                 bf16 [N/16][K/2][16][2]   or   f32 [N/16][K][16]
//               K is padded to a multiple of 16 and N to one of 16, with zeros.
//   activations row-major f32, or bf16 for gemm_dot; row strides in elements
//   K of a page [dim][64]: one lane a token, so that q·k needs no horizontal sum
//   V of a page [64][dim]
//
// Order of a sum. Each output of a matrix product is
//   (((init + s0) + s1) + …), s_j the sum over inputs j·256 … j·256+255 taken in
//   rising order by one chain of fused multiply-adds that starts at zero.
// Nothing in it depends on how many rows are computed together, on the tile or on
// the thread, which is what makes prefill, decode and every batch agree bit for
// bit. Keep it so: a second accumulator over k in one path only would break it.
#ifndef PL_KERNELS_H
#define PL_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { PL_LANES = 16, PL_PAGE = 64, PL_KBLOCK = 256 };
enum { PL_BF16 = 0, PL_F32 = 1, PL_F16 = 2 };

// pl_matrix is a packed weight matrix.
typedef struct {
	const void *data;
	int32_t type;   // PL_BF16 or PL_F32
	int32_t blocks; // N/16, padded
	int32_t k;      // inputs, padded
} pl_matrix;

// pl_gemm is one call of a matrix product over blocks [b0, b1):
// c[i][16·(b-b0)+lane] = init + Σ_k a[i][k]·w.
typedef struct {
	const pl_matrix *w;
	const void *a; // m rows of f32 (gemm) or bf16 (gemm_dot)
	size_t lda;
	float *c; // column 0 belongs to block b0
	size_t ldc;
	const float *init; // m rows at stride ldi (0: one row for all); NULL: zero; may be c
	size_t ldi;
	int32_t m;
} pl_gemm;

// pl_kernels is one row of the table.
typedef struct {
	const char *name;

	// gemm: f32 activations, exact products of bf16 weights.
	void (*gemm)(const pl_gemm *g, int32_t b0, int32_t b1);
	// gemm_dot: bf16 activations and weights by the instruction set's own dot
	// product with f32 accumulation; NULL where there is none.
	void (*gemm_dot)(const pl_gemm *g, int32_t b0, int32_t b1);
	// small: c[r][j] = (add ? c : 0) + Σ_k a[r][k]·b[k][j], cols a multiple of 16,
	// one chain over k in rising order.
	void (*small)(float *c, size_t ldc, const float *a, size_t lda, const float *b, size_t ldb,
	              int32_t rows, int32_t k, int32_t cols, int add);
	// softmax folds one page of scores s[rows][64] into running maxima and sums,
	// turns s into weights and rescales o[rows][dim]. A masked score is -inf.
	void (*softmax)(float *s, float *o, float *maxima, float *sums, int32_t rows, int32_t dim);
	// rmsnorm: y = x/sqrt(mean(x²)+eps)·w over n padded values, of which real count.
	void (*rmsnorm)(float *y, const float *x, const float *w, int32_t n, int32_t real, float eps);
	// swiglu: y[16p+i] = silu(g[32p+i])·g[32p+16+i] for p < panels.
	void (*swiglu)(float *y, const float *g, int32_t panels);
	// scale: x[i] *= f for n (a multiple of 16) values.
	void (*scale)(float *x, float f, int32_t n);
	// round: bf16 (to nearest even) of n values, to h where h isn't NULL, else in place.
	void (*round)(float *x, uint16_t *h, int32_t n);
	// logsumexp of n values, any n.
	double (*logsumexp)(const float *x, int32_t n);
} pl_kernels;

extern const pl_kernels pl_scalar;
#if defined(__x86_64__)
extern const pl_kernels pl_avx2;
extern const pl_kernels pl_avx512;
extern const pl_kernels pl_avx512bf16;
#elif defined(__aarch64__)
extern const pl_kernels pl_neon;
#endif

// pl_isa is the i-th row of the table, best first, or NULL after the last;
// *have says whether this machine can run it.
const pl_kernels *pl_isa(int32_t i, int32_t *have);

#endif
