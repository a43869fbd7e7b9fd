// begin.cu: the first kernel of a step. It brings the step's parameters from the host's memory to the device's
// and the embeddings of its tokens to the residual stream.
#include "format.h"

struct BeginParams {
    Lists host[2], device; // steps of odd and of even number
    Matrix table;          // embeddings, packed as the head is, which they may be
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

// Two neighbouring elements of a row of the table, the first of even number.
DEV U2 embedding(const Matrix& m, int id, int column) {
    int tile = column / TILE, lane = id % 8 * 4 + column % TILE / 4, upper = id % TILE >= 8, second = column >> 1 & 1;
    const u8* p = m.data + ((u64)(id / TILE) * chunks_of(HEAD_WEIGHTS, HID) + tile / tiles_of(HEAD_WEIGHTS)) * 512 + lane * 16;
    if (HEAD_WEIGHTS == BF16) {
        u32 two = *(const u32*)(p + second * 8 + upper * 4);
        return {f2u(bf_lo(two)), f2u(bf_hi(two))};
    }
    u32 two = of_sizes(*(const u32*)(p + tile % 2 * 8 + second * 4) >> 8 * upper);
    float scale = ((const float*)m.scale)[id];
    return {f2u(fmul_rn(bf_lo(two), scale)), f2u(fmul_rn(bf_hi(two), scale))};
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
        for (int c = threadIdx.x * 2; c < HID; c += blockDim.x * 2) st_u2(p.x + (u64)t * HID + c, embedding(p.table, id, c));
    }
}
EXPORT_KERNEL(begin)
