package harness

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

func TestCancelledRequests(t *testing.T) {
	for _, c := range []struct {
		name  string
		after int
		want  float64
	}{{"honoured", 1, 1}, {"not honoured", 2, 0}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := steady()
				cell := cellOf(func(c *spec.Cell) {
					c.Cancel = spec.Cancel{Rate: 0.5, AfterTokens: 3}
					c.Validity = spec.Validity{}
				})
				// The subject goes on after the cancellation.
				stubborn := &stubbornTarget{fake: f, after: c.after}
				d := Deps{Open: func(context.Context, Order) (Opened, error) { return Opened{Target: stubborn}, nil }}
				round, err := RunRound(t.Context(), Order{Run: "r", Attempt: "a", Index: 1, Cells: []spec.Cell{cell}}, d)
				if err != nil {
					t.Fatal(err)
				}
				want(t, c.name, round.Cells[0].Values, map[metric.ID]*float64{
					"cancel_honoured": &c.want, "cancel_latency.max": new(float64(10 * c.after)),
					"error_rate": new(0.0), "stream_integrity": new(1.0), "osl_exact": new(1.0),
				})
			})
		})
	}
}

// A request that breaks after its cancellation has failed all the same.
func TestCancelledRequestsCanFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cell := cellOf(func(c *spec.Cell) {
			c.Cancel = spec.Cancel{Rate: 0.5, AfterTokens: 3}
			c.Validity = spec.Validity{MaxErrorRate: 1}
		})
		broken := brokenAfterCancel{steady()}
		d := Deps{Open: func(context.Context, Order) (Opened, error) { return Opened{Target: broken}, nil }}
		round, err := RunRound(t.Context(), Order{Run: "r", Attempt: "a", Index: 1, Cells: []spec.Cell{cell}}, d)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "broken", round.Cells[0].Values, map[metric.ID]*float64{"error_rate": new(3.0 / 7), "cancel_honoured": nil}) // four of seven end well
	})
}

type brokenAfterCancel struct{ *fake }

func (b brokenAfterCancel) Do(ctx context.Context, r target.Request, sink func(target.Event)) (target.Reply, error) {
	reply, err := b.fake.Do(ctx, r, sink)
	if err != nil {
		err = errors.New("connection reset")
	}
	return reply, err
}

// stubbornTarget makes some more tokens after a cancellation.
type stubbornTarget struct {
	*fake
	after int
}

func (s *stubbornTarget) Do(ctx context.Context, r target.Request, sink func(target.Event)) (target.Reply, error) {
	reply, err := s.fake.Do(ctx, r, sink)
	if err != nil {
		time.Sleep(time.Duration(s.after) * s.step)
		reply.End = time.Now()
		reply.AfterCancel = &s.after
	}
	return reply, err
}

func TestWarmup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Each of the first requests is faster than the one before, then all are alike.
		f := steady()
		speeding := &speedingTarget{fake: f, slow: 12}
		cell := cellOf(func(c *spec.Cell) {
			c.Warmup = spec.Warmup{Mode: "until_stable", Requests: 3, CV: 0.01, Max: time.Minute}
		})
		d := Deps{Open: func(context.Context, Order) (Opened, error) {
			return Opened{Target: speeding, Tokenizer: wordTokenizer{}}, nil
		}}
		o := Order{Run: "r", Attempt: "a", Index: 1, Cells: []spec.Cell{cell}}
		round, err := RunRound(t.Context(), o, d)
		if err != nil {
			t.Fatal(err)
		}
		c := round.Cells[0]
		if len(codes(c.Reasons, true)) != 0 {
			t.Errorf("reasons %v, want none", c.Reasons)
		}
		want(t, "warmed up", c.Values, map[metric.ID]*float64{"output_rate": new(88.0)})
		// The same, with too little time: a warning.
		speeding.slow, speeding.fake.requests = 40, nil
		o.Cells[0].Warmup.Max = time.Second
		if round, err = RunRound(t.Context(), o, d); err != nil {
			t.Fatal(err)
		}
		if got := codes(round.Cells[0].Reasons, true); !slices.Contains(got, "warmup") {
			t.Errorf("warnings %v, want warmup among them", got)
		}
	})
}

// speedingTarget gets faster over its first requests.
type speedingTarget struct {
	*fake
	slow int
}

func (s *speedingTarget) Do(ctx context.Context, r target.Request, sink func(target.Event)) (target.Reply, error) {
	s.mu.Lock()
	n := len(s.requests)
	s.mu.Unlock()
	if n < s.slow {
		time.Sleep(time.Duration(s.slow-n) * 30 * time.Millisecond)
	}
	return s.fake.Do(ctx, r, sink)
}
