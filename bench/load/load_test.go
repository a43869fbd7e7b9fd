package load

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// script is a source of n requests that each take a fixed time.
type script struct {
	n     int
	takes time.Duration
	gap   time.Duration // between due instants; 0: closed loop
	start time.Time

	mu       sync.Mutex
	next     int
	inFlight int
	most     int
	tickets  []Ticket
	failed   int
}

func (s *script) Next(_ context.Context, _ int, free time.Time) (Turn, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next >= s.n {
		return Turn{}, false
	}
	t := Turn{Seq: s.next, Due: free}
	if s.gap > 0 {
		t.Due = s.start.Add(time.Duration(s.next) * s.gap)
	}
	s.next++
	return t, true
}

func (s *script) Send(ctx context.Context, t Ticket) {
	s.mu.Lock()
	s.inFlight++
	s.most = max(s.most, s.inFlight)
	s.tickets = append(s.tickets, t)
	s.mu.Unlock()
	err := System{}.Sleep(ctx, time.Now().Add(s.takes))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight--
	if err != nil {
		s.failed++
	}
}

func TestClosedLoop(t *testing.T) {
	for _, c := range []struct {
		name           string
		concurrency, n int
		want           time.Duration // whole run
	}{
		{"sequential", 1, 5, 50 * time.Millisecond},
		{"four slots share eight requests", 4, 8, 20 * time.Millisecond},
		{"more slots than requests", 8, 3, 10 * time.Millisecond},
		{"no request", 2, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{n: c.n, takes: 10 * time.Millisecond}
				start := time.Now()
				if err := Run(t.Context(), System{}, c.concurrency, s); err != nil {
					t.Fatal(err)
				}
				if got := time.Since(start); got != c.want {
					t.Errorf("the run took %v, want %v", got, c.want)
				}
				if len(s.tickets) != c.n || s.most > c.concurrency {
					t.Errorf("%d requests, at most %d in flight; want %d and at most %d", len(s.tickets), s.most, c.n, c.concurrency)
				}
				for _, k := range s.tickets {
					if !k.Admitted.Equal(k.Scheduled) {
						t.Errorf("request %d: admitted %v after its schedule, want at once", k.Seq, k.Admitted.Sub(k.Scheduled))
					}
				}
			})
		})
	}
}

// oversleeper wakes late from every sleep.
type oversleeper struct {
	System
	by time.Duration
}

func (o oversleeper) Sleep(ctx context.Context, t time.Time) error {
	return o.System.Sleep(ctx, t.Add(o.by))
}

func TestLatenessOfOwnTimersIsMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := oversleeper{by: 3 * time.Millisecond}
		s := &script{n: 4, takes: time.Millisecond, gap: 10 * time.Millisecond, start: time.Now()}
		if err := Run(t.Context(), clock, 1, s); err != nil {
			t.Fatal(err)
		}
		for _, k := range s.tickets[1:] {
			if k.Lateness != 3*time.Millisecond || k.Admitted.Sub(k.Scheduled) != k.Lateness {
				t.Errorf("request %d: lateness %v, admitted %v after its schedule; want 3ms for both", k.Seq, k.Lateness, k.Admitted.Sub(k.Scheduled))
			}
		}
		p := StartPulse(t.Context(), clock, 5*time.Millisecond)
		from := time.Now()
		time.Sleep(100 * time.Millisecond)
		p.Stop()
		late := p.Between(from, time.Now())
		if len(late) < 10 || slices.Min(late) != 3*time.Millisecond || slices.Max(late) != 3*time.Millisecond {
			t.Errorf("pulse: %v, want at least ten beats that are 3ms late", late)
		}
	})
}

func TestCancelEndsEverySlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := &script{n: 1000, takes: time.Hour}
		start := time.Now()
		time.AfterFunc(time.Second, cancel)
		err := Run(ctx, System{}, 4, s)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that of the context", err)
		}
		if got := time.Since(start); got != time.Second || s.failed != 4 {
			t.Errorf("ended after %v with %d cancelled requests, want 1s and 4", got, s.failed)
		}
	})
}

func TestConcurrencyMustBePositive(t *testing.T) {
	if err := Run(t.Context(), System{}, 0, &script{}); err == nil {
		t.Error("a concurrency of 0 was taken")
	}
}

func TestRecorderAllocatesNothingPerEvent(t *testing.T) {
	base := time.Now()
	var m Meter
	const events = 512
	r := NewRecorder(base, events*12, &m)
	at := base.Add(time.Millisecond)
	got := testing.AllocsPerRun(10, func() {
		for range events {
			r.Event(at, 1)
		}
	})
	if got != 0 {
		t.Errorf("%v allocations for %d events, want none", got, events)
	}
	n, tokens := r.Count()
	if e, k := m.Read(); int64(n) != e || int64(tokens) != k || n == 0 {
		t.Errorf("recorder has %d events and %d tokens, the meter %d and %d", n, tokens, e, k)
	}
	if r.Events()[0] != int64(time.Millisecond) {
		t.Errorf("first event at %d ns, want %d", r.Events()[0], time.Millisecond)
	}
}
