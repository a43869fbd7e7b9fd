//go:build native

// The vector kernels, written once over a vector type. The file that includes
// this defines vf, VL, the v_… operations and the tile sizes of one instruction
// set, FN and IN (attributes of a function and of an inlined one), TABLE and NAME.
//
// The functions marked IN take their tile sizes as constants: after inlining, the
// arrays of accumulators are registers. Every tile is a function of its own, so that
// the compiler gives each loop all registers; ROWS lists them by height.
#include <math.h>
#include <string.h>

enum { VB = PL_LANES / VL }; // vectors of a block

#define ROWS(X, mul, nb) X(mul, nb, 1) X(mul, nb, 2) X(mul, nb, 3) X(mul, nb, 4) X(mul, nb, 5) X(mul, nb, 6) \
	X(mul, nb, 7) X(mul, nb, 8) X(mul, nb, 9) X(mul, nb, 10) X(mul, nb, 11) X(mul, nb, 12)
#define NAMED(mul, nb, mr) tile_##mul##_##nb##_##mr,
#define TILES(mul) {{ROWS(NAMED, mul, 1)}, {ROWS(NAMED, mul, 2)}}

#include "simd_float.h"
#include "simd_quant.h"
#include "simd_vector.h"
#ifdef HAVE_AMX
#include "amx.h"
#endif

const pl_kernels TABLE = {
	.name = NAME,
	.gemm = gemm,
#if defined(HAVE_DOT) || defined(HAVE_AMX)
	.gemm_dot = gemm_dot,
#endif
#ifdef HAVE_AMX
	.gemm_q = gemm_amx,
#else
	.gemm_q = gemm_q,
#endif
	.quantize = quantize,
	.softmax = softmax,
	.rmsnorm = rmsnorm,
	.swiglu = swiglu,
	.scale = scale,
	.scale_each = scale_each,
	.round = round_bf16,
	.logsumexp = logsumexp,
};
