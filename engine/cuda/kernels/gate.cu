// gate.cu: RMS norm, the gate and up matrices, and SiLU(gate) · up.
#include "hopper.h"

struct GateParams {
    Lists step;
    const float *x, *norm; // [tokens][HID], [HID]
    Matrix matrix;         // GATE_TILES row tiles of 8 rows of gate and the same 8 of up
    u16* out;              // [tokens][INNER]
    const u16* in;         // [tokens][HID], normalised, for gemm_gate
};

DEV u16 silu_up(float gate, float up) {
    float silu = fmul_rn(gate, rcp_(1.0f + ex2(gate * -1.44269504f)));
    return f2bf(fmul_rn(silu, up));
}

template <int ROWS> DEV void norm_gate(const GateParams& p, u8* shared) {
    u16* x = (u16*)shared;
    float* red = (float*)(shared + ROWS * row_stride(HID) * 2);
    int tile = blockIdx.x, t0 = blockIdx.y * ROWS;
    Product<WEIGHTS, HID, 1> weights;
    pdl_launch();
    ask(weights, p.matrix, tile, 0);
    pdl_wait();
    int count = (int)p.step.counts->tokens - t0;
    if (count <= 0) return;
    norm_rows<ROWS>(x, p.x, p.norm, count, [&](int i) { return t0 + i; });
    __syncthreads();
    float acc[ROWS / 8][4];
    product<ROWS>(acc, weights, p.matrix, tile, 0, x, row_stride(HID), 0, red);
    Lane l = lane_();
    UNROLL
    for (int n = 0; n < ROWS / 8; n++) {
        if (n % WARPS != l.warp) continue;
        UNROLL
        for (int j = 0; j < 2; j++) {
            int t = n * 8 + l.q * 2 + j;
            if (t < count) p.out[(u64)(t0 + t) * INNER + tile * 8 + l.r] = silu_up(acc[n][j], acc[n][2 + j]);
        }
    }
}

// grid: (GATE_TILES, tokens / rows)
KERNEL(WARPS * 32, 2) norm_gate_8(GRID_CONST GateParams p) {
    DYN_SMEM(shared);
    norm_gate<8>(p, shared);
}
EXPORT_KERNEL(norm_gate_8)
KERNEL(WARPS * 32, 1) norm_gate_32(GRID_CONST GateParams p) {
    DYN_SMEM(shared);
    norm_gate<32>(p, shared);
}
EXPORT_KERNEL(norm_gate_32)

// grid: (GATE_TILES / GEMM_TILES, tokens / GEMM_TOKENS)
KERNEL(GEMM_THREADS, GEMM_BLOCKS) gemm_gate(GRID_CONST GateParams p) {
    DYN_SMEM(shared);
    GemmSum sum;
    int count = gemm<WEIGHTS, HID, 1>(sum, p.matrix, GATE_TILES, p.step.counts, p.in, (u16*)shared);
    each_pair(sum, GATE_TILES, count, [&](int tile, int r, int t, float lo, float hi) { p.out[(u64)t * INNER + tile * 8 + r] = silu_up(lo, hi); });
}
EXPORT_KERNEL(gemm_gate)

#ifdef HOPPER
// grid: as of gemm_gate; what it writes is for hopper_down
KERNEL(HOP_THREADS, 1) hopper_gate(GRID_CONST Hopper<GateParams> h) {
    DYN_SMEM(shared);
    HopSum sum;
    const GateParams& p = h.p;
    int count = hopper<HID, 1>(sum, p.matrix, GATE_TILES, p.step.counts, h.in, shared);
    each_pair(sum, GATE_TILES, count, [&](int tile, int r, int t, float lo, float hi) { p.out[(u64)t * INNER + placed(tile * 8 + r)] = silu_up(lo, hi); });
}
EXPORT_KERNEL(hopper_gate)
#endif
