//go:build native

// AVX-512 with the integer dot product and that of bf16 (VDPBF16PS), for products of
// bf16 activations. Every processor with the second has the first.
#define FN static __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512vnni,avx512bf16")))
#define IN static inline __attribute__((always_inline, target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,avx512vnni,avx512bf16")))
#define TABLE pl_avx512bf16
#define NAME "avx512bf16"
#define HAVE_VNNI
#define HAVE_DOT
#include "avx512.h"
