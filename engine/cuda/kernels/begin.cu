// begin.cu: the first kernel of a step. It brings the step's parameters from the host's memory to the device's
// and the embeddings of its tokens to the residual stream.
#include "step.h"

struct BeginParams {
    Lists host[2], device; // steps of odd and of even number
    const u16* table;      // embeddings, packed as linear.h has it, so that they can be the head too
    const int* drawn[2];   // what the heads of a step of odd, of even number drew
    float* x;              // [tokens][HID] residual stream
    u32* number;           // of the next step, on the device
};

template <class T> DEV void carry(T* to, const T* from, u32 n) {
    const u32* f = (const u32*)from;
    u32* t = (u32*)to;
    n *= sizeof(T) / 4;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) t[i] = f[i];
}

// grid: any number of blocks
KERNEL(128, 1) begin(GRID_CONST BeginParams p) {
    pdl_launch();
    pdl_wait();
    u32 odd = *p.number & 1;
    const Lists& host = p.host[odd];
    Counts c = *host.counts;
    carry(p.device.counts, host.counts, 1);
    carry(p.device.token, host.token, c.tokens);
    carry(p.device.unit, host.unit, c.units);
    carry(p.device.merge, host.merge, c.merges);
    carry(p.device.head, host.head, c.heads);
    carry(p.device.page, host.page, c.pages);
    carry(p.device.edit, host.edit, c.edits);
    for (u32 t = blockIdx.x; t < c.tokens; t += gridDim.x) {
        int id = host.token[t].id;
        if (id < 0) id = p.drawn[odd ^ 1][-1 - id];
        const u8* row = (const u8*)p.table + (u64)(id / TILE) * HID_TILES * 512 + (id % 8) * 64 + (id % TILE >= 8 ? 4 : 0);
        for (int c = threadIdx.x * 2; c < HID; c += blockDim.x * 2) {
            u32 two = *(const u32*)(row + c / TILE * 512 + c % TILE / 4 * 16 + (c & 2) * 4);
            *(U2*)(p.x + (u64)t * HID + c) = U2{f2u(bf_lo(two)), f2u(bf_hi(two))};
        }
    }
}
EXPORT_KERNEL(begin)
