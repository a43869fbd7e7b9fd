//go:build native

// A team of threads that runs one step together: the caller and n-1 workers, made
// once, which spin for a moment and then sleep in the kernel.
#ifndef PL_TEAM_H
#define PL_TEAM_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct pl_team pl_team;

// pl_team_new makes a team of n threads (the caller counts), or NULL. Where cpus isn't NULL,
// worker i stays on processor cpus[i]; the caller stays where its owner lets it run.
pl_team *pl_team_new(int32_t n, const int32_t *cpus);
// pl_team_free ends the workers and waits for them.
void pl_team_free(pl_team *t);
// pl_team_run calls fn(arg, id) on the caller (id 0) and, if all, on every worker.
// It returns when all have returned from it, by a last barrier of its own.
void pl_team_run(pl_team *t, int all, void (*fn)(void *arg, int32_t id), void *arg);
// pl_team_active is how many threads run the present job.
int32_t pl_team_active(const pl_team *t);
// pl_team_barrier waits for all threads of the job, and starts the next count of
// claims at zero.
void pl_team_barrier(pl_team *t);
// pl_team_claim takes the next stretch [*lo, *hi) of total units of this phase: at
// most most at once, fewer near the end, so that a thread that was held up costs
// little. It returns 0 when none is left. Each thread must call it until then
// before the barrier.
int pl_team_claim(pl_team *t, int32_t total, int32_t most, int32_t *lo, int32_t *hi);

#endif
