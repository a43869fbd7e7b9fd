// module.cpp: modules are shared libraries that the tests build: "SIMTELF1", their size in 8 bytes, and the file.
#include "state.h"
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>
#include <algorithm>
#include <cstring>

API cuModuleLoadDataEx(CUmodule* to, const void* image, unsigned, CUjit_option*, void**) {
    ENTER();
    State& s = state();
    if (memcmp(image, "SIMTELF1", 8)) {
        s.last = "this isn't code for the emulator";
        return CODE(200);
    }
    uint64_t n;
    memcpy(&n, (const char*)image + 8, 8);
    AtRest hold;
    // The same code is the same module: a library that is loaded anew costs thread-local memory, of which there is little.
    static std::map<std::string, CUmod_st*> known;
    CUmod_st*& m = known[std::string((const char*)image + 16, n)];
    if (!m) {
        int fd = memfd_create("simt", 0);
        if (fd < 0 || write(fd, (const char*)image + 16, n) != (ssize_t)n) return CODE(999);
        // The file stays open: the loader takes two libraries of one path for one.
        std::string path = "/proc/self/fd/" + std::to_string(fd);
        void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!library) {
            s.last = dlerror();
            return CODE(200);
        }
        auto find = (const simt_module* (*)())dlsym(library, "simt_module_v2");
        if (!find) {
            s.last = "code for another version of the emulator";
            return CODE(200);
        }
        m = new CUmod_st{library, find(), 0};
    }
    if (!m->loaded++) {
        s.modules.push_back(m);
        for (auto& a : s.memory) m->m->region((void*)a.first, a.second.size, 1, 0);
        for (auto& a : s.pinned) m->m->region((void*)a.first, a.second.size, 1, 1);
    }
    *to = m;
    return CODE(0);
}
API cuModuleUnload(CUmodule m) {
    ENTER();
    for (CUstream_st* s : std::vector<CUstream_st*>(state().streams)) finish(s);
    State& s = state();
    AtRest hold;
    auto at = std::find(s.modules.begin(), s.modules.end(), m);
    if (at == s.modules.end()) return CODE(400);
    if (--m->loaded) return CODE(0);
    for (auto* all : {&s.memory, &s.pinned})
        for (auto& a : *all) m->m->region((void*)a.first, 0, 0, 0);
    s.modules.erase(at); // its library stays
    return CODE(0);
}
API cuModuleGetFunction(CUfunction* to, CUmodule m, const char* name) {
    ENTER();
    int k = m->m->find(name);
    if (k < 0) {
        state().last = std::string("the module has no kernel ") + name;
        return CODE(500);
    }
    auto* f = new CUfunc_st;
    f->module = m, f->kernel = k, f->name = name, f->max_dynamic = 48 << 10;
    f->params = m->m->params(k, f->size);
    *to = f;
    return CODE(0);
}
API cuFuncSetAttribute(CUfunction f, CUfunction_attribute a, int v) {
    ENTER();
    if ((int)a != 8) return CODE(0);
    int most = state().capability >= 90 ? 232448 : 101376;
    if (v < 0 || v > most) {
        state().last = "more shared memory than a block may have";
        return CODE(1);
    }
    f->max_dynamic = v;
    return CODE(0);
}
API cuFuncGetAttribute(int* v, CUfunction_attribute a, CUfunction f) {
    ENTER();
    switch ((int)a) {
    case 0: *v = 1024; break;
    case 8: *v = f->max_dynamic; break;
    default: *v = 0; // registers, static shared memory, spills: the emulator has none
    }
    return CODE(0);
}
API cuOccupancyMaxActiveBlocksPerMultiprocessor(int* n, CUfunction, int threads, size_t shared) {
    ENTER();
    int by_threads = 2048 / (threads < 64 ? 64 : threads);
    int by_shared = 233472 / (shared + 1024);
    *n = by_threads < by_shared ? by_threads : by_shared;
    return CODE(0);
}
