//go:build native

// AVX-512 and the matrix unit, for products of many rows of bf16 or quantised numbers.
#define FN static __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512vnni,avx512bf16,amx-tile,amx-int8,amx-bf16")))
#define IN static inline __attribute__((always_inline, target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512vnni,avx512bf16,amx-tile,amx-int8,amx-bf16")))
#define TABLE pl_amx
#define NAME "amx"
#define HAVE_VNNI
#define HAVE_AMX
#include "avx512.h"
