//go:build native

#include "machine.h"

#define CHAINS 12    // independent multiply-adds: more than latency x ports of any core so far

// The same body is compiled once for each vector length; GCC's vector types make
// the loop's shape explicit, so that no compiler flag decides what is measured.
#define SUM_BODY(VEC)                                                     \
    enum { L = sizeof(VEC) / sizeof(uint64_t) };                          \
    VEC s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0}, v;                        \
    size_t i = 0;                                                         \
    for (; i + 4 * L <= words; i += 4 * L) {                              \
        __builtin_memcpy(&v, p + i, sizeof v);                            \
        s0 += v;                                                          \
        __builtin_memcpy(&v, p + i + L, sizeof v);                        \
        s1 += v;                                                          \
        __builtin_memcpy(&v, p + i + 2 * L, sizeof v);                    \
        s2 += v;                                                          \
        __builtin_memcpy(&v, p + i + 3 * L, sizeof v);                    \
        s3 += v;                                                          \
    }                                                                     \
    s0 += s1 + s2 + s3;                                                   \
    uint64_t s = 0;                                                       \
    for (int l = 0; l < (int)L; l++) s += s0[l];                          \
    for (; i < words; i++) s += p[i];                                     \
    return s;

// The dialect must be GNU C: with strict C11 GCC would not fuse a*m+k.
// a*m+k with m just under 1 stays near k/(1-m) for ever: no value overflows or
// becomes subnormal, which would change the speed. The accumulators are single
// variables because an array would live in memory.
#define FMA_BODY(VEC)                                                     \
    enum { L = sizeof(VEC) / sizeof(float) };                             \
    VEC m, k;                                                             \
    for (int l = 0; l < (int)L; l++) {                                    \
        m[l] = 0.999f;                                                    \
        k[l] = 0.001f;                                                    \
    }                                                                     \
    VEC a0 = k, a1 = k + k, a2 = a1 + k, a3 = a2 + k, a4 = a3 + k;        \
    VEC a5 = a4 + k, a6 = a5 + k, a7 = a6 + k, a8 = a7 + k;               \
    VEC a9 = a8 + k, a10 = a9 + k, a11 = a10 + k;                         \
    for (size_t r = 0; r < rounds; r++) {                                 \
        a0 = a0 * m + k; a1 = a1 * m + k; a2 = a2 * m + k;                \
        a3 = a3 * m + k; a4 = a4 * m + k; a5 = a5 * m + k;                \
        a6 = a6 * m + k; a7 = a7 * m + k; a8 = a8 * m + k;                \
        a9 = a9 * m + k; a10 = a10 * m + k; a11 = a11 * m + k;            \
    }                                                                     \
    a0 += a1 + a2 + a3 + a4 + a5 + a6 + a7 + a8 + a9 + a10 + a11;         \
    float s = 0;                                                          \
    for (int l = 0; l < (int)L; l++) s += a0[l];                          \
    *flops = 2.0 * CHAINS * L * (double)rounds;                           \
    return s;

typedef uint64_t u64x2 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));

static uint64_t sum_plain(const uint64_t *p, size_t words) { SUM_BODY(u64x2) }
static float fma_plain(size_t rounds, double *flops) { FMA_BODY(f32x4) }

#if defined(__x86_64__)
typedef uint64_t u64x4 __attribute__((vector_size(32)));
typedef uint64_t u64x8 __attribute__((vector_size(64)));
typedef float f32x8 __attribute__((vector_size(32)));
typedef float f32x16 __attribute__((vector_size(64)));

__attribute__((target("avx2,fma"))) static uint64_t sum_avx2(const uint64_t *p, size_t words) { SUM_BODY(u64x4) }
__attribute__((target("avx2,fma"))) static float fma_avx2(size_t rounds, double *flops) { FMA_BODY(f32x8) }
__attribute__((target("avx512f,fma"))) static uint64_t sum_avx512(const uint64_t *p, size_t words) { SUM_BODY(u64x8) }
__attribute__((target("avx512f,fma"))) static float fma_avx512(size_t rounds, double *flops) { FMA_BODY(f32x16) }

uint64_t paceline_sum(const uint64_t *p, size_t words) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return sum_avx512(p, words);
    if (__builtin_cpu_supports("avx2")) return sum_avx2(p, words);
    return sum_plain(p, words);
}

float paceline_fma(size_t rounds, double *flops) {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) return fma_avx512(rounds, flops);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return fma_avx2(rounds, flops);
    return fma_plain(rounds, flops);
}
#else
uint64_t paceline_sum(const uint64_t *p, size_t words) { return sum_plain(p, words); }
float paceline_fma(size_t rounds, double *flops) { return fma_plain(rounds, flops); }
#endif
