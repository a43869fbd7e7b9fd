// tensor.cpp: what tensor cores do, in float: PTX ISA, sections 9.7.14 (fragments of mma and ldmatrix) and 9.7.15
// (wgmma and its descriptors of shared memory).
#include "run.h"

namespace simt {

static float of_bf(u16 h) {
    u32 u = (u32)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

void ldmatrix4(u32* r, const void* row, bool transpose) {
    if ((uintptr_t)row & 15) fail(SIMT_MISALIGNED, "ldmatrix: the address of a row isn't a multiple of 16");
    check_access(row, 16, false);
    u8* slots = meet(FULL, &row, 8, nullptr);
    u32 lane = self()->lane;
    counts().ldmatrix += lane == 0;
    for (int j = 0; j < 4; j++) {
        const u8* from;
        if (!transpose) {
            memcpy(&from, slots + (j * 8 + lane / 4) * 32, 8);
            memcpy(&r[j], from + (lane & 3) * 4, 4);
            continue;
        }
        u16 half[2];
        for (int e = 0; e < 2; e++) {
            memcpy(&from, slots + (j * 8 + (lane & 3) * 2 + e) * 32, 8);
            memcpy(&half[e], from + lane / 4 * 2, 2);
        }
        r[j] = half[0] | (u32)half[1] << 16;
    }
}

static void multiply(u8* slots) {
    alignas(64) float a[16][16], b[16][8], c[16][8] = {};
    for (int l = 0; l < 32; l++) {
        u16 h[12];
        memcpy(h, slots + l * 32, 24);
        int g = l >> 2, k = (l & 3) * 2;
        for (int e = 0; e < 2; e++) {
            a[g][k + e] = of_bf(h[e]), a[g + 8][k + e] = of_bf(h[2 + e]);
            a[g][k + 8 + e] = of_bf(h[4 + e]), a[g + 8][k + 8 + e] = of_bf(h[6 + e]);
            b[k + e][g] = of_bf(h[8 + e]), b[k + 8 + e][g] = of_bf(h[10 + e]);
        }
    }
    for (int i = 0; i < 16; i++)
        for (int k = 0; k < 16; k++)
            for (int j = 0; j < 8; j++) c[i][j] += a[i][k] * b[k][j];
    for (int l = 0; l < 32; l++) {
        int g = l >> 2, k = (l & 3) * 2;
        float out[4] = {c[g][k], c[g][k + 1], c[g + 8][k], c[g + 8][k + 1]};
        memcpy(slots + l * 32, out, 16);
    }
}
void mma16816(float* c, const u32* a, u32 b0, u32 b1) {
    u32 v[6] = {a[0], a[1], a[2], a[3], b0, b1};
    counts().mma += self()->lane == 0;
    u8* slots = meet(FULL, v, 24, multiply);
    float out[4];
    memcpy(out, slots + self()->lane * 32, 16);
    for (int i = 0; i < 4; i++) c[i] += out[i];
}

// Rows of 128 bytes, 8 of them a block of 1,024, in the swizzle of 128 bytes.
u64 wg_desc_(const void* p, u32 offset) {
    u64 a = (u32)((const u8*)p - self()->of->shared) + offset;
    return (a & 0x3ffff) >> 4 | 1ull << 16 | (u64)(1024 >> 4) << 32 | 1ull << 62;
}
static float element(const u8* shared, u64 desc, u32 row, u32 k) {
    u32 a = (u32)(desc & 0x3fff) * 16 + row / 8 * ((u32)(desc >> 32 & 0x3fff) * 16) + row % 8 * 128 + k * 2;
    a ^= a >> 3 & 0x70;
    check_access(shared + a, 2, false);
    u16 h;
    memcpy(&h, shared + a, 2);
    return of_bf(h);
}
u8* aligned_shared(u8* p, u32 to) {
    u32 at = (u32)(p - self()->of->shared);
    return p + (to - at % to) % to;
}
// A is in registers, as mma.m16n8k16 has it, 16 rows a warp: each thread takes the two rows of its group.
void wgmma64_(float* d, const u32* a, u64 b, bool add) {
    Async& s = async_of(self());
    if (s.products == 64) fail(SIMT_FAILED, "more than 64 wgmma under way: the emulator holds no more");
    u8* slots = meet(FULL, a, 16, nullptr);
    Async::Product& p = s.product[s.products++];
    p.d = d, p.b = b, p.add = add;
    for (u32 q = 0; q < 4; q++) {
        u16 h[8];
        memcpy(h, slots + (self()->lane / 4 * 4 + q) * 32, 16);
        for (int e = 0; e < 2; e++) {
            p.a[0][2 * q + e] = of_bf(h[e]), p.a[1][2 * q + e] = of_bf(h[2 + e]);
            p.a[0][8 + 2 * q + e] = of_bf(h[4 + e]), p.a[1][8 + 2 * q + e] = of_bf(h[6 + e]);
        }
    }
    counts().wgmma += self()->flat % 128 == 0;
}
void wgmma_commit_() {
    Async& s = async_of(self());
    if (s.product_groups == 16) fail(SIMT_FAILED, "more than 16 groups of wgmma");
    s.product_end[s.product_groups++] = s.products;
}
void wgmma_wait_(u32 keep) {
    Fibre* f = self();
    Async& s = async_of(f);
    u32 lane = f->lane;
    if (s.product_groups > keep) {
        u32 drop = s.product_groups - keep, end = s.product_end[drop - 1];
        for (u32 i = 0; i < end; i++) {
            Async::Product& g = s.product[i];
            for (u32 j = 0; j < 8; j++)
                for (u32 e = 0; e < 2; e++) {
                    float sum[2] = {0, 0};
                    for (u32 k = 0; k < 16; k++) {
                        float x = element(f->of->shared, g.b, j * 8 + (lane & 3) * 2 + e, k);
                        sum[0] += g.a[0][k] * x, sum[1] += g.a[1][k] * x;
                    }
                    for (int h = 0; h < 2; h++) {
                        float& to = g.d[j * 4 + h * 2 + e];
                        to = g.add ? to + sum[h] : sum[h];
                    }
                }
        }
        memmove(s.product, s.product + end, (s.products - end) * sizeof s.product[0]);
        s.products -= end;
        for (u32 i = 0; i < keep; i++) s.product_end[i] = s.product_end[i + drop] - end;
        s.product_groups = keep;
    }
    u8 nothing = 0;
    meet(FULL, &nothing, 1, nullptr);
}
} // namespace simt
