package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/paceline/paceline/build/benchengine/output"
	"github.com/paceline/paceline/build/benchengine/plan"
	"github.com/paceline/paceline/build/benchengine/report"
)

// The programs of the end-to-end test are this test's own binary: TestMain plays each of
// them by the name that it was started as.
const asPeer = "BENCHENGINE_TEST_PLAYS"

func TestMain(m *testing.M) {
	if part := os.Getenv(asPeer); part != "" {
		os.Exit(play(part, os.Args))
	}
	os.Exit(m.Run())
}

// script writes an executable that plays part.
func script(t *testing.T, path, part string) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text := "#!/bin/sh\nexec env " + asPeer + "=" + part + " '" + self + "' \"$@\"\n"
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// fakePrograms is a folder where all programs are played.
func fakePrograms(t *testing.T) output.Programs {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the programs are shell scripts")
	}
	dir := t.TempDir()
	for _, name := range []string{"llama-bench", "llama-batched-bench", "llama-server"} {
		script(t, filepath.Join(dir, name), name)
	}
	return output.Programs{
		Engine: script(t, filepath.Join(dir, "engine"), "engine"), Models: map[string]string{"bf16": dir, "w8": dir, "w4": "no-w4"}, Plain: map[string]string{"bf16": dir},
		Llama: dir, GGUF: map[string]string{"bf16": "b", "q8_0": "8", "q4_0": "4"},
		Candle: script(t, filepath.Join(dir, "candle"), "rates"), Python: script(t, filepath.Join(dir, "python"), "rates"),
		Script: "t.py", Threads: 2, Vocabulary: 2000,
	}
}

// steadyMachine is this one, but that it reads 30 GB/s at once.
func steadyMachine(ctx context.Context) *machine {
	m := newMachine(ctx)
	m.read = func(context.Context) float64 { return 30 }
	return m
}

func TestTheMachineProbeReads(t *testing.T) {
	if rate := newMachine(t.Context()).read(t.Context()); rate <= 0 {
		t.Errorf("the machine reads %v GB/s", rate)
	}
}

func TestAllRowsEndToEndWithPlayedPrograms(t *testing.T) {
	programs := fakePrograms(t)
	rows := plan.Table()
	var said []string
	samples := measureAll(t.Context(), rows, 2, programs, steadyMachine(t.Context()), func(format string, args ...any) { said = append(said, format) })
	d := report.Document{Version: report.FileVersion, Rounds: 2, Samples: samples}
	for _, r := range rows {
		d.Rows = append(d.Rows, report.Row{Row: r, Outcomes: plan.Judge(r, samples)})
	}
	want := map[string]plan.Verdict{ // the engine plays 120, its peers 100, and it has no W4 and no packed W8
		"decode-bf16 0": plan.Yes, "decode-bf16 1": plan.Yes, "decode-bf16 2": plan.No,
		"decode-w8 0": plan.No, "decode-w8 1": plan.Yes,
		"prefill-bf16 0": plan.No, "prefill-bf16 1": plan.Yes, "prefill-w8 0": plan.No, "prefill-exact 0": plan.No,
		"prefill-long-bf16 0": plan.Yes, "prefill-long-w8 0": plan.Yes,
		"streams-8-bf16 0": plan.Yes, "streams-32-bf16 0": plan.Yes, "streams-8-w8 0": plan.Yes, "streams-32-w8 0": plan.Yes,
		"memory-bf16 0": plan.No, "memory-w8 0": plan.No,
	}
	for _, r := range d.Rows {
		for i, o := range r.Outcomes {
			id := r.ID + " " + string(rune('0'+i))
			switch verdict := want[id]; {
			case strings.HasPrefix(id, "ttft"), strings.HasPrefix(id, "start-bf16"):
				if o.Verdict == plan.NotMeasured || o.Ours.N != 2 { // real times: no test asserts them
					t.Errorf("%s: %s of %d rounds: %s", id, o.Verdict, o.Ours.N, o.Why)
				}
			case verdict == "":
				if o.Verdict != plan.NotMeasured || !strings.Contains(o.Why, "can't be measured here") {
					t.Errorf("%s: %s because %q", id, o.Verdict, o.Why)
				}
			case o.Verdict != verdict:
				t.Errorf("%s: %s (%v), want %s: %s", id, o.Verdict, o.Figure.Median, verdict, o.Why)
			}
		}
	}
	for _, s := range samples {
		if s.Error == "" && s.ProbeGBs != 30 {
			t.Errorf("the probe beside %s is %v", s.Task, s.ProbeGBs)
		}
	}
	if len(said) == 0 {
		t.Error("nothing was said meanwhile")
	}
	// What is written can be read again, and gives the same table.
	file := filepath.Join(t.TempDir(), "out.json")
	if err := report.WriteFile(file, d); err != nil {
		t.Fatal(err)
	}
	var direct, again bytes.Buffer
	if err := report.Render(&direct, "markdown", d); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), []string{"-from", file, "-format", "markdown"}, &again, &again); err != nil || again.String() != direct.String() {
		t.Errorf("rendered again, %v:\n%s\nwant\n%s", err, again.String(), direct.String())
	}
}

// TestAFailingPeerIsToldOnce: it isn't run again, and the others go on.
func TestAFailingPeerIsToldOnce(t *testing.T) {
	programs := fakePrograms(t)
	programs.Candle = script(t, filepath.Join(t.TempDir(), "candle"), "crash")
	rows, err := plan.Only(plan.Table(), []string{"decode-bf16"})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[plan.Program]int{}
	for _, s := range measureAll(t.Context(), rows, 3, programs, steadyMachine(t.Context()), t.Logf) {
		counts[s.Task.Program]++
		if s.Task.Program == plan.Candle && !strings.Contains(s.Error, "out of luck") {
			t.Errorf("the failure says %q, without the program's own words", s.Error)
		}
	}
	if counts[plan.Candle] != 1 || counts[plan.Engine] != 3 || counts[plan.LlamaCpp] != 3 {
		t.Errorf("samples %v, want one failed of candle and three of the others", counts)
	}
}

func TestAnInterruptLeavesWhatWasMeasured(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	samples := measureAll(ctx, plan.Table(), 9, fakePrograms(t), steadyMachine(ctx), func(string, ...any) {
		if n++; n == 4 { // the row's title and three samples
			cancel()
		}
	})
	if len(samples) != 3 {
		t.Errorf("%d samples, want the three until the interrupt", len(samples))
	}
	for _, s := range samples {
		if s.Error != "" {
			t.Errorf("the interrupt is told as the program's failure: %+v", s)
		}
	}
}

// line prints v as JSON.
