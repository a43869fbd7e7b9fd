//go:build native

// Memory that the engine's numbers lie in, and the packing of weights into it.
#ifndef PL_MEMORY_H
#define PL_MEMORY_H

#include "kernels.h"

// pl_map gives zeroed memory aligned to 2 MiB, in huge pages where the system
// allows it, or NULL. pl_unmap frees it; bytes is the same number.
void *pl_map(size_t bytes);
void pl_unmap(void *p, size_t bytes);

// PL_RED_ZONE is the bytes left free behind each piece of a region, and pl_forbid
// makes the address sanitizer report whoever touches them. Both are nothing in a
// build without it.
#ifdef __SANITIZE_ADDRESS__
enum { PL_RED_ZONE = 256 };
#else
enum { PL_RED_ZONE = 0 };
#endif
void pl_forbid(void *p, size_t bytes);

// pl_source is a row-major weight matrix of a checkpoint and where its rows and
// columns go: row i to first + (i/row_group)·row_stride + i%row_group, column k to
// (k/col_group)·col_stride + k%col_group.
typedef struct {
	const void *data;
	const void *scales; // of PL_W8 f32 [rows], of PL_W4 f16 [rows][⌈cols/128⌉]
	int32_t type;       // PL_BF16, PL_F32, PL_F16; PL_W8: s8; PL_W4: nibbles, the even column low
	int32_t rows, cols;
	int32_t first, row_group, row_stride, col_group, col_stride;
} pl_source;

// pl_pack writes rows [lo, hi) of a source into a packed matrix, whose memory is zero
// before. A quantised matrix takes sources of its own type only, and W4 only such as
// keep their columns, because groups are of columns. It returns 1 if a weight is
// infinite or not a number, else 0; scales are its caller's to check.
int pl_pack(const pl_matrix *to, void *data, void *scales, const pl_source *from, int32_t lo, int32_t hi);

#endif
