// attention.cu: causal attention over pages. The query heads that share a KV head are the rows of one
// tensor-core tile, with those of further tokens where there is room.
//
// A sequence's pages are taken in fixed groups of SPLIT_PAGES: within a page by one softmax of its own, pages of
// a group from left to right, and groups from left to right. Decode gives a group to a block and a page to
// each of its warps, and a second kernel adds up the groups; prefill gives some tokens to a warp, which
// does the same sums in the same order. So both give the same bits.
#include "step.h"

struct AttentionParams {
    Lists step;
    const u16* q;       // [tokens][QW]
    const u16 *k, *v;   // as in qkv.cu
    u64 page;           // elements from one page to the next
    u16* out;           // [tokens][QW]
    float* part;        // [parts][ATT_ROWS][PART]
    float scale;        // log2(e) / sqrt(HEAD_DIM)
    u32 placed;         // 1: out is for hopper.h
};
constexpr int PART = HD + 2; // of a row: HD numbers, the maximum and the sum

// What one warp has of 16 rows: lane l of rows r and r+8; o in the fragments of mma's result.
struct State {
    float o[HD / 8][4];
    float max[2], sum[2];
};

DEV float weight(float max, float of) { return max == of ? 1.0f : ex2(max - of); }

// s := s with t after it.
DEV void fold(State& s, const State& t) {
    UNROLL
    for (int h = 0; h < 2; h++) {
        float m = s.max[h] > t.max[h] ? s.max[h] : t.max[h], a = weight(s.max[h], m), b = weight(t.max[h], m);
        s.max[h] = m;
        s.sum[h] = fma_(t.sum[h], b, fmul_rn(s.sum[h], a));
        UNROLL
        for (int d = 0; d < HD / 8; d++)
            UNROLL
            for (int j = 0; j < 2; j++) s.o[d][h * 2 + j] = fma_(t.o[d][h * 2 + j], b, fmul_rn(s.o[d][h * 2 + j], a));
    }
}

// The queries of rows r and r+8 as operand A, in the order of columns in which keys are read.
struct Queries {
    u32 a[HD / 16][4];
};
DEV void load_queries(Queries& f, const u16* q, u32 token, u32 count, u32 kv) {
    int lane = threadIdx.x & 31, r = lane >> 2, part = lane & 3;
    UNROLL
    for (int h = 0; h < 2; h++) {
        u32 row = r + h * 8, t = row / GROUP;
        const u16* from = q + (u64)(token + t) * QW + (kv * GROUP + row % GROUP) * HD + part * (HD / 4);
        UNROLL
        for (int i = 0; i < HD / 16; i++) {
            U2 two = {0, 0};
            if (t < count) two = ld_u2(from + i * 4);
            f.a[i][h] = two.x, f.a[i][2 + h] = two.y;
        }
    }
}

// Attention of the rows over one page, of which they see seen[0] and seen[1] positions (at most 0: none), and
// which holds as many as the greater of any row, all.
DEV void attend(State& s, const Queries& f, const u16* k, const u16* v, const int (&seen)[2], int all, float scale) {
    int lane = threadIdx.x & 31, r = lane >> 2, part = lane & 3;
    float p[8][4];
    // Column n of product t is the position 16·(n/2) + 2t + n%2, so that the two columns of a lane in all of them
    // are 16 positions in a row, as values are read below.
    UNROLL
    for (int t = 0; t < 8; t++) {
        p[t][0] = p[t][1] = p[t][2] = p[t][3] = 0;
        const u16* from = k + (16 * (r >> 1) + 2 * t + (r & 1)) * HD + part * (HD / 4);
        UNROLL
        for (int i = 0; i < HD / 16; i++) {
            U2 two = ld_u2(from + i * 4);
            mma_bf16(p[t], f.a[i], two.x, two.y);
        }
    }
    UNROLL
    for (int h = 0; h < 2; h++) {
        float m = u2f(0xff800000u);
        UNROLL
        for (int t = 0; t < 8; t++)
            UNROLL
            for (int j = 0; j < 2; j++) {
                float& score = p[t][h * 2 + j];
                score = 16 * part + 2 * t + j < seen[h] ? fmul_rn(score, scale) : u2f(0xff800000u);
                m = score > m ? score : m;
            }
        for (int o = 1; o < 4; o <<= 1) {
            float other = shfl_xor(m, o);
            m = other > m ? other : m;
        }
        float sum = 0, from = seen[h] > 0 ? m : 0.0f;
        UNROLL
        for (int t = 0; t < 8; t++)
            UNROLL
            for (int j = 0; j < 2; j++) {
                p[t][h * 2 + j] = ex2(p[t][h * 2 + j] - from);
                sum += p[t][h * 2 + j];
            }
        sum += shfl_xor(sum, 1);
        sum += shfl_xor(sum, 2);
        s.max[h] = m, s.sum[h] = sum;
    }
    u32 a[4][4];
    UNROLL
    for (int j = 0; j < 4; j++) {
        a[j][0] = pack_bf(p[2 * j][0], p[2 * j][1]), a[j][1] = pack_bf(p[2 * j][2], p[2 * j][3]);
        a[j][2] = pack_bf(p[2 * j + 1][0], p[2 * j + 1][1]), a[j][3] = pack_bf(p[2 * j + 1][2], p[2 * j + 1][3]);
    }
    UNROLL
    for (int d = 0; d < HD / 8; d++) {
        const u16* from = v + (d * 8 + r) * PAGE + part * 16;
        U4 lo = ld_u4(from), hi = ld_u4(from + 8);
        u32 b[8] = {lo.x, lo.y, lo.z, lo.w, hi.x, hi.y, hi.z, hi.w};
        if (all < PAGE) { // what lies behind the last position is anything, and anything times 0 isn't 0
            UNROLL
            for (int i = 0; i < 8; i++) {
                int left = all - 16 * part - 2 * i;
                b[i] &= left >= 2 ? 0xffffffffu : left == 1 ? 0xffffu : 0u;
            }
        }
        s.o[d][0] = s.o[d][1] = s.o[d][2] = s.o[d][3] = 0;
        UNROLL
        for (int j = 0; j < 4; j++) mma_bf16(s.o[d], a[j], b[2 * j], b[2 * j + 1]);
    }
}

// A page's attention for count tokens from token on, of which the first has position position.
DEV void attend_page(State& s, const AttentionParams& p, const Queries& f, const Unit& u, u32 page, u32 count, u32 position) {
    int r = (threadIdx.x & 31) >> 2, seen[2];
    int first = (int)position + 1 - (int)(page * PAGE);
    UNROLL
    for (int h = 0; h < 2; h++) {
        int t = (r + h * 8) / GROUP;
        seen[h] = t < (int)count ? first + t : 0;
    }
    u64 at = p.step.page[u.table + page] * p.page + u.kv * (PAGE * HD);
    attend(s, f, p.k + at, p.v + at, seen, first + (int)count - 1, p.scale);
}

// A warp's state in shared memory, as its lanes hold it.
struct Stored {
    alignas(16) float v[32][HD / 2 + 4];
};
DEV void store(Stored& to, const State& s) {
    float* v = to.v[threadIdx.x & 31];
    UNROLL
    for (int d = 0; d < HD / 8; d++) st_u4(v + d * 4, U4{f2u(s.o[d][0]), f2u(s.o[d][1]), f2u(s.o[d][2]), f2u(s.o[d][3])});
    st_u4(v + HD / 2, U4{f2u(s.max[0]), f2u(s.max[1]), f2u(s.sum[0]), f2u(s.sum[1])});
}
DEV void load(State& s, const Stored& from) {
    const float* v = from.v[threadIdx.x & 31];
    UNROLL
    for (int d = 0; d < HD / 8; d++) {
        U4 four = ld_u4(v + d * 4);
        s.o[d][0] = u2f(four.x), s.o[d][1] = u2f(four.y), s.o[d][2] = u2f(four.z), s.o[d][3] = u2f(four.w);
    }
    U4 four = ld_u4(v + HD / 2);
    s.max[0] = u2f(four.x), s.max[1] = u2f(four.y), s.sum[0] = u2f(four.z), s.sum[1] = u2f(four.w);
}

// One group of pages, one page a warp; the sum is a part that waits for the merge.
DEV void split_unit(const AttentionParams& p, const Unit& u, Stored* shared) {
    int w = threadIdx.x >> 5, lane = threadIdx.x & 31, r = lane >> 2, part = lane & 3;
    State s;
    if (w < (int)u.pages) {
        Queries f;
        load_queries(f, p.q, u.token, u.count, u.kv);
        attend_page(s, p, f, u, u.first + w, u.count, p.step.token[u.token].position);
        if (w > 0) store(shared[w], s);
    }
    __syncthreads();
    if (w == 0) {
        for (int i = 1; i < (int)u.pages; i++) {
            State next;
            load(next, shared[i]);
            fold(s, next);
        }
        UNROLL
        for (int h = 0; h < 2; h++) {
            int row = r + h * 8;
            if (row >= (int)u.count * GROUP) continue;
            float* out = p.part + ((u64)u.part * ATT_ROWS + row) * PART;
            UNROLL
            for (int d = 0; d < HD / 8; d++) {
                U2 two = {f2u(s.o[d][h * 2]), f2u(s.o[d][h * 2 + 1])};
                st_u2(out + d * 8 + part * 2, two);
            }
            if (part == 0) st_u2(out + HD, U2{f2u(s.max[h]), f2u(s.sum[h])});
        }
    }
    __syncthreads(); // shared is the next unit's
}

// Some tokens over all of their pages, each warp its own tokens. The groups so far wait in shared memory, since
// registers don't hold three states.
DEV void whole_unit(const AttentionParams& p, const Unit& u, Stored& shared) {
    int w = threadIdx.x >> 5, lane = threadIdx.x & 31, r = lane >> 2, part = lane & 3;
    u32 from = w * TILE_TOKENS;
    if (from >= u.count) return;
    u32 token = u.token + from, count = u.count - from < TILE_TOKENS ? u.count - from : TILE_TOKENS;
    Queries f;
    load_queries(f, p.q, token, count, u.kv);
    u32 position = p.step.token[token].position, pages = (position + count - 1) / PAGE + 1;
    State s, page;
    for (u32 g = 0; g < pages; g += SPLIT_PAGES) {
        attend_page(s, p, f, u, g, count, position);
        for (u32 i = g + 1; i < pages && i < g + SPLIT_PAGES; i++) {
            attend_page(page, p, f, u, i, count, position);
            fold(s, page);
        }
        if (g > 0) {
            load(page, shared);
            fold(page, s);
            s = page;
        }
        if (g + SPLIT_PAGES < pages) store(shared, s);
    }
    UNROLL
    for (int h = 0; h < 2; h++) {
        u32 row = r + h * 8;
        if (row >= count * GROUP) continue;
        u16* out = p.out + (u64)(token + row / GROUP) * QW + (u.kv * GROUP + row % GROUP) * HD;
        UNROLL
        for (int d = 0; d < HD / 8; d++)
            *(u32*)(out + (p.placed ? placed(d * 8 + part * 2) : d * 8 + part * 2)) = pack_bf(fdiv_rn(s.o[d][h * 2], s.sum[h]), fdiv_rn(s.o[d][h * 2 + 1], s.sum[h]));
    }
}

// Units that aren't whole. grid: any number of blocks
KERNEL(ATT_WARPS * 32, 1) attention(GRID_CONST AttentionParams p) {
    struct S {
        Stored warp[ATT_WARPS];
    };
    SHARED(S, shared);
    pdl_launch();
    pdl_wait();
    u32 units = p.step.counts->units;
    for (u32 i = blockIdx.x; i < units; i += gridDim.x) {
        Unit u = p.step.unit[i];
        if (u.part != WHOLE) split_unit(p, u, shared.warp);
    }
}
EXPORT_KERNEL(attention)

// Whole units. grid: any number of blocks
KERNEL(ATT_WARPS * 32, 1) attention_whole(GRID_CONST AttentionParams p) {
    struct S {
        Stored warp[ATT_WARPS];
    };
    SHARED(S, shared);
    pdl_launch();
    pdl_wait();
    u32 units = p.step.counts->units;
    for (u32 i = blockIdx.x; i < units; i += gridDim.x) {
        Unit u = p.step.unit[i];
        if (u.part == WHOLE) whole_unit(p, u, shared.warp[threadIdx.x >> 5]);
    }
}
EXPORT_KERNEL(attention_whole)

// Adds up the groups of pages of a token. grid: any number of blocks
KERNEL(128, 1) merge(GRID_CONST AttentionParams p) {
    pdl_launch();
    pdl_wait();
    u32 items = p.step.counts->merges * HEADS;
    for (u32 i = blockIdx.x; i < items; i += gridDim.x) {
        Merge m = p.step.merge[i / HEADS];
        u32 head = i % HEADS, kv = head / GROUP, row = m.row * GROUP + head % GROUP;
        const float* from = p.part + ((u64)(m.base + kv * m.splits) * ATT_ROWS + row) * PART;
        for (int d = threadIdx.x; d < HD; d += blockDim.x) {
            float o = from[d], max = from[HD], sum = from[HD + 1];
            for (u32 s = 1; s < m.splits; s++) {
                const float* next = from + (u64)s * ATT_ROWS * PART;
                float more = next[HD] > max ? next[HD] : max, a = weight(max, more), b = weight(next[HD], more);
                sum = fma_(next[HD + 1], b, fmul_rn(sum, a));
                o = fma_(next[d], b, fmul_rn(o, a));
                max = more;
            }
            p.out[(u64)m.token * QW + head * HD + (p.placed ? placed(d) : d)] = f2bf(fdiv_rn(o, sum));
        }
    }
}
EXPORT_KERNEL(merge)
