package check

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/imports"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
)

var update = flag.Bool("update", false, "write golden files from what the code does now")

func doc(t *testing.T, name, text string) *imports.Document {
	t.Helper()
	d, err := imports.Read(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// bench is go test's text of benchmarks, each value a line.
func bench(cpu string, values map[string][]float64, tail ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "goos: linux\ngoarch: amd64\npkg: example.com/codec\ncpu: %s\n", cpu)
	for _, name := range []string{"Encode", "Decode", "Free"} {
		for _, v := range values[name] {
			fmt.Fprintf(&b, "Benchmark%s-8 100 %g ns/op 0 B/op\n", name, v)
		}
	}
	return b.String() + strings.Join(tail, "\n")
}

func around(v float64, n int) []float64 {
	var out []float64
	for i := range n {
		out = append(out, v*(1+.004*float64(i%3-1)))
	}
	return out
}

// judged compares two texts and gives the report.
func judged(t *testing.T, now, was string, r Rules, o gate.Options) format.Report {
	t.Helper()
	c, err := New([]*imports.Document{doc(t, "new", now)}, r)
	if err != nil {
		t.Fatal(err)
	}
	l := None()
	if was != "" {
		if l, err = c.Documents([]*imports.Document{doc(t, "old", was)}); err != nil {
			t.Fatal(err)
		}
	}
	rep, err := c.Judge(t.Context(), l, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range rep.Lines {
		if x.Verdict != nil {
			if err := gate.Replay(*x.Verdict); err != nil {
				t.Errorf("%s %s: %v", x.Workload, x.Metric, err)
			}
		}
	}
	return rep
}

func TestVerdicts(t *testing.T) {
	type values = map[string][]float64
	csv := func(rows ...string) string { return "name,value,unit,direction\n" + strings.Join(rows, "\n") }
	repeat := func(row string, n int) []string { return slices.Repeat([]string{row}, n) }
	old := bench("A", values{"Encode": around(1000, 10), "Decode": around(500, 10)})
	for _, c := range []struct {
		name     string
		now, was string
		rules    Rules
		options  gate.Options
		kind     gate.Kind
		exit     int
		says     string // in the headline and the rest
	}{
		{"the same", bench("A", values{"Encode": around(1001, 7), "Decode": around(502, 7)}), old, Rules{}, gate.Options{}, gate.Pass, 0, "4 of 4"},
		{"30 % slower", bench("A", values{"Encode": around(1430, 3), "Decode": around(500, 3)}), old, Rules{}, gate.Options{}, gate.Fail, 1, "Encode ns/op"},
		{"one round can't confirm", bench("A", values{"Encode": around(1430, 1), "Decode": around(500, 1)}), old, Rules{}, gate.Options{}, gate.Inconclusive, 4, "bring 2 more rounds: go test -bench with -count=3"},
		{"and may count as a fail", bench("A", values{"Encode": around(1430, 1), "Decode": around(500, 1)}), old, Rules{}, gate.Options{Inconclusive: "fail"}, gate.Fail, 1, "bring 2 more"},
		{"one round can pass", bench("A", values{"Encode": around(1001, 1), "Decode": around(500, 1)}), old, Rules{}, gate.Options{}, gate.Pass, 0, ""},
		{"a tighter limit", bench("A", values{"Encode": around(1080, 5), "Decode": around(500, 5)}), old, Rules{Rise: .05}, gate.Options{}, gate.Fail, 1, "beyond a rise of 5 %"},
		{"a limit of the other direction", bench("A", values{"Encode": around(1080, 5), "Decode": around(500, 5)}), old + "\nUnit ns/op better=lower\n", Rules{Rise: .5}, gate.Options{}, gate.Pass, 0, ""},
		{"only what is named", bench("A", values{"Encode": around(1430, 3), "Decode": around(500, 3)}), old, Rules{Metrics: []string{"Dec*"}}, gate.Options{}, gate.Pass, 0, "2 of 2"},
		{"another machine", bench("B", values{"Encode": around(1000, 3), "Decode": around(500, 3)}), old, Rules{}, gate.Options{}, gate.NotComparable, 0, "NOTHING WAS COMPARED: the baseline was measured on something else: cpu_model was A, now B"},
		{"where a baseline is required", bench("B", values{"Encode": around(1000, 3), "Decode": around(500, 3)}), old, Rules{}, gate.Options{RequireBaseline: true}, gate.NotComparable, 3, "required"},
		{"nothing in common", bench("A", values{"Free": around(10, 3)}), old, Rules{}, gate.Options{}, gate.Warn, 0, "NOTHING WAS COMPARED: old has no Free"},
		{"no baseline", bench("A", values{"Free": around(10, 3)}), "", Rules{}, gate.Options{}, gate.NoBaseline, 0, "no baseline was given"},
		{"a benchmark that is gone", bench("A", values{"Encode": around(1000, 3)}), old, Rules{}, gate.Options{}, gate.Warn, 0, "old has what was not measured now: Decode ns/op, Decode B/op"},
		{"a failed benchmark is no pass", bench("A", values{"Encode": around(1000, 3), "Decode": around(500, 3)}, "--- FAIL: BenchmarkX", "FAIL"), old, Rules{}, gate.Options{}, gate.Error, 3, "FAIL: BenchmarkX"},
		{"a build that failed", "BenchmarkX-8\nFAIL\texample.com/codec [build failed]", old, Rules{}, gate.Options{}, gate.Error, 3, "build failed"},
		{"bytes where there were none", "cpu: A\n" + strings.Repeat("BenchmarkX-8 10 5 ns/op 16 B/op\n", 3), "cpu: A\n" + strings.Repeat("BenchmarkX-8 10 5 ns/op 0 B/op\n", 5), Rules{}, gate.Options{}, gate.Fail, 1, "at most 0 B/op is broken"},
		{"none where there were some", "cpu: A\n" + strings.Repeat("BenchmarkX-8 10 5 ns/op 0 B/op\n", 3), "cpu: A\n" + strings.Repeat("BenchmarkX-8 10 5 ns/op 16 B/op\n", 5), Rules{}, gate.Options{}, gate.Pass, 0, "2 of 2"},
		{"a rate that stopped", csv(repeat("r,0,tok/s,higher", 3)...), csv(repeat("r,40,tok/s,higher", 5)...), Rules{}, gate.Options{}, gate.Fail, 1, "at least 32 tok/s"},
		{"values", csv(repeat("r,28,tok/s,higher", 3)...), csv(repeat("r,40,tok/s,higher", 5)...), Rules{}, gate.Options{}, gate.Fail, 1, "r tok/s: 28 tok/s against 40 tok/s (−30.0 % worse)"},
		{"values without a unit", csv("r,28,,lower"), csv("r,28,,lower"), Rules{}, gate.Options{}, gate.Pass, 0, ""},
		{"another unit", csv("r,28,ms,lower"), csv("r,0.028,s,lower"), Rules{}, gate.Options{}, gate.Warn, 0, "NOTHING WAS COMPARED: old has no ms of r, only s"},
		{"a direction by flag", csv(repeat("r,28,tok/s,", 3)...), csv(repeat("r,40,tok/s,", 5)...), Rules{Better: map[string]metric.Direction{"tok/s": metric.HigherIsBetter}}, gate.Options{}, gate.Fail, 1, "worse"},
		{"a metric of the table", csv(repeat("r,28,output_rate,", 3)...), csv(repeat("r,40,output_rate,", 5)...), Rules{}, gate.Options{}, gate.Fail, 1, "28 tok/s against 40 tok/s"},
	} {
		rep := judged(t, c.now, c.was, c.rules, c.options)
		all := rep.Overall.Headline + "\n" + strings.Join(rep.Overall.Also, "\n")
		if rep.Overall.Kind != c.kind || rep.Overall.Exit != c.exit || !strings.Contains(all, c.says) {
			t.Errorf("%s: %s (exit %d), want %s (exit %d) with %q:\n%s", c.name, rep.Overall.Kind, rep.Overall.Exit, c.kind, c.exit, c.says, all)
		}
	}
}

func TestRefuses(t *testing.T) {
	csv := "name,value,unit,direction\nr,40,tok/s,higher\n"
	custom := "BenchmarkX 10 5 ns/op 3 hits/op\n"
	for name, c := range map[string]struct {
		texts []string
		rules Rules
		says  string
	}{
		"nothing":                 {nil, Rules{}, "nothing to judge"},
		"two kinds":               {[]string{csv, custom}, Rules{}, "one at a time"},
		"no direction":            {[]string{custom}, Rules{}, `X (hits/op): let the benchmark print the line "Unit hits/op better=higher"`},
		"no direction in a CSV":   {[]string{"name,value,unit\nr,1,ms\n"}, Rules{}, "r (ms): write higher or lower as its direction, or give --better ms=higher"},
		"a direction too many":    {[]string{csv}, Rules{Better: map[string]metric.Direction{"ms": metric.LowerIsBetter}}, "--better ms"},
		"misspelt metric":         {[]string{custom}, Rules{Metrics: []string{"ns/pp"}}, `did you mean "ns/op"`},
		"a metric that isn't":     {[]string{custom}, Rules{Metrics: []string{"throughput"}}, "gates nothing: there are X ns/op, X hits/op"},
		"two directions in files": {[]string{csv, "name,value,unit,direction\nr,40,tok/s,lower\n"}, Rules{}, "in another file"},
	} {
		var docs []*imports.Document
		for i, text := range c.texts {
			docs = append(docs, doc(t, fmt.Sprint("f", i), text))
		}
		if _, err := New(docs, c.rules); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	// What isn't gated needs no direction.
	if _, err := New([]*imports.Document{doc(t, "f", custom)}, Rules{Metrics: []string{"ns/op"}}); err != nil {
		t.Error(err)
	}
	c, err := New([]*imports.Document{doc(t, "f", csv)}, Rules{})
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]*imports.Document{"another kind": doc(t, "old", custom), "a failed build": doc(t, "old", "BenchmarkX\nFAIL\tx\n")} {
		if _, err := c.Documents([]*imports.Document{l}); err == nil {
			t.Errorf("a baseline of %s: no error", name)
		}
	}
}

// Several files are further rounds, and names are whole again where packages differ.
func TestSeveralFiles(t *testing.T) {
	one := bench("A", map[string][]float64{"Encode": {1430}})
	c, err := New([]*imports.Document{doc(t, "a", one), doc(t, "b", one), doc(t, "c", strings.Replace(one, "codec", "other", 1)), doc(t, "d", one)}, Rules{})
	if err != nil {
		t.Fatal(err)
	}
	l, err := c.Documents([]*imports.Document{doc(t, "old", bench("A", map[string][]float64{"Encode": around(1000, 5)}))})
	if err != nil {
		t.Fatal(err)
	}
	rep, err := c.Judge(t.Context(), l, gate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range rep.Lines {
		got = append(got, fmt.Sprintf("%s %s %s: %d, %s", x.Workload, x.Point["pkg"], x.Metric, x.Rounds, x.Verdict.Kind))
	}
	want := []string{
		"Encode example.com/codec ns/op: 3, fail", "Encode example.com/codec B/op: 3, pass",
		"Encode example.com/other ns/op: 1, no baseline", "Encode example.com/other B/op: 1, no baseline",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if rep.RunID != "a, b, c, d" || rep.Overall.Exit != 1 {
		t.Errorf("%q, exit %d", rep.RunID, rep.Overall.Exit)
	}
}

// TestGolden is what a person reads, in the forms that are for people and for machines.
func TestGolden(t *testing.T) {
	rep := judged(t, bench("A", map[string][]float64{"Encode": around(1430, 3), "Decode": around(500, 3), "Free": around(12, 3)}),
		bench("A", map[string][]float64{"Encode": around(1000, 10), "Decode": around(500, 10)}), Rules{}, gate.Options{})
	for _, name := range []string{"human", "markdown"} {
		var b bytes.Buffer
		if err := format.Write(&b, name, &rep, format.Options{}); err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", "slow."+name)
		if *update {
			if err := os.WriteFile(golden, b.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), b.String()); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// FuzzJudge: whatever two files hold, they are refused, or judged with verdicts that
// replay and an exit code of a verdict.
func FuzzJudge(f *testing.F) {
	csv := "name,value,unit,direction\nr,%s,tok/s,higher\nr,%s,tok/s,higher\n"
	f.Add(fmt.Sprintf(csv, "40", "41"), fmt.Sprintf(csv, "0", "-1"))
	f.Add(bench("A", map[string][]float64{"Encode": around(1430, 3)}), bench("A", map[string][]float64{"Encode": around(1000, 5)}))
	f.Add("BenchmarkX-2 1 1e99 ns/op\n", "BenchmarkX-2 1 1e-320 ns/op\n--- FAIL: y")
	f.Fuzz(func(t *testing.T, now, was string) {
		a, err := imports.Read("new", []byte(now))
		if err != nil {
			return
		}
		b, err := imports.Read("old", []byte(was))
		if err != nil {
			return
		}
		c, err := New([]*imports.Document{a}, Rules{})
		if err != nil {
			return
		}
		l, err := c.Documents([]*imports.Document{b})
		if err != nil {
			return
		}
		rep, err := c.Judge(t.Context(), l, gate.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Overall.Kind == "" || rep.Overall.Exit < gate.ExitOK || rep.Overall.Exit > gate.ExitInconclusive {
			t.Errorf("%+v", rep.Overall)
		}
		for _, x := range rep.Lines {
			if x.Verdict == nil {
				continue
			}
			if err := gate.Replay(*x.Verdict); err != nil {
				t.Errorf("%s %s: %v", x.Workload, x.Metric, err)
			}
		}
		for _, form := range format.Names() {
			if err := format.Write(&bytes.Buffer{}, form, &rep, format.Options{}); err != nil {
				t.Errorf("%s: %v", form, err)
			}
		}
	})
}
