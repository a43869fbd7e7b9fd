package baseline

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/gate"
)

var update = flag.Bool("update", false, "write golden files")

// exported is a level of two runs, one of two rounds.
func exported() *File {
	round := func(run string, index int, at time.Time, rate float64) result.Round {
		return result.Round{
			ID: fmt.Sprintf("%s-%d", run, index), RunID: run, AttemptID: run + "-a1", Index: index, Started: at.Add(-time.Minute), Ended: at, Valid: true,
			Environment: result.Environment{Host: "ci-1", MachineID: "m1", Hardware: result.Hardware{CPUModel: "EPYC", Cores: 2, ISA: "avx2"}},
			Subject:     result.Identity{Build: "v1", Engine: "paceline/cpu", ModelDigest: "md", TokenizerDigest: "td", DType: "bf16/f32"},
			Cells: []result.CellResult{{
				Cell: "c1", Workload: "throughput", Trials: []result.Trial{}, Valid: index == 1,
				Values: []result.Value{{Metric: "output_rate", Value: rate, N: 3}, {Metric: "ttft.p50", Value: 0.1, N: 3}},
			}},
		}
	}
	run := func(id string, n int, verdict gate.Kind, rounds ...result.Round) FileRun {
		return FileRun{State: Joined, Verdict: verdict, Document: result.Document{
			Schema: result.SchemaVersion, Rounds: rounds, Run: result.Run{
				ID: id, Suite: "ci", SuiteText: "name: ci\n", SuiteHash: "d", Project: "engine", Branch: "main", Commit: "c0ffee", Lane: result.LaneBase,
				Subject: result.Subject{Target: "engine", Build: "self", Model: "robot-stories"}, Created: day(n),
			},
		}}
	}
	return &File{
		Schema: FileSchema, Kind: FileKind, Project: "engine", Branch: "main", Suite: "ci", Exported: day(9), Program: "v1",
		Runs: []FileRun{
			run("r1", 1, gate.NoBaseline, round("r1", 1, day(1), 41)),
			run("r2", 2, gate.Pass, round("r2", 1, day(2), 43), round("r2", 2, day(2).Add(time.Minute), 44)),
		},
	}
}

// TestGoldenFile reads what version 1 wrote once and for ever.
func TestGoldenFile(t *testing.T) {
	golden := filepath.Join("testdata", "v1.json")
	var wrote bytes.Buffer
	if err := WriteFile(&wrote, exported()); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, wrote.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), wrote.String()); d != "" {
		t.Error(d)
	}
	got, err := ReadFile(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(exported(), got); d != "" {
		t.Error(d)
	}
}

// TestEmptyFile: a branch that has no level yet.
func TestEmptyFile(t *testing.T) {
	f := exported()
	f.Runs = nil
	var b bytes.Buffer
	if err := WriteFile(&b, f); err != nil {
		t.Fatal(err)
	}
	got, err := ReadFile(&b)
	if err != nil || len(got.Runs) != 0 || len(got.Records()) != 0 {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestRecordsOfFile(t *testing.T) {
	f := exported()
	run := &f.Runs[1].Document
	key := result.KeyOf(&run.Rounds[0], run.Run.Subject, &run.Rounds[0].Cells[0], "output_rate")
	records := f.Records()
	if len(records) != 2 {
		t.Fatalf("%d series, want 2", len(records))
	}
	rates := records[key.Digest()]
	if got := ids(rates); got != "r1-1 r2-1 r2-2" {
		t.Errorf("rounds %q", got)
	}
	if rates[2].Valid || !rates[1].Valid {
		t.Error("a cell that isn't valid is no valid record")
	}
	level := Level(rates, Query{Branch: "main"})
	if got := ids(level); got != "r1-1 r2-1" {
		t.Errorf("level %q", got)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*File)
		want   string
	}{
		{"no branch", func(f *File) { f.Branch = "" }, "no branch"},
		{"no time", func(f *File) { f.Exported = time.Time{} }, "when it was exported"},
		{"another branch", func(f *File) { f.Runs[1].Document.Run.Branch = "next" }, `branch is "next", that of the file "main"`},
		{"another suite", func(f *File) { f.Suite = "ttft" }, `suite is "ci", that of the file "ttft"`},
		{"another project", func(f *File) { f.Project = "" }, "project"},
		{"two lanes", func(f *File) { f.Runs[1].Document.Run.Lane = result.LaneLocal }, "lane"},
		{"candidates", func(f *File) {
			f.Runs[0].Document.Run.Lane, f.Runs[1].Document.Run.Lane = result.LaneCandidate, result.LaneCandidate
		}, "candidate"},
		{"pending", func(f *File) { f.Runs[0].State = Pending }, "state"},
		{"undecided", func(f *File) { f.Runs[0].Verdict = gate.Invalid }, "verdict"},
		{"a report inside", func(f *File) { f.Runs[0].Document.Verdict = map[string]any{} }, "report"},
		{"faults", func(f *File) { f.Runs[0].Document.Rounds[0].Subject.Faults = []string{"slow=2"} }, "slow=2"},
		{"no rounds", func(f *File) { f.Runs[0].Document.Rounds = nil }, "no rounds"},
		{"twice", func(f *File) { f.Runs[1] = f.Runs[0] }, "twice"},
		{"a round twice", func(f *File) { f.Runs[1].Document.Rounds[1].ID = "r1-1" }, "another round has"},
		{"out of order", func(f *File) { f.Runs[0], f.Runs[1] = f.Runs[1], f.Runs[0] }, "older"},
		{"a round without end", func(f *File) { f.Runs[0].Document.Rounds[0].Ended = time.Time{} }, "ended"},
		{"a round of another run", func(f *File) { f.Runs[0].Document.Rounds[0].RunID = "r9" }, "belongs to run"},
		{"an unknown metric", func(f *File) { f.Runs[0].Document.Rounds[0].Cells[0].Values[0].Metric = "speed" }, "not in the table"},
		{"another version inside", func(f *File) { f.Runs[0].Document.Schema = 2 }, "version 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := exported()
			c.change(f)
			err := WriteFile(&bytes.Buffer{}, f)
			if !errors.Is(err, ErrNotFile) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrNotFile with %q", err, c.want)
			}
		})
	}
}

func TestBytesThatAreRefused(t *testing.T) {
	var b bytes.Buffer
	if err := WriteFile(&b, exported()); err != nil {
		t.Fatal(err)
	}
	good := b.String()
	for _, c := range []struct {
		name, text string
		is         error
		want       string
	}{
		{"empty", "", ErrNotFile, "cut off"},
		{"cut off", good[:len(good)/2], ErrNotFile, "export it again"},
		{"something behind it", good + "{}", ErrNotFile, ""},
		{"an unknown field", strings.Replace(good, `"branch"`, `"brunch":1,"branch"`, 1), ErrNotFile, "brunch"},
		{"another kind", strings.Replace(good, FileKind, "paceline.other", 1), ErrNotFile, "paceline baseline export"},
		{"a result file", `{"schema":1,"run":{}}`, ErrNotFile, "paceline baseline export"},
		{"no version", strings.Replace(good, `"schema":1,"kind"`, `"kind"`, 1), ErrNotFile, "no schema version"},
		{"a later version", strings.Replace(good, `"schema":1,"kind"`, `"schema":2,"kind"`, 1), ErrFileVersion, "version 2, this program reads 1"},
		{"too large", good + strings.Repeat(" ", MaxFileBytes), ErrNotFile, "8 MiB"},
		{"no list", `{"schema":1,"kind":"paceline.baseline","branch":"main","suite":"ci","exported":"2026-11-09T12:00:00Z","program":""}`, ErrNotFile, "no list of runs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadFile(strings.NewReader(c.text))
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %v with %q", err, c.is, c.want)
			}
		})
	}
}

// FuzzReadFile: whatever is read can be written, and reads the same again.
func FuzzReadFile(f *testing.F) {
	var b bytes.Buffer
	if err := WriteFile(&b, exported()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add([]byte(`{"schema":1,"kind":"paceline.baseline","branch":"b","suite":"s","exported":"2026-11-09T12:00:00Z","program":"","runs":[]}`))
	f.Add(b.Bytes()[:b.Len()/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := ReadFile(bytes.NewReader(b))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := WriteFile(&again, got); err != nil {
			t.Fatalf("read, but not written: %v", err)
		}
		second, err := ReadFile(bytes.NewReader(again.Bytes()))
		if err != nil {
			t.Fatalf("written, but not read: %v", err)
		}
		var third bytes.Buffer
		if err := WriteFile(&third, second); err != nil || third.String() != again.String() {
			t.Fatalf("not stable: %v", err)
		}
		for _, rs := range got.Records() {
			if len(Level(rs, Query{Branch: got.Branch})) > Rounds {
				t.Fatal("a level of more than ten rounds")
			}
		}
	})
}
