// dev.h: the device vocabulary. It is the only file that knows whether a kernel is compiled for a
// GPU (by NVRTC, without any header) or for the SIMT host emulator (by a C++ compiler, with
// SIMT_HOST defined). Kernels use the names below and never inline PTX.
//
// Sources of what the PTX means: NVIDIA, Parallel Thread Execution ISA 8.x, sections 9.7.8 (loads),
// 9.7.14 (mma fragments), 9.7.9.25 (asynchronous copies), 9.7.13 (barriers), 10 (griddepcontrol).
#pragma once

#ifdef SIMT_HOST
#include "simt.h"
#else

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define DEV static __device__ __forceinline__
#define KERNEL(threads, minblocks) extern "C" __global__ void __launch_bounds__(threads, minblocks)
#define GRID_CONST const __grid_constant__
#define EXPORT_KERNEL(k)
#define SHARED(T, name) __shared__ T name
#define DYN_SMEM(name) extern __shared__ __align__(128) u8 name[]
#define CONSTANT static __constant__ const
#define UNROLL _Pragma("unroll")
#define FULL 0xffffffffu

struct alignas(8) U2 {
    u32 x, y;
};
struct alignas(16) U4 {
    u32 x, y, z, w;
};
// A matrix as the copy engine knows it: CUtensorMap. Part of a kernel's parameters.
struct alignas(128) TensorMap {
    u64 opaque[16];
};

// ---- bits and arithmetic ----
DEV float u2f(u32 x) { return __uint_as_float(x); }
DEV u32 f2u(float x) { return __float_as_uint(x); }
DEV double u2d(u64 x) { return __longlong_as_double((long long)x); }
DEV u64 d2u64(double x) { return (u64)__double_as_longlong(x); }

// Rounded to nearest, ties to even.
DEV u16 f2bf(float f) {
    u16 r;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(f));
    return r;
}
DEV u32 pack_bf(float lo, float hi) {
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(hi), "f"(lo));
    return r;
}

// Approximate within 2 units in the last place: 2^x, 1/sqrt(x), 1/x.
DEV float ex2(float x) {
    float r;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}
DEV float rsqrt_(float x) {
    float r;
    asm("rsqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}
DEV float rcp_(float x) {
    float r;
    asm("rcp.approx.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}

// Rounded once each and never fused: for what is defined to the last bit.
DEV float fma_(float a, float b, float c) { return __fmaf_rn(a, b, c); }
DEV float fmul_rn(float a, float b) { return __fmul_rn(a, b); }
DEV float fadd_rn(float a, float b) { return __fadd_rn(a, b); }
DEV float fdiv_rn(float a, float b) { return __fdiv_rn(a, b); }
DEV double dmul_rn(double a, double b) { return __dmul_rn(a, b); }
DEV double dadd_rn(double a, double b) { return __dadd_rn(a, b); }
DEV double ddiv_rn(double a, double b) { return __ddiv_rn(a, b); }

// Pairs of bf16, each rounded once.
DEV u32 fma_bf16x2(u32 a, u32 b, u32 c) {
    u32 r;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
    return r;
}
DEV u32 mul_bf16x2(u32 a, u32 b) { return fma_bf16x2(a, b, 0x80008000u); }
DEV u32 sub_bf16x2(u32 a, u32 b) { return fma_bf16x2(b, 0xbf80bf80u, a); }

template <int IMM> DEV u32 lop3(u32 a, u32 b, u32 c) {
    u32 r;
    asm("lop3.b32 %0, %1, %2, %3, %4;" : "=r"(r) : "r"(a), "r"(b), "r"(c), "n"(IMM));
    return r;
}
DEV u32 prmt(u32 a, u32 b, u32 sel) { return __byte_perm(a, b, sel); }

// ---- memory ----
// Weights: read once a step, so they pass the first-level cache by. They aren't declared read-only (.nc), though they
// are: an assembler moves such loads behind pdl_wait, and they are meant to be under way during it.
DEV U4 ldg_stream(const void* p) {
    U4 v;
    asm volatile("ld.global.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(p));
    return v;
}
DEV U2 ldg_stream2(const void* p) {
    U2 v;
    asm volatile("ld.global.L1::no_allocate.L2::128B.v2.u32 {%0,%1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p));
    return v;
}
// Several numbers at once, at a multiple of their size.
DEV U2 ld_u2(const void* p) { return *(const U2*)p; }
DEV U4 ld_u4(const void* p) { return *(const U4*)p; }
DEV void st_u2(void* p, U2 v) { *(U2*)p = v; }
DEV void st_u4(void* p, U4 v) { *(U4*)p = v; }
DEV u32 smem_addr(const void* p) { return (u32)__cvta_generic_to_shared(p); }

DEV void cp_async16(void* smem, const void* global, bool ok) {
    int n = ok ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(smem_addr(smem)), "l"(global), "r"(n) : "memory");
}
DEV void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> DEV void cp_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// ---- a warp ----
DEV float shfl_xor(float v, int m) { return __shfl_xor_sync(FULL, v, m); }
DEV u32 shfl_xor_u32(u32 v, int m) { return __shfl_xor_sync(FULL, v, m); }
DEV u64 shfl_xor_u64(u64 v, int m) { return __shfl_xor_sync(FULL, v, m); }
DEV float shfl(float v, int src) { return __shfl_sync(FULL, v, src); }
DEV u32 shfl_u32(u32 v, int src) { return __shfl_sync(FULL, v, src); }
DEV u32 ballot(bool p) { return __ballot_sync(FULL, p); }

// ---- tensor cores ----
DEV void ldmatrix_x4(u32 (&r)[4], const void* smem) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(smem_addr(smem))
                 : "memory");
}
DEV void ldmatrix_x4_trans(u32 (&r)[4], const void* smem) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(smem_addr(smem))
                 : "memory");
}
// c += a·b: a is 16 rows of 16, b 16 by 8 columns, in bf16.
DEV void mma_bf16(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// ---- order between threads ----
DEV u32 atom_add_release(u32* p, u32 v) {
    u32 r;
    asm volatile("atom.add.release.gpu.global.u32 %0, [%1], %2;" : "=r"(r) : "l"(p), "r"(v) : "memory");
    return r;
}
DEV u32 atom_add_acq_rel(u32* p, u32 v) {
    u32 r;
    asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;" : "=r"(r) : "l"(p), "r"(v) : "memory");
    return r;
}
DEV u32 ld_acquire(const u32* p) {
    u32 r;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(r) : "l"(p) : "memory");
    return r;
}
DEV void st_release(u32* p, u32 v) { asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory"); }
// To memory that the host maps: what this thread wrote before is there when the host sees v.
DEV void st_release_sys(u32* p, u32 v) { asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory"); }
DEV void spin_hint() {}
DEV void bar_sync(int id, int n) { asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(n) : "memory"); }
DEV void bar_arrive(int id, int n) { asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(n) : "memory"); }

// ---- Hopper and up ----
#if __CUDA_ARCH__ >= 900
// Programmatic dependent launch: the next kernel may start; the kernels before this one have ended.
DEV void pdl_launch() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
DEV void pdl_wait() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
DEV void mbar_init(u64* b, u32 n) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(smem_addr(b)), "r"(n) : "memory"); }
DEV void mbar_expect(u64* b, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(smem_addr(b)), "r"(bytes) : "memory");
}
DEV void mbar_arrive(u64* b) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(smem_addr(b)) : "memory"); }
DEV void mbar_wait(u64* b, u32 parity) {
    u32 ok = 0;
    while (!ok)
        asm volatile("{.reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0,1,0,p;}"
                     : "=r"(ok)
                     : "r"(smem_addr(b)), "r"(parity)
                     : "memory");
}
DEV void mbar_fence_init() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
DEV void bulk_g2s(void* smem, const void* global, u32 bytes, u64* bar) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(smem_addr(smem)),
                 "l"(global), "r"(bytes), "r"(smem_addr(bar))
                 : "memory");
}
// The box of a matrix that begins at a column and a row, with zeros where it leaves the matrix.
DEV void tensor_g2s(void* smem, const TensorMap* m, int column, int row, u64* bar) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(smem_addr(smem)),
                 "l"(m), "r"(column), "r"(row), "r"(smem_addr(bar))
                 : "memory");
}
DEV void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
DEV u8* align_shared(u8* p, u32 to) { return p + (to - smem_addr(p) % to) % to; }

// ---- Hopper alone ----
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
DEV void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEV void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N> DEV void wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory"); }
// Operand B in shared memory: rows of 128 bytes in the swizzle of 128 bytes, 8 of them a block of 1,024, from offset bytes
// within the first row on.
DEV u64 wg_desc(const void* p, u32 offset) { return (u64)((smem_addr(p) + offset & 0x3ffff) >> 4) | (u64)1 << 16 | (u64)(1024 >> 4) << 32 | (u64)1 << 62; }
// d = a·b, or d += a·b, by four warps: a is 64 rows of 16, 16 a warp as in mma_bf16; b 64 columns. d holds 64 columns of two of
// the warp's rows, as the accumulators of eight mma_bf16 do. It is under way until wgmma_wait.
DEV void wgmma_m64n64k16(float (&d)[8][4], const u32 (&a)[4], u64 b, bool add) {
#define D(n) "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3])
    asm volatile("{.reg .pred p; setp.ne.b32 p, %37, 0;"
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
                 "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
                 "{%32,%33,%34,%35}, %36, p, 1, 1, 0;}"
                 : D(0), D(1), D(2), D(3), D(4), D(5), D(6), D(7)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"((int)add));
}
// A place that no use of these registers is moved across: before wgmma_fence and after wgmma_wait, for a compiler doesn't
// know that they are in use in between.
DEV void wgmma_pin(float (&d)[8][4]) { asm volatile("" : D(0), D(1), D(2), D(3), D(4), D(5), D(6), D(7)::"memory"); }
DEV void wgmma_pin(u32 (&a)[4]) { asm volatile("" : "+r"(a[0]), "+r"(a[1]), "+r"(a[2]), "+r"(a[3])::"memory"); }
#undef D
#endif
#else
DEV void pdl_launch() {}
DEV void pdl_wait() {}
#endif

#endif // SIMT_HOST

// ---- the same on both sides ----
DEV float bf_lo(u32 w) { return u2f(w << 16); }
DEV float bf_hi(u32 w) { return u2f(w & 0xffff0000u); }
DEV float bf2f(u16 h) { return u2f((u32)h << 16); }

// The sum over a warp in a fixed order, the same in each lane.
DEV float warp_sum(float v) {
    for (int o = 16; o; o >>= 1) v += shfl_xor(v, o);
    return v;
}
