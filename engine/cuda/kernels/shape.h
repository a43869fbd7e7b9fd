// shape.h: the model's sizes, given as defines, and what follows from them. A module is compiled
// for one shape, so that loops over widths have constant bounds.
//
// Widths are padded to 16, the side of a tensor-core tile; what is added is zero everywhere. Rows
// and columns of matrices are reordered when weights are packed (engine/cuda/pack.go):
//   - a head's elements are its lower half, padded, and then its upper half, padded, because rope
//     turns element i of one with element i of the other;
//   - a tile of 16 rows of the query, key and value matrix holds 8 elements of a lower half and the
//     8 that belong to them; one of gate and up 8 rows of each. So the two numbers that meet in
//     an epilogue lie in one thread.
#pragma once
#include "dev.h"

#if !defined(HIDDEN) || !defined(HEADS) || !defined(KV_HEADS) || !defined(HEAD_DIM) || !defined(INTER) || !defined(VOCAB) || !defined(EPS)
#error "the shape is missing: HIDDEN, HEADS, KV_HEADS, HEAD_DIM, INTER, VOCAB and EPS"
#endif
#ifndef WARPS
#define WARPS 8 // of a block in matrix products
#endif
#ifndef WEIGHTS // of the layers' matrices: BF16, W8 or W4 of format.h
#define WEIGHTS 0
#endif
#ifndef HEAD_WEIGHTS // of the embedding and the head
#define HEAD_WEIGHTS 0
#endif

constexpr int TILE = 16;
DEV constexpr int pad_to(int n, int to) { return (n + to - 1) / to * to; }
DEV constexpr int tiles(int n) { return (n + TILE - 1) / TILE; }

constexpr int HID = pad_to(HIDDEN, TILE);
constexpr int HALF = pad_to(HEAD_DIM / 2, 8); // elements of half a head
constexpr int HD = 2 * HALF;                  // of a head
constexpr int QW = HEADS * HD;                // of all query heads
constexpr int GROUP = HEADS / KV_HEADS;       // query heads that share a KV head
constexpr int INNER = pad_to(INTER, TILE);
constexpr int HEAD_TILES = HD / TILE;
constexpr int QKV_TILES = (HEADS + 2 * KV_HEADS) * HEAD_TILES;
constexpr int HID_TILES = HID / TILE;
constexpr int GATE_TILES = INNER / 8;
constexpr int VOCAB_TILES = tiles(VOCAB);

constexpr int PAGE = 64;           // positions of a KV page
constexpr int SPLIT_PAGES = 4;     // pages that a block of attention takes of one sequence
constexpr int ATT_WARPS = 4;       // one for each of them
constexpr int ATT_ROWS = 16;       // rows of a tile: query heads of one KV head, of one or more tokens
constexpr int TILE_TOKENS = ATT_ROWS / GROUP;
constexpr int KV_SIDE = KV_HEADS * PAGE * HD; // elements of all keys, or values, of a page in one layer

static_assert(HEADS % KV_HEADS == 0, "query heads are a multiple of KV heads");
static_assert(GROUP <= ATT_ROWS, "at most 16 query heads share a KV head");

// A sum over the columns of a matrix is cut into slices, one for each warp of each of SPLITS blocks. How many there
// are depends on the shape only, so a sum has the same order whatever is in a batch. A slice is counted in
// chunks, the 16 bytes of a lane: 1 tile in bf16, 2 in W8, 4 in W4.
constexpr int MAX_SLICE = 19; // chunks of a slice that are asked for before the wait
DEV constexpr int tiles_of(int format) { return 1 << format; }
DEV constexpr int chunks_of(int format, int k) { return (k / TILE + tiles_of(format) - 1) / tiles_of(format); }
DEV constexpr int slice_of(int format, int k, int splits) { return (chunks_of(format, k) + splits * WARPS - 1) / (splits * WARPS); }
constexpr int DOWN_SPLITS = (slice_of(0, INNER, 1) + MAX_SLICE - 1) / MAX_SLICE;

// Elements from one row of activations in shared memory to the next: 32 bytes off a multiple of 128,
// so that the eight rows that a quarter warp reads lie in different banks.
DEV constexpr int row_stride(int k) { return k + (16 - k % 64 + 64) % 64; }
