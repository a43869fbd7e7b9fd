package compare

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/gate"
)

func share(v float64) *float64 { return &v }

// level gives every series the same levels.
type level struct {
	values, pinned []float64
	err            error
}

func (l level) Level(context.Context, result.Key) (gate.Baseline, error) {
	return gate.Baseline{Name: "main", Values: l.values}, l.err
}

func (l level) Pinned(_ context.Context, key result.Key) (gate.Baseline, bool, error) {
	return gate.Baseline{Name: "pinned v1", Values: l.pinned}, len(l.pinned) > 0 && key.Cell != "", nil
}

// round is a round of cell "c" of workload "w" with the values.
func round(index, cores int, values ...result.Value) result.Round {
	return result.Round{
		ID: fmt.Sprint("r", index), Index: index, Valid: true, Environment: result.Environment{Hardware: result.Hardware{CPUModel: "EPYC", Cores: cores}},
		Cells: []result.CellResult{{Cell: "c", Workload: "w", Valid: true, Values: values}},
	}
}

func rate(v float64) result.Value { return result.Value{Metric: "output_rate", Value: v, N: 2} }

func invalid(r result.Round) result.Round {
	r.Valid, r.Reasons = false, []result.Reason{{Detail: "a warning", Warn: true}, {Detail: "throttled"}}
	return r
}

// said is every check with its verdict.
func said(c *Comparison) []string {
	vs, names := c.Verdicts()
	var out []string
	for i, v := range vs {
		out = append(out, fmt.Sprintf("%s: %s, %d rounds, %d invalid, %d absent", names[i], v.Kind, len(v.Candidate.Rounds), v.Candidate.Invalid, v.Candidate.Absent))
	}
	return out
}

func TestCompare(t *testing.T) {
	forty := []float64{40, 41, 39, 40, 40}
	for _, c := range []struct {
		name   string
		rounds []result.Round
		levels level
		sparse bool
		want   []string
	}{
		{"no round", nil, level{values: forty}, false, nil},
		{"one round", []result.Round{round(1, 2, rate(40))}, level{values: forty}, false, []string{"w n=3 output_rate: pass, 1 rounds, 0 invalid, 0 absent"}},
		{
			"two classes are two series",
			[]result.Round{round(1, 2, rate(40)), round(2, 8, rate(80)), round(3, 2, rate(41))},
			level{values: forty},
			false,
			[]string{"w n=3 output_rate: pass, 2 rounds, 0 invalid, 0 absent", "w n=3 output_rate: pass, 1 rounds, 0 invalid, 0 absent"},
		},
		{
			"an invalid round counts as such",
			[]result.Round{invalid(round(1, 2)), round(2, 2, rate(40))},
			level{values: forty},
			false,
			[]string{"w n=3 output_rate: pass, 1 rounds, 1 invalid, 0 absent"},
		},
		{"nothing valid", []result.Round{invalid(round(1, 2))}, level{values: forty}, false, []string{"w n=3 output_rate: invalid, 0 rounds, 1 invalid, 0 absent"}},
		{"a metric that can't be measured", []result.Round{round(1, 2)}, level{values: forty}, false, []string{"w n=3 output_rate: error, 0 rounds, 0 invalid, 1 absent"}},
		{
			"a cell that a round lost",
			[]result.Round{round(1, 2, rate(40)), {Index: 2, Valid: true}},
			level{values: forty},
			false,
			[]string{"w n=3 output_rate: pass, 1 rounds, 1 invalid, 0 absent"},
		},
		{
			"or never had",
			[]result.Round{round(1, 2, rate(40)), {Index: 2, Valid: true}, round(3, 2)},
			level{values: forty},
			true,
			[]string{"w n=3 output_rate: pass, 1 rounds, 0 invalid, 0 absent"},
		},
		{
			"small steps against the pinned level",
			[]result.Round{round(1, 2, rate(40))},
			level{values: forty, pinned: []float64{41, 40, 41, 42, 41}},
			false,
			[]string{"w n=3 output_rate: pass, 1 rounds, 0 invalid, 0 absent", "w n=3 output_rate against pinned v1: pass, 1 rounds, 0 invalid, 0 absent"},
		},
		{"rounds that nobody ran", []result.Round{round(1, 2, rate(20))}, level{values: forty}, false, []string{"w n=3 output_rate: inconclusive, 1 rounds, 0 invalid, 0 absent"}},
	} {
		in := Input{Rounds: c.rounds, Levels: c.levels, Sparse: c.sparse, Cells: []Cell{{
			Digest: "c", Workload: "w", Point: map[string]string{"n": "3"},
			Rules: []gate.Rule{{Metric: "output_rate", Severity: gate.Failing, MaxDrop: share(.2)}},
		}}}
		got, err := Compare(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, said(got)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

func TestNeed(t *testing.T) {
	in := Input{Rounds: []result.Round{round(1, 2, rate(20))}, Levels: level{values: []float64{40, 41, 39, 40, 40}}, Cells: []Cell{{
		Digest: "c", Workload: "w", Rules: []gate.Rule{{Metric: "output_rate", Severity: gate.Failing, MaxDrop: share(.2)}},
	}}}
	got, err := Compare(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if n, why := got.Need(); n != 2 || !strings.HasPrefix(why, "w output_rate: 20 tok/s against 40 tok/s") {
		t.Errorf("%d, %q", n, why)
	}
	in.Cells[0].Rules = append(in.Cells[0].Rules, gate.Rule{Metric: "output_rate", Severity: gate.Critical, Min: share(30)})
	if got, err = Compare(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	if n, _ := got.Need(); n != 0 {
		t.Errorf("something failed already, and %d rounds are asked for", n)
	}
	in.Levels = level{err: errors.New("the disk is gone")}
	if _, err := Compare(t.Context(), in); err == nil {
		t.Error("a level that can't be read: no error")
	}
}

// TestReport: checked series first, the rest after them, foreign metrics with their
// own unit.
func TestReport(t *testing.T) {
	x := round(1, 2, rate(40), result.Value{Metric: "ttft.p50", Value: 30}, result.Value{Metric: "hits/op", Value: 3})
	x.Subject.Faults, x.Subject.Synthetic = []string{"slow=2"}, true
	x.Reasons = []result.Reason{{Detail: "the power cap was reached", Warn: true}}
	in := Input{
		Run: result.Run{ID: "r1", Suite: "s", Subject: result.Subject{Target: "engine", Model: "m"}}, Rounds: []result.Round{x, invalid(round(2, 2))},
		Levels: level{values: []float64{40}}, Base: "main", Faults: []string{"leak=1"},
		Cells: []Cell{{
			Digest: "c", Workload: "w", Rules: []gate.Rule{{Metric: "output_rate", Severity: gate.Failing, MaxDrop: share(.2)}},
			Foreign: map[metric.ID]gate.Foreign{"hits/op": {Unit: "hits/op"}},
		}},
	}
	c, err := Compare(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	rep := c.Report(gate.Run{Kind: gate.Pass})
	var lines []string
	for _, l := range rep.Lines {
		lines = append(lines, fmt.Sprintf("%s %s %g %s %t", l.Workload, l.Metric, l.Value, l.Unit, l.Verdict != nil))
	}
	for _, d := range []string{
		cmp.Diff([]string{"w output_rate 40 tok/s true", "w ttft.p50 30 ms false", "w hits/op 3 hits/op false"}, lines),
		cmp.Diff([]string{"synthetic", "fault-injected: leak=1", "fault-injected: slow=2"}, rep.Badges),
		cmp.Diff([]string{"round 2 is invalid: throttled", "round 1: the power cap was reached", "round 2: a warning"}, rep.Warnings),
		cmp.Diff("EPYC, 2 cores", rep.Machine), cmp.Diff("engine · m", rep.Subject), cmp.Diff(1, rep.Rounds),
	} {
		if d != "" {
			t.Error(d)
		}
	}
}
