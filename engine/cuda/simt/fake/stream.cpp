// stream.cpp: streams, events, and the thread that does their work. A kernel that may begin early does: some of
// its blocks run up to their wait before the kernel in front has begun, which is the worst that a device may do.
#include "state.h"
#include <signal.h>
#include <algorithm>
#include <cstring>
#include <thread>

static CUstream_st null_stream;
CUstream_st* stream_of(CUstream s) { return s ? s : &null_stream; }

static std::vector<void*> pointers(Work& w) {
    std::vector<void*> p;
    for (auto& b : w.params) p.push_back(b.data());
    return p;
}
static void failed(const std::string& message, int code) {
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    s.sticky = code >= 9000 ? 719 : code, s.last = message;
}
static void wrote(void* p, size_t n) {
    for (CUmod_st* m : state().modules) m->m->wrote(p, n);
}

static void run_kernel(std::vector<Work>& work, size_t i, std::map<size_t, void*>& early, std::map<size_t, std::vector<void*>>& params) {
    State& s = state();
    char error[640] = "";
    for (size_t j = i + 1; s.adversary && j < work.size() && j <= i + 2 && work[j].kind == Work::KERNEL && work[j].overlaps && !work[j].launch.cooperative; j++)
        if (!early.count(j)) {
            params[j] = pointers(work[j]);
            early[j] = work[j].function->module->m->early(work[j].function->kernel, &work[j].launch, params[j].data(), 4);
        }
    Work& w = work[i];
    const simt_module* m = w.function->module->m;
    int code;
    if (early.count(i)) {
        code = m->resume(early[i], error, sizeof error);
        early.erase(i);
        params.erase(i);
    } else {
        auto p = pointers(w);
        code = m->launch(w.function->kernel, &w.launch, p.data(), error, sizeof error);
    }
    if (!code) {
        std::lock_guard<std::mutex> hold(s.mutex);
        auto f = s.faults.find(w.function->name);
        if (f != s.faults.end() && ++s.launched[w.function->name] == f->second.first) {
            code = f->second.second;
            strcpy(error, "SIMT_FAULT asked for it");
        }
    }
    if (code) failed(error, code);
}

static void run(std::vector<Work>& work) {
    State& s = state();
    std::map<size_t, void*> early;
    std::map<size_t, std::vector<void*>> params;
    for (size_t i = 0; i < work.size(); i++) {
        Work& w = work[i];
        if (w.kind == Work::RECORD) { // after a failure too: someone may wait
            std::lock_guard<std::mutex> hold(s.mutex);
            w.event->done = w.turn, w.event->at = Time::now();
            continue;
        }
        if (s.sticky) continue;
        std::lock_guard<std::mutex> running(s.item);
        if (w.kind == Work::KERNEL) run_kernel(work, i, early, params);
        if (w.kind == Work::COPY) {
            memcpy(w.to, w.taken.empty() ? w.from : w.taken.data(), w.n);
            wrote(w.to, w.n);
        }
        if (w.kind == Work::SET) {
            if (w.width == 1)
                memset(w.to, w.value, w.n);
            else
                std::fill((uint32_t*)w.to, (uint32_t*)w.to + w.n, w.value);
            wrote(w.to, w.n * w.width);
        }
    }
}

static CUstream_st* next() {
    State& s = state();
    if (s.lazy && !s.waiting) return nullptr;
    size_t from = s.seed ? random64() % s.streams.size() : 0;
    for (size_t i = 0; i < s.streams.size(); i++) {
        CUstream_st* c = s.streams[(i + from) % s.streams.size()];
        if (c->queue.empty()) continue;
        Work& first = c->queue.front();
        if (first.kind == Work::WAIT && first.event->done < first.turn && !s.sticky) continue;
        return c;
    }
    return nullptr;
}
static void executor() {
    State& s = state();
    std::unique_lock<std::mutex> hold(s.mutex);
    for (;;) {
        CUstream_st* c = next();
        if (!c) {
            s.work.wait(hold);
            continue;
        }
        std::vector<Work> some; // up to the next wait for an event
        while (!c->queue.empty() && (some.empty() || (c->queue.front().kind != Work::WAIT && some.back().kind != Work::WAIT))) {
            some.push_back(std::move(c->queue.front()));
            c->queue.pop_front();
        }
        c->busy = true;
        hold.unlock();
        run(some);
        hold.lock();
        c->busy = false;
        s.done.notify_all();
    }
}
void start_executor() {
    state().streams.push_back(&null_stream);
    // No signal of the process is handled here: a handler would run on the small stack of a fibre.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::thread(executor).detach();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}
void push(CUstream_st* c, Work&& w) {
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    if (w.kind == Work::KERNEL) w.launch.number = ++s.launches;
    c->queue.push_back(std::move(w));
    s.work.notify_all();
}
int finish(CUstream_st* c) {
    State& s = state();
    std::unique_lock<std::mutex> hold(s.mutex);
    s.waiting++;
    s.work.notify_all();
    s.done.wait(hold, [&] { return c->queue.empty() && !c->busy; });
    s.waiting--;
    return s.sticky;
}

API cuStreamCreate(CUstream* to, unsigned) {
    ENTER();
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    *to = new CUstream_st{device_now(), {}, false};
    s.streams.push_back(*to);
    return CODE(0);
}
API cuStreamDestroy(CUstream c) {
    ENTER();
    finish(c);
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    auto at = std::find(s.streams.begin(), s.streams.end(), c);
    if (at == s.streams.end()) return CODE(400);
    s.streams.erase(at);
    delete c;
    return CODE(0);
}
API cuStreamSynchronize(CUstream c) {
    ENTER();
    return CODE(finish(stream_of(c)));
}
API cuStreamQuery(CUstream c) {
    ENTER();
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    return CODE(stream_of(c)->queue.empty() && !stream_of(c)->busy ? s.sticky.load() : 600);
}
API cuStreamWaitEvent(CUstream c, CUevent e, unsigned) {
    ENTER();
    Work w{Work::WAIT};
    w.event = e, w.turn = e->wanted;
    push(stream_of(c), std::move(w));
    return CODE(0);
}
API cuEventCreate(CUevent* e, unsigned flags) {
    ENTER();
    *e = new CUevent_st;
    (*e)->timing = !(flags & 2);
    state().events++;
    return CODE(0);
}
API cuEventDestroy(CUevent e) {
    ENTER();
    for (CUstream_st* s : std::vector<CUstream_st*>(state().streams)) finish(s);
    delete e;
    state().events--;
    return CODE(0);
}
API cuEventRecord(CUevent e, CUstream c) {
    ENTER();
    Work w{Work::RECORD};
    w.event = e, w.turn = ++e->wanted;
    push(stream_of(c), std::move(w));
    return CODE(0);
}
API cuEventQuery(CUevent e) {
    ENTER();
    State& s = state();
    std::lock_guard<std::mutex> hold(s.mutex);
    return CODE(e->done >= e->wanted ? s.sticky.load() : 600);
}
API cuEventSynchronize(CUevent e) {
    ENTER();
    State& s = state();
    std::unique_lock<std::mutex> hold(s.mutex);
    s.waiting++;
    s.work.notify_all();
    s.done.wait(hold, [&] { return e->done >= e->wanted; });
    s.waiting--;
    return CODE(s.sticky);
}
API cuEventElapsedTime(float* ms, CUevent a, CUevent b) {
    ENTER();
    if (!a->timing || !b->timing) return CODE(400);
    if (!a->done || !b->done) return CODE(600);
    *ms = std::chrono::duration<float, std::milli>(b->at - a->at).count();
    return CODE(0);
}
