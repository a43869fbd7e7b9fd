//go:build native

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/gate"
)

// put writes a file into a folder of the test.
func put(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// goBench is the text of a benchmark that was repeated, each time a little different.
func goBench(nsPerOp float64, count int) string {
	var b strings.Builder
	b.WriteString("goos: linux\ngoarch: amd64\npkg: example.com/codec\ncpu: AMD EPYC\n")
	for i := range count {
		fmt.Fprintf(&b, "BenchmarkEncode-2   \t  100000\t  %.1f ns/op\t  %.2f MB/s\t 0 B/op\n", nsPerOp*(1+.002*float64(i%3)), 1e6/nsPerOp)
	}
	return b.String() + "PASS\nok  \texample.com/codec\t2.1s\n"
}

func TestCheckGoBenchmarks(t *testing.T) {
	dir := t.TempDir()
	old := put(t, dir, "old.txt", goBench(1000, 10))
	paceline(t, "check", put(t, dir, "same.txt", goBench(1004, 3)), "--baseline", old).expect(t, exitOK, "PASS (exit 0)", "3 of 3 checks")
	// A drop of 30 % in speed.
	slow := put(t, dir, "slow.txt", goBench(1000/.7, 3))
	paceline(t, "check", slow, "--baseline", old).expect(t, exitFail, "FAIL (exit 1)", "Encode ns/op", "+42.9 % worse", "−30.0 % worse")
	paceline(t, "check", slow, "--baseline", old, "--metric", "B/op").expect(t, exitOK, "PASS")
	paceline(t, "check", slow, "--baseline", old, "--max-change", "90%").expect(t, exitOK, "PASS")
	once := put(t, dir, "once.txt", goBench(1000/.7, 1))
	paceline(t, "check", once, "--baseline", old).expect(t, exitInconclusive, "go test -bench with -count=3")
	paceline(t, "check", once, "--baseline", old, "--inconclusive", "fail").expect(t, exitFail)
	paceline(t, "check", once, "--baseline", old, "--inconclusive", "pass").expect(t, exitOK)
	paceline(t, "check", once, once, "--baseline", old).expect(t, exitRequest, "twice")
	other := put(t, dir, "other.txt", strings.ReplaceAll(goBench(1000, 3), "AMD EPYC", "Intel Xeon"))
	paceline(t, "check", other, "--baseline", old).expect(t, exitOK, "NOTHING WAS COMPARED", "cpu_model was AMD EPYC, now Intel Xeon")
	paceline(t, "check", other, "--baseline", old, "--require-baseline").expect(t, exitMachine, "a baseline was required")
	paceline(t, "check", put(t, dir, "free.txt", "cpu: AMD EPYC\nBenchmarkFree-2 9 1 ns/op\n"), "--baseline", old).expect(t, exitOK, "NOTHING WAS COMPARED", "has no Free")
	broken := put(t, dir, "broken.txt", goBench(1000, 3)+"--- FAIL: BenchmarkX\nFAIL\n")
	paceline(t, "check", broken, "--baseline", old).expect(t, exitMachine, "FAIL: BenchmarkX")
	xml := filepath.Join(dir, "report.xml")
	paceline(t, "check", slow, "--baseline", old, "--output", "junit="+xml).expect(t, exitFail, "FAIL (exit 1)")
	if b, err := os.ReadFile(xml); err != nil || !strings.Contains(string(b), "<failure ") {
		t.Errorf("the JUnit file: %v\n%s", err, b)
	}
	// A job that reads the report finds in it that nothing was judged.
	paceline(t, "check", slow, "--baseline", old, "--metric", "ns/opp", "--output", "junit="+xml).expect(t, exitRequest, "gates nothing")
	if b, err := os.ReadFile(xml); err != nil || !strings.Contains(string(b), "gates nothing") {
		t.Errorf("the JUnit file: %v\n%s", err, b)
	}
}

func TestCheckValues(t *testing.T) {
	dir := t.TempDir()
	old := put(t, dir, "old.csv", "name,value,unit,direction\n"+strings.Repeat("decode,40,tok/s,higher\nstart,1.2,s,lower\n", 5))
	slow := put(t, dir, "new.csv", "name,value,unit,direction\n"+strings.Repeat("decode,28,tok/s,higher\nstart,1.2,s,lower\n", 3))
	paceline(t, "check", slow, "--baseline", old).expect(t, exitFail, "decode tok/s: 28 tok/s against 40 tok/s (−30.0 % worse)")
	good := put(t, dir, "new.json", `[{"name":"decode","value":39.5,"unit":"tok/s","direction":"higher"},{"name":"start","value":1.21,"unit":"s","direction":"lower"}]`)
	paceline(t, "check", good, "--baseline", old).expect(t, exitOK, "2 of 2 checks")
	bare := put(t, dir, "bare.csv", "name,value,unit\ndecode,39.5,tok/s\n")
	paceline(t, "check", bare, "--baseline", old).expect(t, exitRequest, "decode (tok/s)", "--better tok/s=higher")
	paceline(t, "check", bare, "--baseline", old, "--better", "tok/s=higher").expect(t, exitOK, "old.csv has what was not measured now: start s")
}

func TestCheckBadRequests(t *testing.T) {
	dir := t.TempDir()
	old := put(t, dir, "old.txt", goBench(1000, 5))
	missing := filepath.Join(dir, "nowhere.txt")
	for name, c := range map[string]struct {
		args []string
		says []string
	}{
		"no file":             {[]string{missing}, []string{missing}},
		"a folder":            {[]string{dir}, []string{"it is a folder"}},
		"cut off":             {[]string{put(t, dir, "cut.txt", goBench(1000, 2)[:180])}, []string{"cut.txt: line 6", "cut off"}},
		"empty":               {[]string{put(t, dir, "empty", "")}, []string{"it is empty"}},
		"something else":      {[]string{put(t, dir, "letter", "Dear all,\n")}, []string{"go test -bench text"}},
		"no baseline file":    {[]string{old, "--baseline", missing}, []string{"no such file", "branch:"}},
		"a baseline folder":   {[]string{old, "--baseline", dir}, []string{"it is a folder"}},
		"a baseline twice":    {[]string{old, "--baseline", old, "--baseline", old}, []string{"given twice"}},
		"another kind":        {[]string{old, "--baseline", put(t, dir, "v.csv", "name,value,unit,direction\na,1,s,lower\n")}, []string{"different things"}},
		"a branch":            {[]string{old, "--baseline", "main", "--data", dir}, []string{"no such file", "Paceline's own runs"}},
		"misspelt metric":     {[]string{old, "--baseline", old, "--metric", "ns/opp"}, []string{`did you mean "ns/op"`}},
		"a limit without %":   {[]string{old, "--baseline", old, "--max-change", "20"}, []string{"20% or 0.2"}},
		"a limit of nothing":  {[]string{old, "--baseline", old, "--max-drop", "0%"}, []string{"--max-drop 0%"}},
		"a direction":         {[]string{old, "--baseline", old, "--better", "ns/op=down"}, []string{"none of higher, lower"}},
		"what isn't clear is": {[]string{old, "--baseline", old, "--inconclusive", "maybe"}, []string{"pass or fail"}},
		"format":              {[]string{old, "--baseline", old, "--format", "yaml"}, []string{"yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := paceline(t, append([]string{"check"}, c.args...)...)
			o.expect(t, exitRequest, c.says...)
			if o.stdout != "" || strings.Count(o.stderr, "\n") != 1 {
				t.Errorf("one message is enough:\n%s%s", o.stdout, o.stderr)
			}
		})
	}
}

// TestCheckResultFiles measures twice, the second time with a planted slowdown, and
// judges the files afterwards: against each other, as a baseline file, and against the
// branch of the data folder.
func TestCheckResultFiles(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	out := func(name string) string { return filepath.Join(dir, name) }
	paceline(t, "run", quick(t), "--data", data, "--branch", "main", "--rounds", "5", "--out", out("old.json")).expect(t, exitOK)
	// The gate of the run itself is not what is tested: its exit code may be any verdict's.
	slow := paceline(t, "run", quick(t), "--data", t.TempDir(), "--rounds", "3", "--fault", "slow=3", "--out", out("slow.json"))
	if slow.code != exitOK {
		t.Fatalf("exit code %d\n%s%s", slow.code, slow.stdout, slow.stderr)
	}

	paceline(t, "check", out("slow.json"), "--baseline", out("old.json")).expect(t, exitFail, "speed output_rate", "fault-injected: slow=3")
	paceline(t, "check", out("slow.json"), "--baseline", "main", "--data", data).expect(t, exitFail, "speed output_rate")
	paceline(t, "check", out("slow.json"), "--baseline", "mian", "--data", data).expect(t, exitRequest, "branch mian has no run of suite quick: there are main")
	paceline(t, "check", out("slow.json"), "--baseline", "main", "--data", out("empty")).expect(t, exitRequest, "no data folder")
	paceline(t, "check", out("slow.json"), "--baseline", out("old.json"), "--metric", "token_agreement").expect(t, exitOK, "PASS")
	paceline(t, "check", out("slow.json"), "--baseline", out("old.json"), "--metric", "ouput_rate").expect(t, exitRequest, `did you mean "output_rate"`)
	// The run of the branch is not compared with itself: there is nothing else.
	paceline(t, "check", out("old.json"), "--baseline", "main", "--data", data).expect(t, exitOK, "NOTHING WAS COMPARED")
	if _, err := os.Stat(out("empty")); err == nil {
		t.Error("a check made a data folder")
	}

	old, err := result.Read(out("old.json"))
	if err != nil {
		t.Fatal(err)
	}
	old.Verdict = nil
	file := &baseline.File{Branch: "main", Suite: "quick", Program: "test", Exported: now(), Runs: []baseline.FileRun{{Document: *old, State: baseline.Joined, Verdict: gate.NoBaseline}}}
	write := func(name string) {
		f, err := os.Create(out(name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := baseline.WriteFile(f, file); err != nil {
			t.Fatal(err)
		}
	}
	write("base.json")
	paceline(t, "check", out("slow.json"), "--baseline", out("base.json"), "--format", "json").expect(t, exitFail, `"base": "main (file of `, "output_rate")
	file.Suite, file.Runs[0].Document.Run.Suite = "other", "other"
	write("other.json")
	paceline(t, "check", out("slow.json"), "--baseline", out("other.json")).expect(t, exitRequest, "suite other", "suite quick")
	b, err := os.ReadFile(out("slow.json"))
	if err != nil {
		t.Fatal(err)
	}
	cut := put(t, dir, "cut.json", string(b[:len(b)/2]))
	paceline(t, "check", cut, "--baseline", out("old.json")).expect(t, exitRequest, "cut.json", "not a result file")
	paceline(t, "check", out("slow.json"), "--baseline", out("old.json"), "--baseline", out("base.json")).expect(t, exitRequest, "give it alone")
	paceline(t, "check", out("base.json"), "--baseline", out("old.json")).expect(t, exitRequest, "give it to --baseline")
}
