// device.cpp: start, devices, contexts, errors, and what tests ask the fake for. Settings come from the environment:
//   SIMT_DEVICES   how many there are (1)               SIMT_CC        compute capability, 90 for 9.0 (90)
//   SIMT_NODEVICE  1: none                              SIMT_DRIVER    the driver's version (13000)
//   SIMT_MIG       1: they are slices of one
//   SIMT_MEM_MB    memory of each (2048)                SIMT_SMS       multiprocessors (8)
//   SIMT_SEED      order of lanes, warps, blocks, streams; 0: as they come
//   SIMT_THREADS   threads of the host that run blocks (2)
//   SIMT_LAZY      1: work begins when someone waits    SIMT_PDL       0: no kernel begins early
//   SIMT_FAIL      f:n=code,…   the n-th call of f gives code
//   SIMT_FAULT     k:n=code,…   the n-th launch of kernel k fails
#include "state.h"
#include <dlfcn.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>

State& state() {
    static State* s = new State; // never destroyed: threads of the device outlive main
    return *s;
}
static thread_local CUctx_st* current;

long setting(const char* name, long otherwise) {
    const char* s = getenv(name);
    return s && *s ? atol(s) : otherwise;
}
uint64_t random64() {
    static std::mutex mutex;
    std::lock_guard<std::mutex> hold(mutex);
    State& s = state();
    s.random ^= s.random << 13, s.random ^= s.random >> 7, s.random ^= s.random << 17;
    return s.random;
}
static void parse(std::map<std::string, std::pair<int, int>>& to, const char* text) {
    char name[64];
    int n, code;
    while (text && sscanf(text, "%63[^:]:%d=%d", name, &n, &code) == 3) {
        to[name] = {n, code};
        text = strchr(text, ',');
        if (text) text++;
    }
}
int enter(const char* function, bool needs_context) {
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    std::string name = function; // of which tests know the plain one
    if (name.size() > 3 && name.compare(name.size() - 3, 3, "_v2") == 0) name.resize(name.size() - 3);
    int n = ++s.calls[name];
    auto f = s.inject.find(name);
    if (f != s.inject.end() && f->second.first == n) {
        s.last = "SIMT_FAIL asked for it";
        int code = f->second.second;
        if (code == 214 || code == 999 || code >= 700) s.sticky = code;
        return code;
    }
    if (!s.started) return 3;
    if (needs_context && !current) {
        s.last = name + ": no context is current on this OS thread";
        return 201;
    }
    return needs_context ? s.sticky.load() : 0;
}
int device_now() { return current ? current->device : 0; }

API cuInit(unsigned) {
    State& s = state();
    {
        std::lock_guard<std::mutex> hold(s.mutex);
        if (s.started) return CODE(0);
        s.seed = setting("SIMT_SEED", 0), s.random = (s.seed + 1) * 0x9E3779B97F4A7C15ull;
        s.lazy = setting("SIMT_LAZY", 0), s.threads = setting("SIMT_THREADS", 2), s.sms = setting("SIMT_SMS", 8);
        s.adversary = setting("SIMT_PDL", 1), s.version = setting("SIMT_DRIVER", 13000), s.capability = setting("SIMT_CC", 90);
        s.total = (size_t)setting("SIMT_MEM_MB", 2048) << 20;
        parse(s.inject, getenv("SIMT_FAIL"));
        parse(s.faults, getenv("SIMT_FAULT"));
        if (setting("SIMT_NODEVICE", 0)) return CODE(100);
        int n = setting("SIMT_DEVICES", 1);
        for (int i = 0; i < n; i++) s.contexts.push_back({i});
        s.used.assign(n, 0);
    }
    if (int code = [] {
            auto f = state().inject.find("cuInit");
            return f == state().inject.end() ? 0 : f->second.second;
        }())
        return CODE(code);
    start_executor();
    s.started = true;
    return CODE(0);
}
API cuDriverGetVersion(int* v) {
    *v = state().version;
    return CODE(0);
}
API cuDeviceGetCount(int* n) {
    ENTER(false);
    *n = state().contexts.size();
    return CODE(0);
}
API cuDeviceGet(CUdevice* d, int i) {
    ENTER(false);
    if (i < 0 || i >= (int)state().contexts.size()) return CODE(101);
    *d = i;
    return CODE(0);
}
API cuDeviceGetName(char* s, int n, CUdevice) {
    ENTER(false);
    snprintf(s, n, setting("SIMT_MIG", 0) ? "SIMT host emulator MIG 1g.10gb" : "SIMT host emulator");
    return CODE(0);
}
API cuDeviceGetUuid(CUuuid* u, CUdevice d) {
    ENTER(false);
    for (int i = 0; i < 16; i++) u->bytes[i] = (char)(d * 16 + i + 1);
    return CODE(0);
}
API cuDeviceGetPCIBusId(char* s, int n, CUdevice d) {
    ENTER(false);
    snprintf(s, n, "0000:%02X:00.0", d + 1);
    return CODE(0);
}
API cuDeviceTotalMem(size_t* n, CUdevice) {
    ENTER(false);
    *n = state().total;
    return CODE(0);
}
API cuDeviceGetAttribute(int* v, CUdevice_attribute a, CUdevice) {
    ENTER(false);
    long cc = state().capability;
    switch ((int)a) {
    case 1: *v = 1024; break;                          // threads of a block
    case 8: *v = 48 << 10; break;                      // shared memory of a block
    case 10: *v = 32; break;                           // warp
    case 16: *v = state().sms; break;                  // multiprocessors
    case 38: *v = 60 << 20; break;                     // L2
    case 75: *v = cc / 10; break;                      // compute capability
    case 76: *v = cc % 10; break;
    case 95: *v = 1; break;                            // cooperative launches
    case 97: *v = cc >= 90 ? 232448 : 101376; break;   // shared memory that a block may ask for
    default: *v = 0;
    }
    return CODE(0);
}
API cuDevicePrimaryCtxRetain(CUcontext* c, CUdevice d) {
    ENTER(false);
    state().retained++;
    *c = &state().contexts[d];
    return CODE(0);
}
API cuDevicePrimaryCtxRelease(CUdevice) {
    ENTER(false);
    state().retained--;
    return CODE(0);
}
API cuCtxSetCurrent(CUcontext c) {
    ENTER(false);
    current = c;
    return CODE(0);
}
API cuCtxSynchronize() {
    ENTER();
    int code = 0;
    for (CUstream_st* s : std::vector<CUstream_st*>(state().streams))
        if (int c = finish(s)) code = c;
    return CODE(code);
}
API cuGetErrorName(CUresult e, const char** s) {
    static const std::map<int, const char*> names{
        {0, "CUDA_SUCCESS"}, {1, "CUDA_ERROR_INVALID_VALUE"}, {2, "CUDA_ERROR_OUT_OF_MEMORY"}, {3, "CUDA_ERROR_NOT_INITIALIZED"},
        {46, "CUDA_ERROR_DEVICE_UNAVAILABLE"}, {100, "CUDA_ERROR_NO_DEVICE"}, {101, "CUDA_ERROR_INVALID_DEVICE"}, {200, "CUDA_ERROR_INVALID_IMAGE"},
        {201, "CUDA_ERROR_INVALID_CONTEXT"}, {209, "CUDA_ERROR_NO_BINARY_FOR_GPU"}, {214, "CUDA_ERROR_ECC_UNCORRECTABLE"}, {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"},
        {400, "CUDA_ERROR_INVALID_HANDLE"}, {500, "CUDA_ERROR_NOT_FOUND"}, {600, "CUDA_ERROR_NOT_READY"}, {700, "CUDA_ERROR_ILLEGAL_ADDRESS"},
        {702, "CUDA_ERROR_LAUNCH_TIMEOUT"}, {716, "CUDA_ERROR_MISALIGNED_ADDRESS"}, {719, "CUDA_ERROR_LAUNCH_FAILED"},
        {720, "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE"}, {999, "CUDA_ERROR_UNKNOWN"}};
    auto f = names.find((int)e);
    if (f == names.end()) return CODE(1);
    *s = f->second;
    return CODE(0);
}

// ---- of the fake only ----
#define FAKE extern "C" __attribute__((visibility("default")))
FAKE const char* simtLastError() {
    static thread_local std::string last;
    std::lock_guard<std::mutex> hold(state().mutex);
    last = state().last;
    return last.c_str();
}
FAKE int simtCalls(const char* function) {
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    auto f = s.calls.find(function);
    return f == s.calls.end() ? 0 : f->second;
}
FAKE int simtLeaks() {
    State& s = state();
    return s.memory.size() + s.pinned.size() + s.streams.size() - 1 + s.modules.size() + s.events + s.graphs + s.execs + s.retained;
}
// Counters of all kernels as JSON; gives how many bytes they take.
FAKE size_t simtCounters(char* to, size_t size) {
    State& s = state();
    AtRest hold;
    std::string out = "{";
    for (CUmod_st* m : s.modules)
        for (int k = 0; m->m->name(k); k++) {
            const simt_counts& c = *m->m->counts(k);
            if (!c.launches) continue;
            char line[640];
            snprintf(line, sizeof line,
                     "%s\"%s\":{\"launches\":%llu,\"blocks\":%llu,\"threads\":%llu,\"mma\":%llu,\"wgmma\":%llu,\"ldmatrix\":%llu,\"copies\":%llu,\"bulks\":%llu,"
                     "\"shuffles\":%llu,\"barriers\":%llu,\"atomics\":%llu,\"read\":%llu,\"written\":%llu,\"distinct_read\":%llu,\"distinct_written\":%llu}",
                     out.size() > 1 ? "," : "", m->m->name(k), (unsigned long long)c.launches, (unsigned long long)c.blocks, (unsigned long long)c.threads,
                     (unsigned long long)c.mma, (unsigned long long)c.wgmma, (unsigned long long)c.ldmatrix, (unsigned long long)c.copies, (unsigned long long)c.bulks,
                     (unsigned long long)c.shuffles, (unsigned long long)c.barriers, (unsigned long long)c.atomics, (unsigned long long)c.read,
                     (unsigned long long)c.written, (unsigned long long)c.distinct_read, (unsigned long long)c.distinct_written);
            out += line;
        }
    out += "}";
    if (to && size) snprintf(to, size, "%s", out.c_str());
    return out.size();
}
// Of an allocation: bytes read and written by kernels of checked modules, and distinct ones, each byte once a launch.
FAKE void simtTraffic(void* p, uint64_t out[4]) {
    AtRest hold;
    out[0] = out[1] = out[2] = out[3] = 0;
    for (CUmod_st* m : state().modules) {
        uint64_t more[4];
        m->m->traffic(p, more);
        for (int i = 0; i < 4; i++) out[i] += more[i];
    }
}
FAKE void simtForget() {
    AtRest hold;
    for (CUmod_st* m : state().modules) m->m->forget();
}
