// memory.cpp: memory of the device is memory of the host with a wide gap on both sides, so that a wild index meets
// nothing; what nobody wrote is NaN.
#include "state.h"
#include <sys/mman.h>
#include <cstdlib>
#include <cstring>

static const size_t GAP = 64 << 20, PAGE = 4096;
static const size_t POISONED = 64 << 20; // larger ones begin as zeros, which cost nothing

static size_t rounded(size_t n) { return (n + PAGE - 1) / PAGE * PAGE; }

Allocation* allocation_of(uintptr_t p, size_t n) {
    State& s = state();
    for (auto* all : {&s.memory, &s.pinned}) {
        auto a = all->upper_bound(p);
        if (a == all->begin()) continue;
        --a;
        if (p + n <= a->first + a->second.size) return &a->second;
    }
    return nullptr;
}
void announce(void* p, size_t n, bool add, bool written) {
    for (CUmod_st* m : state().modules) m->m->region(p, n, add, written);
}

API cuMemGetInfo(size_t* free, size_t* total) {
    ENTER();
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    *total = s.total, *free = s.total - s.used[device_now()];
    return CODE(0);
}
API cuMemAlloc(CUdeviceptr* p, size_t n) {
    ENTER();
    State& s = state();
    AtRest hold;
    int d = device_now();
    if (!n) return CODE(1);
    if (s.used[d] + n > s.total) {
        s.last = "the emulated device has no more memory";
        return CODE(2);
    }
    char* m = (char*)mmap(nullptr, rounded(n) + 2 * GAP, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) return CODE(2);
    mprotect(m + GAP, rounded(n), PROT_READ | PROT_WRITE);
    if (n <= POISONED) memset(m + GAP, 0xff, n);
    s.memory[(uintptr_t)m + GAP] = {n, d, ""};
    s.used[d] += n;
    announce(m + GAP, n, true, false);
    *p = (CUdeviceptr)(m + GAP);
    return CODE(0);
}
API cuMemFree(CUdeviceptr p) {
    ENTER();
    for (CUstream_st* s : std::vector<CUstream_st*>(state().streams)) finish(s);
    State& s = state();
    AtRest hold;
    auto a = s.memory.find(p);
    if (a == s.memory.end()) return CODE(1);
    announce((void*)p, 0, false, false);
    munmap((void*)(p - GAP), rounded(a->second.size) + 2 * GAP);
    s.used[a->second.device] -= a->second.size;
    s.memory.erase(a);
    return CODE(0);
}
API cuMemHostAlloc(void** p, size_t n, unsigned) {
    ENTER();
    State& s = state();
    AtRest hold;
    if (!n || !(*p = aligned_alloc(PAGE, rounded(n)))) return CODE(n ? 2 : 1);
    memset(*p, 0, n);
    s.pinned[(uintptr_t)*p] = {n, device_now(), ""};
    announce(*p, n, true, true);
    return CODE(0);
}
API cuMemFreeHost(void* p) {
    ENTER();
    State& s = state();
    AtRest hold;
    if (!s.pinned.erase((uintptr_t)p)) return CODE(1);
    announce(p, 0, false, false);
    free(p);
    return CODE(0);
}
API cuMemHostGetDevicePointer(CUdeviceptr* d, void* p, unsigned) {
    ENTER();
    *d = (CUdeviceptr)p;
    return CODE(0);
}

// A copy: memory of the host that isn't pinned is read at once, as the driver does.
static CUresult copy(CUstream stream, void* to, const void* from, size_t n, bool take, bool wait) {
    Work w{Work::COPY};
    w.to = to, w.from = from, w.n = n;
    if (take) w.taken.assign((const char*)from, (const char*)from + n);
    push(stream_of(stream), std::move(w));
    return CODE(wait ? finish(stream_of(stream)) : 0);
}
static bool holds(CUdeviceptr p, size_t n) {
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    if (allocation_of(p, n)) return true;
    s.last = "a copy or a set leaves the allocation";
    return false;
}
static bool is_pinned(const void* p, size_t n) {
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    return allocation_of((uintptr_t)p, n) != nullptr;
}
API cuMemcpyHtoD(CUdeviceptr d, const void* h, size_t n) {
    ENTER();
    return holds(d, n) ? copy(nullptr, (void*)d, h, n, false, true) : CODE(1);
}
API cuMemcpyDtoH(void* h, CUdeviceptr d, size_t n) {
    ENTER();
    return holds(d, n) ? copy(nullptr, h, (void*)d, n, false, true) : CODE(1);
}
API cuMemcpyHtoDAsync(CUdeviceptr d, const void* h, size_t n, CUstream s) {
    ENTER();
    return holds(d, n) ? copy(s, (void*)d, h, n, !is_pinned(h, n), false) : CODE(1);
}
API cuMemcpyDtoHAsync(void* h, CUdeviceptr d, size_t n, CUstream s) {
    ENTER();
    return holds(d, n) ? copy(s, h, (void*)d, n, false, false) : CODE(1);
}
API cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t n, CUstream s) {
    ENTER();
    return holds(to, n) && holds(from, n) ? copy(s, (void*)to, (void*)from, n, false, false) : CODE(1);
}
static CUresult set(CUdeviceptr d, uint32_t v, uint32_t width, size_t n, CUstream stream) {
    if (!holds(d, n * width)) return CODE(1);
    Work w{Work::SET};
    w.to = (void*)d, w.value = v, w.width = width, w.n = n;
    push(stream_of(stream), std::move(w));
    return CODE(0);
}
API cuMemsetD8Async(CUdeviceptr d, unsigned char v, size_t n, CUstream s) {
    ENTER();
    return set(d, v, 1, n, s);
}
API cuMemsetD32Async(CUdeviceptr d, unsigned v, size_t n, CUstream s) {
    ENTER();
    return set(d, v, 4, n, s);
}

// Maps of two dimensions in bf16 with the swizzle of 128 bytes, which is what the kernels use. Limits are those of cuda.h.
API cuTensorMapEncodeTiled(CUtensorMap* to, CUtensorMapDataType type, cuuint32_t rank, void* address, const cuuint64_t* sizes, const cuuint64_t* strides,
                           const cuuint32_t* box, const cuuint32_t* steps, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion,
                           CUtensorMapFloatOOBfill fill) {
    ENTER();
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    auto no = [&](const char* why) {
        s.last = std::string("a tensor map: ") + why;
        return CODE(1);
    };
    if ((uintptr_t)to % 64) return no("its place isn't a multiple of 64");
    if ((int)type != 9 || rank != 2 || (int)interleave || (int)swizzle != 3 || (int)fill) return no("the emulator knows bf16 in two dimensions in the swizzle of 128 bytes only");
    if ((uintptr_t)address % 16 || strides[0] % 16 || strides[0] >= 1ull << 40) return no("the address or the stride isn't a multiple of 16");
    if (!sizes[0] || !sizes[1] || sizes[0] > 1ull << 32 || sizes[1] > 1ull << 32 || strides[0] < sizes[0] * 2) return no("a size that is 0, too large, or wider than the stride");
    if (!box[0] || !box[1] || box[0] > 256 || box[1] > 256 || box[0] * 2 > 128 || box[0] * 2 % 16) return no("a box of 0, of more than 256 rows, or whose rows aren't 16 to 128 bytes");
    if (steps[0] != 1 || steps[1] != 1) return no("steps that aren't 1");
    if (!allocation_of((uintptr_t)address, strides[0] * (sizes[1] - 1) + sizes[0] * 2)) return no("it leaves the allocation");
    memset(to, 0, sizeof *to);
    *(simt_tensor*)to = {SIMT_TENSOR, (uint64_t)address, sizes[0], sizes[1], strides[0], box[0], box[1], 2, 0};
    return CODE(0);
}
