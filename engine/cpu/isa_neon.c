//go:build native

// NEON, which every aarch64 machine has.
#define FN static
#define IN static inline __attribute__((always_inline))
#define TABLE pl_neon
#define NAME "neon"
#include "neon.h"
