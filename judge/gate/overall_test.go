package gate

import (
	"strings"
	"testing"
)

func verdicts(kinds ...Kind) (out []Verdict, names []string) {
	for _, k := range kinds {
		out = append(out, Verdict{Kind: k, Reason: "because of " + string(k), Rule: rule(.2)})
		names = append(names, "s")
	}
	return out, names
}

func TestOverall(t *testing.T) {
	lost := []Problem{{Kind: "lost", Detail: "gpu-07"}}
	missing := []Problem{{Kind: "missing", Detail: "gpu-03 is offline"}}
	wrong := []Problem{{Request: true, Kind: "identity", Detail: "commit a, measured b"}}
	for _, c := range []struct {
		name     string
		kinds    []Kind
		problems []Problem
		options  Options
		kind     Kind
		exit     int
		says     string
		also     string
	}{
		{name: "all pass", kinds: []Kind{Pass, Pass}, kind: Pass, exit: 0},
		{name: "warn", kinds: []Kind{Pass, Warn}, kind: Warn, exit: 0},
		{name: "fail wins over everything", kinds: []Kind{Inconclusive, Invalid, Fail}, problems: append(lost, wrong...), kind: Fail, exit: 1, says: "because of fail"},
		{name: "a bad request wins over a machine", kinds: []Kind{Pass}, problems: append(lost, wrong...), kind: Error, exit: 2, says: "identity"},
		{name: "a lost machine is never a fail or a pass", kinds: []Kind{Pass}, problems: lost, kind: Error, exit: 3, says: "gpu-07"},
		{name: "invalid", kinds: []Kind{Pass, Invalid}, kind: Invalid, exit: 3},
		{name: "inconclusive", kinds: []Kind{Pass, Inconclusive}, kind: Inconclusive, exit: 4},
		{name: "inconclusive as pass", kinds: []Kind{Inconclusive}, options: Options{Inconclusive: "pass"}, kind: Warn, exit: 0},
		{name: "inconclusive as fail", kinds: []Kind{Inconclusive}, options: Options{Inconclusive: "fail"}, kind: Fail, exit: 1},
		{name: "no rule", kind: Pass, exit: 0, says: "nothing was judged"},
		{name: "nothing compared", kinds: []Kind{NoBaseline, NoBaseline}, kind: NoBaseline, exit: 0, says: "NOTHING WAS COMPARED"},
		{name: "nothing comparable", kinds: []Kind{NotComparable}, kind: NotComparable, exit: 0, says: "NOTHING WAS COMPARED"},
		{name: "some compared", kinds: []Kind{Pass, NoBaseline}, kind: Pass, exit: 0, says: "1 of 2 compared"},
		{name: "a baseline is required", kinds: []Kind{Pass, NoBaseline}, options: Options{RequireBaseline: true}, kind: Pass, exit: 3, says: "1 of 2 compared"},
		{name: "a baseline is required and there is none", kinds: []Kind{NoBaseline}, options: Options{RequireBaseline: true}, kind: NoBaseline, exit: 3, says: "NOTHING WAS COMPARED"},
		{name: "a required baseline doesn't hide that it is inconclusive", kinds: []Kind{Inconclusive, NoBaseline}, options: Options{RequireBaseline: true}, kind: Inconclusive, exit: 4},
		{name: "inconclusive as fail doesn't hide a broken machine", kinds: []Kind{Inconclusive}, problems: lost, options: Options{Inconclusive: "fail"}, kind: Error, exit: 3},
		{name: "warn, and nothing compared", kinds: []Kind{Warn, NoBaseline}, kind: Warn, exit: 0, says: "1 of 2 compared; "},
		{name: "cancelled", kinds: []Kind{Pass}, options: Options{Cancelled: "by Ctrl-C"}, kind: Cancelled, exit: 5, says: "Ctrl-C"},
		{name: "a fail before it was cancelled is a fail", kinds: []Kind{Fail}, options: Options{Cancelled: "by Ctrl-C"}, kind: Fail, exit: 1},
		{name: "cancelled and inconclusive taken as pass", kinds: []Kind{Inconclusive}, options: Options{Cancelled: "x", Inconclusive: "pass"}, kind: Cancelled, exit: 5},
		{name: "a machine is missing", kinds: []Kind{Pass}, problems: missing, options: Options{Machines: 2}, kind: Error, exit: 3, says: "gpu-03"},
		{name: "enough machines", kinds: []Kind{Pass}, problems: missing, options: Options{Machines: 2, MinMachines: 2}, kind: Pass, exit: 0, also: "gpu-03"},
		{name: "too few machines", kinds: []Kind{Pass}, problems: missing, options: Options{Machines: 2, MinMachines: 3}, kind: Error, exit: 3},
		{name: "loosened rules", kinds: []Kind{Pass}, options: Options{Loosened: []string{"max_drop 0.2 → 0.5"}}, kind: Warn, exit: 0, says: "0.5"},
		{name: "nothing at all", kind: Pass, exit: 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, names := verdicts(c.kinds...)
			got := Overall(v, names, c.problems, c.options)
			if got.Kind != c.kind || got.Exit != c.exit || !strings.Contains(got.Headline, c.says) {
				t.Errorf("%s, exit %d, %q; want %s, exit %d, %q", got.Kind, got.Exit, got.Headline, c.kind, c.exit, c.says)
			}
			if !strings.Contains(strings.Join(got.Also, "\n"), c.also) {
				t.Errorf("also %q, want %q", got.Also, c.also)
			}
		})
	}
}

// TestGatedMetricThatNobodyMeasures: it is the suite that is wrong, not the machine.
func TestGatedMetricThatNobodyMeasures(t *testing.T) {
	o := Decide(rule(.2), steady(100, 10), Candidate{Absent: 1})
	if o.Verdict == nil || o.Verdict.Kind != Error || !o.Verdict.Config {
		t.Fatalf("%+v", o)
	}
	if got := Overall([]Verdict{*o.Verdict}, []string{"s"}, nil, Options{}); got.Exit != ExitRequest {
		t.Errorf("exit %d (%s), want 2", got.Exit, got.Headline)
	}
}

// TestSmallestFailOfAStartBoundSubject: with a short baseline it could fail nothing.
func TestSmallestFailOfAStartBoundSubject(t *testing.T) {
	c := candidate(100)
	c.StartBound = true
	for n, can := range map[int]bool{4: false, 5: true} {
		o := Decide(rule(.2), steady(100, n), c)
		if got := o.Verdict.SmallestFail > 0; got != can {
			t.Errorf("with %d rounds of baseline: smallest fail %g", n, o.Verdict.SmallestFail)
		}
	}
}

func TestOverallWithoutRelativeRules(t *testing.T) {
	v := []Verdict{{Kind: Pass, Rule: Rule{Metric: "token_agreement", Min: p(1)}}}
	if got := Overall(v, []string{"s"}, nil, Options{}); got.Kind != Pass || strings.Contains(got.Headline, "NOTHING") {
		t.Errorf("%+v", got)
	}
}

func TestFigures(t *testing.T) {
	for want, got := range map[string]string{
		"41.3 tok/s":    Figure(41.34, "tok/s"),
		"1,912 tok/s":   Figure(1912.4, "tok/s"),
		"3.91 ms":       Figure(3.912, "ms"),
		"0.123 ms":      Figure(0.1234, "ms"),
		"99.5 %":        Figure(0.995, "1"),
		"100 %":         Figure(1, "1"),
		"988 MB":        Figure(988e6, "B"),
		"4 tok/s":       Figure(4, "tok/s"),
		"−23.4 % worse": ChangeText(-0.234, true),
		"+11.8 % worse": ChangeText(0.118, false),
		"+1.0 % better": ChangeText(0.01, true),
		"±0.0 %":        ChangeText(0.0001, true),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestOverallKeepsProblems: what belongs to no series stays told apart from what does,
// so that a form with a place of its own for it needn't guess.
func TestOverallKeepsProblems(t *testing.T) {
	lost := Problem{Kind: "lost", Detail: "gpu-07"}
	missing := Problem{Kind: "missing", Detail: "gpu-03 is offline"}
	wrong := Problem{Request: true, Kind: "identity", Detail: "commit a, measured b"}
	v, names := verdicts(Fail)
	if got := Overall(v, names, []Problem{lost, missing, wrong}, Options{}).Problems; len(got) != 3 {
		t.Errorf("kept %+v", got)
	}
	// One that is only listed is none.
	got := Overall(v, names, []Problem{missing, lost}, Options{Machines: 2, MinMachines: 2}).Problems
	if len(got) != 1 || got[0] != lost {
		t.Errorf("kept %+v", got)
	}
}
