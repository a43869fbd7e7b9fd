// qkv.cu: RMS norm, the query, key and value matrices, their bias and rope; keys and values go to their pages.
#include "hopper.h"

struct QkvParams {
    Lists step;
    const float *x, *norm; // [tokens][HID], [HID]
    Matrix matrix;         // QKV_TILES row tiles
    const float* bias;     // [QKV_TILES · 16], in the order of the matrix's rows
    const float* rope;     // [positions][HALF] pairs of cosine and sine; 1 and 0 in the padding
    u16* q;                // [tokens][QW]
    u16* k;                // keys of this layer in page 0: [KV_HEADS][PAGE][HD]
    u16* v;                // values:                       [KV_HEADS][HD][PAGE]
    u64 page;              // elements from one page to the next
    const u16* in;         // [tokens][HID], normalised, for gemm_qkv
};

// Of tile tile, the numbers lo and hi of token t, which belong to elements i and HALF+i of head h.
DEV void store_qkv(const QkvParams& p, const Token& token, u32 t, int h, int i, float lo, float hi) {
    if (h < HEADS + KV_HEADS) {
        U2 turn = ld_u2(p.rope + ((u64)token.position * HALF + i) * 2);
        float c = u2f(turn.x), s = u2f(turn.y), a = lo;
        lo = fma_(a, c, -fmul_rn(hi, s));
        hi = fma_(hi, c, fmul_rn(a, s));
    }
    u16 l = f2bf(lo), u = f2bf(hi);
    if (h < HEADS) {
        u16* q = p.q + (u64)t * QW + h * HD;
        q[i] = l, q[HALF + i] = u;
        return;
    }
    u64 page = token.slot / PAGE * p.page;
    u32 at = token.slot % PAGE;
    if (h < HEADS + KV_HEADS) {
        u16* k = p.k + page + ((h - HEADS) * PAGE + at) * HD;
        k[i] = l, k[HALF + i] = u;
        return;
    }
    u16* v = p.v + page + (h - HEADS - KV_HEADS) * HD * PAGE + at;
    v[i * PAGE] = l, v[(HALF + i) * PAGE] = u;
}

template <int ROWS> DEV void norm_qkv(const QkvParams& p, u8* shared) {
    u16* x = (u16*)shared;
    float* red = (float*)(shared + ROWS * row_stride(HID) * 2);
    int tile = blockIdx.x, t0 = blockIdx.y * ROWS;
    Product<WEIGHTS, HID, 1> weights;
    pdl_launch();
    ask(weights, p.matrix, tile, 0);
    Lane l = lane_();
    float bias_lo = p.bias[tile * TILE + l.r], bias_hi = p.bias[tile * TILE + 8 + l.r];
    pdl_wait();
    int count = (int)p.step.counts->tokens - t0;
    if (count <= 0) return;
    norm_rows<ROWS>(x, p.x, p.norm, count, [&](int i) { return t0 + i; });
    __syncthreads();
    float acc[ROWS / 8][4];
    product<ROWS>(acc, weights, p.matrix, tile, 0, x, row_stride(HID), 0, red);
    int h = tile / HEAD_TILES, i = tile % HEAD_TILES * 8 + l.r;
    UNROLL
    for (int n = 0; n < ROWS / 8; n++) {
        if (n % WARPS != l.warp) continue;
        UNROLL
        for (int j = 0; j < 2; j++) {
            int t = n * 8 + l.q * 2 + j;
            if (t < count) store_qkv(p, p.step.token[t0 + t], t0 + t, h, i, acc[n][j] + bias_lo, acc[n][2 + j] + bias_hi);
        }
    }
}

// grid: (QKV_TILES, tokens / rows)
KERNEL(WARPS * 32, 2) norm_qkv_8(GRID_CONST QkvParams p) {
    DYN_SMEM(shared);
    norm_qkv<8>(p, shared);
}
EXPORT_KERNEL(norm_qkv_8)
KERNEL(WARPS * 32, 1) norm_qkv_32(GRID_CONST QkvParams p) {
    DYN_SMEM(shared);
    norm_qkv<32>(p, shared);
}
EXPORT_KERNEL(norm_qkv_32)

// Rows r and r+8 of a tile, for a token.
DEV void biased(const QkvParams& p, int tile, int r, int t, float lo, float hi) {
    float bias_lo = p.bias[tile * TILE + r], bias_hi = p.bias[tile * TILE + 8 + r];
    store_qkv(p, p.step.token[t], t, tile / HEAD_TILES, tile % HEAD_TILES * 8 + r, lo + bias_lo, hi + bias_hi);
}

// grid: (QKV_TILES / GEMM_TILES, tokens / GEMM_TOKENS)
KERNEL(GEMM_THREADS, GEMM_BLOCKS) gemm_qkv(GRID_CONST QkvParams p) {
    DYN_SMEM(shared);
    GemmSum sum;
    int count = gemm<WEIGHTS, HID, 1>(sum, p.matrix, QKV_TILES, p.step.counts, p.in, (u16*)shared);
    each_pair(sum, QKV_TILES, count, [&](int tile, int r, int t, float lo, float hi) { biased(p, tile, r, t, lo, hi); });
}
EXPORT_KERNEL(gemm_qkv)

#ifdef HOPPER
// grid: as of gemm_qkv
KERNEL(HOP_THREADS, 1) hopper_qkv(GRID_CONST Hopper<QkvParams> h) {
    DYN_SMEM(shared);
    HopSum sum;
    const QkvParams& p = h.p;
    int count = hopper<HID, 1>(sum, p.matrix, QKV_TILES, p.step.counts, h.in, shared);
    each_pair(sum, QKV_TILES, count, [&](int tile, int r, int t, float lo, float hi) { biased(p, tile, r, t, lo, hi); });
}
EXPORT_KERNEL(hopper_qkv)
#endif
