package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/imports"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/compare"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
	"github.com/paceline/paceline/suites/spec"
)

const oneSuite = `apiVersion: paceline/v1
kind: Suite
metadata: {name: one, title: one workload}
spec:
  workloads:
    - name: speed
      request: {max_tokens: 64}
      data: {type: prompt, prompts: ["Hello"]}
      window: {min_requests: 3}
      gates:
        - {metric: output_rate, max_drop: 0.20, severity: fail}
        - {metric: output_rate, min: 4, severity: investigate}
`

// ours is a result file of the suite with a rate for every round.
func ours(t *testing.T, id string, rates ...float64) *imports.Document {
	t.Helper()
	s, err := spec.Parse("one.yml", []byte(oneSuite))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	d := &imports.Document{Format: imports.Result, Name: id + ".json"}
	d.Schema = result.SchemaVersion
	d.Run = result.Run{
		ID: id, Suite: s.Name, SuiteHash: s.Digest(), SuiteText: oneSuite, Branch: "main", Lane: result.LaneBase, Created: at,
		Subject: result.Subject{Target: "engine", Build: "self", Model: "m"},
	}
	for i, v := range rates {
		d.Rounds = append(d.Rounds, result.Round{
			ID: fmt.Sprint(id, "-", i), RunID: id, Index: i + 1, Valid: true, Started: at, Ended: at.Add(time.Minute),
			Environment: result.Environment{MachineID: fmt.Sprint("m", i), Hardware: result.Hardware{CPUModel: "EPYC", Cores: 2}},
			Cells: []result.CellResult{{
				Cell: s.Expand()[0].Digest, Workload: "speed", Valid: true,
				Values: []result.Value{{Metric: "output_rate", Value: v, N: 3}, {Metric: "ttft.p50", Value: 1000 / v, N: 3}},
			}},
		})
	}
	return d
}

// rows are the checks of a report, or why it could not be made.
func rows(t *testing.T, docs []*imports.Document, r Rules, level func(*Check) (Level, error)) ([]string, format.Report) {
	t.Helper()
	c, err := New(docs, r)
	if err != nil {
		return []string{err.Error()}, format.Report{}
	}
	l, err := level(c)
	if err != nil {
		return []string{err.Error()}, format.Report{}
	}
	rep, err := c.Judge(t.Context(), l, gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range rep.Lines {
		if x.Verdict != nil {
			out = append(out, fmt.Sprintf("%s (%s): %s", x.Metric, x.Verdict.Rule.Limit(), x.Verdict.Kind))
		}
	}
	return out, rep
}

// against is the level of files.
func against(docs ...*imports.Document) func(*Check) (Level, error) {
	return func(c *Check) (Level, error) { return c.Documents(docs) }
}

func TestOwnFiles(t *testing.T) {
	was := func() *imports.Document { return ours(t, "old", 40, 41, 39, 40, 40) }
	now := func(rates ...float64) []*imports.Document { return []*imports.Document{ours(t, "new", rates...)} }
	const floor = "output_rate (at least 4 tok/s): pass"
	for _, c := range []struct {
		name string
		docs []*imports.Document
		rule Rules
		was  func(*Check) (Level, error)
		want []string
	}{
		{"the suite's rules", now(40), Rules{}, against(was()), []string{"output_rate (a drop of 20 %): pass", floor}},
		{"30 % slower", now(28, 28.1, 27.9), Rules{}, against(was()), []string{"output_rate (a drop of 20 %): fail", floor}},
		{"rounds in several files", []*imports.Document{ours(t, "a", 28), ours(t, "b", 28.1), ours(t, "c", 28)}, Rules{}, against(was()), []string{"output_rate (a drop of 20 %): fail", floor}},
		{"levels in several files", now(40), Rules{}, against(ours(t, "o1", 40), ours(t, "o2", 41)), []string{"output_rate (a drop of 20 %): pass", floor}},
		{"another limit", now(37, 37, 37), Rules{Drop: .05, Rise: .05}, against(was()), []string{"output_rate (a drop of 5 %): fail", floor}},
		{"another metric", now(28, 28, 28), Rules{Drop: .1, Rise: .1, Metrics: []string{"ttft*"}}, against(was()), []string{"ttft.p50 (a rise of 10 %): fail"}},
		{"a metric that the suite doesn't gate", now(40), Rules{Metrics: []string{"ttft.p50"}}, against(was()), []string{"--metric ttft.p50 gates nothing: there are output_rate"}},
		{"a misspelt metric", now(40), Rules{Metrics: []string{"ouput_rate"}}, against(was()), []string{`--metric ouput_rate gates nothing: did you mean "output_rate"?`}},
		{"a direction", now(40), Rules{Better: map[string]metric.Direction{"ms": metric.LowerIsBetter}}, against(was()), []string{"--better is for metrics that Paceline doesn't know: those of new.json are in its table"}},
		{"itself", now(40), Rules{}, against(ours(t, "new", 40)), []string{"new.json is run new, which is judged itself: give --baseline another one"}},
		{"twice the same", append(now(40), now(40)...), Rules{}, against(was()), []string{"run new is given twice: give each file once"}},
		{"no baseline", now(40), Rules{}, func(*Check) (Level, error) { return None(), nil }, []string{"output_rate (a drop of 20 %): no baseline", floor}},
	} {
		got, _ := rows(t, c.docs, c.rule, c.was)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
}

// What isn't the same is named.
func TestNotComparable(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*imports.Document)
		says   string
	}{
		"another machine": {func(d *imports.Document) { d.Rounds[0].Environment.Hardware.Cores = 8 }, "cores was 8, now 2"},
		"another model":   {func(d *imports.Document) { d.Rounds[0].Subject.ModelDigest = "x" }, "model_digest was x, now none"},
		"another workload of that name": {
			func(d *imports.Document) { d.Rounds[0].Cells[0].Cell = "x" }, "workload speed was another one: its request, data, load, warm-up or window differ",
		},
	} {
		was := ours(t, "old", 40)
		c.change(was)
		_, rep := rows(t, []*imports.Document{ours(t, "new", 40)}, Rules{}, against(was))
		if want := "NOTHING WAS COMPARED: the baseline was measured on something else: " + c.says; rep.Overall.Headline != want || rep.Overall.Exit != 0 {
			t.Errorf("%s: %q (exit %d), want %q", name, rep.Overall.Headline, rep.Overall.Exit, want)
		}
	}
}

// A file of a run that went wrong is no pass because its few rounds look fine.
func TestBrokenRuns(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*imports.Document)
		exit   int
		says   string
	}{
		"no rounds": {func(d *imports.Document) { d.Rounds = nil }, 3, "has no rounds"},
		"lost":      {func(d *imports.Document) { d.Verdict = overall(gate.Error, 3, "lost: the agent is gone") }, 3, "lost: the agent is gone"},
		"identity":  {func(d *imports.Document) { d.Verdict = overall(gate.Error, 2, "identity: another commit") }, 2, "another commit"},
		"lost beside a fail": {func(d *imports.Document) {
			d.Verdict = map[string]any{"overall": gate.Run{Kind: gate.Fail, Exit: 1, Problems: []gate.Problem{{Kind: "lost", Detail: "the agent is gone"}}}}
		}, 3, "lost: new.json: the agent is gone"},
		"failed then": {func(d *imports.Document) { d.Verdict = overall(gate.Fail, 1, "slow") }, 0, "of 2 checks"},
		"invalid": {func(d *imports.Document) {
			d.Rounds[0].Valid, d.Rounds[0].Reasons = false, []result.Reason{{Detail: "throttled"}}
		}, 3, "bring 1 more round: measure with paceline run one --rounds 1"},
		"a report of other times": {func(d *imports.Document) { d.Verdict = []int{1} }, 0, "of 2 checks"},
	} {
		d := ours(t, "new", 40)
		c.change(d)
		_, rep := rows(t, []*imports.Document{d}, Rules{}, against(ours(t, "old", 40)))
		if rep.Overall.Exit != c.exit || !strings.Contains(rep.Overall.Headline, c.says) {
			t.Errorf("%s: %q (exit %d), want %q (exit %d)", name, rep.Overall.Headline, rep.Overall.Exit, c.says, c.exit)
		}
	}
}

func overall(k gate.Kind, exit int, headline string) any {
	return map[string]any{"overall": map[string]any{"kind": k, "exit": exit, "headline": headline}}
}

// A baseline file gives the level of its branch, without the run that is judged.
func TestBaselineFile(t *testing.T) {
	file := &baseline.File{Schema: 1, Kind: baseline.FileKind, Branch: "main", Suite: "one", Exported: time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)}
	for i, rate := range []float64{40, 41, 39, 28} {
		d := ours(t, []string{"a", "b", "c", "new"}[i], rate)
		file.Runs = append(file.Runs, baseline.FileRun{Document: d.Document, State: baseline.Joined, Verdict: gate.Pass})
	}
	level := func(c *Check) (Level, error) { return c.Against("base.json", file) }
	got, rep := rows(t, []*imports.Document{ours(t, "new", 28, 28, 28)}, Rules{}, level)
	if d := cmp.Diff([]string{"output_rate (a drop of 20 %): fail", "output_rate (at least 4 tok/s): pass"}, got); d != "" {
		t.Error(d)
	}
	if v := rep.Lines[0].Verdict; !slices.Equal(v.Baseline.Runs, []string{"a", "b", "c"}) || len(file.Runs) != 4 {
		t.Errorf("compared with %v; the file has %d runs", v.Baseline.Runs, len(file.Runs))
	}
	for i := range file.Runs {
		for j := range file.Runs[i].Document.Rounds {
			file.Runs[i].Document.Rounds[j].Cells[0].Cell = "another"
		}
	}
	if _, rep := rows(t, []*imports.Document{ours(t, "new", 28)}, Rules{}, level); rep.Overall.Headline != "NOTHING WAS COMPARED: main (file of 2026-11-25 00:00) has no round of this series" {
		t.Errorf("nothing in common: %q", rep.Overall.Headline)
	}
	file.Suite = "two"
	if got, _ := rows(t, []*imports.Document{ours(t, "new", 28)}, Rules{}, level); got[0] != "base.json is the baseline of suite two, and what is judged is of suite one" {
		t.Errorf("another suite: %q", got)
	}
	if got, _ := rows(t, []*imports.Document{doc(t, "new.txt", "BenchmarkX 10 5 ns/op")}, Rules{}, level); !strings.Contains(got[0], "is the baseline of suite two, and what is judged is Go benchmark text") {
		t.Errorf("benchmarks: %q", got)
	}
}

var _ compare.Levels = none{}
