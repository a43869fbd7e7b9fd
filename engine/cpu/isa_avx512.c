//go:build native

// AVX-512 (F, BW, DQ, VL): vectors of 16, so a block of 16 rows is one of them.
#define FN static __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#define IN static inline __attribute__((always_inline, target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")))
#define TABLE pl_avx512
#define NAME "avx512"
#include "avx512.h"
