package driver_test

import (
	"errors"
	"math"
	"testing"

	"github.com/paceline/paceline/engine/cuda/driver"
)

// TestNothingIsDoneYet: on a device that begins only when someone waits, queries say so, allocate nothing, and what
// comes after an event does.
func TestNothingIsDoneYet(t *testing.T) {
	if !fresh(t, t.Name(), "SIMT_LAZY=1") {
		return
	}
	c := use(t, open(t), 0)
	a := newAdder(t, c)
	// The emulator looks at streams in the order in which they were made. The later one goes first all the same.
	other := must[driver.Stream](t)(c.NewStream())
	e := must[driver.Event](t)(c.NewEvent(false))
	ok(t, c.Memset32Async(a.to, math.Float32bits(1), int64(a.n), other))
	ok(t, driver.Launch(c, a.f, other, a.config(), a.params(1)))
	ok(t, e.Record(other))
	ok(t, a.s.Wait(e))
	ok(t, driver.Launch(c, a.f, a.s, a.config(), a.params(2)))
	for name, query := range map[string]func() (bool, error){"event": e.Query, "stream": a.s.Query} {
		if n := testing.AllocsPerRun(50, func() {
			if done, err := query(); done || err != nil {
				t.Errorf("%s: done %v, error %v, want neither", name, done, err)
			}
		}); n != 0 {
			t.Errorf("%s: a query allocates %v times", name, n)
		}
	}
	if got, want := a.value(t), float32((1*2+3+1)*2+3+2); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	for name, query := range map[string]func() (bool, error){"event": e.Query, "stream": a.s.Query} {
		if done, err := query(); !done || err != nil {
			t.Errorf("%s: done %v, error %v after the wait", name, done, err)
		}
	}
	ok(t, errors.Join(e.Destroy(), other.Destroy()))
}

// TestAnyOrder: a graph of kernels that may begin early gives the same whatever order the device takes.
func TestAnyOrder(t *testing.T) {
	for _, seed := range []string{"1", "2", "3"} {
		t.Run(seed, func(t *testing.T) {
			if !fresh(t, t.Name(), "SIMT_SEED="+seed) {
				return
			}
			TestGraphIsPlainLaunches(t)
		})
	}
}
