//go:build native

// What lies in a KV page, and attention over pages.
#include "attention.h"

#include <math.h>
#include <string.h>

// A KV head's part of a page.
typedef struct {
	char *k, *v;
	float *k_scale, *v_scale; // of s8
} kv;

static size_t kv_size(int32_t type) { return type == PL_F32 ? 4 : type == PL_BF16 ? 2 : 1; }

static kv kv_of(const pl_model *m, int32_t page, int32_t layer, int32_t kv_head)
{
	char *k = m->pages + (size_t)page * m->page_bytes + ((size_t)layer * m->kv_heads + kv_head) * m->head_bytes;
	char *v = k + (size_t)PL_PAGE * m->dim * kv_size(m->kv_type);
	float *scales = (float *)(v + (v - k));
	return (kv){k, v, scales, scales + PL_PAGE};
}

// at is where input i of output o lies in a matrix of so many inputs, whose groups of
// `group` inputs lie together.
static inline size_t at(int32_t o, int32_t i, int32_t inputs, int32_t group)
{
	return ((size_t)(o / PL_LANES) * inputs + i / group * group) * PL_LANES + o % PL_LANES * group + i % group;
}

// scale_of is the step of s8 for n values, and writes its inverse.
static float scale_of(const float *x, int32_t n, float *up)
{
	float most = 0;
	for (int32_t i = 0; i < n; i++)
		most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
	*up = most > 0 ? 127.0f / most : 0;
	return most / 127.0f;
}

// to_s8 rounds what scale_of has brought to ±127, or by rounding just beyond; 0 for what
// isn't a number.
static int8_t to_s8(float x)
{
	const float w = nearbyintf(x);
	return (int8_t)(w >= -127 && w <= 127 ? w : 0);
}

// put_key stores a key as output `place` of the page.
static void put_key(const pl_model *m, kv to, int32_t place, const float *x)
{
	float up;
	switch (m->kv_type) {
	case PL_F32:
		for (int32_t d = 0; d < m->dim; d++)
			((float *)to.k)[at(place, d, m->dim, 1)] = x[d];
		return;
	case PL_BF16:
		for (int32_t d = 0; d < m->dim; d++)
			((uint16_t *)to.k)[at(place, d, m->dim, 2)] = pl_bf16(x[d]);
		return;
	default:
		to.k_scale[place] = scale_of(x, m->dim, &up);
		for (int32_t d = 0; d < m->dim; d++)
			((int8_t *)to.k)[at(place, d, m->dim, 4)] = to_s8(x[d] * up);
	}
}

// put_value stores a value as input `place` of the page; x NULL stores zeros.
static void put_value(const pl_model *m, kv to, int32_t place, const float *x)
{
	float up = 0;
	switch (m->kv_type) {
	case PL_F32:
		for (int32_t d = 0; d < m->dim; d++)
			((float *)to.v)[at(d, place, PL_PAGE, 1)] = x ? x[d] : 0;
		return;
	case PL_BF16:
		for (int32_t d = 0; d < m->dim; d++)
			((uint16_t *)to.v)[at(d, place, PL_PAGE, 2)] = x ? pl_bf16(x[d]) : 0;
		return;
	default:
		to.v_scale[place] = x ? scale_of(x, m->dim, &up) : 0;
		for (int32_t d = 0; d < m->dim; d++)
			((int8_t *)to.v)[at(d, place, PL_PAGE, 4)] = x ? to_s8(x[d] * up) : 0;
	}
}

// STEP is how many inputs products take at once, at most.
enum { STEP = 32 };

// clear_values sets the values from place up to a multiple of STEP to zero: what an
// earlier owner left there would be multiplied by zero, which is no zero if it isn't a
// number.
static void clear_values(const pl_model *m, kv to, int32_t place)
{
	for (; place % STEP; place++)
		put_value(m, to, place, NULL);
}

void pl_store_key(pl_model *m, int32_t slot, int32_t layer, int32_t kv_head, const float *x)
{
	put_key(m, kv_of(m, slot / PL_PAGE, layer, kv_head), slot % PL_PAGE, x);
}

void pl_store_value(pl_model *m, int32_t slot, int32_t layer, int32_t kv_head, const float *x)
{
	const kv to = kv_of(m, slot / PL_PAGE, layer, kv_head);
	put_value(m, to, slot % PL_PAGE, x);
	if (slot % STEP == 0)
		clear_values(m, to, slot % PL_PAGE + 1);
}

void pl_copy_page(pl_model *m, int32_t dst, int32_t src, int32_t tokens)
{
	memcpy(m->pages + (size_t)dst * m->page_bytes, m->pages + (size_t)src * m->page_bytes, m->page_bytes);
	for (int32_t i = 0; i < m->layers; i++)
		for (int32_t h = 0; h < m->kv_heads; h++)
			clear_values(m, kv_of(m, dst, i, h), tokens);
}

// scores computes s = q·K of a page for its first n positions, and masks what a row
// mustn't see.
static void scores(const pl_model *m, const pl_scratch *s, kv from, const pl_unit *u, int32_t page, int32_t n)
{
	const pl_kernels *k = m->kernels;
	const int32_t rows = u->n * u->heads;
	const pl_matrix keys = {from.k, NULL, m->kv_type, PL_PAGE / PL_LANES, m->dim};
	pl_gemm g = {.w = &keys, .k = m->dim, .a = s->q, .lda = m->dim, .c = s->s, .ldc = PL_PAGE, .m = rows};
	if (s->q_h) {
		g.a = s->q_h;
		k->gemm_dot(&g, 0, (n + PL_LANES - 1) / PL_LANES);
	} else {
		k->gemm(&g, 0, (n + PL_LANES - 1) / PL_LANES);
	}
	for (int32_t r = 0; r < rows; r++) {
		float *row = s->s + (size_t)r * PL_PAGE;
		if (m->kv_type == PL_S8)
			k->scale_each(row, from.k_scale, PL_PAGE);
		const int32_t seen = u->start + r / u->heads + 1 - page * PL_PAGE;
		for (int32_t t = seen < 0 ? 0 : seen; t < PL_PAGE; t++)
			row[t] = -INFINITY;
	}
}

// weigh adds s·V of a page's first n positions to o.
static void weigh(const pl_model *m, const pl_scratch *s, kv from, int32_t rows, int32_t n)
{
	const pl_kernels *k = m->kernels;
	const pl_matrix values = {from.v, NULL, m->kv_type, m->dim / PL_LANES, PL_PAGE};
	pl_gemm g = {.w = &values, .k = (n + STEP - 1) / STEP * STEP, .a = s->s, .lda = PL_PAGE, .c = s->o, .ldc = m->dim,
	             .init = s->o, .ldi = m->dim, .m = rows};
	if (m->kv_type == PL_S8)
		for (int32_t r = 0; r < rows; r++)
			for (int32_t t = 0; t < n; t++)
				s->s[(size_t)r * PL_PAGE + t] *= from.v_scale[t];
	if (m->att_round)
		k->round(s->s, s->s_h, rows * PL_PAGE);
	if (s->s_h) {
		g.a = s->s_h;
		k->gemm_dot(&g, 0, m->dim / PL_LANES);
	} else {
		k->gemm(&g, 0, m->dim / PL_LANES);
	}
}

// Pages are folded in one after the other from position 0, with a running maximum, so a
// position's numbers depend on nothing but its own past.
void pl_attend(pl_model *m, const pl_batch *b, int32_t id, int32_t layer, const pl_unit *u)
{
	const pl_kernels *k = m->kernels;
	const pl_scratch *s = &m->scratch[id];
	const int32_t dim = m->dim, rows = u->n * u->heads;
	const size_t ldq = (size_t)(m->heads + 2 * m->kv_heads) * dim, lda = (size_t)m->heads * dim;
	for (int32_t t = 0; t < u->n; t++)
		memcpy(s->q + (size_t)t * u->heads * dim, m->qkv + (u->token + t) * ldq + (size_t)u->head * dim,
		       sizeof(float) * u->heads * dim);
	if (m->att_round)
		k->round(s->q, s->q_h, rows * dim);
	memset(s->o, 0, sizeof(float) * rows * dim);
	for (int32_t r = 0; r < rows; r++) {
		s->max[r] = -INFINITY;
		s->sum[r] = 0;
	}
	const int32_t last = u->start + u->n - 1;
	for (int32_t p = 0; p <= last / PL_PAGE; p++) {
		const kv from = kv_of(m, b->pages[u->pages + p], layer, u->kv_head);
		const int32_t left = last + 1 - p * PL_PAGE, n = left < PL_PAGE ? left : PL_PAGE;
		scores(m, s, from, u, p, n);
		k->softmax(s->s, s->o, s->max, s->sum, rows, dim);
		weigh(m, s, from, rows, n);
	}
	for (int32_t r = 0; r < rows; r++) {
		const size_t at = (u->token + r / u->heads) * lda + (size_t)(u->head + r % u->heads) * dim;
		k->scale(s->o + (size_t)r * dim, 1.0f / s->sum[r], dim);
		memcpy(m->att + at, s->o + (size_t)r * dim, sizeof(float) * dim);
		if (m->round)
			k->round(m->att + at, m->dot ? m->att_h + at : NULL, dim);
	}
}
