// project.cu: the two products that end in the residual stream: of attention's output, and of the MLP's.
#include "hopper.h"

struct ProjectParams {
    Lists step;
    const u16* in;     // [tokens][width]
    Matrix matrix;     // HID_TILES row tiles
    float* x;          // [tokens][HID], to which the product is added
    float* part;       // [splits][tokens][HID], where there is more than one split
    u32* arrived;      // [tokens / rows][HID_TILES], zero before and after
    u32 tokens;        // rows of a split in part
    u32 pad;
};

// Adds to x what a warp has of the product.
template <int ROWS, class Add> DEV void each_result(const float (&acc)[ROWS / 8][4], int tile, int count, Add add) {
    Lane l = lane_();
    UNROLL
    for (int n = 0; n < ROWS / 8; n++) {
        if (n % WARPS != l.warp) continue;
        UNROLL
        for (int i = 0; i < 4; i++) {
            int t = n * 8 + l.q * 2 + (i & 1);
            if (t < count) add(t, tile * TILE + l.r + (i >> 1) * 8, acc[n][i]);
        }
    }
}

// Says that this block is the last to come of those with the same rows and tokens. It then adds up the parts.
template <int SPLITS> DEV bool is_last(const ProjectParams& p) {
    SHARED(u32, last);
    __syncthreads();
    u32* arrived = p.arrived + blockIdx.y * gridDim.x + blockIdx.x;
    if (threadIdx.x == 0) {
        last = atom_add_acq_rel(arrived, 1) == SPLITS - 1;
        if (last) *arrived = 0;
    }
    __syncthreads();
    return last;
}

// Adds up the parts of one number of the stream, in the order of the splits.
template <int SPLITS> DEV void add_parts(const ProjectParams& p, int token, int row) {
    float sum = 0;
    for (int s = 0; s < SPLITS; s++) sum += p.part[((u64)s * p.tokens + token) * HID + row];
    p.x[(u64)token * HID + row] += sum;
}

template <int K, int SPLITS, int ROWS> DEV void project(const ProjectParams& p, u8* shared) {
    constexpr int part_tiles = WARPS * slice_of(WEIGHTS, K, SPLITS) * tiles_of(WEIGHTS), wide = part_tiles * TILE, stride = row_stride(wide);
    u16* in = (u16*)shared;
    float* red = (float*)(shared + ROWS * stride * 2);
    int tile = blockIdx.x, split = blockIdx.z, t0 = blockIdx.y * ROWS, base = split * part_tiles;
    Product<WEIGHTS, K, SPLITS> weights;
    pdl_launch();
    ask(weights, p.matrix, tile, split);
    pdl_wait();
    int count = (int)p.step.counts->tokens - t0;
    if (count <= 0) return;
    copy_rows<wide, ROWS>(in, p.in + (u64)t0 * K, K, base * TILE, count);
    __syncthreads();
    float acc[ROWS / 8][4];
    product<ROWS>(acc, weights, p.matrix, tile, split, in, stride, base, red);
    if (SPLITS == 1) {
        each_result<ROWS>(acc, tile, count, [&](int t, int row, float v) { p.x[(u64)(t0 + t) * HID + row] += v; });
        return;
    }
    each_result<ROWS>(acc, tile, count, [&](int t, int row, float v) { p.part[((u64)split * p.tokens + t0 + t) * HID + row] = v; });
    if (!is_last<SPLITS>(p)) return;
    each_result<ROWS>(acc, tile, count, [&](int t, int row, float) { add_parts<SPLITS>(p, t0 + t, row); });
}

// grid: (HID_TILES, tokens / rows)
KERNEL(WARPS * 32, 2) output_8(GRID_CONST ProjectParams p) {
    DYN_SMEM(shared);
    project<QW, 1, 8>(p, shared);
}
EXPORT_KERNEL(output_8)
KERNEL(WARPS * 32, 1) output_32(GRID_CONST ProjectParams p) {
    DYN_SMEM(shared);
    project<QW, 1, 32>(p, shared);
}
EXPORT_KERNEL(output_32)

// grid: (HID_TILES, tokens / rows, DOWN_SPLITS)
KERNEL(WARPS * 32, 1) down_8(GRID_CONST ProjectParams p) {
    DYN_SMEM(shared);
    project<INNER, DOWN_SPLITS, 8>(p, shared);
}
EXPORT_KERNEL(down_8)
KERNEL(WARPS * 32, 1) down_32(GRID_CONST ProjectParams p) {
    DYN_SMEM(shared);
    project<INNER, DOWN_SPLITS, 32>(p, shared);
}
EXPORT_KERNEL(down_32)

// Adds a product of many rows to the residual stream.
template <int SPLITS, class Sum> DEV void add_product(const ProjectParams& p, const Sum& sum, int count) {
    if (count <= 0) return;
    if (SPLITS == 1) {
        each_pair(sum, HID_TILES, count, [&](int tile, int r, int t, float lo, float hi) {
            float* x = p.x + (u64)t * HID + tile * TILE + r;
            x[0] += lo, x[8] += hi;
        });
        return;
    }
    each_pair(sum, HID_TILES, count, [&](int tile, int r, int t, float lo, float hi) {
        float* part = p.part + ((u64)blockIdx.z * p.tokens + t) * HID + tile * TILE + r;
        part[0] = lo, part[8] = hi;
    });
    if (!is_last<SPLITS>(p)) return;
    each_pair(sum, HID_TILES, count, [&](int tile, int r, int t, float, float) {
        add_parts<SPLITS>(p, t, tile * TILE + r), add_parts<SPLITS>(p, t, tile * TILE + 8 + r);
    });
}

template <int K, int SPLITS> DEV void gemm_project(const ProjectParams& p, u8* shared) {
    GemmSum sum;
    int count = gemm<WEIGHTS, K, SPLITS>(sum, p.matrix, HID_TILES, p.step.counts, p.in, (u16*)shared);
    add_product<SPLITS>(p, sum, count);
}

// grid: (HID_TILES / GEMM_TILES, tokens / GEMM_TOKENS)
KERNEL(GEMM_THREADS, GEMM_BLOCKS) gemm_output(GRID_CONST ProjectParams p) {
    DYN_SMEM(shared);
    gemm_project<QW, 1>(p, shared);
}
EXPORT_KERNEL(gemm_output)

// grid: (HID_TILES / GEMM_TILES, tokens / GEMM_TOKENS, DOWN_SPLITS)
KERNEL(GEMM_THREADS, GEMM_BLOCKS) gemm_down(GRID_CONST ProjectParams p) {
    DYN_SMEM(shared);
    gemm_project<INNER, DOWN_SPLITS>(p, shared);
}
EXPORT_KERNEL(gemm_down)

#ifdef HOPPER
template <int K, int SPLITS> DEV void hopper_project(const Hopper<ProjectParams>& h, u8* shared) {
    HopSum sum;
    int count = hopper<K, SPLITS>(sum, h.p.matrix, HID_TILES, h.p.step.counts, h.in, shared);
    add_product<SPLITS>(h.p, sum, count);
}

// grids: as of gemm_output and gemm_down
KERNEL(HOP_THREADS, 1) hopper_output(GRID_CONST Hopper<ProjectParams> h) {
    DYN_SMEM(shared);
    hopper_project<QW, 1>(h, shared);
}
EXPORT_KERNEL(hopper_output)
KERNEL(HOP_THREADS, 1) hopper_down(GRID_CONST Hopper<ProjectParams> h) {
    DYN_SMEM(shared);
    hopper_project<INNER, DOWN_SPLITS>(h, shared);
}
EXPORT_KERNEL(hopper_down)
#endif
