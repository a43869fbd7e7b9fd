// check.cpp: the checker. Kernels are compiled with -fsanitize=thread, and these are the functions that are called
// before each of their loads and stores; nothing of ThreadSanitizer itself is linked.
//
// Order between threads is kept by vector clocks, one entry a thread, as in FastTrack (Flanagan and Freund, PLDI 2009): a
// thread counts its releases; what it knows of others is a shared vector that barriers, warps, mbarriers and
// atomics join. Of another block it knows what that block's threads released to it. Shuffles order nothing.
#include "run.h"
#include <sys/mman.h>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <unordered_map>

namespace simt {
extern const bool checked;
const bool checked = true;

typedef std::vector<u32> Stamps; // by thread of a block: the last of its releases that is known
struct Known {
    Stamps own;
    std::map<u32, std::shared_ptr<const Stamps>> foreign; // by block
};
typedef std::shared_ptr<const Known> View;

// What a thread knows, or what waits at a barrier for those who come.
struct Clock {
    View base;
    u32 stamp = 1;     // of this thread's accesses
    View fenced;       // what it knew at its last fence, which relaxed atomics pass on
    View pending;      // what relaxed atomics brought, which its next fence takes up
    u32 pending_of = 0; // the block that published it
    const Known* seen = nullptr; // the base that was joined last
};

static void raise(Stamps& to, const Stamps& from) {
    for (size_t i = 0; i < to.size() && i < from.size(); i++) to[i] = std::max(to[i], from[i]);
}
static void raise(std::shared_ptr<const Stamps>& to, const std::shared_ptr<const Stamps>& from) {
    if (!to || to == from) {
        to = from;
        return;
    }
    auto sum = std::make_shared<Stamps>(*to);
    raise(*sum, *from);
    to = sum;
}

// to learns all that from, of block `of`, knows; to is of block `me`.
static void learn(Known& to, u32 me, const Known& from, u32 of) {
    if (me == of) {
        raise(to.own, from.own);
    } else {
        std::shared_ptr<const Stamps> theirs = std::make_shared<Stamps>(from.own);
        raise(to.foreign[of], theirs);
    }
    for (auto& f : from.foreign) {
        if (f.first == me)
            raise(to.own, *f.second);
        else
            raise(to.foreign[f.first], f.second);
    }
}

// All that a thread knows, itself included.
static std::shared_ptr<Known> all_of(Fibre* f) {
    auto k = std::make_shared<Known>(*f->clock->base);
    k->own[f->flat] = f->clock->stamp;
    return k;
}
static void take(Fibre* f, const View& v, u32 of) {
    if (!v || v == f->clock->base) return;
    auto k = std::make_shared<Known>(*f->clock->base);
    learn(*k, f->of->number, *v, of);
    f->clock->base = k;
}

// ---- memory ----
struct Access {
    u32 launch, stamp;
    u16 block, thread;
    bool atomic;
};
struct Cell { // of two bytes
    Access write, read;
    u32 more; // further readers, 1 + their index; 0 for none
};
constexpr u32 HOST = 1; // the launch of what the host wrote; launches begin with 2

struct Readers {
    std::vector<Access> list; // one a warp
};
struct Shadow {
    uintptr_t low, high;
    Cell* cells; // null: too large to be followed
    size_t size;
    std::vector<Readers>* readers;
    u64 traffic[4] = {}; // bytes read, written, distinct ones read, written
};
static std::vector<Shadow> regions; // by address
constexpr size_t FOLLOWED = 64u << 20;
static std::map<u32, const char*> names; // of the last launches

static Cell* new_cells(size_t n) {
    void* m = mmap(nullptr, n * sizeof(Cell), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return m == MAP_FAILED ? nullptr : (Cell*)m;
}
void check_wrote(void* p, size_t n) {
    for (Shadow& s : regions) {
        uintptr_t a = (uintptr_t)p;
        if (a < s.low || a >= s.high || !s.cells) continue;
        for (size_t i = (a - s.low) / 2; i < (a - s.low + n + 1) / 2 && i < s.size; i++) {
            s.cells[i].write = {HOST, 0, 0, 0, false};
            s.cells[i].read = {0, 0, 0, 0, false};
            s.cells[i].more = 0;
        }
    }
}
void check_region(void* p, size_t n, bool add, bool written) {
    uintptr_t low = (uintptr_t)p;
    for (size_t i = 0; i < regions.size(); i++)
        if (regions[i].low == low) {
            if (regions[i].cells) munmap(regions[i].cells, regions[i].size * sizeof(Cell));
            delete regions[i].readers;
            regions.erase(regions.begin() + i);
            break;
        }
    if (!add) return;
    Shadow s{low, low + n, nullptr, n / 2 + 1, new std::vector<Readers>};
    if (n <= FOLLOWED) s.cells = new_cells(s.size);
    regions.insert(std::lower_bound(regions.begin(), regions.end(), s, [](const Shadow& a, const Shadow& b) { return a.low < b.low; }), s);
    if (written) check_wrote(p, n);
}

void check_traffic(void* p, u64 out[4]) {
    out[0] = out[1] = out[2] = out[3] = 0;
    for (Shadow& s : regions)
        if (s.low == (uintptr_t)p) memcpy(out, s.traffic, sizeof s.traffic);
}

// A block's shared memory.
struct Check {
    Shadow shared;
    std::vector<Clock> clocks;
    std::unordered_map<u64*, View> mbarriers;
    u32 used = 0; // bytes of shadow that were touched
};
// What was published by atomics at an address.
struct Published {
    View first;
    u32 second = 0; // the block that published last
    u32 launch = 0; // to which it belongs; launches that began early run between others
};
static std::unordered_map<const void*, Published> atomics;

static Published& published(const void* p, Fibre* f) {
    Published& at = atomics[p];
    u32 launch = f->of->launch->a.number;
    if (at.launch != launch) at = {nullptr, 0, launch};
    return at;
}

void check_start(Block* b) {
    if (!b->check) {
        b->check = new Check;
        b->check->shared = {0, 0, new_cells(SHARED_WINDOW), SHARED_WINDOW, new std::vector<Readers>};
    }
    Check& c = *b->check;
    // Pages of zeros again, where they were touched.
    madvise(c.shared.cells, SHARED_WINDOW * sizeof(Cell), MADV_DONTNEED);
    c.shared.readers->clear();
    c.shared.low = (uintptr_t)b->shared, c.shared.high = c.shared.low + SHARED_WINDOW;
    c.mbarriers.clear();
    c.clocks.assign(b->threads, Clock());
    auto nothing = std::make_shared<Known>();
    nothing->own.assign(b->threads, 0);
    for (u32 i = 0; i < b->threads; i++) {
        c.clocks[i].base = nothing;
        b->fibres[i].clock = &c.clocks[i];
    }
    for (Barrier& x : b->barrier) {
        delete x.clock;
        x.clock = nullptr;
    }
    if (atomics.size() > 65536) atomics.clear();
    names[b->launch->a.number] = b->launch->kernel->name;
    if (names.size() > 64) names.erase(names.begin());
}

static bool before(const Access& a, Fibre* f) {
    u32 launch = f->of->launch->a.number;
    if (a.launch != launch) return a.launch < launch;
    const Known& k = *f->clock->base;
    if (a.block == (u16)f->of->number) return a.thread == f->flat || k.own[a.thread] >= a.stamp;
    for (auto& x : k.foreign)
        if ((u16)x.first == a.block) return a.thread < x.second->size() && (*x.second)[a.thread] >= a.stamp;
    return false;
}

[[noreturn]] static void race(const char* what, const char* then, const Access& a, const char* space, size_t at, Fibre* f) {
    u32 launch = f->of->launch->a.number;
    if (a.launch > launch)
        fail(SIMT_RACE, "race on %s+%#zx: kernel %s, launched later, has a %s there before its griddepcontrol.wait, and this is a %s", space, at, names[a.launch], what, then);
    if (a.block != (u16)f->of->number)
        fail(SIMT_RACE, "race on %s+%#zx: %s after %s by thread %u of block %u, and nothing orders the two blocks", space, at, then, what, a.thread, a.block);
    if (a.thread / 32 == f->flat / 32)
        fail(SIMT_RACE, "race on %s+%#zx: %s after %s by thread %u of the same warp, with no __syncwarp between", space, at, then, what, a.thread);
    fail(SIMT_RACE, "race on %s+%#zx: %s after %s by thread %u, with no barrier between", space, at, then, what, a.thread);
}

static void touch(Shadow& s, size_t at, Fibre* f, bool write, bool atomic, const char* space, bool device) {
    Cell& c = s.cells[at / 2];
    u32 launch = f->of->launch->a.number;
    Access me{launch, f->clock->stamp, (u16)f->of->number, (u16)f->flat, atomic};
    if (!c.write.launch && !write && !atomic) fail(SIMT_ADDRESS, "read of %s+%#zx, which nobody wrote", space, at);
    if (c.write.launch > HOST && !(atomic && c.write.atomic) && !before(c.write, f)) race("write", write ? "write" : "read", c.write, space, at, f);
    if (write) {
        if (c.read.launch && !(atomic && c.read.atomic) && !before(c.read, f)) race("read", "write", c.read, space, at, f);
        if (c.more)
            for (const Access& a : (*s.readers)[c.more - 1].list)
                if (!(atomic && a.atomic) && !before(a, f)) race("read", "write", a, space, at, f);
        if (device && c.write.launch != launch) counts().distinct_written += 2, s.traffic[3] += 2;
        c.write = me, c.read = {0, 0, 0, 0, false}, c.more = 0;
        return;
    }
    if (device && c.read.launch != launch) counts().distinct_read += 2, s.traffic[2] += 2;
    if (c.read.launch == launch && !before(c.read, f)) { // several readers that don't know each other
        if (!c.more) {
            s.readers->push_back({});
            c.more = s.readers->size();
        }
        std::vector<Access>& list = (*s.readers)[c.more - 1].list;
        for (Access& a : list)
            if (a.block == c.read.block && a.thread / 32 == c.read.thread / 32) {
                a = c.read;
                c.read = me;
                return;
            }
        if (list.size() < 64) list.push_back(c.read);
    }
    c.read = me;
}

extern "C" {
extern char __ehdr_start __attribute__((visibility("hidden")));
extern char _end __attribute__((visibility("hidden")));
}

// What a kernel may read besides: its parameters, what describes a thread, constants.
static bool allowed(uintptr_t a, Block* b) {
    Launch* l = b->launch;
    if (a - (uintptr_t)l->params < 8 * l->kernel->count || a - (uintptr_t)b->fibres < (uintptr_t)b->room * sizeof(Fibre)) return true;
    for (u32 i = 0; i < l->kernel->count; i++)
        if (a - (uintptr_t)l->params[i] < l->kernel->size[i]) return true;
    return a - (uintptr_t)l->kernel < sizeof(Kernel) || (a >= (uintptr_t)&__ehdr_start && a < (uintptr_t)&_end);
}

static void access(const void* p, u32 n, bool write, bool atomic) {
    if (!running() || p == (const void*)&current) return;
    Fibre* f = self();
    Block* b = f->of;
    uintptr_t a = (uintptr_t)p;
    if ((a - (uintptr_t)b->stacks) / STACK == f->flat && a >= (uintptr_t)b->stacks) return; // its own
    const char* what = write ? "write" : "read";
    if (a - (uintptr_t)b->shared < SHARED_WINDOW) {
        size_t at = a - (uintptr_t)b->shared;
        if (at + n > b->shared_static && !(at >= SHARED_DYNAMIC && at + n <= SHARED_DYNAMIC + b->launch->a.shared))
            fail(SIMT_ADDRESS, "%s of %u bytes outside shared memory, at %s+%#zx", what, n, at < SHARED_DYNAMIC ? "shared" : "dynamic", at < SHARED_DYNAMIC ? at : at - SHARED_DYNAMIC);
        if (n <= 16 && a & (n - 1)) fail(SIMT_MISALIGNED, "%s of %u bytes at shared+%#zx, which isn't a multiple", what, n, at);
        for (u32 i = 0; i < n; i += 2) touch(b->check->shared, at + i, f, write, atomic, "shared", false);
        return;
    }
    auto r = std::upper_bound(regions.begin(), regions.end(), a, [](uintptr_t x, const Shadow& s) { return x < s.low; });
    if (r != regions.begin() && a < (--r)->high) {
        size_t at = a - r->low;
        if (a + n > r->high) fail(SIMT_ADDRESS, "%s of %u bytes runs past its allocation of %zu bytes by %zu", what, n, (size_t)(r->high - r->low), (size_t)(a + n - r->high));
        if (n <= 16 && a & (n - 1)) fail(SIMT_MISALIGNED, "%s of %u bytes at allocation+%#zx, which isn't a multiple", what, n, at);
        (write ? counts().written : counts().read) += n;
        r->traffic[write] += n;
        if (!r->cells) return;
        char space[48];
        snprintf(space, sizeof space, "allocation of %zu bytes", (size_t)(r->high - r->low));
        for (u32 i = 0; i < n; i += 2) touch(*r, at + i, f, write, atomic, space, true);
        return;
    }
    if (a - (uintptr_t)b->stacks < (uintptr_t)b->room * STACK) fail(SIMT_ADDRESS, "%s of another thread's local memory", what);
    if (!write && allowed(a, b)) return;
    fail(SIMT_ADDRESS, "%s of %u bytes at %#lx: no allocation is there", what, n, (unsigned long)a);
}
void check_access(const void* p, u32 n, bool write) { access(p, n, write, false); }
void check_forget_shared(void* p, u32 n) {
    Block* b = self()->of;
    size_t at = (uintptr_t)p - (uintptr_t)b->shared;
    for (u32 i = 0; i < n; i += 2) b->check->shared.cells[(at + i) / 2] = {{HOST, 0, 0, 0, false}, {0, 0, 0, 0, false}, 0};
}

// ---- order ----
// Whoever comes adds what it knows to what waits; what it does later isn't covered.
static void publish(Clock*& at, Fibre* f) {
    if (!at) at = new Clock;
    Clock& c = *f->clock;
    auto* sum = at->base ? const_cast<Known*>(at->base.get()) : nullptr;
    if (!sum) {
        at->base = std::make_shared<Known>(*c.base);
        sum = const_cast<Known*>(at->base.get());
        at->seen = c.base.get();
    } else if (at->seen != c.base.get()) {
        learn(*sum, f->of->number, *c.base, f->of->number);
        at->seen = c.base.get();
    }
    sum->own[f->flat] = std::max(sum->own[f->flat], c.stamp);
    c.stamp++;
}
void check_barrier_arrive(Barrier& x, Fibre* f) { publish(x.clock, f); }
void check_barrier_leave(Barrier& x, const std::vector<Fibre*>& out) {
    for (Fibre* f : out) f->clock->base = x.clock->base;
    delete x.clock;
    x.clock = nullptr;
}
void check_warp(Group& g, bool orders) {
    if (!orders) return;
    Clock* sum = nullptr;
    Fibre* first = self()->warp->first;
    for (u32 i = 0; i < 32; i++)
        if (g.mask >> i & 1) publish(sum, first + i);
    for (u32 i = 0; i < 32; i++)
        if (g.mask >> i & 1) first[i].clock->base = sum->base;
    delete sum;
}
void check_mbar_arrive(u64* bar) {
    Fibre* f = self();
    View& v = f->of->check->mbarriers[bar];
    auto k = all_of(f);
    if (v) learn(*k, f->of->number, *v, f->of->number);
    v = k;
    f->clock->stamp++;
}
void check_mbar_wait(u64* bar) { take(self(), self()->of->check->mbarriers[bar], self()->of->number); }

void atomic_begin(const void* p, u32 n, int order, bool write) {
    Fibre* f = self();
    counts().atomics++;
    access(p, n, write, true);
    Published& at = published(p, f);
    if (!at.first) return;
    if (order & ACQUIRE)
        take(f, at.first, at.second);
    else
        f->clock->pending = at.first, f->clock->pending_of = at.second; // the last of a chain has the others
}
void atomic_end(const void* p, int order, bool write) {
    if (!write) return;
    Fibre* f = self();
    Published& at = published(p, f);
    View v;
    if (order & RELEASE) {
        v = all_of(f);
        f->clock->stamp++;
    } else {
        v = f->clock->fenced;
    }
    if (!v) return;
    if (at.first && !(order & ACQUIRE)) { // a chain of read-modify-writes passes on what it began with
        auto k = std::make_shared<Known>(*v);
        learn(*k, f->of->number, *at.first, at.second);
        v = k;
    }
    at.first = v, at.second = f->of->number;
}
void fence() {
    Fibre* f = self();
    if (f->clock->pending) {
        take(f, f->clock->pending, f->clock->pending_of);
        f->clock->pending = nullptr;
    }
    f->clock->fenced = all_of(f);
    f->clock->stamp++;
}
} // namespace simt

#define HOOKS(n)                                                                                 \
    extern "C" void __tsan_read##n(void* p) { simt::check_access(p, n, false); }                 \
    extern "C" void __tsan_write##n(void* p) { simt::check_access(p, n, true); }                 \
    extern "C" void __tsan_unaligned_read##n(void* p) { simt::check_access(p, n, false); }       \
    extern "C" void __tsan_unaligned_write##n(void* p) { simt::check_access(p, n, true); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_read_range(void* p, size_t n) { simt::check_access(p, n, false); }
void __tsan_write_range(void* p, size_t n) { simt::check_access(p, n, true); }
void* __tsan_memcpy(void* d, const void* s, size_t n) {
    simt::check_access(s, n, false);
    simt::check_access(d, n, true);
    return memcpy(d, s, n);
}
void* __tsan_memset(void* d, int c, size_t n) {
    simt::check_access(d, n, true);
    return memset(d, c, n);
}
}
