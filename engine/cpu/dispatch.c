//go:build native

// Which kernels this machine can run.
#include "kernels.h"

const pl_kernels *pl_isa(int32_t i, int32_t *have)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	int fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
	int wide = fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
	int vnni = wide && __builtin_cpu_supports("avx512vnni");
	switch (i) {
	case 0: *have = vnni && __builtin_cpu_supports("avx512bf16"); return &pl_avx512bf16;
	case 1: *have = vnni; return &pl_avx512vnni;
	case 2: *have = wide; return &pl_avx512;
	case 3: *have = fma; return &pl_avx2;
	case 4: *have = 1; return &pl_scalar;
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
