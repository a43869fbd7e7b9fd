package sched

import (
	"sync"
	"time"
)

// Counters count since New. Prompt tokens are counted when computed for the first time, output
// tokens when handed out.
type Counters struct {
	Steps, Jobs, PromptTokens, OutputTokens, Cancelled uint64

	CachedTokens     uint64 // prompt tokens taken from the prefix cache instead of being computed
	RecomputedTokens uint64 // computed again: after preemptions, and by jobs without KV cache
	Preemptions      uint64
	DraftedTokens    uint64 // guessed and computed before they were known
	AcceptedTokens   uint64 // of these, right
	Ahead            uint64 // steps that were launched before the one before them was collected
	VainTokens       uint64 // computed in such steps for jobs that had ended

	Running, Waiting int // jobs at this moment

	Phases Phases
}

// Phases is how the loop's time divides, since New.
type Phases struct {
	Plan    time.Duration // deciding, pages, building the batch
	Launch  time.Duration // Backend.Launch: where a CPU computes
	Collect time.Duration // Backend.Collect: where tokens are drawn, or a device is waited for
	Deliver time.Duration // handing tokens out
	Idle    time.Duration // nothing to do
}

// meter holds Counters for any goroutine. Whatever a sink is told of is counted before.
type meter struct {
	mu sync.Mutex
	c  Counters // guarded by mu
}

func (m *meter) change(f func(*Counters)) {
	m.mu.Lock()
	f(&m.c)
	m.mu.Unlock()
}

func (m *meter) read() Counters {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.c
}
