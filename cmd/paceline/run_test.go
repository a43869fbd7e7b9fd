//go:build native

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/ledger/sqlite"
	"github.com/paceline/paceline/internal/proc/proctest"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
)

// TestRegressionIsCaught is the main job: record a baseline, plant a slowdown, be told so with
// the steps of the decision. The slowdown is larger than the shipped threshold needs,
// because this test runs on machines that others use too.
func TestRegressionIsCaught(t *testing.T) {
	data := t.TempDir()
	first := paceline(t, "run", quick(t), "--data", data)
	first.expect(t, 0, "NOTHING WAS COMPARED", "repeat  paceline run")
	for range 4 {
		o := paceline(t, "run", quick(t), "--data", data, "--inconclusive", "pass")
		if o.code != 0 && o.code != exitFail { // a busy machine may be slower: that is a verdict, not an error
			o.expect(t, 0)
		}
	}
	out := filepath.Join(t.TempDir(), "slow.json")
	report := filepath.Join(t.TempDir(), "slow.html")
	slow := paceline(t, "run", quick(t), "--data", data, "--fault", "slow=10", "--format", "json", "--out", out, "--report", report)
	slow.expect(t, exitFail)
	var rep format.Report
	if err := json.Unmarshal([]byte(slow.stdout), &rep); err != nil {
		t.Fatal(err)
	}
	if rep.Overall.Kind != gate.Fail || !strings.Contains(rep.Overall.Headline, "output_rate") {
		t.Errorf("verdict %+v", rep.Overall)
	}
	if rep.Rounds < 3 {
		t.Errorf("decided after %d rounds: a fail needs three that were really run", rep.Rounds)
	}
	if len(rep.Badges) == 0 || !strings.Contains(rep.Badges[0], "slow=10") {
		t.Errorf("badges %q don't name the planted fault", rep.Badges)
	}
	v := verdictOn(t, rep, "output_rate")
	if len(v.Steps) < 2 || v.Change > -0.4 {
		t.Errorf("change %+.3f in %d steps: %s", v.Change, len(v.Steps), v.Reason)
	}
	if err := gate.Replay(*v); err != nil {
		t.Error(err)
	}
	doc, err := result.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Rounds) < 3 || doc.Rounds[0].Subject.Faults == nil {
		t.Errorf("the result file has %d rounds, faults %v", len(doc.Rounds), doc.Rounds[0].Subject.Faults)
	}
	if _, err := os.Stat(result.SamplesPath(out)); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(report); err != nil || !strings.Contains(string(b), "slow=10") {
		t.Errorf("report: %v", err)
	}
	// A result with a fault never joins the baseline.
	for _, x := range rounds(t, data, rep.RunID) {
		if x.Join != ledger.JoinNone {
			t.Errorf("round %s with a fault is %s", x.ID, x.Join)
		}
	}
}

// TestSlowMachineIsNoRegression: a machine that isn't itself gives exit 3 with its
// reason, never 1, however slow the subject looks on it.
func TestSlowMachineIsNoRegression(t *testing.T) {
	data := t.TempDir()
	paceline(t, "run", quick(t), "--data", data, "--rounds", "6").expect(t, 0, "NOTHING WAS COMPARED")
	t.Setenv(machineSpeed, "0.6")
	o := paceline(t, "run", quick(t), "--data", data, "--fault", "slow=10")
	o.expect(t, exitMachine, "machine probe cpu.read", "INVALID")
}

func verdictOn(t *testing.T, rep format.Report, metric string) *gate.Verdict {
	t.Helper()
	for _, l := range rep.Lines {
		if string(l.Metric) == metric && l.Verdict != nil && l.Verdict.Rule.Relative() {
			return l.Verdict
		}
	}
	t.Fatalf("no verdict on %s", metric)
	return nil
}

func open(t *testing.T, data string) ledger.Ledger {
	t.Helper()
	l, err := sqlite.Open(t.Context(), filepath.Join(data, "ledger.sqlite"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func rounds(t *testing.T, data, run string) []ledger.Round {
	t.Helper()
	x, err := open(t, data).Rounds().OfRun(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func onlyRun(t *testing.T, data string) ledger.Run {
	t.Helper()
	list, err := open(t, data).Runs().List(t.Context(), ledger.RunFilter{})
	if err != nil || len(list) != 1 {
		t.Fatalf("%d runs, %v", len(list), err)
	}
	return list[0]
}

func TestInterruptCancels(t *testing.T) {
	data := t.TempDir()
	p := start(t, "run", "ci", "--data", data)
	p.waitFor(t, "throughput")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.wait(t).expect(t, exitCancelled, "is cancelled")
	if r := onlyRun(t, data); r.State != ledger.RunCancelled {
		t.Errorf("the run is %s", r.State)
	}
}

func TestKilledWorkerIsTheMachinesFault(t *testing.T) {
	data := t.TempDir()
	p := start(t, "run", "ci", "--data", data)
	p.waitFor(t, "throughput")
	pid := workerOf(t, p.cmd.Process.Pid)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.wait(t).expect(t, exitMachine, "signal 9")
}

// TestKilledCoordinatorLeavesNoWorker: the worker's input ends with its parent.
func TestKilledCoordinatorLeavesNoWorker(t *testing.T) {
	p := start(t, "run", "ci", "--data", t.TempDir())
	p.waitFor(t, "throughput")
	pid := workerOf(t, p.cmd.Process.Pid)
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait(t)
	proctest.WaitGone(t, pid, 30*time.Second)
}

// workerOf finds the worker among a process's children.
func workerOf(t *testing.T, parent int) int {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		stats, err := filepath.Glob("/proc/[0-9]*/stat")
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range stats {
			b, err := os.ReadFile(s)
			if err != nil {
				continue // it ended
			}
			_, rest, _ := strings.Cut(string(b), ") ")
			f := strings.Fields(rest)
			if len(f) < 2 || f[1] != strconv.Itoa(parent) {
				continue
			}
			cmdline, err := os.ReadFile(filepath.Join(filepath.Dir(s), "cmdline"))
			if err != nil || !strings.Contains(string(cmdline), "\x00worker\x00") {
				continue
			}
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(s)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatal("there is no worker")
	return 0
}
