// planted.cu: correct kernels, each with one defect that bug switches on. The checker has to find every one by name, and
// nothing in the correct forms.
#include "dev.h"

struct PlantedParams {
    u32 *a, *b, *out; // b holds what the host wrote; out has a word for each thread of the grid
    u32 n, bug;
};
typedef u32 Words32[32], Words64[64];
#define PLANTED(name, threads) KERNEL(threads, 1) name(GRID_CONST PlantedParams p)
DEV u32 global_id() { return blockIdx.x * blockDim.x + threadIdx.x; }

PLANTED(barrier_missing, 64) {
    SHARED(Words64, s);
    s[threadIdx.x] = 0;
    __syncthreads();
    s[threadIdx.x] = threadIdx.x;
    if (!p.bug) __syncthreads();
    p.out[global_id()] = s[(threadIdx.x + 32) % 64];
}
EXPORT_KERNEL(barrier_missing)

PLANTED(warp_sync_missing, 32) {
    SHARED(Words32, s);
    for (int i = 0; i < 3; i++) {
        s[threadIdx.x] = threadIdx.x + i;
        __syncwarp();
        p.out[global_id()] = s[threadIdx.x ^ 1];
        if (!p.bug) __syncwarp(); // before the next turn writes
    }
}
EXPORT_KERNEL(warp_sync_missing)

// A shuffle orders no memory.
PLANTED(shuffle_is_no_barrier, 32) {
    SHARED(Words32, s);
    s[threadIdx.x] = threadIdx.x;
    if (p.bug)
        shfl_xor_u32(threadIdx.x, 1);
    else
        __syncwarp();
    p.out[global_id()] = s[threadIdx.x ^ 1];
}
EXPORT_KERNEL(shuffle_is_no_barrier)

// Warp 0 writes, warp 1 reads; with the defect it meets warp 2.
PLANTED(wrong_subset, 96) {
    SHARED(Words32, s);
    int w = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (w == 0) {
        s[lane] = lane;
        if (!p.bug) bar_sync(1, 64);
    } else if (w == 1) {
        bar_sync(1, 64);
        p.out[global_id()] = s[lane ^ 1];
    } else if (p.bug) {
        bar_sync(1, 64);
    }
}
EXPORT_KERNEL(wrong_subset)

PLANTED(write_after_arrive, 64) {
    SHARED(Words32, s);
    int w = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (w == 0) {
        if (!p.bug) s[lane] = lane;
        bar_arrive(1, 64);
        if (p.bug) s[lane] = lane;
    } else {
        bar_sync(1, 64);
        p.out[global_id()] = s[lane];
    }
}
EXPORT_KERNEL(write_after_arrive)

PLANTED(bulk_not_waited_for, 64) {
    SHARED(u64, full);
    struct Data {
        alignas(128) u32 v[64];
    };
    SHARED(Data, s);
    s.v[threadIdx.x] = 0;
    if (threadIdx.x == 0) {
        mbar_init(&full, 1);
        mbar_fence_init();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        mbar_expect(&full, sizeof s);
        bulk_g2s(s.v, p.b, sizeof s, &full);
    }
    if (!p.bug) mbar_wait(&full, 0);
    p.out[global_id()] = s.v[threadIdx.x];
}
EXPORT_KERNEL(bulk_not_waited_for)

// A ring of one place: warp 1 reads, its first lane says so, warp 0 writes again.
PLANTED(freed_too_early, 64) {
    struct Bars {
        u64 full, empty;
    };
    SHARED(Bars, bar);
    SHARED(Words32, s);
    int w = threadIdx.x / 32, lane = threadIdx.x % 32;
    if (threadIdx.x == 0) {
        mbar_init(&bar.full, 32);
        mbar_init(&bar.empty, 1);
    }
    __syncthreads();
    if (w == 0) {
        s[lane] = 1;
        mbar_arrive(&bar.full);
        mbar_wait(&bar.empty, 0);
        s[lane] = 2;
        mbar_arrive(&bar.full);
    } else {
        mbar_wait(&bar.full, 0);
        u32 first = s[31 - lane];
        if (!p.bug) __syncwarp();
        if (lane == 0) mbar_arrive(&bar.empty);
        mbar_wait(&bar.full, 1);
        p.out[global_id()] = first + s[31 - lane];
    }
}
EXPORT_KERNEL(freed_too_early)

PLANTED(copy_not_waited_for, 32) {
    struct Data {
        alignas(16) u32 v[128];
    };
    SHARED(Data, s);
    cp_async16(&s.v[threadIdx.x * 4], p.b + threadIdx.x * 4, true);
    cp_async_commit();
    if (!p.bug) cp_async_wait<0>();
    __syncwarp();
    p.out[global_id()] = s.v[threadIdx.x];
    cp_async_wait<0>();
}
EXPORT_KERNEL(copy_not_waited_for)

DEV void relaxed_barrier(u32* at, u32 blocks) {
    __syncthreads();
    if (threadIdx.x == 0) {
        atomicAdd(at, 1u);
        while (atomicAdd(at, 0u) < blocks) spin_hint();
    }
    __syncthreads();
}
DEV void ordered_barrier(u32* at, u32 blocks) {
    __syncthreads();
    if (threadIdx.x == 0) {
        atom_add_release(at, 1);
        while (ld_acquire(at) < blocks) spin_hint();
    }
    __syncthreads();
}
PLANTED(grid_barrier_without_order, 32) { // cooperative
    p.out[global_id()] = blockIdx.x;
    if (p.bug)
        relaxed_barrier(p.a, gridDim.x);
    else
        ordered_barrier(p.a, gridDim.x);
    u32 other = (blockIdx.x + 1) % gridDim.x * blockDim.x + threadIdx.x, v = p.out[other];
    if (v != (blockIdx.x + 1) % gridDim.x) p.a[1] = 1;
}
EXPORT_KERNEL(grid_barrier_without_order)

// The last block to come adds up what all wrote.
template <class Arrive> DEV void last_block(const PlantedParams& p, Arrive arrive) {
    SHARED(u32, last);
    p.out[global_id()] = blockIdx.x + 1;
    __syncthreads();
    if (threadIdx.x == 0) last = arrive() == gridDim.x - 1;
    __syncthreads();
    if (!last) return;
    u32 sum = 0;
    for (u32 b = 0; b < gridDim.x; b++) sum += p.out[b * blockDim.x + threadIdx.x];
    p.b[threadIdx.x] = sum;
}
PLANTED(last_block_without_order, 32) {
    if (p.bug)
        last_block(p, [&] { return atomicAdd(p.a, 1u); });
    else
        last_block(p, [&] { return atom_add_acq_rel(p.a, 1); });
}
EXPORT_KERNEL(last_block_without_order)
PLANTED(last_block_with_half_a_fence, 32) {
    if (p.bug)
        last_block(p, [&] {
            u32 n = atomicAdd(p.a, 1u);
            __threadfence();
            return n;
        });
    else
        last_block(p, [&] {
            __threadfence();
            u32 n = atomicAdd(p.a, 1u);
            __threadfence();
            return n;
        });
}
EXPORT_KERNEL(last_block_with_half_a_fence)

PLANTED(in_front, 32) {
    pdl_launch();
    pdl_wait();
    p.a[global_id()] = 7;
}
EXPORT_KERNEL(in_front)
PLANTED(read_before_the_wait, 32) { // launched behind in_front
    pdl_launch();
    u32 early = p.bug ? p.a[global_id()] : 0;
    pdl_wait();
    p.out[global_id()] = p.bug ? early : p.a[global_id()];
}
EXPORT_KERNEL(read_before_the_wait)

PLANTED(past_the_end, 32) { p.out[global_id()] = p.b[p.n - 32 + threadIdx.x + p.bug]; }
EXPORT_KERNEL(past_the_end)
PLANTED(far_away, 32) { p.out[global_id()] = p.b[p.bug ? 1 << 24 : 0]; }
EXPORT_KERNEL(far_away)
PLANTED(half_past_the_end, 32) {
    if (threadIdx.x == 0 && !p.bug) st_u2(p.b + p.n - 2, U2{1, 2});
    if (threadIdx.x == 0 && p.bug) st_u4(p.b + p.n - 2, U4{1, 2, 3, 4});
    p.out[global_id()] = 0;
}
EXPORT_KERNEL(half_past_the_end)
PLANTED(outside_static, 32) {
    SHARED(Words32, s);
    s[threadIdx.x + (p.bug ? 1 : 0)] = 1;
    __syncthreads();
    p.out[global_id()] = s[threadIdx.x];
}
EXPORT_KERNEL(outside_static)
PLANTED(outside_dynamic, 32) { // 128 bytes
    DYN_SMEM(s);
    ((u32*)s)[threadIdx.x + (p.bug ? 1 : 0)] = 1;
    __syncthreads();
    p.out[global_id()] = ((u32*)s)[threadIdx.x];
}
EXPORT_KERNEL(outside_dynamic)
PLANTED(misaligned, 32) {
    U4 v = ld_u4(p.b + (p.bug ? 1 : 0));
    p.out[global_id()] = v.x + v.y + v.z + v.w;
}
EXPORT_KERNEL(misaligned)
PLANTED(shared_nobody_wrote, 32) {
    SHARED(Words32, s);
    if (!p.bug || threadIdx.x != 5) s[threadIdx.x] = 1;
    __syncthreads();
    p.out[global_id()] = s[threadIdx.x];
}
EXPORT_KERNEL(shared_nobody_wrote)
PLANTED(memory_nobody_wrote, 32) { p.out[global_id()] = p.bug ? p.a[8 + threadIdx.x] : p.b[threadIdx.x]; }
EXPORT_KERNEL(memory_nobody_wrote)
PLANTED(barrier_after_the_end, 64) {
    if (p.bug && threadIdx.x < 32) return;
    __syncthreads();
    p.out[global_id()] = 1;
}
EXPORT_KERNEL(barrier_after_the_end)
PLANTED(nobody_answers, 32) {
    if (p.bug)
        while (ld_acquire(p.a) == 0) spin_hint();
    p.out[global_id()] = 1;
}
EXPORT_KERNEL(nobody_answers)
PLANTED(nobody_comes, 64) {
    if (p.bug && threadIdx.x < 32) bar_sync(2, 64);
    p.out[global_id()] = 1;
}
EXPORT_KERNEL(nobody_comes)
PLANTED(two_blocks_one_word, 32) { p.out[p.bug ? threadIdx.x : global_id()] = blockIdx.x; }
EXPORT_KERNEL(two_blocks_one_word)
PLANTED(overwrites_what_another_reads, 32) {
    if (p.bug && blockIdx.x == gridDim.x - 1)
        p.b[threadIdx.x] = 1;
    else
        p.out[global_id()] = p.b[threadIdx.x];
}
EXPORT_KERNEL(overwrites_what_another_reads)
PLANTED(arrives_too_often, 32) {
    SHARED(u64, bar);
    if (threadIdx.x == 0) {
        mbar_init(&bar, 2);
        mbar_arrive(&bar);
        if (p.bug) {
            mbar_expect(&bar, 16);
            mbar_arrive(&bar);
        }
    }
    p.out[global_id()] = 1;
}
EXPORT_KERNEL(arrives_too_often)
PLANTED(copy_left_under_way, 32) {
    struct Data {
        alignas(16) u32 v[128];
    };
    SHARED(Data, s);
    cp_async16(&s.v[threadIdx.x * 4], p.b + threadIdx.x * 4, true);
    cp_async_commit();
    if (!p.bug) cp_async_wait<0>();
    p.out[global_id()] = 1;
}
EXPORT_KERNEL(copy_left_under_way)

// A block ends while a copy to its shared memory is under way.
PLANTED(bulk_left_under_way, 32) {
    SHARED(Words32, s);
    SHARED(u64, bar);
    if (threadIdx.x == 0) {
        mbar_init(&bar, 1);
        mbar_fence_init();
        mbar_expect(&bar, 128);
        bulk_g2s(s, p.b, 128, &bar);
        if (!p.bug) mbar_wait(&bar, 0);
    }
    p.out[global_id()] = threadIdx.x;
}
EXPORT_KERNEL(bulk_left_under_way)
