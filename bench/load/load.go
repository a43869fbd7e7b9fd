package load

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Turn is what a Source hands to a free slot: which request, and when it is due.
type Turn struct {
	Seq int       // the source's own number for the request
	Due time.Time // when it should be sent; not after now: at once
	// Late is how late the source's own timer was, where it has waited for Due itself.
	Late time.Duration
}

// Ticket is a turn whose time has come.
type Ticket struct {
	Seq       int
	Slot      int           // 0…concurrency-1
	Scheduled time.Time     // when the request was due
	Admitted  time.Time     // when the slot let it go
	Lateness  time.Duration // of the generator's own timer; 0 where none was set
}

// Source says what is sent next. Its methods are called by all slots at once.
type Source interface {
	// Next gives a free slot its turn; free is when the slot became so. In a closed
	// loop Due is free: the next request is due the moment the last one ended. It
	// may wait (for a phase to end), and then gives the end of the wait as Due.
	// ok false ends the slot.
	Next(ctx context.Context, slot int, free time.Time) (turn Turn, ok bool)
	// Send makes the request and returns when it has ended. Its failure is the
	// request's own: the generator goes on.
	Send(ctx context.Context, t Ticket)
}

// Run drives source with the given number of slots, each with at most one request
// in flight, until every slot's Next said no. A cancelled ctx ends every slot after
// its request, which got the same ctx; the error is then ctx's. A sequential load is
// one slot.
func Run(ctx context.Context, clock Clock, concurrency int, source Source) error {
	if concurrency < 1 {
		return fmt.Errorf("start the load: a concurrency of %d: it must be at least 1", concurrency)
	}
	start := clock.Now()
	var wg sync.WaitGroup
	for slot := range concurrency {
		wg.Go(func() { runSlot(ctx, clock, slot, start, source) })
	}
	wg.Wait()
	return ctx.Err()
}

func runSlot(ctx context.Context, clock Clock, slot int, free time.Time, source Source) {
	for ctx.Err() == nil {
		turn, ok := source.Next(ctx, slot, free)
		if !ok {
			return
		}
		t := Ticket{Seq: turn.Seq, Slot: slot, Scheduled: turn.Due, Lateness: turn.Late}
		now := clock.Now()
		if turn.Due.After(now) {
			if clock.Sleep(ctx, turn.Due) != nil {
				return
			}
			now = clock.Now()
			t.Lateness = now.Sub(turn.Due)
		}
		t.Admitted = now
		source.Send(ctx, t)
		free = clock.Now()
	}
}
