// fibre.cpp: fibres, and who runs next. Blocks run one after another on each OS thread; those of a cooperative
// launch all live on one. x86-64 and arm64, Linux.
#include "run.h"
#include <sys/mman.h>
#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace simt {

Kernel*& Kernel::first() {
    static Kernel* head;
    return head;
}

__thread Fibre* current;

// What an OS thread has of its own. Behind one pointer: a module's thread-local memory comes from a small store that all
// modules of a process share.
struct Host {
    void* scheduler = nullptr;
    u64 state = 1;
    bool in_fibre = false; // initialisers of instrumented code call hooks too
    bool direct = false;   // hand over to the next ready lane of the warp without the scheduler
    bool spun = false;     // a lane spins: let all others go first
    simt_counts counts{};
    std::vector<Block*> pool; // blocks for the next launch
};
static __thread Host* mine __attribute__((tls_model("initial-exec")));
static inline Host& host() {
    if (!mine) mine = new Host;
    return *mine;
}

simt_counts& counts() { return host().counts; }
void flush(Launch* l) {
    static std::mutex adding;
    std::lock_guard<std::mutex> hold(adding);
    u64* to = (u64*)&l->counts;
    u64* from = (u64*)&host().counts;
    for (size_t i = 0; i < sizeof(simt_counts) / sizeof *to; i++) to[i] += from[i], from[i] = 0;
}

bool running() { return mine && mine->in_fibre; }
u64 random64() {
    u64& s = host().state;
    s ^= s << 13, s ^= s >> 7, s ^= s << 17;
    return s;
}

// Saves what a call preserves, and goes on where `to` was saved.
extern "C" void simt_switch(void** save, void* to);
#if defined(__x86_64__)
asm(".text\n.globl simt_switch\n.hidden simt_switch\nsimt_switch:\n"
    " push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
    " mov %rsp,(%rdi)\n mov %rsi,%rsp\n"
    " pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n ret\n");
static void* first_frame(u8* top, void (*entry)()) {
    void** sp = (void**)top;
    *--sp = nullptr; // keeps the stack aligned as after a call
    *--sp = (void*)entry;
    for (int i = 0; i < 6; i++) *--sp = nullptr;
    return sp;
}
#elif defined(__aarch64__)
asm(".text\n.globl simt_switch\n.hidden simt_switch\nsimt_switch:\n"
    " sub sp, sp, #176\n"
    " stp x19, x20, [sp, #0]\n stp x21, x22, [sp, #16]\n stp x23, x24, [sp, #32]\n stp x25, x26, [sp, #48]\n"
    " stp x27, x28, [sp, #64]\n stp x29, x30, [sp, #80]\n"
    " stp d8, d9, [sp, #96]\n stp d10, d11, [sp, #112]\n stp d12, d13, [sp, #128]\n stp d14, d15, [sp, #144]\n"
    " mov x2, sp\n str x2, [x0]\n mov sp, x1\n"
    " ldp x19, x20, [sp, #0]\n ldp x21, x22, [sp, #16]\n ldp x23, x24, [sp, #32]\n ldp x25, x26, [sp, #48]\n"
    " ldp x27, x28, [sp, #64]\n ldp x29, x30, [sp, #80]\n"
    " ldp d8, d9, [sp, #96]\n ldp d10, d11, [sp, #112]\n ldp d12, d13, [sp, #128]\n ldp d14, d15, [sp, #144]\n"
    " add sp, sp, #176\n ret\n");
static void* first_frame(u8* top, void (*entry)()) {
    void** sp = (void**)(top - 176);
    memset(sp, 0, 176);
    sp[11] = (void*)entry; // x30
    return sp;
}
#else
#error "the emulator switches stacks on x86-64 and arm64 only"
#endif

void park() {
    Fibre* f = self();
    Warp* w = f->warp;
    Host& h = host();
    if (h.direct && w->ready) {
        u32 lane = __builtin_ctz(w->ready);
        w->ready &= w->ready - 1;
        Fibre* next = w->first + lane;
        current = next;
        simt_switch(&f->stack, next->stack);
    } else {
        simt_switch(&f->stack, h.scheduler);
    }
}
void ready(Fibre* f) { f->warp->ready |= 1u << f->lane; }

Async& async_of(Fibre* f) {
    if (!f->async) f->async = new Async;
    return *f->async;
}

void fail(int code, const char* format, ...) {
    Fibre* f = self();
    Launch* l = f->of->launch;
    u32 none = 0;
    if (l->failed.compare_exchange_strong(none, code)) {
        int n = snprintf(l->error, sizeof l->error, "kernel %s block (%u,%u,%u) thread (%u,%u,%u): ", l->kernel->name, f->block.x, f->block.y,
                         f->block.z, f->thread.x, f->thread.y, f->thread.z);
        va_list args;
        va_start(args, format);
        vsnprintf(l->error + n, sizeof l->error - n, format, args);
        va_end(args);
    }
    f->done = 1;
    host().direct = false;
    for (;;) park();
}

void yield_spin() {
    Fibre* f = self();
    if (++f->of->spins > 5000000) fail(SIMT_TIMEOUT, "a wait that nobody ends: 5 million turns");
    ready(f);
    host().direct = false;
    host().spun = true;
    park();
}

void wait_for_primary() {
    Fibre* f = self();
    if (!f->of->launch->early) return;
    f->early = 1;
    park();
}

void* shared_here(size_t n, size_t align, int where) {
    Block* b = self()->of;
    for (Static& s : b->statics)
        if (s.where == where && s.size == n) return b->shared + s.at;
    u32 at = (b->shared_static + align - 1) / align * align;
    b->shared_static = at + n;
    if (b->shared_static > MAX_STATIC) fail(SIMT_FAILED, "%u bytes of static shared memory: the limit is %u", b->shared_static, MAX_STATIC);
    b->statics.push_back({where, at, (u32)n});
    return b->shared + at;
}
u8* shared_dynamic() { return self()->of->shared + SHARED_DYNAMIC; }

static void main_of_fibre() {
    Fibre* f = self();
    Block* b = f->of;
    b->launch->kernel->invoke(b->launch->kernel->function, b->launch->params);
    if (f->async && (f->async->copies || f->async->products)) fail(SIMT_FAILED, "ends with asynchronous copies or products that nobody waited for");
    if (b->live == 1 && !b->bulks.empty()) fail(SIMT_FAILED, "is the last to end, with %zu bulk copies to its block under way", b->bulks.size());
    f->done = 1;
    f->warp->live &= ~(1u << f->lane);
    b->live--;
    for (;;) park();
}

static void make_room(Block* b) {
    if (!b->shared) {
        u8* m = (u8*)mmap(nullptr, SHARED_WINDOW * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        b->shared = (u8*)(((uintptr_t)m + SHARED_WINDOW - 1) & ~(uintptr_t)(SHARED_WINDOW - 1));
    }
    if (b->room >= b->threads) return;
    free(b->fibres);
    if (b->stacks) munmap(b->stacks, (size_t)b->room * STACK);
    b->room = b->threads;
    b->fibres = (Fibre*)aligned_alloc(64, b->room * sizeof(Fibre));
    memset((void*)b->fibres, 0, b->room * sizeof(Fibre));
    b->stacks = (u8*)mmap(nullptr, (size_t)b->room * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

// Block number of a launch, ready to run.
static void start(Block* b, Launch* l, u32 number) {
    const simt_launch& a = l->a;
    b->launch = l, b->number = number;
    b->at = {number % a.grid[0], number / a.grid[0] % a.grid[1], number / a.grid[0] / a.grid[1]};
    b->threads = a.block[0] * a.block[1] * a.block[2];
    make_room(b);
    // What nobody wrote reads as NaN in every format.
    memset(b->shared, 0xff, b->shared_static);
    memset(b->shared + SHARED_DYNAMIC, 0xff, a.shared);
    b->warps = (b->threads + 31) / 32, b->live = b->threads, b->spins = 0, b->shared_static = 0;
    b->statics.clear(), b->at_mbarrier.clear(), b->bulks.clear();
    for (Barrier& x : b->barrier) x.arrived = x.expect = 0, x.waiting.clear();
    for (u32 w = 0; w < b->warps; w++) {
        Warp& warp = b->warp[w];
        u32 lanes = b->threads - w * 32;
        warp.first = b->fibres + w * 32;
        warp.ready = warp.live = lanes >= 32 ? FULL : (1u << lanes) - 1;
        for (u32 i = 0; i < warp.groups; i++) warp.group[i]->arrived = 0;
    }
    for (u32 i = 0; i < b->threads; i++) {
        Fibre* f = b->fibres + i;
        f->thread = {i % a.block[0], i / a.block[0] % a.block[1], i / a.block[0] / a.block[1]};
        f->block = b->at, f->threads = {a.block[0], a.block[1], a.block[2]}, f->blocks = {a.grid[0], a.grid[1], a.grid[2]};
        f->of = b, f->warp = &b->warp[i / 32], f->lane = i % 32, f->flat = i, f->done = f->early = 0;
        if (f->async) *f->async = Async();
        // Tops of stacks fall into different sets of the cache.
        f->stack = first_frame(b->stacks + (size_t)(i + 1) * STACK - 64 - i % 32 * 448, main_of_fibre);
    }
    check_start(b);
}

// Runs what of a block can run; false where nothing could.
static bool drive(Block* b, Launch* l) {
    Host& h = host();
    bool ran = false;
    for (u32 k = 0, from = l->a.seed ? random64() % b->warps : 0; k < b->warps && !l->failed; k++) {
        u32 at = (from + k) % b->warps, turns = 0;
        Warp& w = b->warp[at];
        while (w.ready && !l->failed) {
            u32 lane = __builtin_ctz(w.ready);
            if (l->a.seed) {
                u32 r = random64() & 31, high = w.ready >> r;
                lane = high ? r + __builtin_ctz(high) : lane;
            }
            w.ready &= ~(1u << lane);
            ran = h.in_fibre = true;
            current = w.first + lane;
            h.direct = !l->a.seed;
            simt_switch(&h.scheduler, current->stack);
            h.in_fibre = false;
            if (h.spun) {
                h.spun = false;
                break;
            }
            if (l->a.seed && (++turns & 63) == 63) break; // other warps in between
        }
    }
    return ran;
}

static void stuck(Launch* l, Block* b) {
    u32 none = 0;
    if (!l->failed.compare_exchange_strong(none, SIMT_TIMEOUT)) return;
    u32 at = 0, id = 0, in_warp = 0;
    for (u32 i = 0; i < 16; i++)
        if (!b->barrier[i].waiting.empty()) at = b->barrier[i].waiting.size(), id = i;
    for (u32 w = 0; w < b->warps; w++)
        for (u32 g = 0; g < b->warp[w].groups; g++) in_warp += __builtin_popcount(b->warp[w].group[g]->arrived);
    snprintf(l->error, sizeof l->error,
             "kernel %s block (%u,%u,%u): deadlock: of %u threads %u have not ended, %u wait at barrier %u, %u in an operation of their warp, %zu at an mbarrier",
             l->kernel->name, b->at.x, b->at.y, b->at.z, b->threads, b->live, at, id, in_warp, b->at_mbarrier.size());
}

static bool run_until(const std::vector<Block*>& blocks, Launch* l, bool (*stop)(Block*)) {
    for (;;) {
        bool ran = false, all = true;
        for (Block* b : blocks) {
            if (stop(b)) continue;
            all = false;
            ran |= drive(b, l);
            if (l->failed) return false;
        }
        if (all) return true;
        if (ran) continue;
        for (Block* b : blocks)
            if (!stop(b)) {
                stuck(l, b);
                return false;
            }
    }
}
static bool finished(Block* b) { return b->live == 0; }
static bool at_wait(Block* b) {
    for (u32 i = 0; i < b->threads; i++)
        if (!b->fibres[i].done && !b->fibres[i].early) return false;
    return true;
}

// Blocks are kept for the next launch; those of a launch that failed are not.
static Block* take() {
    std::vector<Block*>& pool = host().pool;
    if (pool.empty()) return new Block;
    Block* b = pool.back();
    pool.pop_back();
    return b;
}

static u32 total(const Launch* l) { return l->a.grid[0] * l->a.grid[1] * l->a.grid[2]; }

static void work(Launch* l, u32 thread) {
    host().state = (l->a.seed + 1) * 0x9E3779B97F4A7C15ull + thread;
    std::vector<Block*> one{take()};
    u32 n = total(l), turn = l->a.seed ? (u32)(l->a.seed % n) : 0; // where blocks begin
    for (u32 i; !l->failed && (i = l->next++) < n;) {
        start(one[0], l, (i + turn) % n);
        run_until(one, l, finished);
    }
    if (!l->failed) host().pool.push_back(one[0]);
    flush(l);
}

Launch* prepare(const Kernel* k, const simt_launch* a, void** params) {
    Launch* l = new Launch;
    l->kernel = k, l->a = *a, l->params = params, l->error[0] = 0;
    l->counts.launches = 1, l->counts.blocks = a->grid[0] * a->grid[1] * a->grid[2];
    l->counts.threads = l->counts.blocks * a->block[0] * a->block[1] * a->block[2];
    return l;
}

void run(Launch* l) {
    u32 n = total(l);
    if (l->a.cooperative) {
        host().state = (l->a.seed + 1) * 0x9E3779B97F4A7C15ull;
        std::vector<Block*> all;
        for (u32 i = 0; i < n; i++) {
            all.push_back(take());
            start(all[i], l, i);
        }
        if (run_until(all, l, finished)) host().pool.insert(host().pool.end(), all.begin(), all.end());
        flush(l);
        return;
    }
    u32 threads = std::max(1u, std::min(l->a.os_threads, (n + 7) / 8));
    std::vector<std::thread> others;
    for (u32 t = 1; t < threads; t++) others.emplace_back(work, l, t);
    work(l, 0);
    for (std::thread& t : others) t.join();
}

struct Early {
    Launch* launch;
    std::vector<Block*> blocks;
};

void* begin_early(Launch* l, u32 blocks) {
    auto* e = new Early{l, {}};
    l->early = true;
    host().state = l->a.seed + 77;
    blocks = std::min(blocks, total(l));
    l->a.seed -= l->a.seed ? l->a.seed % total(l) : 0; // these are the first
    for (u32 i = 0; i < blocks; i++) {
        e->blocks.push_back(take());
        start(e->blocks[i], l, i);
    }
    l->next = blocks;
    run_until(e->blocks, l, at_wait);
    flush(l);
    return e;
}

Launch* end_early(void* handle) {
    auto* e = (Early*)handle;
    Launch* l = e->launch;
    l->early = false;
    for (Block* b : e->blocks)
        for (u32 i = 0; i < b->threads; i++) {
            Fibre* f = b->fibres + i;
            if (f->early && !f->done) f->early = 0, ready(f);
        }
    if (!l->failed && run_until(e->blocks, l, finished)) host().pool.insert(host().pool.end(), e->blocks.begin(), e->blocks.end());
    if (!l->failed) work(l, 0);
    flush(l);
    delete e;
    return l;
}
} // namespace simt
