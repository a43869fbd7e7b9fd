// state.h: what the fake driver knows. Everything is guarded by one mutex; kernels run without it, and where memory
// and modules come and go, between two kernels (AtRest).
#pragma once
#include "../host/abi.h"
#include "types.h"
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <vector>

typedef std::chrono::steady_clock Time;

struct CUctx_st {
    int device;
};
struct CUmod_st {
    void* library;
    const simt_module* m;
    int loaded; // how often
};
struct CUfunc_st {
    CUmod_st* module;
    int kernel;
    std::string name;
    uint32_t params, size[16];
    uint32_t max_dynamic;
};
struct CUevent_st {
    uint64_t wanted = 0, done = 0; // how often it was recorded, and reached
    bool timing;
    Time::time_point at;
};

// A piece of work of a stream or a graph.
struct Work {
    enum Kind { KERNEL, COPY, SET, RECORD, WAIT } kind;
    CUfunc_st* function = nullptr;
    simt_launch launch{};
    bool overlaps = false; // may begin before the kernel in front has ended
    std::vector<std::vector<char>> params;
    void* to = nullptr;
    const void* from = nullptr;
    std::vector<char> taken; // what pageable memory of the host held
    size_t n = 0;
    uint32_t value = 0, width = 1;
    CUevent_st* event = nullptr;
    uint64_t turn = 0;
};
struct CUstream_st {
    int device;
    std::deque<Work> queue;
    bool busy = false;
};
struct CUgraphNode_st {
    Work work;
    std::vector<CUgraphNode_st*> after;
};
struct CUgraph_st {
    std::vector<CUgraphNode_st*> nodes;
};
struct CUgraphExec_st {
    std::vector<Work> work; // in an order that the edges allow
};

struct Allocation {
    size_t size;
    int device;
    std::string tag;
};

struct State {
    std::mutex mutex;
    std::mutex item; // held while a kernel, a copy or a set runs
    std::condition_variable work, done;
    bool started = false;
    std::atomic<int> sticky{0}; // after a kernel's failure
    int waiting = 0; // threads that wait for work, which lets a lazy device begin
    std::string last;
    std::map<std::string, std::pair<int, int>> inject; // the n-th call of a function gives a code
    std::map<std::string, std::pair<int, int>> faults; // the n-th launch of a kernel fails
    std::map<std::string, int> calls, launched;
    std::vector<CUctx_st> contexts;
    std::vector<CUstream_st*> streams;
    std::vector<CUmod_st*> modules;
    std::map<uintptr_t, Allocation> memory, pinned;
    std::vector<size_t> used; // bytes, by device
    int events = 0, graphs = 0, execs = 0, retained = 0;
    uint32_t launches = 1; // the number of the last one

    uint64_t seed, random;
    long lazy, threads, sms, adversary, version, capability;
    size_t total; // bytes of a device
};
State& state();

// While it is held nothing runs: kernels, copies and the checker find memory and modules by lists of them. The mutexes are
// taken as one, for the executor takes the second while it holds the first.
class AtRest {
    std::scoped_lock<std::mutex, std::mutex> hold{state().item, state().mutex};
};

// Begins a call: counts it, gives the code that was asked for, or that the state gives.
int enter(const char* function, bool needs_context = true);
#define ENTER(...)                                           \
    if (int code_ = enter(__func__, ##__VA_ARGS__)) return CODE(code_)

int device_now();
long setting(const char* name, long otherwise);
uint64_t random64();
Allocation* allocation_of(uintptr_t p, size_t n); // that holds n bytes at p
void push(CUstream_st*, Work&&);
int finish(CUstream_st*); // waits; the sticky error
CUstream_st* stream_of(CUstream);
int kernel_work(Work&, CUfunction, const unsigned* grid, const unsigned* block, unsigned shared, void** params);
void start_executor();
void announce(void* p, size_t n, bool add, bool written); // memory, to all modules
