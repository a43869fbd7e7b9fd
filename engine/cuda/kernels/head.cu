// head.cu: the last RMS norm, the vocabulary's logits, and the draw of tokens from them as they come. Logits go to
// memory only for those who ask.
#include "draw.h"
#include "linear.h"

struct HeadParams {
    Lists step;
    const float *x, *norm; // [tokens][HID], [HID]
    Matrix matrix;         // VOCAB_TILES row tiles
    float* logits;         // [rows that are kept][VOCAB]
    Best* best;            // [heads][blocks]
    u32* arrived;          // [heads / rows], zero before and after
    int* drawn[2];         // for the next step, of odd, of even number
    Drawn* out[2];         // for the host
    u32* number;           // of the step; the last kernel of a step adds one
    u32 done_at;           // index in arrived where whole groups of heads count themselves
    u32 from, most;        // of the step's heads, those from from on, at most so many
    u32 last;              // 1: no head comes after them
};

// Each warp has row tiles of its own; columns of a tile are added up in their order, so no warp waits for another.
constexpr int HEAD_CHUNKS = chunks_of(HEAD_WEIGHTS, HID), HEAD_AHEAD = HEAD_CHUNKS < 8 ? HEAD_CHUNKS : 8;
typedef Slice<HEAD_WEIGHTS, HEAD_AHEAD> HeadSlice;

template <int ROWS> DEV void logits_of(float (&acc)[ROWS / 8][4], HeadSlice& s, const Matrix& m, int tile, int next, const u16* x) {
    clear(acc);
    for (int at = 0; at < HEAD_CHUNKS; at += HEAD_AHEAD) {
        HeadSlice now = s;
        if (at + HEAD_AHEAD < HEAD_CHUNKS)
            load_slice<HEAD_WEIGHTS, HID>(s, m, tile, at + HEAD_AHEAD);
        else if (next < VOCAB_TILES)
            load_slice<HEAD_WEIGHTS, HID>(s, m, next, 0);
        multiply<HEAD_WEIGHTS, HID, HEAD_AHEAD, ROWS>(acc, now, x, row_stride(HID), at, 0);
    }
    scale_rows<HEAD_WEIGHTS>(acc, m, tile);
}

template <int ROWS> DEV void head(const HeadParams& p, u8* shared) {
    u16* x = (u16*)shared;
    constexpr int stride = row_stride(HID);
    Head* heads = (Head*)(shared + ROWS * stride * 2);
    Best* warps = (Best*)(heads + ROWS);
    Lane l = lane_();
    int step = gridDim.x * WARPS, tile = blockIdx.x * WARPS + l.warp, h0 = p.from + blockIdx.y * ROWS;
    HeadSlice weights;
    pdl_launch();
    if (tile < VOCAB_TILES) load_slice<HEAD_WEIGHTS, HID>(weights, p.matrix, tile, 0);
    pdl_wait();
    u32 all = p.step.counts->heads, number = p.step.counts->number, odd = number & 1;
    u32 here = all - p.from < p.most ? all - p.from : p.most;
    bool finish = p.step.counts->finish == FINISH_HEAD && p.last;
    int left = (int)(p.from + here) - h0, count = left < ROWS ? left : ROWS;
    if (here == 0 && blockIdx.x + blockIdx.y == 0 && finish) hand_back(p.out[odd], p.drawn[odd], all, number, p.number);
    if (count <= 0) return;
    for (int i = threadIdx.x; i < count * (int)(sizeof(Head) / 8); i += WARPS * 32) ((u64*)heads)[i] = ((const u64*)(p.step.head + h0))[i];
    norm_rows<ROWS>(x, p.x, p.norm, count, [&](int i) { return p.step.head[h0 + i].token; });
    __syncthreads();
    Best best[ROWS / 8][2];
    UNROLL
    for (int n = 0; n < ROWS / 8; n++) best[n][0] = best[n][1] = nothing();
    for (; tile < VOCAB_TILES; tile += step) {
        float acc[ROWS / 8][4];
        logits_of<ROWS>(acc, weights, p.matrix, tile, tile + step, x);
        UNROLL
        for (int n = 0; n < ROWS / 8; n++)
            UNROLL
            for (int i = 0; i < 4; i++) {
                int h = n * 8 + l.q * 2 + (i & 1), id = tile * TILE + l.r + (i >> 1) * 8;
                if (h >= count || id >= VOCAB) continue;
                if (heads[h].flags & KEEP) p.logits[(u64)heads[h].logits * VOCAB + id] = acc[n][i];
                if (heads[h].flags & DRAW) compete(best[n][i & 1], heads[h], acc[n][i], id);
            }
    }
    // Of a block: over the lanes with the same columns, then over the warps.
    UNROLL
    for (int n = 0; n < ROWS / 8; n++)
        UNROLL
        for (int j = 0; j < 2; j++) {
            better_of_lanes(best[n][j], 4, 32);
            if (l.r == 0) warps[l.warp * ROWS + n * 8 + l.q * 2 + j] = best[n][j];
        }
    __syncthreads();
    for (int h = threadIdx.x; h < count; h += WARPS * 32) {
        Best b = warps[h];
        for (int w = 1; w < WARPS; w++) better(b, warps[w * ROWS + h].value, warps[w * ROWS + h].id);
        p.best[(u64)(h0 + h) * gridDim.x + blockIdx.x] = b;
    }
    // The last block to come decides.
    SHARED(u32, last);
    __syncthreads();
    if (threadIdx.x == 0) last = atom_add_acq_rel(p.arrived + blockIdx.y, 1) == gridDim.x - 1;
    __syncthreads();
    if (!last) return;
    for (int h = l.warp; h < count; h += WARPS) {
        if (!(heads[h].flags & DRAW)) continue;
        Best b = nothing();
        for (int i = l.lane; i < (int)gridDim.x; i += 32) {
            Best o = p.best[(u64)(h0 + h) * gridDim.x + i];
            better(b, o.value, o.id);
        }
        better_of_lanes(b, 1, 32);
        if (l.lane == 0) p.drawn[odd][h0 + h] = b.id;
    }
    __syncthreads();
    u32 groups = (here + ROWS - 1) / ROWS;
    if (threadIdx.x == 0) {
        p.arrived[blockIdx.y] = 0;
        last = atom_add_acq_rel(p.arrived + p.done_at, 1) == groups - 1;
        if (last) p.arrived[p.done_at] = 0;
    }
    __syncthreads();
    if (last && finish) hand_back(p.out[odd], p.drawn[odd], all, number, p.number);
}

// grid: (any number of blocks, heads / rows)
KERNEL(WARPS * 32, 2) head_8(GRID_CONST HeadParams p) {
    DYN_SMEM(shared);
    head<8>(p, shared);
}
EXPORT_KERNEL(head_8)
KERNEL(WARPS * 32, 1) head_32(GRID_CONST HeadParams p) {
    DYN_SMEM(shared);
    head<32>(p, shared);
}
EXPORT_KERNEL(head_32)
