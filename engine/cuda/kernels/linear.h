// linear.h: products of packed matrices with a few rows of activations, on tensor cores.
//
// Activations are operand B, in bf16: 8 tokens in each product. So a step of 1 to 8 tokens reads every weight once, and each
// token's result is the same in any company.
#pragma once
#include "format.h"

struct Lane {
    int warp, lane, r, q;
};
DEV Lane lane_() {
    int t = threadIdx.x;
    return {t >> 5, t & 31, (t & 31) >> 2, t & 3};
}

// The weights of COUNT chunks of one row tile, as a lane holds them, and in W4 the scale that belongs to each: a chunk
// of four tiles lies in one group of eight.
template <int F, int COUNT> struct Slice {
    U4 w[COUNT];
    u32 scale[F == W4 ? COUNT : 1];
};

// Loads chunks first to first+count−1 of a row tile; beyond the row's end there are none.
template <int F, int K, int COUNT> DEV void load_slice(Slice<F, COUNT>& s, const Matrix& m, int row_tile, int first, int count = COUNT) {
    const u8* p = m.data + ((u64)row_tile * chunks_of(F, K) + first) * 512 + (threadIdx.x & 31) * 16;
    const u32* scale = (const u32*)m.scale + (u64)row_tile * groups_of(K) * 8 + ((threadIdx.x & 31) >> 2);
    UNROLL
    for (int i = 0; i < COUNT; i++)
        if (i < count && first + i < chunks_of(F, K)) {
            s.w[i] = ldg_stream(p + i * 512);
            if (F == W4) s.scale[i] = scale[(first + i) * 4 / GROUP_TILES * 8];
        }
}

template <int N> DEV void clear(float (&acc)[N][4]) {
    UNROLL
    for (int n = 0; n < N; n++)
        UNROLL
        for (int i = 0; i < 4; i++) acc[n][i] = 0;
}

// acc += slice · activations. x: rows of stride elements in shared memory, ROWS of them; their column 0 belongs to tile
// base of the matrix.
template <int F, int K, int COUNT, int ROWS>
DEV void multiply(float (&acc)[ROWS / 8][4], const Slice<F, COUNT>& s, const u16* x, int stride, int first, int base, int count = COUNT) {
    Lane l = lane_();
    UNROLL
    for (int i = 0; i < COUNT; i++) {
        if (i >= count || (first + i) * tiles_of(F) >= K / TILE) break;
        float part[F == W4 ? ROWS / 8 : 1][4]; // of a chunk, before its scale
        if (F == W4) clear(part);
        UNROLL
        for (int t = 0; t < tiles_of(F); t++) {
            int tile = (first + i) * tiles_of(F) + t;
            if (tile >= K / TILE) break;
            u32 a[4];
            unpack<F>(a, s.w[i], t);
            const u16* column = x + (tile - base) * TILE + 4 * l.q + l.r * stride;
            UNROLL
            for (int n = 0; n < ROWS / 8; n++) {
                U2 b = ld_u2(column + n * 8 * stride);
                mma_bf16(F == W4 ? part[n] : acc[n], a, b.x, b.y);
            }
        }
        if (F != W4) continue;
        float lo = of_half(s.scale[i] & 0xffff), hi = of_half(s.scale[i] >> 16);
        UNROLL
        for (int n = 0; n < ROWS / 8; n++) {
            acc[n][0] = fma_(part[n][0], lo, acc[n][0]), acc[n][1] = fma_(part[n][1], lo, acc[n][1]);
            acc[n][2] = fma_(part[n][2], hi, acc[n][2]), acc[n][3] = fma_(part[n][3], hi, acc[n][3]);
        }
    }
}

// Brings in what belongs to a whole row: W8's scale.
template <int F, int N> DEV void scale_rows(float (&acc)[N][4], const Matrix& m, int row_tile) {
    if (F != W8) return;
    const float* s = (const float*)m.scale + row_tile * TILE + lane_().r;
    float lo = s[0], hi = s[8];
    UNROLL
    for (int n = 0; n < N; n++) {
        acc[n][0] = fmul_rn(acc[n][0], lo), acc[n][1] = fmul_rn(acc[n][1], lo);
        acc[n][2] = fmul_rn(acc[n][2], hi), acc[n][3] = fmul_rn(acc[n][3], hi);
    }
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

// The product of a block: one row tile of a matrix of K columns by ROWS rows of activations, of which a block takes one of
// SPLITS parts of the columns.
DEV constexpr int ahead(int slice) { return slice < MAX_SLICE ? slice : MAX_SLICE; }

template <int F, int K, int SPLITS> struct Product {
    static constexpr int SLICE = slice_of(F, K, SPLITS), AHEAD = ahead(SLICE);
    Slice<F, AHEAD> first;
};
template <int F, int K, int SPLITS> DEV int first_chunk(int split) { return (split * WARPS + (threadIdx.x >> 5)) * slice_of(F, K, SPLITS); }

// Asks for the weights that fit registers; to be called before the wait.
template <int F, int K, int SPLITS> DEV void ask(Product<F, K, SPLITS>& p, const Matrix& m, int row_tile, int split) {
    load_slice<F, K>(p.first, m, row_tile, first_chunk<F, K, SPLITS>(split));
}

template <int ROWS, int F, int K, int SPLITS>
DEV void product(float (&acc)[ROWS / 8][4], Product<F, K, SPLITS>& p, const Matrix& m, int row_tile, int split, const u16* x, int stride, int base,
                 float* red) {
    constexpr int slice = Product<F, K, SPLITS>::SLICE, count = Product<F, K, SPLITS>::AHEAD;
    int first = first_chunk<F, K, SPLITS>(split);
    clear(acc);
    multiply<F, K, count, ROWS>(acc, p.first, x, stride, first, base);
    for (int at = count; at < slice; at += count) {
        int left = slice - at < count ? slice - at : count;
        load_slice<F, K>(p.first, m, row_tile, first + at, left);
        multiply<F, K, count, ROWS>(acc, p.first, x, stride, first + at, base, left);
    }
    reduce<ROWS>(acc, red);
    scale_rows<F>(acc, m, row_tile);
}

// RMS norm of a row of HID floats by one warp, in bf16; for hopper.h where order says so. w: HID floats, zero in the padding.
DEV void norm_row(u16* out, const float* v, const float* w, bool order = false) {
    int lane = threadIdx.x & 31;
    float square = 0;
    for (int c = lane * 4; c < HID; c += 128) {
        U4 f = ld_u4(v + c);
        square = fma_(u2f(f.x), u2f(f.x), square), square = fma_(u2f(f.y), u2f(f.y), square);
        square = fma_(u2f(f.z), u2f(f.z), square), square = fma_(u2f(f.w), u2f(f.w), square);
    }
    float scale = rsqrt_(fma_(warp_sum(square), 1.0f / HIDDEN, (float)EPS));
    for (int c = lane * 4; c < HID; c += 128) {
        U4 f = ld_u4(v + c), g = ld_u4(w + c);
        U2 b = {pack_bf(u2f(f.x) * scale * u2f(g.x), u2f(f.y) * scale * u2f(g.y)),
                pack_bf(u2f(f.z) * scale * u2f(g.z), u2f(f.w) * scale * u2f(g.w))};
        if (order)
            *(u32*)(out + placed(c)) = b.x, *(u32*)(out + placed(c + 2)) = b.y;
        else
            st_u2(out + c, b);
    }
}

// RMS norm of up to ROWS rows of the residual stream into shared memory, one warp a row, in bf16; rows from count
// on become zero. x: rows of HID floats, of which HIDDEN count; w: HID floats, zero in the padding. which gives the
// row of x of row i.
template <int ROWS, class Which> DEV void norm_rows(u16* out, const float* x, const float* w, int count, Which which) {
    Lane l = lane_();
    constexpr int stride = row_stride(HID);
    for (int i = l.warp; i < ROWS; i += WARPS) {
        u16* o = out + i * stride;
        if (i >= count) {
            for (int c = l.lane * 4; c < HID; c += 128) st_u2(o + c, U2{0, 0});
            continue;
        }
        norm_row(o, x + (u64)which(i) * HID, w);
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
