// wrappers.cu: every function of dev.h on fixed inputs, by one warp. What the emulator gives is checked in; a device has to
// give the same, which is how the PTX behind a name is held against its counterpart.
#include "format.h"

struct WrapperParams {
    TensorMap map;   // of in: 7 rows of 64 numbers, in boxes of 8 rows
    u32* out;        // [section][32][8]
    const u32* in;   // [256] fixed bits
    u64* cells;      // zero
};
DEV void put(const WrapperParams& p, int section, int i, u32 v) { p.out[(section * 32 + (threadIdx.x & 31)) * 8 + i] = v; }

KERNEL(32, 1) wrappers(GRID_CONST WrapperParams p) {
    struct S {
        alignas(1024) u32 box[256];
        alignas(128) u16 tile[32][8];
        alignas(128) u32 copied[128];
        u64 bar;
    };
    SHARED(S, s);
    int lane = threadIdx.x;
    u32 x = p.in[lane], y = p.in[32 + lane], z = p.in[64 + lane];
    // Numbers between 1/8 and 8 of either sign.
    float f = u2f((x & 0x807fffff) | (124 + x % 6) << 23), g = u2f((y & 0x807fffff) | (124 + y % 6) << 23);
    float positive = u2f(f2u(f) & 0x7fffffff);
    pdl_launch();
    pdl_wait();
    // 0: rounding to bf16
    put(p, 0, 0, f2bf(f)), put(p, 0, 1, pack_bf(f, g)), put(p, 0, 2, f2u(bf_lo(x))), put(p, 0, 3, f2u(bf_hi(x)));
    put(p, 0, 4, f2bf(u2f(x & 0xff7fffff))), put(p, 0, 5, f2u(of_half(x & 0x7bff))), put(p, 0, 6, f2u(of_half(x & 0x83ff))), put(p, 0, 7, 0);
    // 1: approximations
    put(p, 1, 0, f2u(ex2(f))), put(p, 1, 1, f2u(ex2(-positive * 16))), put(p, 1, 2, f2u(rsqrt_(positive))), put(p, 1, 3, f2u(rcp_(f)));
    put(p, 1, 4, f2u(ex2(u2f(0xff800000u)))), put(p, 1, 5, f2u(ex2(0))), put(p, 1, 6, 0), put(p, 1, 7, 0);
    // 2: rounded once
    put(p, 2, 0, f2u(fma_(f, g, positive))), put(p, 2, 1, f2u(fmul_rn(f, g))), put(p, 2, 2, f2u(fadd_rn(f, g))), put(p, 2, 3, f2u(fdiv_rn(f, g)));
    u64 d = d2u64(ddiv_rn(dadd_rn(dmul_rn(f, g), positive), g));
    put(p, 2, 4, (u32)d), put(p, 2, 5, (u32)(d >> 32)), put(p, 2, 6, 0), put(p, 2, 7, 0);
    // 3: pairs of bf16, logic, bytes
    u32 a = pack_bf(f, g), b = pack_bf(g, positive), c = pack_bf(positive, f);
    put(p, 3, 0, fma_bf16x2(a, b, c)), put(p, 3, 1, mul_bf16x2(a, b)), put(p, 3, 2, sub_bf16x2(a, b));
    put(p, 3, 3, lop3<0xe8>(x, y, z)), put(p, 3, 4, lop3<0x6a>(x, y, z)), put(p, 3, 5, prmt(x, y, 0x5140)), put(p, 3, 6, prmt(x, y, 0x7632));
    put(p, 3, 7, of_sizes(x));
    // 4: a warp
    u64 wide = shfl_xor_u64((u64)y << 32 | x, 5);
    put(p, 4, 0, f2u(shfl_xor(f, 3))), put(p, 4, 1, shfl_xor_u32(x, 16)), put(p, 4, 2, (u32)wide), put(p, 4, 3, (u32)(wide >> 32));
    put(p, 4, 4, f2u(shfl(f, 7))), put(p, 4, 5, shfl_u32(x, lane * 5 & 31)), put(p, 4, 6, ballot(x & 1)), put(p, 4, 7, f2u(warp_sum((float)(x & 255))));
    // 5: matrices of shared memory
    for (int i = 0; i < 8; i++) s.tile[lane][i] = (u16)(lane * 8 + i);
    __syncwarp();
    u32 m[4], t[4];
    ldmatrix_x4(m, s.tile[lane]);
    ldmatrix_x4_trans(t, s.tile[lane]);
    for (int i = 0; i < 4; i++) put(p, 5, i, m[i]), put(p, 5, 4 + i, t[i]);
    // 6: tensor cores, on small integers, whose sums are exact
    u32 ra[4], rb[2];
    for (int i = 0; i < 4; i++) ra[i] = pack_bf((float)((int)(x >> 4 * i & 7) - 3), (float)((int)(y >> 4 * i & 7) - 4));
    for (int i = 0; i < 2; i++) rb[i] = pack_bf((float)((int)(z >> 4 * i & 7) - 3), (float)((int)(z >> (8 + 4 * i) & 7) - 4));
    float acc[4] = {1, 2, 3, 4};
    mma_bf16(acc, ra, rb[0], rb[1]);
    for (int i = 0; i < 4; i++) put(p, 6, i, f2u(acc[i])), put(p, 6, 4 + i, 0);
    // 7: loads and copies
    U4 four = ldg_stream(p.in + lane * 4);
    U2 two = ldg_stream2(p.in + lane * 2);
    cp_async16(&s.copied[lane * 4], p.in + lane * 4, lane % 3 != 0);
    cp_async_commit();
    cp_async_wait<0>();
    __syncwarp();
    u32 copied = s.copied[lane], last = s.copied[127 - lane];
    __syncwarp();
    put(p, 7, 0, four.x ^ four.w), put(p, 7, 1, two.y), put(p, 7, 2, copied), put(p, 7, 3, last);
    // 8: atomics, each on a cell of its own
    u32* cell = (u32*)(p.cells + lane * 4);
    u32 first = atom_add_acq_rel(cell, x), second = atom_add_release(cell, y), third = atomicAdd(cell, 1u);
    put(p, 8, 0, first), put(p, 8, 1, second), put(p, 8, 2, third), put(p, 8, 3, ld_acquire(cell));
    u64 most = atomicMax(p.cells + lane * 4 + 1, (u64)y << 32 | x), sum = atomicAdd(p.cells + lane * 4 + 1, (u64)z);
    put(p, 8, 4, (u32)most), put(p, 8, 5, (u32)(sum >> 32)), put(p, 8, 6, (u32)sum);
    st_release(cell, z);
    put(p, 8, 7, ld_acquire(cell));
#if defined(SIMT_HOST) || __CUDA_ARCH__ >= 900
    // 9: a bulk copy and its barrier
    if (lane == 0) {
        mbar_init(&s.bar, 1);
        mbar_fence_init();
    }
    __syncwarp();
    if (lane == 0) {
        mbar_expect(&s.bar, 512);
        bulk_g2s(s.copied, p.in, 512, &s.bar);
    }
    mbar_wait(&s.bar, 0);
    put(p, 9, 0, s.copied[lane]), put(p, 9, 1, s.copied[127 - lane]);
    __syncwarp();
    // 10: a copy by a tensor map, of a box that leaves the matrix on two sides
    if (lane == 0) {
        mbar_expect(&s.bar, 1024);
        tensor_g2s(s.box, &p.map, 16, 1, &s.bar);
    }
    mbar_wait(&s.bar, 1);
    for (int i = 0; i < 8; i++) put(p, 10, i, s.box[lane * 8 + i]);
#endif
}
EXPORT_KERNEL(wrappers)
