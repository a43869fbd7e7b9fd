// select.cu: the second pass over logits that were kept: edits, top-k, top-p and the draw among the ids that
// are left, all exactly as engine/sample defines them.
#include "draw.h"

#ifndef SELECT_THREADS
#define SELECT_THREADS 1024
#endif

struct SelectParams {
    Lists step;
    float* logits; // [rows that are kept][VOCAB]; edits stay in them
    int* drawn[2];
    Drawn* out[2];
    u32* arrived; // zero before and after
    u32* number;
    u32 from, most, last, pad; // as in head.cu
};

struct SelectShared {
    u64 sums[256];
    u64 prefix, left; // of the rank that is looked for: what is known of it, and the mass that is still to be found
    Best best[SELECT_THREADS / 32];
    u32 last, stop;
};

// 2^(i/64), rounded to nearest; part of the definition.
CONSTANT double exp2_table[64] = {
    1.0, 1.0108892860517005, 1.0218971486541166, 1.0330248790212284,
    1.0442737824274138, 1.0556451783605572, 1.0671404006768237, 1.0787607977571199,
    1.0905077326652577, 1.102382583307841, 1.1143867425958924, 1.1265216186082418,
    1.1387886347566916, 1.1511892299529827, 1.1637248587775775, 1.1763969916502812,
    1.189207115002721, 1.202156731452703, 1.215247359980469, 1.22848053610687,
    1.241857812073484, 1.255380757024691, 1.2690509571917332, 1.2828700160787783,
    1.2968395546510096, 1.3109612115247644, 1.3252366431597413, 1.339667524053303,
    1.3542555469368927, 1.3690024229745905, 1.383909881963832, 1.3989796725383112,
    1.4142135623730951, 1.42961333839197, 1.4451808069770467, 1.460917794180647,
    1.4768261459394993, 1.4929077282912648, 1.5091644275934228, 1.5255981507445384,
    1.5422108254079407, 1.559004400237837, 1.5759808451078865, 1.593142151342267,
    1.6104903319492543, 1.6280274218573478, 1.645755478153965, 1.6636765803267364,
    1.681792830507429, 1.7001063537185235, 1.718619298122478, 1.7373338352737062,
    1.7562521603732995, 1.7753764925265212, 1.7947090750031072, 1.8142521755003989,
    1.8340080864093424, 1.8539791250833855, 1.8741676341103, 1.8945759815869656,
    1.9152065613971474, 1.9360617934922943, 1.9571441241754002, 1.978456026387951,
};

// Of engine/sample: an id's place in the order, greater for ids that come earlier.
DEV u64 rank_of(float l, int id) {
    if (l != l) l = u2f(0xff800000u);
    u32 b = f2u(fadd_rn(l, 0.0f));
    b = b >> 31 ? ~b : b | 0x80000000u;
    return (u64)b << 32 | (u32)~(u32)id;
}

constexpr u64 MASS_ONE = 1ull << 40;

// floor(2^40 · e^x) for x ≤ 0, as engine/sample computes it.
DEV u64 mass(double x) {
    if (!(x >= -28)) return 0;
    double t = dmul_rn(x, 92.33248261689366);
    int k = (int)t;
    double r = dmul_rn(dadd_rn(t, -(double)k), 0.010830424696249145), p = dadd_rn(dmul_rn(r, 1.0 / 24), 1.0 / 6);
    p = dadd_rn(dmul_rn(r, p), 0.5);
    p = dadd_rn(dmul_rn(r, p), 1);
    p = dadd_rn(dmul_rn(r, p), 1);
    double y = dmul_rn(exp2_table[k & 63], p);
    return (u64)dmul_rn(y, (double)MASS_ONE) >> -(k >> 6);
}

struct Row {
    const float* logits;
    double inverse, zmax;
    u64 floor; // ids of a lower rank are out
};
DEV u64 mass_of(const Row& r, int id) {
    float l = r.logits[id];
    double z = dmul_rn((double)l, r.inverse);
    if (!(z == r.zmax || dadd_rn(z, -r.zmax) >= -28) || (r.floor != 0 && rank_of(l, id) < r.floor)) return 0;
    return z == r.zmax ? MASS_ONE : mass(dadd_rn(z, -r.zmax));
}

// The greatest rank such that the ids from it on up weigh target or more, which is at least 1 and at most what all weigh.
template <class Weigh> DEV u64 cut(SelectShared& s, const float* logits, u64 target, Weigh weigh) {
    int t = threadIdx.x;
    if (t == 0) s.prefix = 0, s.left = target, s.stop = 0;
    for (int shift = 56; shift >= 0; shift -= 8) {
        for (int i = t; i < 256; i += SELECT_THREADS) s.sums[i] = 0;
        __syncthreads();
        u64 known = s.prefix;
        for (int id = t; id < VOCAB; id += SELECT_THREADS) {
            u64 r = rank_of(logits[id], id);
            if (shift < 56 && (r >> (shift + 8)) != (known >> (shift + 8))) continue;
            u64 w = weigh(id);
            if (w) atomicAdd(&s.sums[r >> shift & 255], w);
        }
        __syncthreads();
        if (t == 0) {
            int b = 255;
            while (b > 0 && s.sums[b] < s.left) s.left -= s.sums[b--];
            s.prefix |= (u64)b << shift;
            s.stop = s.sums[b] == s.left; // all ids of this prefix
        }
        __syncthreads();
        if (s.stop) break;
    }
    return s.prefix;
}

// Of what all threads have, in each of them.
DEV Best best_of_block(SelectShared& s, Best b) {
    better_of_lanes(b, 1, 32);
    __syncthreads();
    if ((threadIdx.x & 31) == 0) s.best[threadIdx.x >> 5] = b;
    __syncthreads();
    b = s.best[0];
    for (int w = 1; w < SELECT_THREADS / 32; w++) better(b, s.best[w].value, s.best[w].id);
    return b;
}

DEV u64 sum_of_block(SelectShared& s, u64 v) {
    for (int o = 1; o < 32; o <<= 1) v += shfl_xor_u64(v, o);
    __syncthreads();
    if ((threadIdx.x & 31) == 0) s.sums[threadIdx.x >> 5] = v;
    __syncthreads();
    u64 sum = 0;
    for (int w = 0; w < SELECT_THREADS / 32; w++) sum += s.sums[w];
    __syncthreads();
    return sum;
}

DEV void edit(float* logits, const Edit* edits, const Head& h) {
    for (u32 i = threadIdx.x; i < h.edit_count; i += SELECT_THREADS) {
        Edit e = edits[h.edits + i];
        float l = logits[e.id];
        if (e.repeat) l = l > 0 ? fdiv_rn(l, h.repetition) : fmul_rn(l, h.repetition);
        logits[e.id] = fadd_rn(l, e.add);
    }
    __syncthreads();
}

DEV int select_row(SelectShared& s, float* logits, const Edit* edits, const Head& h) {
    edit(logits, edits, h);
    Best b = nothing();
    for (int id = threadIdx.x; id < VOCAB; id += SELECT_THREADS) better(b, (double)logits[id], id);
    Best first = best_of_block(s, b);
    if ((h.flags & GREEDY) || !(first.value > u2d(0xfff0000000000000ull))) return first.id;
    Row r = {logits, h.inverse_temperature, dmul_rn(first.value, h.inverse_temperature), 0};
    if (h.top_k > 0 && h.top_k < VOCAB) r.floor = cut(s, logits, h.top_k, [](int) -> u64 { return 1; });
    if (h.top_p > 0 && h.top_p < 1) {
        u64 sum = 0;
        for (int id = threadIdx.x; id < VOCAB; id += SELECT_THREADS) sum += mass_of(r, id);
        sum = sum_of_block(s, sum);
        // The product of top_p, in units of 2^-32, and the sum, rounded up.
        u64 p = (u64)dmul_rn((double)h.top_p, 4294967296.0);
        u64 target = p * (sum >> 32) + ((p * (sum & 0xffffffffull) + 0xffffffffull) >> 32);
        r.floor = cut(s, logits, target ? target : 1, [&](int id) { return mass_of(r, id); });
    }
    b = nothing();
    for (int id = threadIdx.x; id < VOCAB; id += SELECT_THREADS)
        if (r.floor == 0 || rank_of(logits[id], id) >= r.floor) compete(b, h, logits[id], id);
    return best_of_block(s, b).id;
}

// grid: heads that a graph was built for
KERNEL(SELECT_THREADS, 1) select_rows(GRID_CONST SelectParams p) {
    SHARED(SelectShared, s);
    pdl_launch();
    pdl_wait();
    u32 all = p.step.counts->heads, number = p.step.counts->number, odd = number & 1;
    u32 here = all - p.from < p.most ? all - p.from : p.most;
    for (u32 i = p.from + blockIdx.x; i < p.from + here; i += gridDim.x) {
        Head h = p.step.head[i];
        if (!(h.flags & SELECT)) continue;
        int id = select_row(s, p.logits + (u64)h.logits * VOCAB, p.step.edit, h);
        if (threadIdx.x == 0) p.drawn[odd][i] = id;
        __syncthreads();
    }
    if (!p.last || p.step.counts->finish != FINISH_SELECT) return;
    __syncthreads();
    if (threadIdx.x == 0) s.last = atom_add_acq_rel(p.arrived, 1) == gridDim.x - 1;
    __syncthreads();
    if (!s.last) return;
    if (threadIdx.x == 0) *p.arrived = 0;
    hand_back(p.out[odd], p.drawn[odd], all, number, p.number);
}
EXPORT_KERNEL(select_rows)
