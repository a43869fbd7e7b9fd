//go:build native

// NEON with the integer dot product (SDOT), for quantised weights.
#define FN static __attribute__((target("arch=armv8.2-a+dotprod")))
#define IN static inline __attribute__((always_inline, target("arch=armv8.2-a+dotprod")))
#define TABLE pl_neondot
#define NAME "neondot"
#define HAVE_SDOT
#include "neon.h"
