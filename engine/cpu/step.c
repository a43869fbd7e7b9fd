//go:build native

// The loop over layers. All threads run it together; a barrier ends each phase.
// Within a phase threads claim stretches of output columns (or attention units),
// so which thread computes what varies, and no number depends on it.
#include "attention.h"

typedef struct {
	pl_model *m;
	const pl_batch *b;
	int32_t from; // of b->head: the first whose logits are computed
} job;

// operand is activations as a product takes them: by the kind of weights, one of the
// three is read.
typedef struct {
	float *f;
	uint16_t *h;
	size_t ld; // of f and h
	pl_quants quants;
} operand;

static int quantised(const pl_matrix *w) { return w->type == PL_W8 || w->type == PL_W4; }

// finish rounds n values of an operand at offset, where the model computes in bf16.
static void finish(const pl_model *m, operand a, size_t at, int32_t n)
{
	if (m->round)
		m->kernels->round(a.f + at, m->dot ? a.h + at : NULL, n);
}

static void product(const pl_model *m, const pl_matrix *w, operand a, int32_t rows, float *c, size_t ldc,
                    const float *init, size_t ldi, int32_t b0, int32_t b1)
{
	pl_gemm g = {.w = w, .k = w->k, .a = a.f, .lda = a.ld, .c = c, .ldc = ldc, .init = init, .ldi = ldi, .m = rows};
	if (quantised(w)) {
		g.a = a.quants.q;
		g.lda = m->widest;
		g.as = a.quants.scale;
		g.az = a.quants.sum;
		g.lds = m->groups;
		m->kernels->gemm_q(&g, b0, b1);
	} else if (m->dot && w->type == PL_BF16) {
		g.a = a.h;
		m->kernels->gemm_dot(&g, b0, b1);
	} else {
		m->kernels->gemm(&g, b0, b1);
	}
}

// quantise fills one row of quants from n values.
static void quantise(const pl_model *m, pl_quants to, int32_t row, const float *x, int32_t n)
{
	m->kernels->quantize(to.q + (size_t)row * m->widest, to.scale + (size_t)row * m->groups,
	                     to.sum + (size_t)row * m->groups, x, n);
}

// ready gives activations that all threads have written, as w takes them. A few rows are
// quantised by each thread for itself, more are shared and end with a barrier.
static operand ready(const job *j, int32_t id, const pl_matrix *w, operand a)
{
	pl_model *m = j->m;
	const int32_t rows = j->b->tokens;
	if (!quantised(w))
		return a;
	int32_t lo = 0, hi = rows;
	a.quants = rows <= PL_SOLO_ROWS ? m->scratch[id].quants : m->quants;
	while (rows <= PL_SOLO_ROWS || pl_team_claim(m->team, rows, 16, &lo, &hi)) {
		for (int32_t i = lo; i < hi; i++)
			quantise(m, a.quants, i, a.f + i * a.ld, w->k);
		if (rows <= PL_SOLO_ROWS)
			return a;
	}
	pl_team_barrier(m->team);
	return a;
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

// embed reads one row of real inputs out of the packed matrix. The zeros behind them stay:
// those of W8 are no zeros in its memory.
static void embed(float *y, const pl_matrix *w, int32_t id, int32_t real)
{
	const size_t base = (size_t)(id / PL_LANES) * PL_LANES * w->k;
	const int32_t lane = id % PL_LANES;
	if (w->type == PL_BF16) {
		const uint16_t *p = (const uint16_t *)w->data + base;
		for (int32_t k = 0; k < real; k++)
			y[k] = pl_bf16_up(p[(size_t)(k / 2) * 32 + 2 * lane + k % 2]);
	} else if (w->type == PL_W8) {
		const uint8_t *p = (const uint8_t *)w->data + base;
		const float scale = ((const float *)w->scales)[id];
		for (int32_t k = 0; k < real; k++)
			y[k] = (float)(p[(size_t)(k / 4) * 64 + 4 * lane + k % 4] - 128) * scale;
	} else {
		const float *p = (const float *)w->data + base;
		for (int32_t k = 0; k < real; k++)
			y[k] = p[(size_t)k * PL_LANES + lane];
	}
}

// normed gives the normalised rows x[at[i]] (at NULL: x[i]) as the product with next
// takes them. A few rows are done by each thread for itself, more are shared and end
// with a barrier.
static operand normed(const job *j, int32_t id, const float *w, const pl_matrix *next, const int32_t *at, int32_t rows)
{
	pl_model *m = j->m;
	operand a = {m->xn, m->xn_h, m->hidden, m->quants};
	if (rows <= PL_SOLO_ROWS)
		a = (operand){m->scratch[id].norm, m->scratch[id].norm_h, m->hidden, m->scratch[id].quants};
	int32_t lo = 0, hi = rows;
	while (rows <= PL_SOLO_ROWS || pl_team_claim(m->team, rows, 16, &lo, &hi)) {
		for (int32_t i = lo; i < hi; i++) {
			const size_t o = (size_t)i * m->hidden;
			m->kernels->rmsnorm(a.f + o, m->x + (size_t)(at ? at[i] : i) * m->hidden, w, m->hidden, m->hidden_real, m->eps);
			finish(m, a, o, m->hidden);
			if (quantised(next))
				quantise(m, a.quants, i, a.f + o, m->hidden);
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
			for (int32_t h = lo; h < hi; h++) {
				float *v = m->qkv + t * ld + (size_t)h * m->dim;
				if (h < m->heads) {
					rotate(m, v, j->b->positions[t]);
					m->kernels->scale(v, m->q_scale, m->dim);
				} else if (h < m->heads + m->kv_heads) {
					rotate(m, v, j->b->positions[t]);
					pl_store_key(m, j->b->slots[t], layer, h - m->heads, v);
				} else {
					pl_store_value(m, j->b->slots[t], layer, h - m->heads - m->kv_heads, v);
				}
			}
		}
	}
	pl_team_barrier(m->team);
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

// mlp computes silu(gate)·up. A block of gate and its block of up lie side by side, so the
// thread that has computed them has all it needs.
static operand mlp(const job *j, int32_t id, const pl_layer *l, operand a)
{
	pl_model *m = j->m;
	float *gu = m->scratch[id].gate_up;
	const operand act = {.f = m->act, .h = m->act_h, .ld = m->inter};
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
	return act;
}

// mlp_quants is mlp where the next product takes s8: by whole groups, which are quantised at once
// and never lie in memory as floats.
static operand mlp_quants(const job *j, int32_t id, const pl_layer *l, operand a)
{
	enum { PANELS = PL_GROUP / PL_LANES };
	pl_model *m = j->m;
	float *gu = m->scratch[id].gate_up;
	const operand act = {.quants = m->act_quants};
	const int32_t rows = j->b->tokens, panels = m->inter / PL_LANES;
	const int32_t fits = (int32_t)(m->gate_up_size / (32 * PANELS * (size_t)rows));
	int32_t lo, hi;
	while (pl_team_claim(m->team, (panels + PANELS - 1) / PANELS, fits, &lo, &hi)) {
		const int32_t first = lo * PANELS, last = hi * PANELS < panels ? hi * PANELS : panels, n = last - first;
		product(m, &l->gate_up, a, rows, gu, (size_t)n * 32, NULL, 0, 2 * first, 2 * last);
		for (int32_t t = 0; t < rows; t++)
			for (int32_t g = lo; g < hi; g++) {
				const int32_t from = g * PANELS, count = last - from < PANELS ? last - from : PANELS;
				_Alignas(64) float y[PL_GROUP];
				m->kernels->swiglu(y, gu + ((size_t)t * n + from - first) * 32, count);
				m->kernels->quantize(act.quants.q + (size_t)t * m->widest + (size_t)g * PL_GROUP,
				                     act.quants.scale + (size_t)t * m->groups + g,
				                     act.quants.sum + (size_t)t * m->groups + g, y, count * PL_LANES);
			}
	}
	pl_team_barrier(m->team);
	return act;
}

// head computes logits of some tokens.
static void head(const job *j, int32_t id, const int32_t *at, int32_t rows, float *logits)
{
	pl_model *m = j->m;
	const operand a = normed(j, id, m->norm, &m->head, at, rows);
	int32_t lo, hi;
	while (claim_blocks(m, rows, m->head.blocks, &lo, &hi))
		product(m, &m->head, a, rows, logits + (size_t)lo * PL_LANES, m->vocab, NULL, 0, lo, hi);
	pl_team_barrier(m->team);
}

// heads computes as many of the logits wanted as there is room for.
static void heads(const job *j, int32_t id)
{
	const int32_t left = j->b->heads - j->from;
	if (left > 0)
		head(j, id, j->b->head + j->from, left < PL_HEAD_ROWS ? left : PL_HEAD_ROWS, j->m->logits);
}

static void heads_only(void *arg, int32_t id) { heads(arg, id); }

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
			embed(m->x + (size_t)t * m->hidden, &m->embed, b->ids[t], m->hidden_real);
	pl_team_barrier(m->team);
	for (int32_t i = 0; i < m->layers; i++) {
		const pl_layer *l = &m->layer[i];
		project(j, i, normed(j, id, l->norm_in, &l->qkv, NULL, b->tokens));
		while (pl_team_claim(m->team, b->units, 1, &lo, &hi))
			pl_attend(m, b, id, i, &b->unit[lo]);
		pl_team_barrier(m->team);
		residual(j, &l->out, ready(j, id, &l->out, (operand){.f = m->att, .h = m->att_h, .ld = (size_t)m->heads * m->dim}));
		const operand a = normed(j, id, l->norm_post, &l->gate_up, NULL, b->tokens);
		residual(j, &l->down, quantised(&l->down) ? mlp_quants(j, id, l, a) : mlp(j, id, l, a));
	}
	heads(j, id);
	score(j, id);
}

void pl_heads(pl_model *m, const pl_batch *b, int32_t from)
{
	job j = {m, b, from};
	pl_team_run(m->team, b->all, heads_only, &j);
}

void pl_step(pl_model *m, const pl_batch *b)
{
	job j = {m, b, 0};
	pl_team_run(m->team, b->all, run, &j);
}
