package gate

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func p(v float64) *float64 { return &v }

func rule(drop float64) Rule {
	return Rule{Metric: "output_rate", Severity: Failing, MaxDrop: p(drop)}
}

func candidate(values ...float64) Candidate {
	var c Candidate
	for _, v := range values {
		c.Rounds = append(c.Rounds, Round{Value: v})
	}
	return c
}

// steady is a baseline of n rounds near the level with about 1 % of noise.
func steady(level float64, n int) Baseline {
	b := Baseline{Name: "main"}
	for i := range n {
		b.Values = append(b.Values, level*(1+0.01*math.Sin(float64(i)*2.4)))
	}
	return b
}

func TestDecide(t *testing.T) {
	latency := Rule{Metric: "ttft.p50", Severity: Failing, MaxRise: p(0.20)}
	ratio := Rule{Metric: "ttft.p50", Severity: Investigate, MaxRatio: p(2)}
	floor := Rule{Metric: "output_rate", Severity: Investigate, Min: p(4)}
	count := Rule{Metric: "token_agreement", Severity: Critical, Min: p(1)}
	stream := Rule{Metric: "stream_integrity", Severity: Failing, Min: p(1)}
	for _, c := range []struct {
		name string
		rule Rule
		base Baseline
		cand Candidate
		kind Kind // "" for a need
		need int
		says string
	}{
		{name: "the same", rule: rule(.2), base: steady(100, 10), cand: candidate(100), kind: Pass},
		{name: "better", rule: rule(.2), base: steady(100, 10), cand: candidate(140), kind: Pass, says: "better"},
		{name: "a small drop passes at once", rule: rule(.2), base: steady(100, 10), cand: candidate(89), kind: Pass},
		{name: "beyond 0.6 of the threshold wants two more", rule: rule(.2), base: steady(100, 10), cand: candidate(87), need: 2},
		{name: "a drop is never failed on one round", rule: rule(.2), base: steady(100, 10), cand: candidate(50), need: 2},
		{name: "confirmed", rule: rule(.2), base: steady(100, 10), cand: candidate(70, 71, 69), kind: Fail, says: "−30.1 % worse"},
		{name: "one of three is fine: go on", rule: rule(.2), base: steady(100, 10), cand: candidate(70, 99, 69), need: 2},
		{name: "one of five may be fine", rule: rule(.2), base: steady(100, 10), cand: candidate(70, 99, 69, 70, 71), kind: Fail},
		{name: "two of five are not", rule: rule(.2), base: steady(100, 10), cand: candidate(70, 99, 69, 98, 71), need: 2},
		{name: "two of seven are not either", rule: rule(.2), base: steady(100, 10), cand: candidate(70, 99, 69, 98, 71, 70, 70), kind: Inconclusive},
		{name: "it was one odd round", rule: rule(.2), base: steady(100, 10), cand: candidate(70, 99, 98), kind: Pass},
		{name: "between 0.6 and the threshold for good", rule: rule(.2), base: steady(100, 10), cand: candidate(85, 85, 84, 86, 85, 85, 85), kind: Warn, says: "surely less"},
		{name: "just at the threshold for good", rule: rule(.2), base: steady(100, 10), cand: candidate(80.6, 80.6, 80.6, 80.6, 80.6, 80.6, 80.6), kind: Inconclusive},
		{name: "noise hides the drop", rule: rule(.2), base: Baseline{Values: []float64{70, 130, 100, 75, 128, 98, 72, 131, 103, 99}}, cand: candidate(70, 72, 71), need: 2},
		{name: "one round of baseline confirms too", rule: rule(.2), base: steady(100, 1), cand: candidate(60, 60, 60), kind: Fail},
		{name: "but its pooled noise counts", rule: rule(.2), base: Baseline{Values: []float64{100}, Pooled: .3}, cand: candidate(60, 60, 60), need: 2},
		{name: "start-bound wants five rounds of baseline", rule: rule(.2), base: steady(100, 3), cand: Candidate{Rounds: candidate(60, 60, 60).Rounds, StartBound: true}, need: 2},
		{name: "start-bound with five", rule: rule(.2), base: steady(100, 5), cand: Candidate{Rounds: candidate(60, 60, 60).Rounds, StartBound: true}, kind: Fail},
		{name: "latency: a rise is worse", rule: latency, base: steady(10, 10), cand: candidate(13, 13, 13), kind: Fail, says: "+29.8 % worse"},
		{name: "latency: a drop is better", rule: latency, base: steady(10, 10), cand: candidate(5), kind: Pass, says: "better"},
		{name: "ratio: investigate asks for nothing", rule: ratio, base: steady(10, 10), cand: candidate(21), kind: Warn, says: "never blocks"},
		{name: "ratio: under it", rule: ratio, base: steady(10, 10), cand: candidate(18), kind: Pass},
		{name: "floor kept", rule: floor, cand: candidate(4.2), kind: Pass},
		{name: "floor broken", rule: floor, cand: candidate(3.9), kind: Warn, says: "at least 4 tok/s"},
		{name: "a critical count fails at once", rule: count, cand: candidate(0.99), kind: Fail, says: "no confirmation"},
		{name: "a critical count fails on any round", rule: count, cand: candidate(1, 1, 0.5), kind: Fail},
		{name: "a failing assertion is confirmed first", rule: stream, cand: candidate(0.9), need: 2},
		{name: "and then fails", rule: stream, cand: candidate(0.9, 0.9, 1), kind: Fail},
		{name: "or was odd", rule: stream, cand: candidate(0.9, 1, 1), kind: Warn},
		{name: "no baseline", rule: rule(.2), cand: candidate(100), kind: NoBaseline},
		{name: "another class", rule: rule(.2), base: Baseline{Incomparable: "CPU EPYC against Xeon"}, cand: candidate(100), kind: NotComparable, says: "Xeon"},
		{name: "no valid round is tried again", rule: rule(.2), base: steady(100, 10), cand: Candidate{Invalid: 1, Reason: "throttled"}, need: 1, says: "throttled"},
		{name: "three times invalid", rule: rule(.2), base: steady(100, 10), cand: Candidate{Invalid: 3, Reason: "throttled"}, kind: Invalid, says: "throttled"},
		{name: "zero can't be compared by ratio", rule: rule(.2), base: steady(100, 10), cand: candidate(0), kind: Error},
		{name: "of eleven rounds the last ten count", rule: rule(.2), base: Baseline{Values: append([]float64{1e6}, steady(100, 10).Values...)}, cand: candidate(99), kind: Pass},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.rule.Validate(); err != nil {
				t.Fatal(err)
			}
			o := Decide(c.rule, c.base, c.cand)
			text := ""
			switch {
			case o.Need != nil && o.Verdict != nil, o.Need == nil && o.Verdict == nil:
				t.Fatalf("outcome %+v: exactly one is wanted", o)
			case o.Need != nil:
				text = o.Need.Why
				if c.kind != "" || o.Need.Rounds != c.need {
					t.Fatalf("needs %d rounds (%s), want %s%d", o.Need.Rounds, o.Need.Why, c.kind, c.need)
				}
			default:
				text = o.Verdict.Reason
				if o.Verdict.Kind != c.kind {
					t.Fatalf("%s (%s), want %s", o.Verdict.Kind, o.Verdict.Reason, c.kind)
				}
				b, err := json.Marshal(o.Verdict)
				if err != nil {
					t.Fatal(err)
				}
				var back Verdict
				if err := json.Unmarshal(b, &back); err != nil {
					t.Fatal(err)
				}
				if err := Replay(back); err != nil {
					t.Error(err)
				}
			}
			if !strings.Contains(text, c.says) {
				t.Errorf("it says %q, want %q", text, c.says)
			}
		})
	}
}

func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		rule Rule
		says string
	}{
		"unknown metric":       {Rule{Metric: "ouput_rate", Severity: Failing, MaxDrop: p(.2)}, `did you mean "output_rate"`},
		"drop of a latency":    {Rule{Metric: "ttft.p50", Severity: Failing, MaxDrop: p(.2)}, "max_rise"},
		"rise of a rate":       {Rule{Metric: "output_rate", Severity: Failing, MaxRise: p(.2)}, "max_drop"},
		"two limits":           {Rule{Metric: "output_rate", Severity: Failing, MaxDrop: p(.2), Min: p(1)}, "exactly one"},
		"none":                 {Rule{Metric: "output_rate", Severity: Failing}, "exactly one"},
		"a drop of everything": {rule(1), "outside"},
		"ratio of 1":           {Rule{Metric: "ttft.p50", Severity: Failing, MaxRatio: p(1)}, "above 1"},
		"severity":             {Rule{Metric: "output_rate", Severity: "bad", MaxDrop: p(.2)}, "severity"},
		"not a number":         {rule(math.NaN()), "no number"},
	} {
		if err := c.rule.Validate(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// TestProperties: random inputs never lead to both or neither, a candidate that is better
// in every round never fails, and more of a drop never turns a fail into a pass.
func TestProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		sigma := 0.1 * rng.Float64()
		draw := func(n int, level float64) []float64 {
			out := make([]float64, n)
			for i := range out {
				out[i] = level * math.Exp(sigma*rng.NormFloat64())
			}
			return out
		}
		b := Baseline{Values: draw(1+rng.IntN(10), 100)}
		level := 60 + 60*rng.Float64()
		values := draw([]int{1, 3, 5, 7}[rng.IntN(4)], level)
		kind := func(scale float64) Kind {
			scaled := make([]float64, len(values))
			for i := range values {
				scaled[i] = values[i] * scale
			}
			o := Decide(rule(.2), b, candidate(scaled...))
			if o.Verdict == nil {
				return ""
			}
			if o.Verdict.SmallestFail < 0.2-1e-9 {
				t.Fatalf("smallest fail %g is under the threshold", o.Verdict.SmallestFail)
			}
			return o.Verdict.Kind
		}
		if kind(1) == Fail && kind(0.9) == Pass {
			t.Fatalf("fails at %v and passes lower", values)
		}
		if k := kind(10); k != Pass {
			t.Fatalf("ten times as fast: %s", k)
		}
	}
}
