//go:build native

#include "probe.h"

#include "memory.h"

void pl_probe_gemm(const pl_kernels *k, int dot, int32_t type, int32_t blocks, int32_t inputs, const void *w,
                   const void *a, size_t lda, float *c, size_t ldc, const float *init, size_t ldi, int32_t m)
{
	const pl_matrix matrix = {w, type, blocks, inputs};
	const pl_gemm g = {&matrix, a, lda, c, ldc, init, ldi, m};
	(dot ? k->gemm_dot : k->gemm)(&g, 0, blocks);
}

int pl_probe_has_dot(const pl_kernels *k) { return k->gemm_dot != NULL; }

void pl_probe_small(const pl_kernels *k, float *c, const float *a, const float *b, int32_t rows, int32_t n,
                    int32_t cols, int add)
{
	k->small(c, cols, a, n, b, cols, rows, n, cols, add);
}

void pl_probe_softmax(const pl_kernels *k, float *s, float *o, float *maxima, float *sums, int32_t rows, int32_t dim)
{
	k->softmax(s, o, maxima, sums, rows, dim);
}

void pl_probe_rmsnorm(const pl_kernels *k, float *y, const float *x, const float *w, int32_t n, int32_t real, float eps)
{
	k->rmsnorm(y, x, w, n, real, eps);
}

void pl_probe_swiglu(const pl_kernels *k, float *y, const float *g, int32_t panels) { k->swiglu(y, g, panels); }

void pl_probe_round(const pl_kernels *k, float *x, uint16_t *h, int32_t n) { k->round(x, h, n); }

double pl_probe_logsumexp(const pl_kernels *k, const float *x, int32_t n) { return k->logsumexp(x, n); }

int pl_probe_pack(void *to, int32_t to_type, int32_t inputs, const void *from, int32_t type, int32_t rows, int32_t cols)
{
	const pl_matrix matrix = {to, to_type, (rows + PL_LANES - 1) / PL_LANES, inputs};
	const pl_source source = {from, type, rows, cols, 0, rows, rows, cols, cols};
	return pl_pack(&matrix, to, &source, 0, rows);
}

uint64_t pl_probe_read(const void *p, size_t bytes)
{
	const uint64_t *w = p;
	uint64_t x[8] = {0};
	for (size_t i = 0; i + 8 <= bytes / 8; i += 8)
		for (int j = 0; j < 8; j++)
			x[j] ^= w[i + j];
	return x[0] ^ x[1] ^ x[2] ^ x[3] ^ x[4] ^ x[5] ^ x[6] ^ x[7];
}
