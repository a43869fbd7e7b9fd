// gemm.h: products of packed matrices with many rows of activations.
//
// A block computes 64 rows of the matrix for 64 tokens, each of its four warps 32 by 32, over all columns of its split. Weights
// go from memory to registers, a step ahead of their use: they lie as operand A has them, and only two warps want the same.
// Activations pass through a ring in shared memory. A sum has the order that linear.h gives it: what a warp adds up
// there, a slice, is added up here in one go, and slices are brought together in the same order. So a token's
// result is the same to the bit, whichever of the two computes it.
#pragma once
#include "linear.h"

constexpr int GEMM_THREADS = 128, GEMM_TILES = 4, GEMM_TOKENS = 64, GEMM_STAGES = 4;
constexpr int WARP_TILES = 2, WARP_COLUMNS = 4; // of a warp: row tiles, and groups of eight tokens
constexpr int GEMM_BLOCKS = WEIGHTS == W4 ? 3 : 4; // of a multiprocessor at a time: what registers allow

// How far a step goes: 32 columns, or the 64 of a chunk in W4.
DEV constexpr int step_chunks(int format) { return format == BF16 ? 2 : 1; }
DEV constexpr int step_columns(int format) { return step_chunks(format) * tiles_of(format) * TILE; }
// Elements from one token to the next: 32 or 96 bytes off a multiple of 128, so that four rows lie in different banks.
DEV constexpr int step_stride(int format) { return step_columns(format) + 16; }
DEV constexpr int step_size(int format) { return GEMM_TOKENS * step_stride(format); }

typedef float GemmSum[WARP_TILES][WARP_COLUMNS][4];

struct GemmPlace {
    int tile, token; // first row tile of the matrix and first token of this warp
    int tiles;       // row tiles of the matrix
};
DEV GemmPlace gemm_place(int tiles) {
    int warp = threadIdx.x >> 5;
    return {(int)blockIdx.x * GEMM_TILES + (warp >> 1) * WARP_TILES, (int)blockIdx.y * GEMM_TOKENS + (warp & 1) * WARP_COLUMNS * 8, tiles};
}

// The weights of a step, of both row tiles of a warp. What lies beyond the matrix is zero.
template <int F> struct GemmWeights {
    U4 w[WARP_TILES][step_chunks(F)];
    u32 scale[WARP_TILES];
};
template <int F, int K> DEV void gemm_load(GemmWeights<F>& s, const Matrix& m, const GemmPlace& at, int first, int end) {
    UNROLL
    for (int i = 0; i < WARP_TILES; i++) {
        const u8* p = m.data + ((u64)(at.tile + i) * chunks_of(F, K) + first) * 512 + (threadIdx.x & 31) * 16;
        UNROLL
        for (int c = 0; c < step_chunks(F); c++) s.w[i][c] = at.tile + i < at.tiles && first + c < end ? ldg_stream(p + c * 512) : U4{0, 0, 0, 0};
        s.scale[i] = 0;
        if (F == W4 && at.tile + i < at.tiles && first < end)
            s.scale[i] = ((const u32*)m.scale)[((u64)(at.tile + i) * groups_of(K) + first * 4 / GROUP_TILES) * 8 + (threadIdx.x & 31) / 4];
    }
}

// Asks for the activations of a step; rows from count on are zero.
template <int F, int K> DEV void gemm_stage(u16* to, const u16* in, int t0, int count, int column) {
    constexpr int wide = step_columns(F) / 8;
    for (int i = threadIdx.x; i < GEMM_TOKENS * wide; i += GEMM_THREADS) {
        int row = i / wide, c = column + i % wide * 8;
        bool there = row < count && c < K;
        cp_async16(to + row * step_stride(F) + i % wide * 8, there ? in + (u64)(t0 + row) * K + c : in, there);
    }
}

// sum += chunk c of a step · activations, of which tiles are within the matrix.
template <int F> DEV void gemm_chunk(GemmSum& sum, const GemmWeights<F>& s, const u16* x, int c, int tiles) {
    Lane l = lane_();
    GemmSum part; // of a chunk, before its scale
    if constexpr (F == W4)
        for (int i = 0; i < WARP_TILES; i++) clear(part[i]);
    UNROLL
    for (int t = 0; t < tiles_of(F); t++) {
        if (t >= tiles) break;
        u32 a[WARP_TILES][4];
        UNROLL
        for (int i = 0; i < WARP_TILES; i++) unpack<F>(a[i], s.w[i][c], t);
        const u16* column = x + (c * tiles_of(F) + t) * TILE + 4 * l.q + l.r * step_stride(F);
        UNROLL
        for (int n = 0; n < WARP_COLUMNS; n++) {
            U2 b = ld_u2(column + n * 8 * step_stride(F));
            UNROLL
            for (int i = 0; i < WARP_TILES; i++) mma_bf16(F == W4 ? part[i][n] : sum[i][n], a[i], b.x, b.y);
        }
    }
    if constexpr (F == W4) {
        UNROLL
        for (int i = 0; i < WARP_TILES; i++) {
            float lo = of_half(s.scale[i] & 0xffff), hi = of_half(s.scale[i] >> 16);
            UNROLL
            for (int n = 0; n < WARP_COLUMNS; n++) {
                sum[i][n][0] = fma_(part[i][n][0], lo, sum[i][n][0]), sum[i][n][1] = fma_(part[i][n][1], lo, sum[i][n][1]);
                sum[i][n][2] = fma_(part[i][n][2], hi, sum[i][n][2]), sum[i][n][3] = fma_(part[i][n][3], hi, sum[i][n][3]);
            }
        }
    }
}

// The product of a warp: in registers, as mma gives it. in: [tokens][K] in bf16. It waits for the kernels before.
// The answer is how many of the block's tokens there are; none: nothing was computed.
template <int F, int K, int SPLITS> DEV int gemm(GemmSum& total, const Matrix& m, int tiles, const Counts* counts, const u16* in, u16* ring) {
    constexpr int slice = slice_of(F, K, SPLITS), all = chunks_of(F, K), step = step_chunks(F);
    GemmPlace at = gemm_place(tiles);
    int from = blockIdx.z * WARPS * slice, end = from + WARPS * slice < all ? from + WARPS * slice : all, steps = (end - from + step - 1) / step;
    GemmWeights<F> now, next;
    pdl_launch();
    gemm_load<F, K>(now, m, at, from, end);
    pdl_wait();
    int t0 = blockIdx.y * GEMM_TOKENS, count = (int)counts->tokens - t0;
    if (count <= 0) return 0;
    GemmSum sum;
    UNROLL
    for (int i = 0; i < WARP_TILES; i++) clear(total[i]), clear(sum[i]);
    for (int s = 0; s < GEMM_STAGES - 1; s++) {
        if (s < steps) gemm_stage<F, K>(ring + s * step_size(F), in, t0, count, (from + s * step) * tiles_of(F) * TILE);
        cp_async_commit();
    }
    for (int s = 0; s < steps; s++) {
        cp_async_wait<GEMM_STAGES - 2>();
        __syncthreads(); // the step's activations are there, and nobody reads those of the step before any more
        int later = s + GEMM_STAGES - 1;
        if (later < steps) gemm_stage<F, K>(ring + later % GEMM_STAGES * step_size(F), in, t0, count, (from + later * step) * tiles_of(F) * TILE);
        cp_async_commit();
        gemm_load<F, K>(next, m, at, from + (s + 1) * step, end);
        const u16* x = ring + s % GEMM_STAGES * step_size(F) + (at.token - t0) * step_stride(F);
        UNROLL
        for (int c = 0; c < step; c++) {
            int chunk = s * step + c; // of this split
            if (from + chunk >= end) continue;
            gemm_chunk<F>(sum, now, x, c, K / TILE - (from + chunk) * tiles_of(F));
            if ((chunk + 1) % slice != 0 && from + chunk + 1 != end) continue;
            UNROLL
            for (int i = 0; i < WARP_TILES; i++) {
                UNROLL
                for (int n = 0; n < WARP_COLUMNS; n++)
                    UNROLL
                    for (int j = 0; j < 4; j++) total[i][n][j] += sum[i][n][j];
                clear(sum[i]);
            }
        }
        now = next;
    }
    UNROLL
    for (int i = 0; i < WARP_TILES; i++)
        if (at.tile + i < tiles) scale_rows<F>(total[i], m, at.tile + i);
    return count;
}

// Calls each with the pairs of results that a thread has: of a row tile, rows r and r+8 of it, and a token.
template <class Each> DEV void each_pair(const GemmSum& total, int tiles, int count, Each each) {
    Lane l = lane_();
    GemmPlace at = gemm_place(tiles);
    int end = blockIdx.y * GEMM_TOKENS + count;
    UNROLL
    for (int i = 0; i < WARP_TILES; i++) {
        if (at.tile + i >= tiles) continue;
        UNROLL
        for (int n = 0; n < WARP_COLUMNS; n++)
            UNROLL
            for (int j = 0; j < 2; j++) {
                int t = at.token + n * 8 + l.q * 2 + j;
                if (t < end) each(at.tile + i, l.r, t, total[i][n][j], total[i][n][2 + j]);
            }
    }
}
