//go:build native

// Which kernels this machine can run.
#include "kernels.h"

const pl_kernels *pl_isa(int32_t i, int32_t *have)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	int fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	int wide = fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
	switch (i) {
	case 0: *have = wide && __builtin_cpu_supports("avx512bf16"); return &pl_avx512bf16;
	case 1: *have = wide; return &pl_avx512;
	case 2: *have = fma; return &pl_avx2;
	case 3: *have = 1; return &pl_scalar;
	}
#elif defined(__aarch64__)
	switch (i) {
	case 0: *have = 1; return &pl_neon; // part of every aarch64
	case 1: *have = 1; return &pl_scalar;
	}
#else
	if (i == 0) {
		*have = 1;
		return &pl_scalar;
	}
#endif
	*have = 0;
	return NULL;
}
