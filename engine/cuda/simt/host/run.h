// run.h: what the parts of the emulator know of each other.
#pragma once
#include "abi.h"
#include "simt.h"
#include <atomic>
#include <memory>
#include <vector>

namespace simt {

constexpr size_t STACK = 64 << 10;
constexpr u32 SHARED_WINDOW = 512 << 10; // of a block: static part at 0, dynamic part at SHARED_DYNAMIC
constexpr u32 SHARED_DYNAMIC = 64 << 10;
constexpr u32 MAX_STATIC = 48 << 10;
constexpr u32 MAX_WARPS = 32;

// Lanes of a mask that meet.
struct Group {
    u32 mask, arrived, epoch;
    alignas(32) u8 slots[2][32 * 32];
    Clock* clocks; // joined, of checked modules
};
struct Warp {
    u32 ready = 0, live = 0, groups = 0;
    Fibre* first;
    Group* group[8];
};
struct Barrier {
    u32 arrived = 0, expect = 0;
    std::vector<Fibre*> waiting;
    Clock* clock = nullptr;
};
// A bulk copy under way: of n bytes, or of a box of a matrix.
struct Bulk {
    void* to;
    const void* from;
    u32 n;
    u64* bar;
    const simt_tensor* matrix = nullptr;
    int column = 0, row = 0;
};
struct Launch;
struct Check; // a block's shadow of shared memory and clocks of mbarriers
struct Static {
    int where;
    u32 at, size;
};
struct Block {
    Launch* launch;
    Dim at;
    u32 number, threads, warps, live;
    Fibre* fibres = nullptr;
    u8* stacks = nullptr;
    u32 room = 0; // fibres that there are stacks for
    u8* shared = nullptr;
    u32 shared_static = 0;
    std::vector<Static> statics;
    Warp warp[MAX_WARPS];
    Barrier barrier[16];
    std::vector<Fibre*> at_mbarrier;
    std::vector<Bulk> bulks;
    u32 spins = 0;
    Check* check = nullptr;
};
struct Launch {
    const Kernel* kernel;
    simt_launch a;
    void** params;
    std::atomic<u32> next{0}, failed{0};
    char error[640];
    bool early = false;
    simt_counts counts{};
};

// Copies and products of a thread that are under way.
struct Async {
    struct Copy {
        void* to;
        const void* from;
        bool ok;
    } copy[64];
    u32 copies = 0, group_end[16], groups = 0;
    struct Product {
        float* d;
        float a[2][16]; // this thread's two rows
        u64 b;
        bool add; // to what d holds
    } product[64];
    u32 products = 0, product_end[16], product_groups = 0;
};

Async& async_of(Fibre*);
void ready(Fibre*);
void park(); // until someone makes this fibre ready
bool running(); // a fibre runs on this OS thread
u64 random64();
simt_counts& counts(); // of what this OS thread did since flush
void flush(Launch*);   // adds them to a launch's

// Hooks of the checker; those of an unchecked module do nothing.
void check_start(Block*);
void check_barrier_arrive(Barrier&, Fibre*);
void check_barrier_leave(Barrier&, const std::vector<Fibre*>&);
void check_warp(Group&, bool orders);
void check_mbar_arrive(u64*);
void check_mbar_wait(u64*);
void check_forget_shared(void* p, u32 n); // an asynchronous write: order comes from its wait
} // namespace simt
