// The two loops of the CPU's machine probe. Both choose the widest vectors that the
// CPU they run on has; they touch nothing but their arguments.
#ifndef PACELINE_HOST_MACHINE_H
#define PACELINE_HOST_MACHINE_H

#include <stddef.h>
#include <stdint.h>

// paceline_sum reads words 64-bit words and gives their sum, so that no read can be
// left out.
uint64_t paceline_sum(const uint64_t *p, size_t words);

// paceline_fma makes rounds rounds of independent multiply-adds, writes how many
// floating-point operations that were to *flops, and gives a value that depends on
// all of them.
float paceline_fma(size_t rounds, double *flops);

#endif
