//go:build native

#include "probe.h"

#include "memory.h"

void pl_probe_gemm(const pl_kernels *k, int dot, int32_t type, int32_t blocks, int32_t inputs, const void *w,
                   const void *a, size_t lda, float *c, size_t ldc, const float *init, size_t ldi, int32_t m)
{
	const pl_matrix matrix = {w, NULL, type, blocks, inputs};
	const pl_gemm g = {.w = &matrix, .k = inputs, .a = a, .lda = lda, .c = c, .ldc = ldc, .init = init, .ldi = ldi, .m = m};
	(dot ? k->gemm_dot : k->gemm)(&g, 0, blocks);
}

void pl_probe_gemm_q(const pl_kernels *k, int32_t type, int32_t blocks, int32_t inputs, const void *w, const void *scales,
                     const int8_t *a, const float *as, const int32_t *az, float *c, const float *init, size_t ldi, int32_t m)
{
	const pl_matrix matrix = {w, scales, type, blocks, inputs};
	const size_t n = (size_t)blocks * PL_LANES;
	const pl_gemm g = {.w = &matrix, .k = inputs, .a = a, .lda = inputs, .as = as, .az = az,
	                   .lds = (inputs + PL_GROUP - 1) / PL_GROUP, .c = c, .ldc = n, .init = init, .ldi = ldi, .m = m};
	k->gemm_q(&g, 0, blocks);
}

void pl_probe_quantize(const pl_kernels *k, int8_t *q, float *scale, int32_t *sum, const float *x, int32_t n)
{
	k->quantize(q, scale, sum, x, n);
}

int pl_probe_has_dot(const pl_kernels *k) { return k->gemm_dot != NULL; }

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

int pl_probe_pack(void *to, void *to_scales, int32_t to_type, int32_t inputs, const void *from, const void *scales,
                  int32_t type, int32_t rows, int32_t cols)
{
	const pl_matrix matrix = {to, to_scales, to_type, (rows + PL_LANES - 1) / PL_LANES, inputs};
	const pl_source source = {from, scales, type, rows, cols, 0, rows, rows, cols, cols};
	return pl_pack(&matrix, to, to_scales, &source, 0, rows);
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
