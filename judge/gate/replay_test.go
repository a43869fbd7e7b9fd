package gate

import (
	"errors"
	"strings"
	"testing"
)

func share(v float64) *float64 { return &v }

func TestForeignMetrics(t *testing.T) {
	lower := &Foreign{Unit: "ns/op", Better: Lower}
	for _, c := range []struct {
		name string
		rule Rule
		says string // of the error; empty: valid
	}{
		{"outside of the table", Rule{Metric: "ns/op", Severity: Failing, MaxRise: share(.2), Foreign: lower}, ""},
		{"without a definition", Rule{Metric: "ns/op", Severity: Failing, MaxRise: share(.2)}, "unknown metric"},
		{"the table alone defines its metrics", Rule{Metric: "output_rate", Severity: Failing, MaxDrop: share(.2), Foreign: lower}, "in the table"},
		{"without a direction", Rule{Metric: "ns/op", Severity: Failing, MaxRise: share(.2), Foreign: &Foreign{Unit: "ns/op"}}, "none of higher, lower"},
		{"against the direction", Rule{Metric: "ns/op", Severity: Failing, MaxDrop: share(.2), Foreign: lower}, "use max_rise"},
	} {
		err := c.rule.Validate()
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
	rule := Rule{Metric: "ns/op", Severity: Failing, MaxRise: share(.2), Foreign: lower}
	base := Baseline{Values: []float64{100, 101, 99, 100, 100}}
	worse := Decide(rule, base, Candidate{Rounds: []Round{{Value: 140}, {Value: 141}, {Value: 139}}})
	if worse.Verdict == nil || worse.Verdict.Kind != Fail || !strings.Contains(worse.Verdict.Reason, "140 ns/op against 100 ns/op (+40.0 % worse)") {
		t.Errorf("a rise: %+v", worse.Verdict)
	}
	rule.MaxRise, rule.MaxDrop, rule.Foreign = nil, share(.2), &Foreign{Better: Higher}
	if better := Decide(rule, base, Candidate{Rounds: []Round{{Value: 140}}}); better.Verdict.Kind != Pass || Replay(*better.Verdict) != nil {
		t.Errorf("a rise where higher is better: %+v", better.Verdict)
	}
}

// Rounds that were asked for and not run leave a verdict with figures, which can be
// replayed as any other.
func TestUnmet(t *testing.T) {
	rule := Rule{Metric: "output_rate", Severity: Failing, MaxDrop: share(.2)}
	base := Baseline{Values: []float64{40, 41, 39, 40, 40}}
	why := func(have int, n Need) string { return strings.Repeat("have", have) + strings.Repeat("need", n.Rounds) }
	v := Unmet(rule, base, Candidate{Rounds: []Round{{Value: 30}}}, why)
	if v.Kind != Inconclusive || v.Reason != "haveneedneed" || v.Value != 30 || v.BaselineValue != 40 || v.K != 1 || v.N != 5 || v.SmallestFail == 0 {
		t.Errorf("one bad round: %+v", v)
	}
	if err := Replay(v); err != nil {
		t.Error(err)
	}
	v.Baseline.Values = []float64{30, 30, 30, 30, 30}
	if err := Replay(v); !errors.Is(err, errMismatch) {
		t.Errorf("replay with another baseline: %v", err)
	}
	if v := Unmet(rule, base, Candidate{Invalid: 1, Reason: "throttled"}, why); v.Kind != Invalid || v.Reason != "need" || Replay(v) != nil {
		t.Errorf("no valid round: %+v", v)
	}
	if v := Unmet(rule, base, Candidate{Rounds: []Round{{Value: 40}}}, why); v.Kind != Pass || v.Need != nil {
		t.Errorf("nothing was asked for: %+v", v)
	}
	if v := Unmet(rule, Baseline{Absent: "old.txt has no output_rate"}, Candidate{Rounds: []Round{{Value: 40}}}, why); v.Kind != NoBaseline || v.Reason != "old.txt has no output_rate" || Replay(v) != nil {
		t.Errorf("a level that is absent for a reason: %+v", v)
	}
}
