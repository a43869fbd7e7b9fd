//go:build native

// One step of a Qwen2 model: what it needs and how it is asked.
#ifndef PL_STEP_H
#define PL_STEP_H

#include "kernels.h"
#include "team.h"

// Limits of one attention unit and of a row set that each thread normalises for
// itself instead of waiting for the others.
enum { PL_ATT_ROWS = 128, PL_SOLO_ROWS = 8, PL_SCORE_ROWS = 16, PL_HEAD_ROWS = 64 };

typedef struct {
	pl_matrix qkv, out, gate_up, down;
	const float *qkv_bias, *norm_in, *norm_post;
} pl_layer;

// pl_quants is activations in s8 (kernels.h), or nothing where no weights want them.
typedef struct {
	int8_t *q;    // [rows][widest]
	float *scale; // [rows][groups]
	int32_t *sum; // [rows][groups]
} pl_quants;

// pl_scratch is what one thread needs for itself.
typedef struct {
	float *norm;         // [PL_SOLO_ROWS][hidden]
	uint16_t *norm_h;    // the same in bf16, or NULL
	pl_quants quants;    // of PL_SOLO_ROWS rows
	float *gate_up;      // gate_up_size floats
	float *q, *s, *o;    // [PL_ATT_ROWS] of dim, 64, dim
	uint16_t *q_h, *s_h; // the same in bf16, or NULL
	float *max, *sum;    // [PL_ATT_ROWS]
} pl_scratch;

// pl_model is an opened model. Sizes are padded to multiples of 16, save the
// …_real ones. All memory belongs to Go's side, which allocates and frees it.
typedef struct {
	const pl_kernels *kernels;
	pl_team *team;
	int32_t layers, hidden, hidden_real, inter, heads, kv_heads, dim, dim_real, vocab, vocab_real;
	int32_t round; // activations of products are rounded to bf16
	int32_t dot;   // … and multiplied by gemm_dot
	int32_t att_round; // queries and weights of attention are rounded to bf16
	float eps, q_scale;
	const float *rope; // [position][dim_real/2] of (cos, sin)
	pl_matrix embed, head;
	const float *norm;
	pl_layer *layer;

	// KV pages, page-major; in a page by layer and KV head: K, V, and for s8 the scales
	// of 64 keys, then of 64 values.
	char *pages;
	int32_t kv_type;
	size_t page_bytes, head_bytes;

	float *x;                       // residual stream [tokens][hidden]
	float *xn, *qkv, *att, *act;    // normalised, projections, attention, MLP
	uint16_t *xn_h, *att_h, *act_h; // the same in bf16, where dot
	pl_quants quants, act_quants;   // of the first three and of the fourth, for s8
	int32_t widest, groups;         // inputs of the widest product, and its groups
	float *logits;                  // [rows][vocab]
	float *scores;                  // [PL_SCORE_ROWS][vocab]
	size_t gate_up_size;
	pl_scratch *scratch; // one a thread
} pl_model;

// pl_unit is a piece of attention: n tokens of one row by heads of one KV head.
typedef struct {
	int32_t pages; // offset of the row's page list
	int32_t token; // first token, in the batch
	int32_t n;     // tokens
	int32_t start; // position of the first token
	int32_t kv_head;
	int32_t head;  // first query head
	int32_t heads; // query heads; n·heads ≤ PL_ATT_ROWS
} pl_unit;

// pl_batch is one step.
typedef struct {
	int32_t tokens;
	const int32_t *ids, *positions; // one a token
	const int32_t *slots;           // page·64 + place in it, one a token
	const int32_t *pages;           // page lists of all rows
	int32_t units;
	const pl_unit *unit;
	int32_t heads;           // logits wanted …
	const int32_t *head;     // … and the token that they follow
	int32_t scored;          // log-probabilities wanted:
	const int32_t *score_at; // after this token …
	const int32_t *score_of; // … of this id
	float *score;
	int32_t all; // use every thread
} pl_batch;

void pl_step(pl_model *m, const pl_batch *b);

// pl_heads computes the logits wanted from the from-th on, up to PL_HEAD_ROWS of them, of the
// batch that pl_step has just computed.
void pl_heads(pl_model *m, const pl_batch *b, int32_t from);

// pl_copy_page copies page src to page dst, of which the first tokens positions count.
void pl_copy_page(pl_model *m, int32_t dst, int32_t src, int32_t tokens);

#endif
