// linear.h: products of packed matrices with a few rows of activations, on tensor cores.
//
// A matrix lies in tiles of 16 rows and 16 columns, row tile by row tile. Of a tile, lane l has the
// 16 bytes at 16·l: with r = l/4 and q = l%4, columns 4q and 4q+1 of row r, of row r+8, and columns 4q+2
// and 4q+3 of both. These are the four registers of operand A of mma.m16n8k16 when the columns of the tile
// are taken in an order of their own, which activations follow: lane l reads columns 4q to 4q+3 of a
// row at once. A sum doesn't mind the order of its columns.
//
// Activations are operand B: 8 tokens in each product. So a step of 1 to 8 tokens reads every weight
// once, and each token's result is the same in any company.
#pragma once
#include "step.h"

struct Lane {
    int warp, lane, r, q;
};
DEV Lane lane_() {
    int t = threadIdx.x;
    return {t >> 5, t & 31, (t & 31) >> 2, t & 3};
}

// The weights of one warp's slice, COUNT tiles from tile first of a row of K/16 tiles; beyond its end there are none.
template <int COUNT> struct Slice {
    U4 w[COUNT];
};

template <int K, int COUNT> DEV void load_slice(Slice<COUNT>& s, const u16* matrix, int row_tile, int first, int count = COUNT) {
    const u8* p = (const u8*)matrix + ((u64)row_tile * (K / TILE) + first) * 512 + (threadIdx.x & 31) * 16;
    UNROLL
    for (int i = 0; i < COUNT; i++)
        if (i < count && first + i < K / TILE) s.w[i] = ldg_stream(p + i * 512);
}

// acc += slice · activations. x: rows of row_stride(K) elements in shared memory, ROWS of them; their column 0 belongs
// to tile base.
template <int K, int COUNT, int ROWS>
DEV void multiply(float (&acc)[ROWS / 8][4], const Slice<COUNT>& s, const u16* x, int stride, int first, int base) {
    Lane l = lane_();
    UNROLL
    for (int i = 0; i < COUNT; i++) {
        if (first + i >= K / TILE) break;
        const u32 a[4] = {s.w[i].x, s.w[i].y, s.w[i].z, s.w[i].w};
        const u16* column = x + (first - base + i) * TILE + 4 * l.q + l.r * stride;
        UNROLL
        for (int n = 0; n < ROWS / 8; n++) {
            U2 b = *(const U2*)(column + n * 8 * stride);
            mma_bf16(acc[n], a, b.x, b.y);
        }
    }
}

template <int N> DEV void clear(float (&acc)[N][4]) {
    UNROLL
    for (int n = 0; n < N; n++)
        UNROLL
        for (int i = 0; i < 4; i++) acc[n][i] = 0;
}

// Adds up what the warps of a block have, in the order of the warps. acc of n comes to warp n % WARPS; others keep
// what they had. red: WARPS · ROWS/8 · 32 · 4 numbers of shared memory.
template <int ROWS> DEV void reduce(float (&acc)[ROWS / 8][4], float* red) {
    Lane l = lane_();
    UNROLL
    for (int n = 0; n < ROWS / 8; n++) {
        U4 v = {f2u(acc[n][0]), f2u(acc[n][1]), f2u(acc[n][2]), f2u(acc[n][3])};
        st_u4(red + ((l.warp * (ROWS / 8) + n) * 32 + l.lane) * 4, v);
    }
    __syncthreads();
    UNROLL
    for (int n = 0; n < ROWS / 8; n++) {
        if (n % WARPS != l.warp) continue;
        float sum[4] = {0, 0, 0, 0};
        for (int w = 0; w < WARPS; w++) {
            U4 v = ld_u4(red + ((w * (ROWS / 8) + n) * 32 + l.lane) * 4);
            sum[0] += u2f(v.x), sum[1] += u2f(v.y), sum[2] += u2f(v.z), sum[3] += u2f(v.w);
        }
        UNROLL
        for (int i = 0; i < 4; i++) acc[n][i] = sum[i];
    }
}

// The whole product of a block: row tile row_tile of the matrix by ROWS rows of activations. The weights of the
// first MAX_SLICE tiles of each warp were loaded into s before.
DEV constexpr int ahead(int slice) { return slice < MAX_SLICE ? slice : MAX_SLICE; }

template <int K, int SPLITS, int ROWS>
DEV void product(float (&acc)[ROWS / 8][4], Slice<ahead(slice_of(K, SPLITS))>& s, const u16* matrix, int row_tile, int split, const u16* x,
                 int stride, int base, float* red) {
    constexpr int slice = slice_of(K, SPLITS), count = ahead(slice);
    int first = (split * WARPS + (threadIdx.x >> 5)) * slice;
    clear(acc);
    multiply<K, count, ROWS>(acc, s, x, stride, first, base);
    for (int at = count; at < slice; at += count) {
        int end = slice - at < count ? slice - at : count;
        load_slice<K, count>(s, matrix, row_tile, first + at, end);
        UNROLL
        for (int i = 0; i < count; i++) {
            if (i >= end || first + at + i >= K / TILE) break;
            Slice<1> one = {{s.w[i]}};
            multiply<K, 1, ROWS>(acc, one, x, stride, first + at + i, base);
        }
    }
    reduce<ROWS>(acc, red);
}

template <int K, int SPLITS> DEV int first_tile(int split) { return (split * WARPS + (threadIdx.x >> 5)) * slice_of(K, SPLITS); }

// RMS norm of up to ROWS rows of the residual stream into shared memory, one warp a row, in bf16; rows from count
// on become zero. x: rows of HID floats, of which HIDDEN count; w: HID floats, zero in the padding. which gives the
// row of x of row i.
template <int ROWS, class Which> DEV void norm_rows(u16* out, const float* x, const float* w, int count, Which which) {
    Lane l = lane_();
    constexpr int stride = row_stride(HID);
    for (int i = l.warp; i < ROWS; i += WARPS) {
        u16* o = out + i * stride;
        if (i >= count) {
            for (int c = l.lane * 4; c < HID; c += 128) *(U2*)(o + c) = U2{0, 0};
            continue;
        }
        const float* v = x + (u64)which(i) * HID;
        float square = 0;
        for (int c = l.lane * 4; c < HID; c += 128) {
            U4 f = ld_u4(v + c);
            square = fma_(u2f(f.x), u2f(f.x), square), square = fma_(u2f(f.y), u2f(f.y), square);
            square = fma_(u2f(f.z), u2f(f.z), square), square = fma_(u2f(f.w), u2f(f.w), square);
        }
        float scale = rsqrt_(fma_(warp_sum(square), 1.0f / HIDDEN, (float)EPS));
        for (int c = l.lane * 4; c < HID; c += 128) {
            U4 f = ld_u4(v + c), g = ld_u4(w + c);
            U2 b = {pack_bf(u2f(f.x) * scale * u2f(g.x), u2f(f.y) * scale * u2f(g.y)),
                    pack_bf(u2f(f.z) * scale * u2f(g.z), u2f(f.w) * scale * u2f(g.w))};
            *(U2*)(o + c) = b;
        }
    }
}

// Copies columns [from, from+K) of up to ROWS rows of bf16 activations to shared memory; rows from count on become zero.
template <int K, int ROWS> DEV void copy_rows(u16* out, const u16* in, int width, int from, int count) {
    constexpr int stride = row_stride(K);
    for (int i = threadIdx.x; i < ROWS * (K / 8); i += WARPS * 32) {
        int row = i / (K / 8), c = i % (K / 8) * 8;
        U4 v = {0, 0, 0, 0};
        if (row < count && from + c < width) v = ld_u4(in + (u64)row * width + from + c);
        st_u4(out + row * stride + c, v);
    }
}
