// meet.cpp: where threads meet: warps, barriers of a block, mbarriers; and asynchronous copies, which are done as
// late as the program allows and leave NaN until then.
#include "run.h"
#include <cstdlib>

namespace simt {

static Group* group_of(Fibre* f, u32 mask) {
    Warp* w = f->warp;
    if (!(mask >> f->lane & 1)) fail(SIMT_FAILED, "lane %u is not in its own mask %08x", f->lane, mask);
    for (u32 i = 0; i < w->groups; i++)
        if (w->group[i]->mask == mask) return w->group[i];
    if (w->groups == 8) fail(SIMT_FAILED, "more than 8 masks of lanes in one warp");
    Group* g = (Group*)aligned_alloc(64, (sizeof(Group) + 63) & ~(size_t)63);
    memset((void*)g, 0, sizeof *g);
    g->mask = mask;
    w->group[w->groups++] = g;
    return g;
}

static u8* meet_(u32 mask, const void* v, u32 n, Leader leader, bool orders) {
    Fibre* f = self();
    Group* g = group_of(f, mask);
    u8* slots = g->slots[g->epoch & 1];
    memcpy(slots + f->lane * 32, v, n);
    u32 missing = mask & ~f->warp->live;
    if (missing) fail(SIMT_FAILED, "an operation of lanes %08x, of which %08x have ended", mask, missing);
    g->arrived |= 1u << f->lane;
    if (g->arrived == mask) {
        g->arrived = 0;
        g->epoch++;
        check_warp(*g, orders);
        if (leader) leader(slots);
        f->warp->ready |= mask & ~(1u << f->lane);
    } else {
        park();
    }
    return slots;
}
u8* meet(u32 mask, const void* v, u32 n, Leader leader) { return meet_(mask, v, n, leader, false); }

void sync_warp(u32 mask) {
    u8 nothing = 0;
    meet_(mask, &nothing, 1, nullptr, true);
}
u32 shuffle(u32 v, u32 from) {
    counts().shuffles += self()->lane == 0;
    u8* s = meet(FULL, &v, 4, nullptr);
    memcpy(&v, s + from * 32, 4);
    return v;
}
u64 shuffle64(u64 v, u32 from) {
    counts().shuffles += 2 * (self()->lane == 0);
    u8* s = meet(FULL, &v, 8, nullptr);
    memcpy(&v, s + from * 32, 8);
    return v;
}
u32 vote(u32 bit) {
    u8* s = meet(FULL, &bit, 4, nullptr);
    u32 all = 0;
    for (u32 i = 0; i < 32; i++) all |= (u32)(s[i * 32] & 1) << i;
    return all;
}

// Of barrier id for n threads, or all: true where this was the last to come.
static bool arrive(int id, int n) {
    Fibre* f = self();
    Block* b = f->of;
    Barrier& x = b->barrier[id];
    u32 want = n < 0 ? b->threads : n;
    if (n < 0 && b->live != b->threads) fail(SIMT_FAILED, "__syncthreads after %u thread(s) of the block have ended", b->threads - b->live);
    if (n >= 0 && (want % 32 || want > b->threads)) fail(SIMT_FAILED, "barrier %d for %u threads: want a multiple of 32, at most %u", id, want, b->threads);
    if (x.arrived && x.expect != want) fail(SIMT_FAILED, "barrier %d: some come for %u threads, others for %u", id, x.expect, want);
    x.expect = want;
    counts().barriers += f->lane == 0;
    check_barrier_arrive(x, f);
    if (++x.arrived != want) return false;
    x.arrived = 0;
    return true;
}
static void release(Barrier& x, Fibre* last) {
    std::vector<Fibre*> out;
    out.swap(x.waiting);
    for (Fibre* w : out) ready(w);
    if (last) out.push_back(last);
    check_barrier_leave(x, out);
}
void sync_block(int id, int n) {
    Fibre* f = self();
    Barrier& x = f->of->barrier[id];
    if (arrive(id, n)) {
        release(x, f);
        return;
    }
    x.waiting.push_back(f);
    park();
}
void arrive_block(int id, int n) {
    if (arrive(id, n)) release(self()->of->barrier[id], nullptr);
}

// ---- cp.async ----
void copy_issue(void* to, const void* from, bool ok) {
    if (((uintptr_t)to | (uintptr_t)from) & 15) fail(SIMT_MISALIGNED, "cp.async of 16 bytes: an address isn't a multiple of 16");
    Async& a = async_of(self());
    if (a.copies == 64) fail(SIMT_FAILED, "more than 64 cp.async of a thread under way: the emulator holds no more");
    check_access(to, 16, true);
    if (ok) check_access(from, 16, false);
    memset(to, 0xff, 16);
    a.copy[a.copies++] = {to, from, ok};
    counts().copies++;
}
void copy_commit() {
    Async& a = async_of(self());
    if (a.groups == 16) fail(SIMT_FAILED, "more than 16 groups of cp.async");
    a.group_end[a.groups++] = a.copies;
}
void copy_wait(u32 keep) {
    Fibre* f = self();
    if (!f->async || f->async->groups <= keep) return;
    Async& a = *f->async;
    u32 drop = a.groups - keep, end = a.group_end[drop - 1];
    for (u32 i = 0; i < end; i++) {
        Async::Copy& c = a.copy[i];
        if (c.ok)
            memcpy(c.to, c.from, 16);
        else
            memset(c.to, 0, 16);
        check_access(c.to, 16, true);
    }
    memmove(a.copy, a.copy + end, (a.copies - end) * sizeof a.copy[0]);
    a.copies -= end;
    for (u32 i = 0; i < keep; i++) a.group_end[i] = a.group_end[i + drop] - end;
    a.groups = keep;
}

// ---- mbarriers: bit 0 the phase, 1 to 15 the count, 16 to 31 arrivals that are missing, 32 to 63 bytes that are ----
static void update(u64* bar, u32 arrivals, int bytes) {
    u64 v = *bar;
    u32 phase = v & 1, count = v >> 1 & 0x7fff, missing = v >> 16 & 0xffff;
    int32_t left = (int32_t)(v >> 32);
    if (arrivals > missing) fail(SIMT_FAILED, "mbarrier: more arrivals than its count of %u", count);
    missing -= arrivals, left += bytes;
    if (!missing && !left) phase ^= 1, missing = count;
    *bar = (u64)(u32)left << 32 | (u64)missing << 16 | count << 1 | phase;
    Block* b = self()->of;
    for (Fibre* f : b->at_mbarrier) ready(f);
    b->at_mbarrier.clear();
}
void mbar_init_(u64* b, u32 n) {
    check_access(b, 8, true);
    *b = (u64)n << 16 | n << 1;
}
void mbar_arrive_(u64* b, u32 bytes) {
    check_mbar_arrive(b);
    update(b, 1, bytes);
}
void bulk_(void* to, const void* from, u32 n, u64* bar) {
    if (((uintptr_t)to | (uintptr_t)from | n) & 15) fail(SIMT_MISALIGNED, "cp.async.bulk: an address or the size isn't a multiple of 16");
    check_access(from, n, false);
    check_access(to, n, true);
    memset(to, 0xff, n);
    self()->of->bulks.push_back({to, from, n, bar});
    counts().bulks++;
}
// The part of row i of a box that lies within the matrix: where it is, and how many bytes of it.
static const u8* box_row(const simt_tensor& m, int column, int row, u32 i, u32* n) {
    *n = 0;
    if (column < 0 || row < 0 || (u64)row + i >= m.rows || (u64)column >= m.columns) return nullptr;
    u64 left = m.columns - column;
    *n = (left < m.box_columns ? left : m.box_columns) * m.size;
    return (const u8*)m.address + ((u64)row + i) * m.stride + (u64)column * m.size;
}
void tensor_(void* to, const TensorMap* map, int column, int row, u64* bar) {
    const simt_tensor* m = (const simt_tensor*)map;
    if (m->magic != SIMT_TENSOR) fail(SIMT_FAILED, "cp.async.bulk.tensor: this isn't a tensor map that the driver made");
    u32 at = (u32)((u8*)to - self()->of->shared), n = m->box_rows * m->box_columns * m->size;
    if (at % 1024) fail(SIMT_MISALIGNED, "cp.async.bulk.tensor to shared+%#x, which isn't a multiple of 1,024: the swizzle of 128 bytes begins there", at);
    for (u32 i = 0; i < m->box_rows; i++) {
        u32 part;
        const u8* from = box_row(*m, column, row, i, &part);
        if (part) check_access(from, part, false);
    }
    check_access(to, n, true);
    memset(to, 0xff, n);
    self()->of->bulks.push_back({to, nullptr, n, bar, m, column, row});
    counts().bulks++;
}
static void arrived(const Bulk& k) {
    if (!k.matrix) {
        memcpy(k.to, k.from, k.n);
        return;
    }
    u32 wide = k.matrix->box_columns * k.matrix->size;
    for (u32 i = 0; i < k.matrix->box_rows; i++) {
        u32 part;
        const u8* from = box_row(*k.matrix, k.column, k.row, i, &part);
        for (u32 j = 0; j < wide; j += 16) {
            u8* to = (u8*)k.to + i * wide + (j ^ i % 8 * 16);
            u32 there = part > j ? part - j : 0;
            memset(to, 0, 16);
            memcpy(to, from + j, there < 16 ? there : 16);
        }
    }
}
void mbar_wait_(u64* bar, u32 parity) {
    Fibre* f = self();
    Block* b = f->of;
    while ((*bar & 1) == parity) {
        bool any = false;
        for (size_t i = 0; i < b->bulks.size() && !any; i++) {
            Bulk k = b->bulks[i];
            if (k.bar != bar) continue;
            b->bulks.erase(b->bulks.begin() + i);
            arrived(k);
            check_forget_shared(k.to, k.n);
            update(bar, 0, -(int)k.n);
            any = true;
        }
        if (any) continue;
        b->at_mbarrier.push_back(f);
        park();
    }
    check_mbar_wait(bar);
}
} // namespace simt
