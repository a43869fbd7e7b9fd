// hopper.h: products of packed matrices with many rows of activations, by warpgroups and the copy engine.
//
// A block computes 64 rows of the matrix for 64 tokens, as gemm.h's does, each of four warps a row tile for all of them. A fifth
// warp fills a ring of stages of 64 columns: weights by plain bulk copies, for which nothing has to be waited for, and
// activations by a tensor map (TMA), once the kernels before have ended. Weights become operand A in registers; activations
// are operand B in shared memory, which tensor cores read by themselves while the warps unpack the next stage. There
// operand B has the order of columns that gemm.h gives it by which columns a lane reads: those who write activations for
// these kernels write them so (placed). Slices are brought together as there. Whether a tensor core adds up sixteen
// columns in one order for mma and for wgmma only a device can tell.
#pragma once
#include "gemm.h"

#if defined(SIMT_HOST) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define HOPPER 1

constexpr int HOP_THREADS = GEMM_THREADS + 32, HOP_STAGES = 4;
constexpr int HOP_COLUMNS = 64, HOP_STEPS = HOP_COLUMNS / TILE;                      // of a stage
constexpr int HOP_CHUNKS = HOP_STEPS / tiles_of(WEIGHTS);                            // of a row tile in a stage
constexpr int HOP_INPUT = GEMM_TOKENS * HOP_COLUMNS * 2, HOP_TILE = HOP_CHUNKS * 512; // bytes
constexpr int HOP_BYTES = HOP_INPUT + GEMM_TILES * HOP_TILE;
static_assert(HOP_BYTES % 1024 == 0, "a stage begins where the swizzle does");

// The parameters of a kernel, and the map of the activations that it reads: rows of tokens in boxes of 64 by 64.
template <class P> struct Hopper {
    TensorMap in;
    P p;
};

typedef float HopSum[8][4];

// Where a stage is filled, and where all have read it. The first has two arrivals, of weights and of activations; the
// second one of each warp that reads.
struct HopBars {
    u64 full[HOP_STAGES], empty[HOP_STAGES];
};

// A sum goes slice by slice, as in gemm.h; a slice takes some stages (parts), the last of them with the rest of its chunks.
template <int K, int SPLITS> struct HopSlice {
    static constexpr int chunks = slice_of(WEIGHTS, K, SPLITS), parts = (chunks + HOP_CHUNKS - 1) / HOP_CHUNKS, rest = chunks - (parts - 1) * HOP_CHUNKS;
};
struct HopPlace {
    int tile, tiles, token; // this warp's row tile, of so many of the matrix; the block's first token
    int from, end, stages;  // chunks of the split, and the stages that hold them
};
template <class Slice, int K> DEV HopPlace hop_place(int tiles) {
    constexpr int all = chunks_of(WEIGHTS, K), most = WARPS * Slice::chunks;
    int warp = threadIdx.x >> 5, from = blockIdx.z * most, end = from + most < all ? from + most : all, n = end - from;
    int stages = n / Slice::chunks * Slice::parts + (n % Slice::chunks + HOP_CHUNKS - 1) / HOP_CHUNKS;
    return {warp < GEMM_TILES ? (int)blockIdx.x * GEMM_TILES + warp : tiles, tiles, (int)blockIdx.y * GEMM_TOKENS, from, end, stages};
}
DEV bool has_tile(const HopPlace& at) { return at.tile < at.tiles; }

// The first chunk of a stage, and how many it has.
template <class Slice> DEV int hop_first(const HopPlace& at, int s) { return at.from + s / Slice::parts * Slice::chunks + s % Slice::parts * HOP_CHUNKS; }
template <class Slice> DEV int hop_chunks(const HopPlace& at, int s) {
    int most = s % Slice::parts == Slice::parts - 1 ? Slice::rest : HOP_CHUNKS, left = at.end - hop_first<Slice>(at, s);
    return left < most ? left : most;
}

// Asks for a stage's weights, of all row tiles of the block, and for its activations. By one thread.
template <class Slice, int K> DEV void hop_weights(u8* ring, HopBars& bars, const Matrix& m, const HopPlace& at, int s) {
    int first = hop_first<Slice>(at, s), bytes = hop_chunks<Slice>(at, s) * 512;
    int tile = blockIdx.x * GEMM_TILES, tiles = at.tiles - tile < GEMM_TILES ? at.tiles - tile : GEMM_TILES;
    u64* full = &bars.full[s % HOP_STAGES];
    mbar_expect(full, tiles * bytes);
    for (int i = 0; i < tiles; i++)
        bulk_g2s(ring + s % HOP_STAGES * HOP_BYTES + HOP_INPUT + i * HOP_TILE, m.data + ((u64)(tile + i) * chunks_of(WEIGHTS, K) + first) * 512, bytes, full);
}
template <class Slice> DEV void hop_input(u8* ring, HopBars& bars, const TensorMap& in, const HopPlace& at, int s) {
    u64* full = &bars.full[s % HOP_STAGES];
    mbar_expect(full, HOP_INPUT);
    tensor_g2s(ring + s % HOP_STAGES * HOP_BYTES, &in, hop_first<Slice>(at, s) * tiles_of(WEIGHTS) * TILE, at.token, full);
}

// The fifth warp: keeps the ring full. early: how many stages have their weights under way.
template <class Slice, int K> DEV void hop_fill(u8* ring, HopBars& bars, const Matrix& m, const TensorMap& in, const HopPlace& at, int early) {
    if ((threadIdx.x & 31) == 0)
        for (int s = 0; s < at.stages; s++) {
            if (s >= HOP_STAGES) mbar_wait(&bars.empty[s % HOP_STAGES], (s / HOP_STAGES - 1) & 1);
            if (s >= early) hop_weights<Slice, K>(ring, bars, m, at, s);
            hop_input<Slice>(ring, bars, in, at, s);
        }
    __syncwarp(); // barriers of the block take whole warps
}

// A warp's weights of a stage as operand A. What lies beyond the stage is zero.
struct HopWeights {
    u32 a[HOP_STEPS][4];
    u32 scale; // of W4
};
template <class Slice, int K> DEV void hop_read(HopWeights& w, u8* ring, HopBars& bars, const Matrix& m, const HopPlace& at, int s) {
    int chunks = has_tile(at) ? hop_chunks<Slice>(at, s) : 0;
    w.scale = 0;
    if (WEIGHTS == W4 && chunks > 0)
        w.scale = ((const u32*)m.scale)[((u64)at.tile * groups_of(K) + hop_first<Slice>(at, s) * 4 / GROUP_TILES) * 8 + (threadIdx.x & 31) / 4];
    mbar_wait(&bars.full[s % HOP_STAGES], s / HOP_STAGES & 1);
    const u8* p = ring + s % HOP_STAGES * HOP_BYTES + HOP_INPUT + (threadIdx.x >> 5) * HOP_TILE + (threadIdx.x & 31) * 16;
    UNROLL
    for (int c = 0; c < HOP_CHUNKS; c++) {
        U4 chunk = c < chunks ? ld_u4(p + c * 512) : U4{0, 0, 0, 0};
        UNROLL
        for (int t = 0; t < tiles_of(WEIGHTS); t++) unpack<WEIGHTS>(w.a[c * tiles_of(WEIGHTS) + t], chunk, t);
    }
}

// Starts a stage's products: sum = …, or with add sum += …. Nothing branches in between, or an assembler would have each of
// them wait for the one before.
template <int STEPS> DEV void hop_start(HopSum& sum, HopWeights& w, const u8* x, bool add) {
    wgmma_pin(sum);
    UNROLL
    for (int i = 0; i < STEPS; i++) wgmma_pin(w.a[i]);
    wgmma_fence();
    UNROLL
    for (int i = 0; i < STEPS; i++) wgmma_m64n64k16(sum, w.a[i], wg_desc(x, i * TILE * 2), i > 0 || add);
    wgmma_commit();
}

// The four warps that compute.
template <class Slice, int K> DEV void hop_multiply(HopSum& total, u8* ring, HopBars& bars, const Matrix& m, const HopPlace& at) {
    HopSum sum, part; // of a slice, and in W4 of a chunk before its scale
    clear(sum), clear(part);
    HopWeights now, next;
    hop_read<Slice, K>(now, ring, bars, m, at, 0);
    for (int s = 0; s < at.stages; s++) {
        const u8* x = ring + s % HOP_STAGES * HOP_BYTES;
        int of = s % Slice::parts; // the slice's stage
        if (WEIGHTS == W4)
            hop_start<HOP_STEPS>(part, now, x, false);
        else if (of < Slice::parts - 1 || Slice::rest == HOP_CHUNKS)
            hop_start<HOP_STEPS>(sum, now, x, of > 0);
        else
            hop_start<Slice::rest * tiles_of(WEIGHTS)>(sum, now, x, of > 0);
        if (s + 1 < at.stages) hop_read<Slice, K>(next, ring, bars, m, at, s + 1);
        wgmma_wait<0>();
        wgmma_pin(WEIGHTS == W4 ? part : sum);
        UNROLL
        for (int i = 0; i < HOP_STEPS; i++) wgmma_pin(now.a[i]);
        __syncwarp();
        if ((threadIdx.x & 31) == 0) mbar_arrive(&bars.empty[s % HOP_STAGES]);
        if constexpr (WEIGHTS == W4) {
            float lo = of_half(now.scale & 0xffff), hi = of_half(now.scale >> 16);
            UNROLL
            for (int n = 0; n < 8; n++) {
                sum[n][0] = fma_(part[n][0], lo, sum[n][0]), sum[n][1] = fma_(part[n][1], lo, sum[n][1]);
                sum[n][2] = fma_(part[n][2], hi, sum[n][2]), sum[n][3] = fma_(part[n][3], hi, sum[n][3]);
            }
        }
        if (of == Slice::parts - 1 || s + 1 == at.stages) {
            UNROLL
            for (int n = 0; n < 8; n++)
                UNROLL
                for (int j = 0; j < 4; j++) total[n][j] += sum[n][j];
            if (WEIGHTS == W4) clear(sum);
        }
        now = next;
    }
}

// The product of a warp; as gemm does it.
template <int K, int SPLITS> DEV int hopper(HopSum& total, const Matrix& m, int tiles, const Counts* counts, const TensorMap& in, u8* shared) {
    SHARED(HopBars, bars);
    typedef HopSlice<K, SPLITS> Slice;
    HopPlace at = hop_place<Slice, K>(tiles);
    u8* ring = align_shared(shared, 1024);
    bool fills = threadIdx.x == GEMM_THREADS;
    int early = at.stages < HOP_STAGES ? at.stages : HOP_STAGES;
    pdl_launch();
    if (fills) {
        for (int s = 0; s < HOP_STAGES; s++) mbar_init(&bars.full[s], 2), mbar_init(&bars.empty[s], GEMM_TILES);
        mbar_fence_init();
        for (int s = 0; s < early; s++) hop_weights<Slice, K>(ring, bars, m, at, s);
    }
    __syncthreads();
    pdl_wait();
    int count = (int)counts->tokens - at.token;
    if (count <= 0) { // a block doesn't end while copies to it are under way
        if (fills)
            for (int s = 0; s < early; s++) mbar_arrive(&bars.full[s]), mbar_wait(&bars.full[s], 0);
        return 0;
    }
    clear(total);
    if (threadIdx.x >= GEMM_THREADS) {
        hop_fill<Slice, K>(ring, bars, m, in, at, early);
        return count;
    }
    hop_multiply<Slice, K>(total, ring, bars, m, at);
    if (has_tile(at)) scale_rows<WEIGHTS>(total, m, at.tile);
    return count;
}

// Calls each as gemm.h's does.
template <class Each> DEV void each_pair(const HopSum& total, int tiles, int count, Each each) {
    Lane l = lane_();
    int tile = blockIdx.x * GEMM_TILES + l.warp;
    if (l.warp >= GEMM_TILES || tile >= tiles) return;
    UNROLL
    for (int n = 0; n < 8; n++)
        UNROLL
        for (int j = 0; j < 2; j++) {
            int t = n * 8 + l.q * 2 + j;
            if (t < count) each(tile, l.r, blockIdx.y * GEMM_TOKENS + t, total[n][j], total[n][2 + j]);
        }
}
#endif
