//go:build native

// The loop over layers. All threads run it together; a barrier ends each phase.
// Within a phase threads claim stretches of output columns (or attention units),
// so which thread computes what varies, and no number depends on it.
#include "step.h"

#include <math.h>
#include <string.h>

typedef struct {
	pl_model *m;
	const pl_batch *b;
} job;

// operand is activations as a product takes them.
typedef struct {
	float *f;
	uint16_t *h;
	size_t ld;
} operand;

// finish rounds n values of an operand at offset, where the model computes in bf16.
static void finish(const pl_model *m, operand a, size_t at, int32_t n)
{
	if (m->round)
		m->kernels->round(a.f + at, m->dot ? a.h + at : NULL, n);
}

static void product(const pl_model *m, const pl_matrix *w, operand a, int32_t rows, float *c, size_t ldc,
                    const float *init, size_t ldi, int32_t b0, int32_t b1)
{
	const pl_gemm g = {w, m->dot ? (const void *)a.h : (const void *)a.f, a.ld, c, ldc, init, ldi, rows};
	(m->dot ? m->kernels->gemm_dot : m->kernels->gemm)(&g, b0, b1);
}

// granule is how many blocks a claim is counted in: what a kernel takes at once.
static int32_t granule(int32_t rows, int32_t blocks) { return rows == 1 && blocks >= 16 ? 4 : 2; }

static int claim_blocks(const pl_model *m, int32_t rows, int32_t blocks, int32_t *lo, int32_t *hi)
{
	const int32_t g = granule(rows, blocks);
	if (!pl_team_claim(m->team, (blocks + g - 1) / g, blocks, lo, hi))
		return 0;
	*lo *= g;
	*hi = *hi * g < blocks ? *hi * g : blocks;
	return 1;
}

static float bf16_up(uint16_t h)
{
	const uint32_t u = (uint32_t)h << 16;
	float f;
	memcpy(&f, &u, sizeof f);
	return f;
}

// embed reads one row out of the packed matrix.
static void embed(float *y, const pl_matrix *w, int32_t id)
{
	const size_t base = (size_t)(id / PL_LANES) * PL_LANES * w->k;
	const int32_t lane = id % PL_LANES;
	if (w->type == PL_BF16) {
		const uint16_t *p = (const uint16_t *)w->data + base;
		for (int32_t k = 0; k < w->k; k++)
			y[k] = bf16_up(p[(size_t)(k / 2) * 32 + 2 * lane + k % 2]);
	} else {
		const float *p = (const float *)w->data + base;
		for (int32_t k = 0; k < w->k; k++)
			y[k] = p[(size_t)k * PL_LANES + lane];
	}
}

// normed gives the normalised rows x[at[i]] (at NULL: x[i]). A few rows are done
// by each thread for itself, more are shared and end with a barrier.
static operand normed(const job *j, int32_t id, const float *w, const int32_t *at, int32_t rows)
{
	pl_model *m = j->m;
	operand a = {m->xn, m->xn_h, m->hidden};
	if (rows <= PL_SOLO_ROWS)
		a = (operand){m->scratch[id].norm, m->scratch[id].norm_h, m->hidden};
	int32_t lo = 0, hi = rows;
	while (rows <= PL_SOLO_ROWS || pl_team_claim(m->team, rows, 16, &lo, &hi)) {
		for (int32_t i = lo; i < hi; i++) {
			const size_t o = (size_t)i * m->hidden;
			m->kernels->rmsnorm(a.f + o, m->x + (size_t)(at ? at[i] : i) * m->hidden, w, m->hidden, m->hidden_real, m->eps);
			finish(m, a, o, m->hidden);
		}
		if (rows <= PL_SOLO_ROWS)
			return a;
	}
	pl_team_barrier(m->team);
	return a;
}

// rotate turns a head by its position: halves i and i+dim/2 are a pair.
static void rotate(const pl_model *m, float *v, int32_t position)
{
	const int32_t half = m->dim_real / 2;
	const float *r = m->rope + (size_t)position * m->dim_real;
	for (int32_t i = 0; i < half; i++) {
		const float c = r[2 * i], s = r[2 * i + 1], a = v[i], b = v[i + half];
		v[i] = a * c - b * s;
		v[i + half] = b * c + a * s;
	}
}

static float *kv_of(const pl_model *m, int32_t page, int32_t layer, int32_t kv_head)
{
	const size_t head = (size_t)2 * PL_PAGE * m->dim;
	return m->pages + (size_t)page * m->page_floats + ((size_t)layer * m->kv_heads + kv_head) * head;
}

// project computes q, k and v by whole heads, turns q and k, and stores k and v.
static void project(const job *j, int32_t layer, operand a)
{
	pl_model *m = j->m;
	const pl_layer *l = &m->layer[layer];
	const int32_t heads = m->heads + 2 * m->kv_heads, per = m->dim / PL_LANES;
	const size_t ld = (size_t)heads * m->dim;
	int32_t lo, hi;
	while (pl_team_claim(m->team, heads, heads, &lo, &hi)) {
		product(m, &l->qkv, a, j->b->tokens, m->qkv + (size_t)lo * m->dim, ld, l->qkv_bias + (size_t)lo * m->dim, 0,
		        lo * per, hi * per);
		for (int32_t t = 0; t < j->b->tokens; t++) {
			const int32_t page = j->b->slots[t] / PL_PAGE, place = j->b->slots[t] % PL_PAGE;
			for (int32_t h = lo; h < hi; h++) {
				float *v = m->qkv + t * ld + (size_t)h * m->dim;
				if (h < m->heads) {
					rotate(m, v, j->b->positions[t]);
					m->kernels->scale(v, m->q_scale, m->dim);
				} else if (h < m->heads + m->kv_heads) {
					rotate(m, v, j->b->positions[t]);
					float *k = kv_of(m, page, layer, h - m->heads) + place;
					for (int32_t d = 0; d < m->dim; d++)
						k[(size_t)d * PL_PAGE] = v[d];
				} else {
					float *p = kv_of(m, page, layer, h - m->heads - m->kv_heads) + (size_t)PL_PAGE * m->dim;
					memcpy(p + (size_t)place * m->dim, v, sizeof(float) * m->dim);
				}
			}
		}
	}
	pl_team_barrier(m->team);
}

// attend computes one unit. Pages are folded in one after the other from position
// 0, with a running maximum, so a position's numbers depend on nothing but its own
// past.
static void attend(const job *j, int32_t id, int32_t layer, const pl_unit *u)
{
	pl_model *m = j->m;
	const pl_kernels *k = m->kernels;
	const pl_scratch *s = &m->scratch[id];
	const int32_t dim = m->dim, rows = u->n * u->heads;
	const size_t ldq = (size_t)(m->heads + 2 * m->kv_heads) * dim, lda = (size_t)m->heads * dim;
	for (int32_t t = 0; t < u->n; t++)
		memcpy(s->q + (size_t)t * u->heads * dim, m->qkv + (u->token + t) * ldq + (size_t)u->head * dim,
		       sizeof(float) * u->heads * dim);
	memset(s->o, 0, sizeof(float) * rows * dim);
	for (int32_t r = 0; r < rows; r++) {
		s->max[r] = -INFINITY;
		s->sum[r] = 0;
	}
	const int32_t last = u->start + u->n - 1;
	for (int32_t p = 0; p <= last / PL_PAGE; p++) {
		const float *keys = kv_of(m, j->b->pages[u->pages + p], layer, u->kv_head);
		const float *values = keys + (size_t)PL_PAGE * dim;
		k->small(s->s, PL_PAGE, s->q, dim, keys, PL_PAGE, rows, dim, PL_PAGE, 0);
		for (int32_t r = 0; r < rows; r++) {
			const int32_t seen = u->start + r / u->heads + 1 - p * PL_PAGE;
			for (int32_t t = seen < 0 ? 0 : seen; t < PL_PAGE; t++)
				s->s[(size_t)r * PL_PAGE + t] = -INFINITY;
		}
		k->softmax(s->s, s->o, s->max, s->sum, rows, dim);
		const int32_t n = last + 1 - p * PL_PAGE;
		k->small(s->o, dim, s->s, PL_PAGE, values, dim, rows, n < PL_PAGE ? n : PL_PAGE, dim, 1);
	}
	const operand out = {m->att, m->att_h, lda};
	for (int32_t r = 0; r < rows; r++) {
		const size_t at = (u->token + r / u->heads) * lda + (size_t)(u->head + r % u->heads) * dim;
		k->scale(s->o + (size_t)r * dim, 1.0f / s->sum[r], dim);
		memcpy(out.f + at, s->o + (size_t)r * dim, sizeof(float) * dim);
		finish(m, out, at, dim);
	}
}

// residual adds a product to the residual stream.
static void residual(const job *j, const pl_matrix *w, operand a)
{
	pl_model *m = j->m;
	int32_t lo, hi;
	while (claim_blocks(m, j->b->tokens, w->blocks, &lo, &hi)) {
		float *x = m->x + (size_t)lo * PL_LANES;
		product(m, w, a, j->b->tokens, x, m->hidden, x, m->hidden, lo, hi);
	}
	pl_team_barrier(m->team);
}

// mlp computes silu(gate)·up. A block of gate and its block of up lie side by
// side, so the thread that has computed them has all it needs.
static void mlp(const job *j, int32_t id, const pl_layer *l, operand a)
{
	pl_model *m = j->m;
	float *gu = m->scratch[id].gate_up;
	const operand act = {m->act, m->act_h, m->inter};
	const int32_t rows = j->b->tokens;
	const int32_t fits = (int32_t)(m->gate_up_size / (32 * (size_t)rows));
	int32_t lo, hi;
	while (pl_team_claim(m->team, m->inter / PL_LANES, fits, &lo, &hi)) {
		const int32_t n = hi - lo;
		product(m, &l->gate_up, a, rows, gu, (size_t)n * 32, NULL, 0, 2 * lo, 2 * hi);
		for (int32_t t = 0; t < rows; t++) {
			const size_t at = (size_t)t * m->inter + (size_t)lo * PL_LANES;
			m->kernels->swiglu(act.f + at, gu + (size_t)t * n * 32, n);
			finish(m, act, at, n * PL_LANES);
		}
	}
	pl_team_barrier(m->team);
}

// head computes logits of some tokens.
static void head(const job *j, int32_t id, const int32_t *at, int32_t rows, float *logits)
{
	pl_model *m = j->m;
	const operand a = normed(j, id, m->norm, at, rows);
	int32_t lo, hi;
	while (claim_blocks(m, rows, m->head.blocks, &lo, &hi))
		product(m, &m->head, a, rows, logits + (size_t)lo * PL_LANES, m->vocab, NULL, 0, lo, hi);
	pl_team_barrier(m->team);
}

static void score(const job *j, int32_t id)
{
	pl_model *m = j->m;
	const pl_batch *b = j->b;
	for (int32_t i = 0; i < b->scored; i += PL_SCORE_ROWS) {
		const int32_t n = b->scored - i < PL_SCORE_ROWS ? b->scored - i : PL_SCORE_ROWS;
		head(j, id, b->score_at + i, n, m->scores);
		int32_t lo, hi;
		while (pl_team_claim(m->team, n, 1, &lo, &hi)) {
			const float *row = m->scores + (size_t)lo * m->vocab;
			b->score[i + lo] = (float)(row[b->score_of[i + lo]] - m->kernels->logsumexp(row, m->vocab_real));
		}
		pl_team_barrier(m->team);
	}
}

static void run(void *arg, int32_t id)
{
	const job *j = arg;
	pl_model *m = j->m;
	const pl_batch *b = j->b;
	int32_t lo, hi;
	while (pl_team_claim(m->team, b->tokens, 16, &lo, &hi))
		for (int32_t t = lo; t < hi; t++)
			embed(m->x + (size_t)t * m->hidden, &m->embed, b->ids[t]);
	pl_team_barrier(m->team);
	for (int32_t i = 0; i < m->layers; i++) {
		const pl_layer *l = &m->layer[i];
		project(j, i, normed(j, id, l->norm_in, NULL, b->tokens));
		while (pl_team_claim(m->team, b->units, 1, &lo, &hi))
			attend(j, id, i, &b->unit[lo]);
		pl_team_barrier(m->team);
		residual(j, &l->out, (operand){m->att, m->att_h, (size_t)m->heads * m->dim});
		mlp(j, id, l, normed(j, id, l->norm_post, NULL, b->tokens));
		residual(j, &l->down, (operand){m->act, m->act_h, m->inter});
	}
	if (b->heads)
		head(j, id, b->head, b->heads, m->logits);
	score(j, id);
}

void pl_step(pl_model *m, const pl_batch *b)
{
	job j = {m, b};
	pl_team_run(m->team, b->all, run, &j);
}
