//go:build native

// Kernels one by one, for tests and benchmarks: Go can't call a function pointer
// of C, nor pass a structure that holds pointers to its own memory.
#ifndef PL_PROBE_H
#define PL_PROBE_H

#include "kernels.h"

void pl_probe_gemm(const pl_kernels *k, int dot, int32_t type, int32_t blocks, int32_t inputs, const void *w,
                   const void *a, size_t lda, float *c, size_t ldc, const float *init, size_t ldi, int32_t m);
int pl_probe_has_dot(const pl_kernels *k);
// pl_probe_gemm_q: a [m][inputs], as and az [m][groups], c [m][blocks·16].
void pl_probe_gemm_q(const pl_kernels *k, int32_t type, int32_t blocks, int32_t inputs, const void *w, const void *scales,
                     const int8_t *a, const float *as, const int32_t *az, float *c, const float *init, size_t ldi, int32_t m);
void pl_probe_quantize(const pl_kernels *k, int8_t *q, float *scale, int32_t *sum, const float *x, int32_t n);
void pl_probe_softmax(const pl_kernels *k, float *s, float *o, float *maxima, float *sums, int32_t rows, int32_t dim);
void pl_probe_rmsnorm(const pl_kernels *k, float *y, const float *x, const float *w, int32_t n, int32_t real, float eps);
void pl_probe_swiglu(const pl_kernels *k, float *y, const float *g, int32_t panels);
void pl_probe_round(const pl_kernels *k, float *x, uint16_t *h, int32_t n);
double pl_probe_logsumexp(const pl_kernels *k, const float *x, int32_t n);
// pl_probe_pack packs a whole matrix of rows × cols.
int pl_probe_pack(void *to, void *to_scales, int32_t to_type, int32_t inputs, const void *from, const void *scales,
                  int32_t type, int32_t rows, int32_t cols);
// pl_probe_read reads memory and returns something that depends on all of it.
uint64_t pl_probe_read(const void *p, size_t bytes);

#endif
