// probe.cu: kernels for the tests of the driver package.
#include "dev.h"

struct AddParams {
    float* to;
    const float* from;
    u32 count;
    float more;
};

// to[i] = to[i] · 2 + from[i] + more: the order of launches shows.
KERNEL(64, 1) add(GRID_CONST AddParams p) {
    pdl_launch();
    pdl_wait();
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < p.count; i += gridDim.x * blockDim.x) p.to[i] = p.to[i] * 2 + p.from[i] + p.more;
}
EXPORT_KERNEL(add)

struct SharedParams {
    u32* out;
    u64 pad;
};
KERNEL(64, 1) shared(GRID_CONST SharedParams p) {
    DYN_SMEM(s);
    s[threadIdx.x] = (u8)threadIdx.x;
    __syncthreads();
    if (threadIdx.x == 0) *p.out = s[63];
}
EXPORT_KERNEL(shared)
