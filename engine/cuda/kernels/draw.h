// draw.h: how a token is drawn, as engine/sample defines it, to the last bit: Philox4x32-10 words (Salmon
// et al., SC 2011), Gumbel variates from them in float64, and the greatest of logit/temperature + variate.
#pragma once
#include "step.h"

struct Words {
    u32 w[4];
};

// The random words of ids 4b to 4b+3 at a position of a request.
DEV Words words_of(u64 seed, u64 position, u32 b) {
    u32 c0 = b, c1 = (u32)position, c2 = (u32)(position >> 32), c3 = 0, k0 = (u32)seed, k1 = (u32)(seed >> 32);
    UNROLL
    for (int i = 0; i < 10; i++) {
        u64 p0 = (u64)0xD2511F53u * c0, p1 = (u64)0xCD9E8D57u * c2;
        u32 n0 = (u32)(p1 >> 32) ^ c1 ^ k0, n2 = (u32)(p0 >> 32) ^ c3 ^ k1;
        c0 = n0, c1 = (u32)p1, c2 = n2, c3 = (u32)p0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}

// The natural logarithm of a positive normal number; FreeBSD's e_log.c (Sun Microsystems 1993), each operation
// rounded once.
DEV double ln(double x) {
    u64 b = d2u64(x);
    double k = (double)((int)(b >> 52) - 1023), m = u2d((b & 0xfffffffffffffull) | 0x3ff0000000000000ull);
    if (m > 1.41421356237309514547) m = dmul_rn(m, 0.5), k = dadd_rn(k, 1);
    double f = dadd_rn(m, -1), s = ddiv_rn(f, dadd_rn(2, f)), s2 = dmul_rn(s, s), s4 = dmul_rn(s2, s2);
    double t = dadd_rn(dmul_rn(s4, 1.479819860511658591e-01), 1.818357216161805012e-01);
    t = dadd_rn(dmul_rn(s4, t), 2.857142874366239149e-01);
    t = dadd_rn(dmul_rn(s4, t), 6.666666666666735130e-01);
    double t1 = dmul_rn(s2, t);
    t = dadd_rn(dmul_rn(s4, 1.531383769920937332e-01), 2.222219843214978396e-01);
    t = dadd_rn(dmul_rn(s4, t), 3.999999999940941908e-01);
    double r = dadd_rn(t1, dmul_rn(s4, t)), h = dmul_rn(dmul_rn(0.5, f), f);
    double inner = dadd_rn(dmul_rn(s, dadd_rn(h, r)), dmul_rn(k, 1.90821492927058770002e-10));
    return dadd_rn(dmul_rn(k, 6.93147180369123816490e-01), -dadd_rn(dadd_rn(h, -inner), -f));
}

// A Gumbel(0, 1) variate of 32 random bits.
DEV double gumbel(u32 bits) {
    double u = dmul_rn(dadd_rn((double)bits, 0.5), 1.0 / 4294967296.0);
    return -ln(-ln(u));
}

// No variate of these bits is above: where they begin with k ones, −ln(1−u) ≤ (k+1)·ln 2.
DEV float gumbel_bound(u32 bits) {
    int ones = 0;
    for (u32 b = bits; b >> 31; b <<= 1) ones++;
    return (float)(ones + 1) * 0.6931472f;
}

// The best id so far: of equal values, the lowest id. A fresh one is what a row without any number gives.
struct alignas(16) Best {
    double value;
    int id;
    u32 pad;
};
DEV Best nothing() { return {u2d(0xfff0000000000000ull), 0, 0}; }
DEV void better(Best& b, double value, int id) {
    if (value > b.value || (value == b.value && id < b.id)) b.value = value, b.id = id;
}
DEV void better_of_lanes(Best& b, int from, int to) {
    for (int o = from; o < to; o <<= 1) {
        double v = u2d(shfl_xor_u64(d2u64(b.value), o));
        int id = (int)shfl_xor_u32((u32)b.id, o);
        better(b, v, id);
    }
}

// Takes part with a logit. Most ids are refused before their variate is computed.
DEV void compete(Best& b, const Head& h, float logit, int id) {
    double z = (double)logit;
    if (h.flags & GREEDY) {
        better(b, z, id);
        return;
    }
    z = dmul_rn(z, h.inverse_temperature);
    if (!(dadd_rn(z, 22.9) > b.value)) return; // no variate is above 22.9
    u32 bits = words_of(h.seed, h.position, (u32)id >> 2).w[id & 3];
    if (!(dadd_rn(z, (double)gumbel_bound(bits) + 1e-4) >= b.value)) return;
    better(b, dadd_rn(z, gumbel(bits)), id);
}

// Ends the step, by one block: the host sees the tokens, and the next step has its number.
DEV void hand_back(Drawn* out, const int* drawn, u32 heads, u32 number, u32* next) {
    for (u32 h = threadIdx.x; h < heads; h += blockDim.x) out->token[h] = drawn[h];
    __syncthreads();
    if (threadIdx.x == 0) {
        *next = number + 1;
        st_release_sys(&out->number, number);
    }
}
