package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

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
		Engine: script(t, filepath.Join(dir, "engine"), "engine"), Models: map[string]string{"bf16": dir}, PlainFolder: dir,
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
				if o.Verdict != plan.NotMeasured || !strings.Contains(o.Why, "not in this build") {
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

func TestFirstChoice(t *testing.T) {
	for _, c := range []struct{ name, stream, want string }{
		{"a token", ": hello\n\ndata: {\"choices\":[{\"text\":\"\"}]}\n\n", ""},
		{"after an event without one", "data: {\"choices\":[]}\n\ndata: {\"choices\":[{}]}\n\n", ""},
		{"none", "data: {\"usage\":{}}\n\n", "ended without a token"},
		{"the end mark", "data: [DONE]\n\n", "no JSON"},
		{"an error", "data: busy\n\n", "busy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := firstChoice(strings.NewReader(c.stream), time.Now())
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestARefusedRequestIsQuoted(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no such model", http.StatusNotFound)
	}))
	defer s.Close()
	if _, err := timesToFirst(t.Context(), s.Client(), s.URL, 4, 100); err == nil || !strings.Contains(err.Error(), "404 Not Found: no such model") {
		t.Errorf("error %v", err)
	}
}

func TestAServerThatEndsIsNotAwaited(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	if err := awaitReady(t.Context(), http.DefaultClient, "http://127.0.0.1:1", ended); err == nil || !strings.Contains(err.Error(), "ended before") {
		t.Errorf("error %v", err)
	}
}

func TestSharedRate(t *testing.T) {
	at := func(ms ...int) (times []time.Time) {
		for _, m := range ms {
			times = append(times, time.UnixMilli(int64(m)))
		}
		return times
	}
	// Both decode from 200 to 500 ms; in that time there are 3 + 3 tokens.
	rate, err := sharedRate([][]time.Time{at(100, 200, 300, 400, 500), at(200, 300, 400, 500, 600)})
	if err != nil || rate != 20 {
		t.Errorf("rate %v, %v, want 20", rate, err)
	}
	if _, err := sharedRate([][]time.Time{at(0, 100), at(100, 200)}); err == nil {
		t.Error("streams one after another have a rate")
	}
}

func TestPromptIDsDiffer(t *testing.T) {
	first := map[int32]bool{}
	for salt := range 40 {
		ids := promptIDs(16, salt, 100_000)
		if first[ids[0]] {
			t.Errorf("salt %d begins like another: a cached prefix would be found", salt)
		}
		first[ids[0]] = true
		for _, id := range ids {
			if id < 0 || id >= 100_000 {
				t.Errorf("id %d", id)
			}
		}
	}
}

func TestParseListed(t *testing.T) {
	got, err := parseListed("llama.cpp\tllama-cpp-python 0.3.36\t/c/bin\ncandle\t0.11.1\t/c/candle\n")
	if err != nil || len(got) != 2 || got[0] != (listed{"llama.cpp", "llama-cpp-python 0.3.36", "/c/bin"}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"llama.cpp /c/bin\n", "a\tb\t\n", "\n"} {
		if _, err := parseListed(bad); err == nil {
			t.Errorf("%q is a list", bad)
		}
	}
}

func FuzzParseListed(f *testing.F) {
	f.Add("llama.cpp\t1\t/c/bin\n")
	f.Fuzz(func(t *testing.T, s string) {
		list, err := parseListed(s)
		for _, l := range list {
			if err != nil || l.name == "" || l.path == "" {
				t.Errorf("%+v, %v", l, err)
			}
		}
	})
}

func TestOptions(t *testing.T) {
	for args, want := range map[string]string{
		"-rounds 0":            "-rounds 0",
		"-format xml":          "-format xml",
		"-threads 0":           "-threads 0",
		"-autogroup -21":       "-autogroup -21",
		"decode-bf16":          `"decode-bf16" is no option`,
		"-model /nowhere":      "no model folder",
		"-only decode-b16":     "there are: decode-bf16",
		"-from /nowhere.json":  "/nowhere.json",
		"-what":                "not defined",
		"-list -only prefill0": "no row",
	} {
		var out bytes.Buffer
		if err := run(t.Context(), strings.Fields(args), &out, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", args, err, want)
		}
	}
	o, err := parse([]string{"-quick", "-only", "decode,start-w8", "-model-w8", "/w8"}, &bytes.Buffer{})
	if err != nil || o.rounds != quickRounds || len(o.only) != 2 || o.find.models["w8"] != "/w8" || o.find.threads < 1 {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestWithoutTokenizer(t *testing.T) {
	t.Setenv("PACELINE_CACHE", t.TempDir())
	dir := t.TempDir()
	for _, name := range []string{"config.json", "tokenizer.json", "model.safetensors"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(`{"vocab_size": 7}`), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second call makes it anew
		plain, err := withoutTokenizer(dir)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(plain)
		if err != nil || len(entries) != 2 {
			t.Errorf("%v, %v: want the configuration and the weights", entries, err)
		}
		for _, e := range entries {
			if !e.Type().IsRegular() {
				t.Errorf("%s is no plain file, which the engine refuses", e.Name())
			}
		}
		if n, err := vocabulary(plain); err != nil || n != 7 {
			t.Errorf("vocabulary %d, %v", n, err)
		}
	}
	if _, err := withoutTokenizer(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder without a model: %v", err)
	}
}

// line prints v as JSON.
func line(v any) int {
	if json.NewEncoder(os.Stdout).Encode(v) != nil {
		return 1
	}
	return 0
}
