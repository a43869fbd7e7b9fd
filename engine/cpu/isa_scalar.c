//go:build native

// Plain C kernels: for machines without the vector sets below, and the second
// opinion that the vector kernels are compared with. The loops over 16 lanes are
// written so that a compiler may turn them into whatever vectors it has.
#define _GNU_SOURCE
#include "kernels.h"

#include <math.h>
#include <string.h>

// weight is input k of lane l in a block of floats.
static inline float weight(int32_t type, const void *block, int32_t k, int l)
{
	switch (type) {
	case PL_F32: return ((const float *)block)[(size_t)k * PL_LANES + l];
	case PL_BF16: return pl_bf16_up(((const uint16_t *)block)[(size_t)(k / 2) * 32 + 2 * l + k % 2]);
	default: return ((const int8_t *)block)[(size_t)(k / 4) * 64 + 4 * l + k % 4];
	}
}

static inline void gemm_of(int32_t type, const pl_gemm *g, int32_t b0, int32_t b1)
{
	const size_t size = type == PL_F32 ? 4 : type == PL_BF16 ? 2 : 1;
	for (int32_t b = b0; b < b1; b++) {
		const char *block = (const char *)g->w->data + (size_t)b * PL_LANES * g->w->k * size;
		for (int32_t i = 0; i < g->m; i++) {
			const float *a = (const float *)g->a + i * g->lda;
			float total[PL_LANES] = {0};
			if (g->init)
				memcpy(total, g->init + i * g->ldi + (size_t)(b - b0) * PL_LANES, sizeof total);
			for (int32_t k0 = 0; k0 < g->k; k0 += PL_KBLOCK) {
				const int32_t k1 = k0 + PL_KBLOCK < g->k ? k0 + PL_KBLOCK : g->k;
				float sum[PL_LANES] = {0};
				for (int32_t k = k0; k < k1; k++)
					for (int l = 0; l < PL_LANES; l++)
						sum[l] += weight(type, block, k, l) * a[k];
				for (int l = 0; l < PL_LANES; l++)
					total[l] += sum[l];
			}
			memcpy(g->c + i * g->ldc + (size_t)(b - b0) * PL_LANES, total, sizeof total);
		}
	}
}

static void gemm(const pl_gemm *g, int32_t b0, int32_t b1)
{
	if (g->w->type == PL_F32)
		gemm_of(PL_F32, g, b0, b1);
	else if (g->w->type == PL_BF16)
		gemm_of(PL_BF16, g, b0, b1);
	else
		gemm_of(PL_S8, g, b0, b1);
}

// group_sum is the integer sum of one group of n inputs, by lane.
static inline void group_sum(int32_t *sum, int32_t type, const uint8_t *w, const int8_t *a, int32_t n)
{
	for (int32_t k = 0; k < n; k++)
		for (int l = 0; l < PL_LANES; l++) {
			if (type == PL_W8)
				sum[l] += a[k] * (w[(size_t)(k / 4) * 64 + 4 * l + k % 4] - 128);
			else
				sum[l] += a[k] * ((w[(size_t)(k / 8) * 64 + 4 * l + k % 4] >> (k % 8 < 4 ? 0 : 4) & 15) - 8);
		}
}

static void gemm_q(const pl_gemm *g, int32_t b0, int32_t b1)
{
	const int32_t type = g->w->type, groups = (g->w->k + PL_GROUP - 1) / PL_GROUP;
	for (int32_t b = b0; b < b1; b++) {
		const uint8_t *block = (const uint8_t *)g->w->data + (size_t)b * PL_LANES * g->w->k / (type == PL_W8 ? 1 : 2);
		for (int32_t i = 0; i < g->m; i++) {
			const int8_t *a = (const int8_t *)g->a + i * g->lda;
			float total[PL_LANES] = {0};
			if (g->init)
				memcpy(total, g->init + i * g->ldi + (size_t)(b - b0) * PL_LANES, sizeof total);
			for (int32_t j = 0; j * PL_GROUP < g->k; j++) {
				const int32_t k = j * PL_GROUP, n = g->k - k < PL_GROUP ? g->k - k : PL_GROUP;
				int32_t sum[PL_LANES] = {0};
				if (type == PL_W8)
					group_sum(sum, PL_W8, block + (size_t)k * PL_LANES, a + k, n);
				else
					group_sum(sum, PL_W4, block + (size_t)k * PL_LANES / 2, a + k, n);
				for (int l = 0; l < PL_LANES; l++) {
					const float scale = type == PL_W8
					        ? ((const float *)g->w->scales)[(size_t)b * PL_LANES + l]
					        : pl_f16_up(((const uint16_t *)g->w->scales)[((size_t)b * groups + j) * PL_LANES + l]);
					total[l] += (float)sum[l] * (g->as[i * g->lds + j] * scale);
				}
			}
			memcpy(g->c + i * g->ldc + (size_t)(b - b0) * PL_LANES, total, sizeof total);
		}
	}
}

static void quantize(int8_t *q, float *scale, int32_t *sum, const float *x, int32_t n)
{
	for (int32_t g = 0; g < n; g += PL_GROUP) {
		const int32_t end = n - g < PL_GROUP ? n : g + PL_GROUP;
		float most = 0;
		for (int32_t i = g; i < end; i++)
			most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
		const float up = most > 0 ? 127.0f / most : 0;
		int32_t total = 0;
		for (int32_t i = g; i < end; i++) {
			const float w = nearbyintf(x[i] * up);
			q[i] = w >= -127 && w <= 127 ? (int8_t)w : 0; // neither for what isn't a number
			total += q[i];
		}
		scale[g / PL_GROUP] = most / 127.0f;
		sum[g / PL_GROUP] = total;
	}
}

static void scale_each(float *x, const float *f, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		x[i] *= f[i];
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
		const uint16_t r = pl_bf16(x[i]);
		if (h)
			h[i] = r;
		else
			x[i] = pl_bf16_up(r);
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
	.gemm_q = gemm_q,
	.quantize = quantize,
	.softmax = softmax,
	.rmsnorm = rmsnorm,
	.swiglu = swiglu,
	.scale = scale,
	.scale_each = scale_each,
	.round = round_bf16,
	.logsumexp = logsumexp,
};
