// graph.cpp: launches of kernels, one by one or described in a graph.
#include "state.h"
#include <algorithm>
#include <set>

int kernel_work(Work& w, CUfunction f, const unsigned* grid, const unsigned* block, unsigned shared, void** params) {
    State& s = state();
    if (!f) return 400;
    unsigned threads = block[0] * block[1] * block[2];
    if (!grid[0] || !grid[1] || !grid[2] || grid[1] > 65535 || grid[2] > 65535 || !threads || threads > 1024 || block[2] > 64) {
        s.last = f->name + ": a grid or a block of impossible size";
        return 1;
    }
    if (shared > f->max_dynamic) {
        s.last = f->name + ": more dynamic shared memory than the kernel was allowed";
        return 1;
    }
    if (f->params && !params) return 1;
    w.kind = Work::KERNEL, w.function = f;
    w.launch = {{grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, shared, 0, (uint32_t)(f->module->m->checked ? 1 : s.threads), 0, s.seed ? random64() | 1 : 0};
    for (uint32_t i = 0; i < f->params; i++) w.params.emplace_back((char*)params[i], (char*)params[i] + f->size[i]);
    return 0;
}

API cuLaunchKernelEx(const CUlaunchConfig* c, CUfunction f, void** params, void**) {
    ENTER();
    Work w{Work::KERNEL};
    const unsigned grid[] = {c->gridDimX, c->gridDimY, c->gridDimZ}, block[] = {c->blockDimX, c->blockDimY, c->blockDimZ};
    if (int code = kernel_work(w, f, grid, block, c->sharedMemBytes, params)) return CODE(code);
    for (unsigned i = 0; i < c->numAttrs; i++) {
        unsigned id = (unsigned)c->attrs[i].id;
        if (id == 2)
            w.launch.cooperative = c->attrs[i].value.cooperative;
        else if (id == 6)
            w.overlaps = c->attrs[i].value.programmaticStreamSerializationAllowed;
        else
            return CODE(1);
    }
    if (w.launch.cooperative && grid[0] * grid[1] * grid[2] > (unsigned)state().sms * (2048 / (block[0] * block[1] * block[2]))) return CODE(720);
    push(stream_of(c->hStream), std::move(w));
    return CODE(0);
}

API cuGraphCreate(CUgraph* g, unsigned) {
    ENTER();
    *g = new CUgraph_st;
    state().graphs++;
    return CODE(0);
}
API cuGraphDestroy(CUgraph g) {
    ENTER();
    for (CUgraphNode_st* n : g->nodes) delete n;
    delete g;
    state().graphs--;
    return CODE(0);
}
static CUresult add(CUgraphNode* to, CUgraph g, const CUgraphNode* after, const CUgraphEdgeData* edges, size_t n, const CUDA_KERNEL_NODE_PARAMS* p) {
    auto* node = new CUgraphNode_st{Work{Work::KERNEL}, {}};
    const unsigned grid[] = {p->gridDimX, p->gridDimY, p->gridDimZ}, block[] = {p->blockDimX, p->blockDimY, p->blockDimZ};
    int code = kernel_work(node->work, p->func, grid, block, p->sharedMemBytes, p->kernelParams);
    for (size_t i = 0; !code && i < n; i++) {
        if (std::find(g->nodes.begin(), g->nodes.end(), after[i]) == g->nodes.end()) code = 1;
        node->after.push_back(after[i]);
        if (!edges || !edges[i].type) continue;
        if (edges[i].type != 1 || edges[i].from_port != 1 || edges[i].to_port) code = 1; // programmatic, from where a kernel launches its dependents
        node->work.overlaps = true;
    }
    if (code) {
        delete node;
        return CODE(code);
    }
    g->nodes.push_back(node);
    *to = node;
    return CODE(0);
}
API cuGraphAddKernelNode(CUgraphNode* to, CUgraph g, const CUgraphNode* after, size_t n, const CUDA_KERNEL_NODE_PARAMS* p) {
    ENTER();
    return add(to, g, after, nullptr, n, p);
}
API cuGraphAddNode(CUgraphNode* to, CUgraph g, const CUgraphNode* after, const CUgraphEdgeData* edges, size_t n, CUgraphNodeParams* p) {
    ENTER();
    if ((int)p->type != 0) return CODE(1); // kernels only
    return add(to, g, after, edges, n, (const CUDA_KERNEL_NODE_PARAMS*)&p->kernel);
}
API cuGraphGetNodes(CUgraph g, CUgraphNode*, size_t* n) {
    ENTER();
    *n = g->nodes.size();
    return CODE(0);
}
// An order that the edges allow: a random one with a seed.
API cuGraphInstantiateWithFlags(CUgraphExec* to, CUgraph g, unsigned long long) {
    ENTER();
    auto* x = new CUgraphExec_st;
    std::set<CUgraphNode_st*> done;
    CUgraphNode_st* before = nullptr;
    while (done.size() < g->nodes.size()) {
        std::vector<CUgraphNode_st*> ready;
        for (CUgraphNode_st* n : g->nodes)
            if (!done.count(n) && std::all_of(n->after.begin(), n->after.end(), [&](CUgraphNode_st* a) { return done.count(a); })) ready.push_back(n);
        CUgraphNode_st* n = ready[state().seed ? random64() % ready.size() : 0];
        x->work.push_back(n->work);
        // Early only behind the one kernel that it overlaps with.
        if (n->after.size() != 1 || n->after[0] != before) x->work.back().overlaps = false;
        done.insert(n);
        before = n;
    }
    state().execs++;
    *to = x;
    return CODE(0);
}
API cuGraphUpload(CUgraphExec, CUstream) {
    ENTER();
    return CODE(0);
}
API cuGraphLaunch(CUgraphExec x, CUstream c) {
    ENTER();
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    for (const Work& w : x->work) {
        CUstream_st* to = stream_of(c);
        to->queue.push_back(w);
        to->queue.back().launch.number = ++s.launches;
        if (s.seed) to->queue.back().launch.seed = random64() | 1;
    }
    s.work.notify_all();
    return CODE(0);
}
API cuGraphExecDestroy(CUgraphExec x) {
    ENTER();
    delete x;
    state().execs--;
    return CODE(0);
}
