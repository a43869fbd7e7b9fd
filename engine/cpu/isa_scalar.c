//go:build native

// Plain C kernels: for machines without the vector sets below, and the second
// opinion that the vector kernels are compared with. The loops over 16 lanes are
// written so that a compiler may turn them into whatever vectors it has.
#define _GNU_SOURCE
#include "kernels.h"

#include <math.h>
#include <string.h>

static inline float bf16_up(uint16_t h)
{
	uint32_t u = (uint32_t)h << 16;
	float f;
	memcpy(&f, &u, sizeof f);
	return f;
}

static void gemm(const pl_gemm *g, int32_t b0, int32_t b1)
{
	int32_t k_all = g->w->k;
	for (int32_t b = b0; b < b1; b++) {
		const uint16_t *wh = (const uint16_t *)g->w->data + (size_t)b * PL_LANES * k_all;
		const float *wf = (const float *)g->w->data + (size_t)b * PL_LANES * k_all;
		for (int32_t i = 0; i < g->m; i++) {
			const float *a = (const float *)g->a + i * g->lda;
			float *c = g->c + i * g->ldc + (size_t)(b - b0) * PL_LANES;
			float total[PL_LANES] = {0};
			if (g->init)
				memcpy(total, g->init + i * g->ldi + (size_t)(b - b0) * PL_LANES, sizeof total);
			for (int32_t k0 = 0; k0 < k_all; k0 += PL_KBLOCK) {
				int32_t k1 = k0 + PL_KBLOCK < k_all ? k0 + PL_KBLOCK : k_all;
				float sum[PL_LANES] = {0};
				if (g->w->type == PL_BF16)
					for (int32_t k = k0; k < k1; k += 2) {
						const uint16_t *p = wh + (size_t)k * PL_LANES;
						for (int l = 0; l < PL_LANES; l++) {
							sum[l] += bf16_up(p[2 * l]) * a[k];
							sum[l] += bf16_up(p[2 * l + 1]) * a[k + 1];
						}
					}
				else
					for (int32_t k = k0; k < k1; k++) {
						const float *p = wf + (size_t)k * PL_LANES;
						for (int l = 0; l < PL_LANES; l++)
							sum[l] += p[l] * a[k];
					}
				for (int l = 0; l < PL_LANES; l++)
					total[l] += sum[l];
			}
			memcpy(c, total, sizeof total);
		}
	}
}

static void small(float *c, size_t ldc, const float *a, size_t lda, const float *b, size_t ldb,
                  int32_t rows, int32_t k, int32_t cols, int add)
{
	for (int32_t r = 0; r < rows; r++) {
		float *cr = c + r * ldc;
		if (!add)
			memset(cr, 0, sizeof(float) * cols);
		for (int32_t i = 0; i < k; i++)
			for (int32_t j = 0; j < cols; j++)
				cr[j] += a[r * lda + i] * b[i * ldb + j];
	}
}

static void scale(float *x, float f, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		x[i] *= f;
}

static void softmax(float *s, float *o, float *maxima, float *sums, int32_t rows, int32_t dim)
{
	for (int32_t r = 0; r < rows; r++) {
		float *p = s + (size_t)r * PL_PAGE, top = maxima[r], sum = 0;
		for (int t = 0; t < PL_PAGE; t++)
			top = p[t] > top ? p[t] : top;
		float keep = expf(maxima[r] - top);
		for (int t = 0; t < PL_PAGE; t++) {
			p[t] = expf(p[t] - top);
			sum += p[t];
		}
		maxima[r] = top;
		sums[r] = sums[r] * keep + sum;
		scale(o + (size_t)r * dim, keep, dim);
	}
}

static void rmsnorm(float *y, const float *x, const float *w, int32_t n, int32_t real, float eps)
{
	double sum = 0;
	for (int32_t i = 0; i < n; i++)
		sum += (double)x[i] * x[i];
	float inv = (float)(1.0 / sqrt(sum / real + eps));
	for (int32_t i = 0; i < n; i++)
		y[i] = x[i] * inv * w[i];
}

static void swiglu(float *y, const float *g, int32_t panels)
{
	for (int32_t p = 0; p < panels; p++)
		for (int l = 0; l < PL_LANES; l++) {
			float v = g[32 * p + l];
			y[16 * p + l] = v / (1.0f + expf(-v)) * g[32 * p + 16 + l];
		}
}

static void round_bf16(float *x, uint16_t *h, int32_t n)
{
	for (int32_t i = 0; i < n; i++) {
		uint32_t u;
		memcpy(&u, x + i, sizeof u);
		u += 0x7fff + (u >> 16 & 1);
		if (h) {
			h[i] = (uint16_t)(u >> 16);
		} else {
			u &= 0xffff0000;
			memcpy(x + i, &u, sizeof u);
		}
	}
}

static double logsumexp(const float *x, int32_t n)
{
	float top = x[0];
	for (int32_t i = 1; i < n; i++)
		top = x[i] > top ? x[i] : top;
	double sum = 0;
	for (int32_t i = 0; i < n; i++)
		sum += expf(x[i] - top);
	return top + log(sum);
}

const pl_kernels pl_scalar = {
	.name = "scalar",
	.gemm = gemm,
	.small = small,
	.softmax = softmax,
	.rmsnorm = rmsnorm,
	.swiglu = swiglu,
	.scale = scale,
	.round = round_bf16,
	.logsumexp = logsumexp,
};
