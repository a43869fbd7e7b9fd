// norm.cu: RMS norm of every row of the residual stream, for the products of many rows, which read it more often
// than they could compute it.
#include "linear.h"

struct NormParams {
    Lists step;
    const float *x, *norm; // [tokens][HID], [HID]
    u16* out;              // [tokens][HID]
    u32 placed, pad;       // 1: for hopper.h
};

// grid: (tokens / WARPS), a warp a row
KERNEL(WARPS * 32, 1) normalise(GRID_CONST NormParams p) {
    pdl_launch();
    pdl_wait();
    int row = blockIdx.x * WARPS + (threadIdx.x >> 5);
    if (row < (int)p.step.counts->tokens) norm_row(p.out + (u64)row * HID, p.x + (u64)row * HID, p.norm, p.placed);
}
EXPORT_KERNEL(normalise)
