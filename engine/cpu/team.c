//go:build native

#define _GNU_SOURCE
#include "team.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

// How long a thread spins before it sleeps: longer than a phase's spread and than
// the gap between two steps, short enough that an idle engine is idle.
enum { BARRIER_SPIN_NS = 60000, JOB_SPIN_NS = 60000 };

// A word that threads wait on, alone on its cache line.
typedef struct {
	_Alignas(64) _Atomic uint32_t value;
	_Atomic uint32_t sleepers;
} word;

struct pl_team {
	word job;        // counts jobs; workers wait for it to move
	word generation; // counts barriers
	_Alignas(64) _Atomic int32_t arrived;
	_Alignas(64) _Atomic int32_t next; // first unit nobody claimed
	// Written by the caller before job moves, read by workers after.
	_Alignas(64) int32_t size;
	int32_t active;
	int quit;
	void (*fn)(void *, int32_t);
	void *arg;
	int32_t started;
	pthread_t *threads;
};

typedef struct {
	pl_team *team;
	int32_t id;
	int32_t cpu; // below 0: any
} start;

static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static int64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// wait_moved returns once w no longer reads old: it spins for spin_ns, then sleeps.
// The sleeper announces itself before it looks again and the mover moves before it
// looks for sleepers (both sequentially consistent), so no wake-up is lost.
static void wait_moved(word *w, uint32_t old, int64_t spin_ns)
{
	int64_t end = 0;
	for (;;) {
		for (int i = 0; i < 64; i++) {
			if (atomic_load_explicit(&w->value, memory_order_acquire) != old)
				return;
			relax();
		}
		const int64_t t = now_ns();
		if (end == 0)
			end = t + spin_ns;
		else if (t > end)
			break;
	}
	atomic_fetch_add(&w->sleepers, 1);
	while (atomic_load(&w->value) == old) {
#if defined(__linux__)
		syscall(SYS_futex, &w->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
#else
		sched_yield();
#endif
	}
	atomic_fetch_sub(&w->sleepers, 1);
}

static void move(word *w)
{
	atomic_fetch_add(&w->value, 1);
#if defined(__linux__)
	if (atomic_load(&w->sleepers))
		syscall(SYS_futex, &w->value, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
#endif
}

int32_t pl_team_active(const pl_team *t) { return t->active; }

void pl_team_barrier(pl_team *t)
{
	// Read before arriving: the caller may start another job right after that.
	const int32_t active = t->active;
	if (active == 1) {
		atomic_store_explicit(&t->next, 0, memory_order_relaxed);
		return;
	}
	const uint32_t g = atomic_load_explicit(&t->generation.value, memory_order_relaxed);
	if (atomic_fetch_add(&t->arrived, 1) == active - 1) {
		atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
		atomic_store_explicit(&t->next, 0, memory_order_relaxed);
		move(&t->generation);
		return;
	}
	wait_moved(&t->generation, g, BARRIER_SPIN_NS);
}

int pl_team_claim(pl_team *t, int32_t total, int32_t most, int32_t *lo, int32_t *hi)
{
	int32_t at = atomic_load_explicit(&t->next, memory_order_relaxed);
	for (;;) {
		const int32_t left = total - at;
		if (left <= 0)
			return 0;
		int32_t n = t->active == 1 ? left : (left + 2 * t->active - 1) / (2 * t->active);
		if (n > most)
			n = most;
		if (atomic_compare_exchange_weak_explicit(&t->next, &at, at + n, memory_order_relaxed, memory_order_relaxed)) {
			*lo = at;
			*hi = at + n;
			return 1;
		}
	}
}

void pl_team_run(pl_team *t, int all, void (*fn)(void *, int32_t), void *arg)
{
	t->active = all ? t->size : 1;
	atomic_store_explicit(&t->next, 0, memory_order_relaxed);
	if (t->active > 1) {
		t->fn = fn;
		t->arg = arg;
		move(&t->job);
	}
	fn(arg, 0);
	pl_team_barrier(t);
}

// stay keeps the calling thread on one processor. Where the system won't, it runs anywhere.
static void stay(int32_t cpu)
{
#if defined(__linux__)
	cpu_set_t one;
	CPU_ZERO(&one);
	if (cpu >= 0 && cpu < CPU_SETSIZE) {
		CPU_SET(cpu, &one);
		pthread_setaffinity_np(pthread_self(), sizeof one, &one);
	}
#else
	(void)cpu;
#endif
}

static void *worker(void *p)
{
	start s = *(start *)p;
	pl_team *t = s.team;
	free(p);
	stay(s.cpu);
	for (uint32_t seen = 0;; seen++) {
		wait_moved(&t->job, seen, JOB_SPIN_NS);
		if (t->quit)
			return NULL;
		t->fn(t->arg, s.id);
		pl_team_barrier(t);
	}
}

pl_team *pl_team_new(int32_t n, const int32_t *cpus)
{
	pl_team *t = aligned_alloc(64, sizeof *t);
	if (!t)
		return NULL;
	*t = (pl_team){.size = n, .active = 1, .threads = calloc(n, sizeof(pthread_t))};
	if (!t->threads) {
		free(t);
		return NULL;
	}
	// Signals belong to the threads of the Go runtime, save those of a crash.
	sigset_t all, old;
	sigfillset(&all);
	const int crash[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
	for (size_t i = 0; i < sizeof crash / sizeof *crash; i++)
		sigdelset(&all, crash[i]);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int ok = 1;
	for (int32_t i = 1; i < n && ok; i++) {
		start *s = malloc(sizeof *s);
		ok = s != NULL;
		if (ok) {
			*s = (start){t, i, cpus ? cpus[i] : -1};
			ok = pthread_create(&t->threads[t->started], NULL, worker, s) == 0;
			if (ok)
				t->started++;
			else
				free(s);
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!ok) {
		pl_team_free(t);
		return NULL;
	}
	return t;
}

void pl_team_free(pl_team *t)
{
	if (!t)
		return;
	t->quit = 1;
	move(&t->job);
	for (int32_t i = 0; i < t->started; i++)
		pthread_join(t->threads[i], NULL);
	free(t->threads);
	free(t);
}
