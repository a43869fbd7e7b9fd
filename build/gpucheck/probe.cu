// probe.cu: kernels that do nothing but what is timed.
#include "dev.h"

struct ProbeParams {
    u32* arrived; // zero before
    u32 rounds, pad;
};

KERNEL(128, 1) nothing(GRID_CONST ProbeParams p) {
    pdl_launch();
    pdl_wait();
}
EXPORT_KERNEL(nothing)

// All blocks wait for one another, so many times. They must run at the same time.
KERNEL(128, 1) barrier(GRID_CONST ProbeParams p) {
    for (u32 i = 1; i <= p.rounds; i++) {
        __syncthreads();
        if (threadIdx.x == 0) {
            atom_add_release(p.arrived, 1);
            while (ld_acquire(p.arrived) < i * gridDim.x) spin_hint();
        }
        __syncthreads();
    }
}
EXPORT_KERNEL(barrier)
