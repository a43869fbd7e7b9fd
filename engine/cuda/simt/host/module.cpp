// module.cpp: a module's face to the fake driver.
#include "run.h"
#include <cstdio>
#include <map>
#include <mutex>

namespace simt {
Launch* prepare(const Kernel*, const simt_launch*, void** params);
void run(Launch*);
void* begin_early(Launch*, u32 blocks);
Launch* end_early(void*);
void check_region(void* p, size_t n, bool add, bool written);
void check_wrote(void* p, size_t n);
void check_traffic(void* p, u64 out[4]);
extern const bool checked;
} // namespace simt
using namespace simt;

static std::mutex mutex;
static std::map<int, simt_counts> all_counts;

static const Kernel* kernel_at(int i) {
    const Kernel* k = Kernel::first();
    while (k && i--) k = k->next;
    return k;
}
static int find(const char* name) {
    int i = 0;
    for (Kernel* k = Kernel::first(); k; k = k->next, i++)
        if (!strcmp(k->name, name)) return i;
    return -1;
}
static const char* name_of(int i) {
    const Kernel* k = kernel_at(i);
    return k ? k->name : nullptr;
}
static int params_of(int i, uint32_t* sizes) {
    const Kernel* k = kernel_at(i);
    for (u32 j = 0; j < k->count; j++) sizes[j] = k->size[j];
    return k->count;
}
static int end(Launch* l, char* error, uint32_t size) {
    int code = l->failed;
    if (error && size) snprintf(error, size, "%s", l->error);
    {
        std::lock_guard<std::mutex> hold(mutex);
        simt_counts& to = all_counts[find(l->kernel->name)];
        u64* sum = (u64*)&to;
        const u64* more = (const u64*)&l->counts;
        for (size_t i = 0; i < sizeof to / sizeof *sum; i++) sum[i] += more[i];
    }
    delete l;
    return code;
}
static int launch(int k, const simt_launch* a, void** params, char* error, uint32_t size) {
    Launch* l = prepare(kernel_at(k), a, params);
    run(l);
    return end(l, error, size);
}
static void* early(int k, const simt_launch* a, void** params, uint32_t blocks) { return begin_early(prepare(kernel_at(k), a, params), blocks); }
static int resume(void* e, char* error, uint32_t size) { return end(end_early(e), error, size); }
static void region(void* p, size_t n, int add, int written) { check_region(p, n, add, written); }
static void wrote(void* p, size_t n) { check_wrote(p, n); }
static const simt_counts* counts_of(int k) { return &all_counts[k]; }
static void traffic(void* p, uint64_t out[4]) { check_traffic(p, (u64*)out); }
static void forget() {
    std::lock_guard<std::mutex> hold(mutex);
    all_counts.clear();
}

extern "C" __attribute__((visibility("default"))) const simt_module* simt_module_v2() {
    static const simt_module m = {2, checked, find, name_of, params_of, launch, early, resume, region, wrote, counts_of, traffic, forget};
    return &m;
}
