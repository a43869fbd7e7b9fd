package load

import (
	"context"
	"time"
)

// Clock is the time that a generator lives by. Readings of Now must carry
// a monotonic part, so that differences survive a step of the wall clock.
type Clock interface {
	// Now is this moment.
	Now() time.Time
	// Sleep waits until t has come, or gives ctx's error. It may oversleep: by how
	// much is what the generator measures.
	Sleep(ctx context.Context, t time.Time) error
}

// System is the machine's clock.
type System struct{}

// Now is time.Now.
func (System) Now() time.Time { return time.Now() }

// Sleep waits on a timer of package time.
func (System) Sleep(ctx context.Context, t time.Time) error {
	d := time.Until(t)
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
