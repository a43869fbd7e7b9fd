//go:build native

// Which kernels this machine can run.
#define _GNU_SOURCE
#include "kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

// matrix_unit says whether this process may use AMX, and asks the system for it: the
// state of the tiles is so large that a process must say that it wants it.
static int matrix_unit(void)
{
	unsigned a, b, c, d;
	if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
		return 0;
	const unsigned wanted = 1u << 22 | 1u << 24 | 1u << 25; // AMX-BF16, AMX-TILE, AMX-INT8
	if ((d & wanted) != wanted)
		return 0;
#if defined(__linux__)
	enum { ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
	return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
#else
	return 0;
#endif
}
#elif defined(__aarch64__)
#if defined(__linux__)
#include <sys/auxv.h>
#endif

static int integer_dot(void)
{
#if defined(__linux__)
	return (getauxval(AT_HWCAP) >> 20 & 1) != 0; // HWCAP_ASIMDDP
#elif defined(__APPLE__)
	return 1; // every Apple processor that runs macOS
#else
	return 0;
#endif
}
#endif

const pl_kernels *pl_isa(int32_t i, int32_t *have)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	int fma = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
	int wide = fma && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
	int vnni = wide && __builtin_cpu_supports("avx512vnni");
	int dot = vnni && __builtin_cpu_supports("avx512bf16");
	switch (i) {
	case 0: *have = dot && matrix_unit(); return &pl_amx;
	case 1: *have = dot; return &pl_avx512bf16;
	case 2: *have = vnni; return &pl_avx512vnni;
	case 3: *have = wide; return &pl_avx512;
	case 4: *have = fma; return &pl_avx2;
	case 5: *have = 1; return &pl_scalar;
	}
#elif defined(__aarch64__)
	switch (i) {
	case 0: *have = integer_dot(); return &pl_neondot;
	case 1: *have = 1; return &pl_neon; // part of every aarch64
	case 2: *have = 1; return &pl_scalar;
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
