//go:build native

// AVX-512 with the integer dot product (VPDPBUSD), for quantised weights.
#define FN static __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512vnni")))
#define IN static inline __attribute__((always_inline, target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512vnni")))
#define TABLE pl_avx512vnni
#define NAME "avx512vnni"
#define HAVE_VNNI
#include "avx512.h"
