// hopper.h: products of packed matrices with many rows of activations, by warpgroups.
//
// A block computes 64 rows of the matrix for 64 tokens, as gemm.h's does, each of its four warps a row tile for all of them.
// Weights are operand A in registers; activations are operand B in shared memory, which tensor cores read by themselves
// while warps unpack what comes next. There operand B has the order of columns that gemm.h gives it by which columns a lane
// reads: those who write activations for these kernels write them so (placed). Slices are brought together as there.
// Copies are those of sm_80, by threads: a stage takes no descriptor of a tensor (TMA), and one warp's start of it would
// save few instructions. Whether a tensor core adds up sixteen columns in one order for mma and for wgmma only a device can tell.
#pragma once
#include "gemm.h"

#if defined(SIMT_HOST) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define HOPPER 1

constexpr int HOP_COLUMNS = 64, HOP_STEPS = HOP_COLUMNS / TILE, HOP_BYTES = GEMM_TOKENS * HOP_COLUMNS * 2, HOP_STAGES = 4;
constexpr int HOP_CHUNKS = HOP_STEPS / tiles_of(WEIGHTS); // of a stage

typedef float HopSum[8][4];

DEV GemmPlace hop_place(int tiles) { return {(int)blockIdx.x * GEMM_TILES + (int)(threadIdx.x >> 5), (int)blockIdx.y * GEMM_TOKENS, tiles}; }

struct HopWeights {
    U4 w[HOP_CHUNKS];
    u32 scale;
};
template <int K> DEV void hop_load(HopWeights& s, const Matrix& m, const GemmPlace& at, int first, int end) {
    const u8* p = m.data + ((u64)at.tile * chunks_of(WEIGHTS, K) + first) * 512 + (threadIdx.x & 31) * 16;
    UNROLL
    for (int c = 0; c < HOP_CHUNKS; c++) s.w[c] = at.tile < at.tiles && first + c < end ? ldg_stream(p + c * 512) : U4{0, 0, 0, 0};
    s.scale = 0;
    if (WEIGHTS == W4 && at.tile < at.tiles && first < end)
        s.scale = ((const u32*)m.scale)[((u64)at.tile * groups_of(K) + first * 4 / GROUP_TILES) * 8 + (threadIdx.x & 31) / 4];
}

// Asks for the activations of a stage, in the swizzle that wg_desc says.
template <int K> DEV void hop_stage(u8* to, const u16* in, int t0, int count, int column) {
    for (int i = threadIdx.x; i < GEMM_TOKENS * 8; i += GEMM_THREADS) {
        int row = i / 8, part = i % 8, c = column + part * 8;
        bool there = row < count && c < K;
        cp_async16(to + row * 128 + (part ^ row % 8) * 16, there ? in + (u64)(t0 + row) * K + c : in, there);
    }
}

// The product of a warp; as gemm does it.
template <int K, int SPLITS> DEV int hopper(HopSum& total, const Matrix& m, int tiles, const Counts* counts, const u16* in, u8* shared) {
    constexpr int slice = slice_of(WEIGHTS, K, SPLITS), all = chunks_of(WEIGHTS, K);
    GemmPlace at = hop_place(tiles);
    int from = blockIdx.z * WARPS * slice, end = from + WARPS * slice < all ? from + WARPS * slice : all, stages = (end - from + HOP_CHUNKS - 1) / HOP_CHUNKS;
    u8* ring = align_shared(shared, 1024);
    HopWeights now, next;
    pdl_launch();
    hop_load<K>(now, m, at, from, end);
    pdl_wait();
    int t0 = blockIdx.y * GEMM_TOKENS, count = (int)counts->tokens - t0;
    if (count <= 0) return 0;
    HopSum sum, part; // of a slice, and in W4 of a chunk before its scale
    clear(total), clear(sum), clear(part);
    bool add = false;
    for (int s = 0; s < HOP_STAGES - 2; s++) {
        if (s < stages) hop_stage<K>(ring + s * HOP_BYTES, in, t0, count, (from + s * HOP_CHUNKS) * tiles_of(WEIGHTS) * TILE);
        cp_async_commit();
    }
    for (int s = 0; s < stages; s++) {
        cp_async_wait<HOP_STAGES - 3>();
        fence_proxy_async(); // what copies wrote, tensor cores read
        __syncthreads();     // the stage is there, and nobody's products read the one before the last any more
        int later = s + HOP_STAGES - 2;
        if (later < stages) hop_stage<K>(ring + later % HOP_STAGES * HOP_BYTES, in, t0, count, (from + later * HOP_CHUNKS) * tiles_of(WEIGHTS) * TILE);
        cp_async_commit();
        hop_load<K>(next, m, at, from + (s + 1) * HOP_CHUNKS, end);
        u8* x = ring + s % HOP_STAGES * HOP_BYTES;
        u32 a[HOP_STEPS][4];
        UNROLL
        for (int i = 0; i < HOP_STEPS; i++) unpack<WEIGHTS>(a[i], now.w[i / tiles_of(WEIGHTS)], i % tiles_of(WEIGHTS));
        wgmma_fence();
        UNROLL
        for (int i = 0; i < HOP_STEPS; i++) {
            int chunk = s * HOP_CHUNKS + i / tiles_of(WEIGHTS), last = i % tiles_of(WEIGHTS) == tiles_of(WEIGHTS) - 1; // of this split
            if (from + chunk >= end) continue;
            bool within = (from + chunk) * tiles_of(WEIGHTS) + i % tiles_of(WEIGHTS) < K / TILE;
            if (within) wgmma_m64n64k16(WEIGHTS == W4 ? part : sum, a[i], wg_desc(x, i * TILE * 2), WEIGHTS == W4 ? i > 0 : add), add = true;
            if (!last) continue;
            bool flush = (chunk + 1) % slice == 0 || from + chunk + 1 == end;
            if (WEIGHTS == W4 || flush) wgmma_commit(), wgmma_wait<0>();
            if constexpr (WEIGHTS == W4) {
                float lo = of_half(now.scale & 0xffff), hi = of_half(now.scale >> 16);
                UNROLL
                for (int n = 0; n < 8; n++) {
                    sum[n][0] = fma_(part[n][0], lo, sum[n][0]), sum[n][1] = fma_(part[n][1], lo, sum[n][1]);
                    sum[n][2] = fma_(part[n][2], hi, sum[n][2]), sum[n][3] = fma_(part[n][3], hi, sum[n][3]);
                }
            }
            if (!flush) continue;
            UNROLL
            for (int n = 0; n < 8; n++)
                UNROLL
                for (int j = 0; j < 4; j++) total[n][j] += sum[n][j];
            if (WEIGHTS == W4) clear(sum);
            add = false;
            wgmma_fence();
        }
        wgmma_commit();
        wgmma_wait<0>(); // the registers of operand A are the next stage's
        now = next;
    }
    if (at.tile < tiles) scale_rows<WEIGHTS>(total, m, at.tile);
    return count;
}

// Calls each as gemm.h's does.
template <class Each> DEV void each_pair(const HopSum& total, int tiles, int count, Each each) {
    Lane l = lane_();
    GemmPlace at = hop_place(tiles);
    if (at.tile >= tiles) return;
    UNROLL
    for (int n = 0; n < 8; n++)
        UNROLL
        for (int j = 0; j < 2; j++) {
            int t = n * 8 + l.q * 2 + j;
            if (t < count) each(at.tile, l.r, at.token + t, total[n][j], total[n][2 + j]);
        }
}
#endif
