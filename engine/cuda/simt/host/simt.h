// simt.h: what dev.h stands for on the emulator. Kernels are C++ here: a CUDA thread is a fibre, a warp's operation a
// meeting of its fibres.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;

#define DEV static inline __attribute__((unused))
#define KERNEL(threads, minblocks) extern "C" void
#define GRID_CONST const
#define SHARED(T, name) T& name = *(T*)simt::shared_here(sizeof(T), alignof(T), __COUNTER__)
#define DYN_SMEM(name) u8* name = simt::shared_dynamic()
#define CONSTANT static const
#define UNROLL
#define FULL 0xffffffffu
#define EXPORT_KERNEL(k) static simt::Kernel simt_kernel_##k(#k, &k);

struct alignas(8) U2 {
    u32 x, y;
};
struct alignas(16) U4 {
    u32 x, y, z, w;
};
struct TensorMap {
    u64 opaque[16];
};

namespace simt {

struct Dim {
    u32 x, y, z;
};
struct Block;
struct Warp;
struct Async;
struct Clock;

// The part of a fibre that runs hot; a dense array, while stacks lie elsewhere.
struct alignas(64) Fibre {
    Dim thread, block, threads, blocks;
    void* stack;
    Block* of;
    Warp* warp;
    Async* async;
    Clock* clock; // of checked modules
    u32 lane, flat;
    u8 done, early;
};
extern __thread Fibre* current __attribute__((tls_model("initial-exec"), visibility("hidden")));

// A fibre never changes its OS thread, so the address may be kept.
static inline __attribute__((always_inline, no_sanitize_thread)) Fibre* self() { return current; }

void* shared_here(size_t n, size_t align, int where);
u8* shared_dynamic();
void sync_block(int barrier, int threads);
void arrive_block(int barrier, int threads);
void sync_warp(u32 mask);
// The lanes of mask bring at most 32 bytes each; the last one runs leader, if there is one. The result is all of it, 32 bytes a lane.
typedef void (*Leader)(u8* slots);
u8* meet(u32 mask, const void* v, u32 n, Leader leader);
u32 shuffle(u32 v, u32 from);
u64 shuffle64(u64 v, u32 from);
u32 vote(u32 bit);
void yield_spin();
[[noreturn]] void fail(int code, const char* format, ...);
void wait_for_primary();
void copy_issue(void* shared, const void* global, bool ok);
void copy_commit();
void copy_wait(u32 keep);
void mbar_init_(u64*, u32);
void mbar_arrive_(u64*, u32 bytes);
void mbar_wait_(u64*, u32 parity);
void bulk_(void*, const void*, u32, u64*);
void tensor_(void*, const TensorMap*, int column, int row, u64*);
void ldmatrix4(u32* r, const void* row, bool transpose);
void mma16816(float* c, const u32* a, u32 b0, u32 b1);
u8* aligned_shared(u8* p, u32 to);
u64 wg_desc_(const void* p, u32 offset);
void wgmma64_(float* d, const u32* a, u64 b, bool add);
void wgmma_wait_(u32 keep);
void wgmma_commit_();
// Atomic accesses and their order.
enum Order { RELAXED = 0, ACQUIRE = 1, RELEASE = 2 };
void atomic_begin(const void* p, u32 n, int order, bool write);
void atomic_end(const void* p, int order, bool write);
void fence();
void check_access(const void* p, u32 n, bool write); // of checked modules; made on behalf of the kernel

// A kernel with a parameter, by value.
struct Kernel {
    const char* name;
    void* function;
    u32 count, size[16];
    void (*invoke)(void* function, void** params);
    Kernel* next;
    template <class... A, size_t... I>
    static __attribute__((no_sanitize_thread)) void call(void* f, void** p, std::index_sequence<I...>) {
        ((void (*)(A...))f)(*(std::remove_reference_t<A>*)p[I]...);
    }
    template <class... A>
    Kernel(const char* n, void (*f)(A...))
        : name(n), function((void*)f), count(sizeof...(A)), size{(u32)sizeof(A)...},
          invoke([](void* f, void** p) __attribute__((no_sanitize_thread)) { call<A...>(f, p, std::make_index_sequence<sizeof...(A)>()); }) {
        next = first();
        first() = this;
    }
    static Kernel*& first();
};
} // namespace simt

#define threadIdx (simt::self()->thread)
#define blockIdx (simt::self()->block)
#define blockDim (simt::self()->threads)
#define gridDim (simt::self()->blocks)

DEV void __syncthreads() { simt::sync_block(0, -1); }
DEV void __syncwarp(u32 mask = FULL) { simt::sync_warp(mask); }
DEV void __threadfence() { simt::fence(); }
DEV void bar_sync(int id, int n) { simt::sync_block(id, n); }
DEV void bar_arrive(int id, int n) { simt::arrive_block(id, n); }

template <class To, class From> DEV __attribute__((no_sanitize_thread)) To simt_bits(From f) {
    To t;
    static_assert(sizeof t == sizeof f, "bits of another size");
    memcpy(&t, &f, sizeof t);
    return t;
}
DEV float u2f(u32 x) { return simt_bits<float>(x); }
DEV u32 f2u(float x) { return simt_bits<u32>(x); }
DEV double u2d(u64 x) { return simt_bits<double>(x); }
DEV u64 d2u64(double x) { return simt_bits<u64>(x); }
DEV u16 f2bf(float f) {
    u32 u = f2u(f);
    if ((u & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return (u + 0x7fff + (u >> 16 & 1)) >> 16;
}
DEV u32 pack_bf(float lo, float hi) { return f2bf(lo) | (u32)f2bf(hi) << 16; }
DEV float ex2(float x) { return exp2f(x); }
DEV float rsqrt_(float x) { return 1.f / sqrtf(x); }
DEV float rcp_(float x) { return 1.f / x; }
// Compiled with -ffp-contract=off: no product is fused with a sum but here.
DEV float fma_(float a, float b, float c) { return fmaf(a, b, c); }
DEV float fmul_rn(float a, float b) { return a * b; }
DEV float fadd_rn(float a, float b) { return a + b; }
DEV float fdiv_rn(float a, float b) { return a / b; }
DEV double dmul_rn(double a, double b) { return a * b; }
DEV double dadd_rn(double a, double b) { return a + b; }
DEV double ddiv_rn(double a, double b) { return a / b; }
DEV u32 fma_bf16x2(u32 a, u32 b, u32 c) {
    // The product of two bf16 is exact, and its sum with the third is rounded to odd on the way, so that it is rounded
    // once in the end.
    auto one = [](u32 x, u32 y, u32 z) {
        double d = (double)u2f(x << 16) * u2f(y << 16) + u2f(z << 16);
        float f = (float)d;
        if (f == d || f != f) return (u32)f2bf(f);
        u32 bits = f2u(f);
        if ((f > d) == (f > 0)) bits--; // away from zero: take the one nearer to it
        return (u32)f2bf(u2f(bits | 1));
    };
    return one(a & 0xffff, b & 0xffff, c & 0xffff) | one(a >> 16, b >> 16, c >> 16) << 16;
}
DEV u32 mul_bf16x2(u32 a, u32 b) { return fma_bf16x2(a, b, 0x80008000u); }
DEV u32 sub_bf16x2(u32 a, u32 b) { return fma_bf16x2(b, 0xbf80bf80u, a); }
template <int IMM> DEV u32 lop3(u32 a, u32 b, u32 c) {
    u32 r = 0;
    for (int i = 0; i < 8; i++)
        if (IMM >> i & 1) r |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
    return r;
}
DEV u32 prmt(u32 a, u32 b, u32 sel) {
    u64 both = (u64)b << 32 | a;
    u32 r = 0;
    for (int i = 0; i < 4; i++) r |= (u32)(both >> (sel >> 4 * i & 7) * 8 & 255) << 8 * i;
    return r;
}

// Wide accesses: a compiler may split them into narrow ones, whose size says less.
#ifdef SIMT_CHECK
#define SIMT_WIDE(p, n, write) simt::check_access(p, n, write)
#else
#define SIMT_WIDE(p, n, write) (void)0
#endif
template <class T> DEV T simt_load(const void* p) {
    SIMT_WIDE(p, sizeof(T), false);
    return *(const T*)p;
}
template <class T> DEV void simt_store(void* p, T v) {
    SIMT_WIDE(p, sizeof(T), true);
    *(T*)p = v;
}
DEV U4 ldg_stream(const void* p) { return simt_load<U4>(p); }
DEV U2 ldg_stream2(const void* p) { return simt_load<U2>(p); }
DEV U2 ld_u2(const void* p) { return simt_load<U2>(p); }
DEV U4 ld_u4(const void* p) { return simt_load<U4>(p); }
DEV void st_u2(void* p, U2 v) { simt_store(p, v); }
DEV void st_u4(void* p, U4 v) { simt_store(p, v); }
DEV void cp_async16(void* s, const void* g, bool ok) { simt::copy_issue(s, g, ok); }
DEV void cp_async_commit() { simt::copy_commit(); }
template <int N> DEV void cp_async_wait() { simt::copy_wait(N); }

DEV u32 shfl_xor_u32(u32 v, int m) { return simt::shuffle(v, (simt::self()->lane ^ m) & 31); }
DEV u64 shfl_xor_u64(u64 v, int m) { return simt::shuffle64(v, (simt::self()->lane ^ m) & 31); }
DEV float shfl_xor(float v, int m) { return u2f(shfl_xor_u32(f2u(v), m)); }
DEV u32 shfl_u32(u32 v, int from) { return simt::shuffle(v, from & 31); }
DEV float shfl(float v, int from) { return u2f(shfl_u32(f2u(v), from)); }
DEV u32 ballot(bool p) { return simt::vote(p); }

DEV void ldmatrix_x4(u32 (&r)[4], const void* s) { simt::ldmatrix4(r, s, false); }
DEV void ldmatrix_x4_trans(u32 (&r)[4], const void* s) { simt::ldmatrix4(r, s, true); }
DEV void mma_bf16(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) { simt::mma16816(c, a, b0, b1); }

// Atomics: the access itself is never a race with another one.
template <class T, class F> DEV __attribute__((no_sanitize_thread)) T simt_atomic(T* p, int order, F change) {
    simt::atomic_begin(p, sizeof(T), order, true);
    T old = __atomic_load_n(p, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(p, &old, change(old), false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
    }
    simt::atomic_end(p, order, true);
    return old;
}
DEV u32 atom_add_release(u32* p, u32 v) {
    return simt_atomic(p, simt::RELEASE, [v](u32 o) { return o + v; });
}
DEV u32 atom_add_acq_rel(u32* p, u32 v) {
    return simt_atomic(p, simt::RELEASE | simt::ACQUIRE, [v](u32 o) { return o + v; });
}
DEV u32 atomicAdd(u32* p, u32 v) {
    return simt_atomic(p, simt::RELAXED, [v](u32 o) { return o + v; });
}
DEV u64 atomicAdd(u64* p, u64 v) {
    return simt_atomic(p, simt::RELAXED, [v](u64 o) { return o + v; });
}
DEV u64 atomicMax(u64* p, u64 v) {
    return simt_atomic(p, simt::RELAXED, [v](u64 o) { return o > v ? o : v; });
}
DEV __attribute__((no_sanitize_thread)) u32 ld_acquire(const u32* p) {
    simt::atomic_begin(p, 4, simt::ACQUIRE, false);
    u32 v = __atomic_load_n(p, __ATOMIC_ACQUIRE);
    simt::atomic_end(p, simt::ACQUIRE, false);
    return v;
}
DEV __attribute__((no_sanitize_thread)) void st_release(u32* p, u32 v) {
    simt::atomic_begin(p, 4, simt::RELEASE, true);
    __atomic_store_n(p, v, __ATOMIC_RELEASE);
    simt::atomic_end(p, simt::RELEASE, true);
}
DEV void st_release_sys(u32* p, u32 v) { st_release(p, v); }
DEV void spin_hint() { simt::yield_spin(); }

DEV void pdl_launch() {}
DEV void pdl_wait() { simt::wait_for_primary(); }
DEV void mbar_init(u64* b, u32 n) { simt::mbar_init_(b, n); }
DEV void mbar_expect(u64* b, u32 bytes) { simt::mbar_arrive_(b, bytes); }
DEV void mbar_arrive(u64* b) { simt::mbar_arrive_(b, 0); }
DEV void mbar_wait(u64* b, u32 parity) { simt::mbar_wait_(b, parity); }
DEV void mbar_fence_init() {}
DEV void bulk_g2s(void* s, const void* g, u32 n, u64* b) { simt::bulk_(s, g, n, b); }
DEV void tensor_g2s(void* s, const TensorMap* m, int column, int row, u64* b) { simt::tensor_(s, m, column, row, b); }
DEV void fence_proxy_async() {}
DEV void wgmma_fence() {}
DEV void wgmma_pin(float (&)[8][4]) {}
DEV void wgmma_pin(u32 (&)[4]) {}
DEV void wgmma_commit() { simt::wgmma_commit_(); }
template <int N> DEV void wgmma_wait() { simt::wgmma_wait_(N); }
DEV u64 wg_desc(const void* p, u32 offset) { return simt::wg_desc_(p, offset); }
DEV void wgmma_m64n64k16(float (&d)[8][4], const u32 (&a)[4], u64 b, bool add) { simt::wgmma64_(d[0], a, b, add); }
DEV u8* align_shared(u8* p, u32 to) { return simt::aligned_shared(p, to); }
