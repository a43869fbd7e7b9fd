//go:build native

// KV pages and attention over them: the parts of a step that know what a page holds.
#ifndef PL_ATTENTION_H
#define PL_ATTENTION_H

#include "step.h"

// pl_store_key and pl_store_value keep dim numbers of one KV head at a slot
// (page·64 + place in it). A row's slots are stored in rising order.
void pl_store_key(pl_model *m, int32_t slot, int32_t layer, int32_t kv_head, const float *x);
void pl_store_value(pl_model *m, int32_t slot, int32_t layer, int32_t kv_head, const float *x);

// pl_attend computes one unit on thread id, from m->qkv to m->att.
void pl_attend(pl_model *m, const pl_batch *b, int32_t id, int32_t layer, const pl_unit *u);

#endif
