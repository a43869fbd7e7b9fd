package imports

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
)

// shown is a document in a form that reads: every value with its round, then every
// metric that the table doesn't have.
func shown(d *Document) []string {
	var out []string
	names := map[string]string{}
	for _, r := range d.Rounds {
		for _, c := range r.Cells {
			names[c.Cell] = c.Workload
			for _, v := range c.Values {
				text := fmt.Sprintf("%d %s %s %g", r.Index, c.Workload, v.Metric, v.Value)
				if def, ok := d.Defs[Series{c.Cell, v.Metric}]; ok {
					text += fmt.Sprintf(" %s, %s", def.Unit, def.Better)
				}
				out = append(out, text)
			}
		}
	}
	return out
}

func read(t *testing.T, text string) *Document {
	t.Helper()
	d, err := Read("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestGoBenchmarks(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "bench.txt"))
	if err != nil {
		t.Fatal(err)
	}
	d := read(t, string(b))
	const lower, higher = "lower is better", "higher is better"
	want := []string{
		"1 Encode/size=1k ns/op 1012 ns/op, " + lower, "1 Encode/size=1k MB/s 988.14 MB/s, " + higher,
		"1 Encode/size=1k B/op 128 B/op, " + lower, "1 Encode/size=1k allocs/op 2 allocs/op, " + lower,
		"1 Lookup ns/op 133 ns/op, " + lower, "1 Lookup hits/op 0.98 hits/op, " + higher, "1 Lookup B/op 0 B/op, " + lower, "1 Lookup allocs/op 0 allocs/op, " + lower,
		"2 Encode/size=1k ns/op 1008 ns/op, " + lower, "2 Encode/size=1k MB/s 990.02 MB/s, " + higher,
		"2 Encode/size=1k B/op 128 B/op, " + lower, "2 Encode/size=1k allocs/op 2 allocs/op, " + lower,
		"2 Lookup ns/op 131.5 ns/op, " + lower, "2 Lookup hits/op 0.97 hits/op, " + higher, "2 Lookup B/op 0 B/op, " + lower, "2 Lookup allocs/op 0 allocs/op, " + lower,
	}
	if diff := cmp.Diff(want, shown(d)); diff != "" {
		t.Error(diff)
	}
	hw := result.Hardware{CPUModel: "AMD EPYC 9474F 48-Core Processor", Cores: 8, ISA: "linux/amd64"}
	if got := d.Rounds[0].Environment.Hardware; got != hw {
		t.Errorf("hardware %+v", got)
	}
	if d.Format != GoBench || d.Run.Suite != Suite || d.Rounds[0].Cells[0].Point["pkg"] != "example.com/codec" || len(d.Failed) != 0 {
		t.Errorf("%s %s %v %v", d.Format, d.Run.Suite, d.Rounds[0].Cells[0].Point, d.Failed)
	}
}

func TestGoBenchmarkNames(t *testing.T) {
	for _, c := range []struct {
		name, text, want string
		cores            int
	}{
		{"one core has no suffix", "BenchmarkA 10 5 ns/op\nBenchmarkB/n=3 10 6 ns/op\n", "A B/n=3", 0},
		{"a suffix that all share", "BenchmarkA-4 10 5 ns/op\nBenchmarkB/x-2-4 10 6 ns/op\n", "A B/x-2", 4},
		{"-cpu 1,2", "BenchmarkA 10 5 ns/op\nBenchmarkA-2 10 6 ns/op\n", "A A-2", 0},
		{"sizes that look like cores", "BenchmarkA/s-16 10 5 ns/op\nBenchmarkA/s-32 10 6 ns/op\n", "A/s-16 A/s-32", 0},
		{"words, names alone and logs", "BenchmarkA\nBenchmarking is fun\n  BenchmarkX 1 2\nUnit tests are fine\nBenchmarkA 10 5 ns/op\n", "A", 0},
		{"no name after the word", "Benchmark 10 5 ns/op\n", "", 0},
	} {
		d := read(t, c.text)
		var names []string
		for _, x := range d.Rounds[0].Cells {
			names = append(names, x.Workload)
		}
		if got := strings.Join(names, " "); got != c.want || d.Rounds[0].Environment.Hardware.Cores != c.cores {
			t.Errorf("%s: %q on %d cores, want %q on %d", c.name, got, d.Rounds[0].Environment.Hardware.Cores, c.want, c.cores)
		}
	}
}

// What go test says of itself is kept: a benchmark that failed is no benchmark that
// disappeared.
func TestGoFailures(t *testing.T) {
	d := read(t, "BenchmarkA-2 10 5 ns/op\n--- FAIL: BenchmarkB-2\n    b_test.go:7: broken\nFAIL\nexit status 1\nFAIL\texample.com/x\t0.2s\n")
	if diff := cmp.Diff([]string{"--- FAIL: BenchmarkB-2", "FAIL example.com/x 0.2s"}, d.Failed); diff != "" {
		t.Error(diff)
	}
	if d := read(t, "BenchmarkA-2\nFAIL\tx [build failed]\n"); len(d.Rounds) != 0 || len(d.Failed) != 1 {
		t.Errorf("%d rounds, failed %q", len(d.Rounds), d.Failed)
	}
}

// Machines are told apart within a file: their values are rounds of their own.
func TestTwoMachines(t *testing.T) {
	d := read(t, "cpu: A\nBenchmarkX-2 10 5 ns/op\nBenchmarkX-2 10 6 ns/op\ncpu: B\nBenchmarkX-2 10 9 ns/op\n")
	var got []string
	for _, r := range d.Rounds {
		got = append(got, fmt.Sprintf("%s %g", r.Environment.Hardware.CPUModel, r.Cells[0].Values[0].Value))
	}
	if diff := cmp.Diff([]string{"A 5", "A 6", "B 9"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestValues(t *testing.T) {
	want := []string{
		"1 decode tok/s 41.3 tok/s, higher is better", "1 start value 3.5 , lower is better", "2 decode tok/s 40.9 tok/s, higher is better",
	}
	for name, text := range map[string]string{
		"CSV":                   "name,value,unit,direction\ndecode,41.3,tok/s,higher\nstart,3.5,,lower\ndecode,40.9,tok/s,higher\n",
		"CSV of a spreadsheet":  "\xef\xbb\xbf\"Name\", \"Value\", Unit, Direction\r\ndecode, 41.3, tok/s, higher\r\nstart, 3.5, , lower\r\ndecode, 40.9, tok/s,\r\n",
		"CSV with rounds":       "round,value,name,unit,direction\n1,41.3,decode,tok/s,higher\n1,3.5,start,,lower\n2,40.9,decode,tok/s,higher\n",
		"array":                 `[{"name":"decode","value":41.3,"unit":"tok/s","direction":"higher"},{"name":"start","value":3.5,"direction":"lower"},{"name":"decode","value":40.9,"unit":"tok/s"}]`,
		"one object a line":     `{"name":"decode","value":41.3,"unit":"tok/s"}` + "\n" + `{"name":"start","value":3.5,"direction":"lower"}` + "\n" + `{"name":"decode","value":40.9,"unit":"tok/s","direction":"higher"}` + "\n",
		"objects with a number": `{"value":40.9,"name":"decode","unit":"tok/s","round":2,"direction":"higher"} {"name":"start","value":3.5,"direction":"lower"} {"name":"decode","value":41.3,"unit":"tok/s","round":1}`,
	} {
		got := map[string]bool{}
		d := read(t, text)
		for _, s := range shown(d) {
			got[strings.SplitN(s, " ", 2)[1]] = true
		}
		for _, s := range want {
			if s = strings.SplitN(s, " ", 2)[1]; !got[s] {
				t.Errorf("%s: no %q in %q", name, s, shown(d))
			}
		}
		if len(d.Rounds) != 2 {
			t.Errorf("%s: %d rounds, want 2", name, len(d.Rounds))
		}
	}
}

// A name of the metric table means what the table says.
func TestMetricsOfTheTable(t *testing.T) {
	d := read(t, "name,value,unit\nstory,41,output_rate\n")
	if len(d.Defs) != 0 || d.Rounds[0].Cells[0].Values[0].Metric != metric.ID("output_rate") {
		t.Errorf("defined %v, %v", d.Defs, d.Rounds[0].Cells[0].Values)
	}
}

func TestReadRefuses(t *testing.T) {
	csv := func(rows string) string { return "name,value,unit,direction,round\n" + rows }
	for name, c := range map[string]struct{ text, says string }{
		"nothing":                {"", "it is empty"},
		"blank":                  {" \n\n", "it is empty"},
		"a letter":               {"Dear all,\nit got faster.\n", "known are"},
		"no benchmark":           {"goos: linux\nPASS\nok  \tx\t0.1s\n", "-bench"},
		"go test -json":          {`{"Time":"2026-01-01T00:00:00Z","Action":"start","Package":"x"}`, "without -json"},
		"a baseline":             {`{"schema":1,"kind":"paceline.baseline","branch":"main"}`, "--baseline"},
		"other JSON":             {`{"results":[1,2]}`, "neither"},
		"no value":               {"[]", "no values"},
		"a result cut off":       {`{"schema": 1, "run": {"id": "r1", "sui`, "not a result file"},
		"a result's version":     {`{"schema": 9, "run": {}}`, "version 9"},
		"array cut off":          {`[{"name":"a","value":1,"direction":"lower"},{"name":"b","va`, "cut off"},
		"array not closed":       {`[{"name":"a","value":1,"direction":"lower"}`, "cut off"},
		"something after":        {`[{"name":"a","value":1}] 7`, "follows"},
		"misspelt key":           {`[{"name":"a","value":1,"directon":"lower"}]`, `did you mean "direction"`},
		"value as text":          {`[{"name":"a","value":"1 ms"}]`, "write a number"},
		"value is null":          {`[{"name":"a","value":null}]`, "leave out"},
		"value missing":          {`[{"name":"a","unit":"ms"}]`, "no value"},
		"a direction":            {`[{"name":"a","value":1,"direction":"up"}]`, "none of higher, lower"},
		"round 0":                {`[{"name":"a","value":1,"round":0}]`, "from 1"},
		"misspelt column":        {"name,value,units\na,1,ms\n", `did you mean "unit"`},
		"column twice":           {"name,value,name\na,1,b\n", "twice"},
		"semicolons":             {"name;value\na;1\n", "commas"},
		"row cut off":            {csv("a,1,ms,lower,1\nb,2,m"), "cut off"},
		"no number":              {csv("a,fast,ms,lower,1\n"), "line 2"},
		"not a number":           {csv("a,NaN,ms,lower,1\n"), "no number"},
		"infinite":               {csv("a,+Inf,ms,lower,1\n"), "no number"},
		"no name":                {csv(",1,ms,lower,1\n"), "no name"},
		"control characters":     {csv("\"a\x1b[31m\",1,ms,lower,1\n"), "control"},
		"a round twice":          {csv("a,1,ms,lower,1\na,2,ms,lower,1\n"), "line 3: round 1 has two values"},
		"rounds now and then":    {csv("a,1,ms,lower,1\na,2,ms,lower,\n"), "number all"},
		"both directions":        {csv("a,1,ms,lower,1\na,2,ms,higher,2\n"), "line 3"},
		"against the table":      {csv("a,1,output_rate,lower,1\n"), "higher is better"},
		"a table's metric, bare": {csv("a,1,ttft,lower,1\n"), "ttft.p50"},
		"go line cut off":        {"BenchmarkA-2 10 5 ns/op\nBenchmarkA-2 10 5", "line 2"},
		"go line within a word":  {"BenchmarkA-2 10 5 ns/op\nBenchmarkA-2 1x", "iterations"},
		"go value":               {"BenchmarkA-2 10 5,1 ns/op\n", "is no value"},
		"go value twice":         {"BenchmarkA-2 10 5 ns/op 6 ns/op\n", "two values"},
		"go value not a number":  {"BenchmarkA-2 10 NaN ns/op\n", "no number"},
		"go unit":                {"Unit x better=up\nBenchmarkA-2 10 5 x\n", "better=higher"},
	} {
		_, err := Read("f.txt", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "read f.txt: ") {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
	if _, err := Read("f", []byte("hello")); !errors.Is(err, ErrFormat) {
		t.Errorf("a word: %v", err)
	}
}

// TestRecognise: contents decide.
func TestRecognise(t *testing.T) {
	for text, want := range map[string]Format{
		`{"schema":1,"run":{}}`: Result, `{"schema":1,"kind":"paceline.baseline","runs":[{"document":{"run`: Baseline,
		`[{"name":"x"`: JSON, "name,value\nBenchmarkX,1\n": CSV, "hello\nBenchmarkX 1 2 ns/op": GoBench, "x,y\n1,2": Unknown,
	} {
		if got := Recognise([]byte(text)); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// FuzzRead: whatever a file holds, it is refused, or it is a document whose values are
// finite, belong to its rounds and have no series twice in one.
func FuzzRead(f *testing.F) {
	b, err := os.ReadFile(filepath.Join("testdata", "bench.txt"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	for _, s := range []string{
		"name,value,unit,direction\nx,1,ms,lower\n", "name;value\n", `[{"name":"a","value":1,"round":3}]`, `{"name":"a","value":1e308}`,
		`{"schema":1,"kind":"paceline.baseline"}`, `{"schema":1,"run":{"id":"r","suite":"ci","lane":"local"}}`,
		"BenchmarkA-2 10 5 ns/op\n--- FAIL: BenchmarkB\nFAIL\n", "Unit a better=lower\nBenchmark-2\t1\t2 a\n", "\xef\xbb\xbfname,value\n\"a\nb\",1\n",
	} {
		f.Add([]byte(s))
	}
	peers, err := filepath.Glob("testdata/peers/*.*")
	if err != nil || len(peers) == 0 {
		f.Fatal(err)
	}
	for _, p := range peers {
		if b, err = os.ReadFile(p); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Read("f", b)
		if err != nil {
			return
		}
		if !d.Foreign() {
			return // bench/result has a target of its own
		}
		if len(d.Rounds) == 0 && len(d.Failed) == 0 {
			t.Error("nothing at all was read")
		}
		for _, r := range d.Rounds {
			if r.RunID != d.Run.ID || !r.Valid || len(r.Cells) == 0 {
				t.Errorf("round %+v", r)
			}
			for _, c := range r.Cells {
				seen := map[metric.ID]bool{}
				for _, v := range c.Values {
					_, table := v.Metric.Def()
					_, own := d.Defs[Series{c.Cell, v.Metric}]
					if v.Value-v.Value != 0 || seen[v.Metric] || table == own {
						t.Errorf("%s: %+v", c.Workload, v)
					}
					seen[v.Metric] = true
				}
			}
		}
	})
}
