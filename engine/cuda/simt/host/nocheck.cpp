// nocheck.cpp: the hooks of a module that isn't checked.
#include "run.h"

namespace simt {
extern const bool checked;
const bool checked = false;
void check_region(void*, size_t, bool, bool) {}
void check_wrote(void*, size_t) {}
void check_traffic(void*, u64 out[4]) { out[0] = out[1] = out[2] = out[3] = 0; }
void check_access(const void*, u32, bool) {}
void check_start(Block*) {}
void check_barrier_arrive(Barrier&, Fibre*) {}
void check_barrier_leave(Barrier&, const std::vector<Fibre*>&) {}
void check_warp(Group&, bool) {}
void check_mbar_arrive(u64*) {}
void check_mbar_wait(u64*) {}
void check_forget_shared(void*, u32) {}
void atomic_begin(const void*, u32, int, bool) { counts().atomics++; }
void atomic_end(const void*, int, bool) {}
void fence() {}
} // namespace simt
