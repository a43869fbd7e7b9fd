package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/build/benchengine/plan"
)

var update = flag.Bool("update", false, "rewrite testdata")

// example has a row of each kind of target, one of them not measured.
func example(t testing.TB) Document {
	t.Helper()
	rows, err := plan.Only(plan.Table(), []string{"decode-bf16", "prefill-exact", "ttft-bf16", "memory-bf16", "start"})
	if err != nil {
		t.Fatal(err)
	}
	d := Document{
		Version: FileVersion,
		Machine: Machine{
			Host: "bench1", OS: "Debian 12", Kernel: "6.1.0", CPU: "A CPU", ISA: "avx2+fma", Cores: 2, MemoryBytes: 24e9, Load1: 0.02, Go: "go1.26.8", Commit: "0123456789ab",
		},
		Model: "qwen2.5-0.5b", Versions: map[string]string{"llama.cpp": "llama-cpp-python 0.3.36", "candle": "0.11.1"},
		Threads: 2, Rounds: 9, Began: time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC), Took: 31 * time.Minute,
		Warnings: []string{"a neighbour | is loud"},
	}
	values := map[plan.Program]map[plan.Kind]float64{
		plan.Engine:   {plan.Decode: 31, plan.Prefill: 210, plan.TTFT: 250, plan.Memory: 1190, plan.Start: 1.3},
		plan.LlamaCpp: {plan.Decode: 30, plan.TTFT: 400},
	}
	for _, r := range rows {
		for round := range d.Rounds {
			for _, task := range r.Tasks() {
				s := plan.Sample{Row: r.ID, Round: round + 1, Task: task, ProbeGBs: 32 + float64(round)/10}
				v, ok := values[task.Program][task.Kind]
				switch {
				case task.Program == plan.Candle && round == 0:
					s.Error = "can't be measured here: there is no candle; run 'make peers PEERS=candle'"
				case !ok || task.Format == "w8":
					continue
				default:
					s.Value = v * (1 + float64((round*5)%9-4)/200)
					s.BytesPerToken, s.NeededBytes = 988e6, 1.1e9
				}
				d.Samples = append(d.Samples, s)
			}
		}
	}
	for _, r := range rows {
		d.Rows = append(d.Rows, Row{Row: r, Outcomes: plan.Judge(r, d.Samples)})
	}
	return d
}

func TestRender(t *testing.T) {
	for _, format := range []string{"human", "markdown"} {
		var b bytes.Buffer
		if err := Render(&b, format, example(t)); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", format+".txt")
		if *update {
			if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s is\n%s\nwant\n%s(run the test with -update)", format, b.String(), want)
		}
	}
	if err := Render(&bytes.Buffer{}, "xml", Document{}); err == nil || !strings.Contains(err.Error(), "human or markdown") {
		t.Errorf("another format: %v", err)
	}
}

func TestOutcomesAreJudgedAnew(t *testing.T) {
	d := example(t)
	d.Rows[0].Outcomes[0].Verdict = plan.NoClose // a wish that no sample supports
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(data)
	if err != nil || got.Rows[0].Outcomes[0].Verdict != example(t).Rows[0].Outcomes[0].Verdict {
		t.Errorf("%v, verdict %q", err, got.Rows[0].Outcomes[0].Verdict)
	}
}

func TestParseIsStrict(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"an unknown key":         {`{"version":1,"verdikt":2}`, "verdikt"},
		"another version":        {`{"version":2}`, "version 2"},
		"a ratio without a peer": {`{"version":1,"rows":[{"id":"x","targets":[{"check":"ratio","want":1}]}]}`, "no peer"},
		"no JSON":                {`version 1`, "invalid character"},
	} {
		if _, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestBusy(t *testing.T) {
	quiet := plan.Sample{StealShare: 0.01, OtherShare: 0.02}
	if got := Busy([]plan.Sample{quiet, quiet}); got != nil {
		t.Errorf("a quiet machine: %q", got)
	}
	got := strings.Join(Busy([]plan.Sample{quiet, {OtherShare: 0.5}, {StealShare: 0.3, OtherShare: 0.1}}), "\n")
	for _, want := range []string{"during 2 of 3", "hypervisor took more than 4 % of the CPUs during 1 of 3"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q, want %q in it", got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	data, err := json.Marshal(example(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1,"rows":[{"id":"x","targets":[{"check":"ratio","want":1,"peer":{}}]}],"samples":[{"row":"x","round":1,"value":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := Parse(data)
		if err != nil {
			return
		}
		for _, format := range []string{"human", "markdown"} {
			if err := Render(&bytes.Buffer{}, format, d); err != nil {
				t.Error(err)
			}
		}
	})
}
