//go:build native

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/paceline/paceline/judge/machine"
)

// doctor runs `paceline doctor --json` for a data folder that isn't there yet, and
// checks that it leaves nothing behind.
func doctor(t *testing.T, args ...string) (machine.Report, outcome) {
	t.Helper()
	tmp, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	t.Setenv("TMPDIR", tmp)
	t.Setenv("PACELINE_DATA", data)
	o := paceline(t, append([]string{"doctor", "--json"}, args...)...)
	var r machine.Report
	if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
		t.Fatalf("%v: standard output %.300q, standard error:\n%s", err, o.stdout, o.stderr)
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("the data folder was made: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "paceline-doctor-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if o.code != r.Exit || r.Schema != machine.SchemaVersion || r.Flavour != "native" {
		t.Errorf("exit code %d, report's %d, schema %d, flavour %s", o.code, r.Exit, r.Schema, r.Flavour)
	}
	return r, o
}

// TestDoctor runs real rounds. How noisy they are, and whether a busy machine makes
// some invalid, is the machine's; what is said of them must fit.
func TestDoctor(t *testing.T) {
	r, o := doctor(t, "--rounds", "3")
	x := r.Rounds
	if x == nil || x.Suite != doctorSuite || x.Asked != 3 || x.Valid+x.Invalid < 3 || x.Failed != "" {
		t.Fatalf("rounds %+v; standard error:\n%s", x, o.stderr)
	}
	if x.Valid >= 3 && len(x.Gates)+len(x.Unknown) != 2 {
		t.Errorf("%d gates of two: %+v", len(x.Gates), x.Gates)
	}
	for _, g := range x.Gates {
		if len(g.Values) < 3 || g.CanSee <= 0 || g.SmallestFail < g.CanSee || g.Safe != (g.CanSee <= 0.2) || g.Text == "" {
			t.Errorf("gate %+v", g)
		}
	}
	if (x.Valid == 0) != (r.Exit == exitMachine) {
		t.Errorf("%d valid rounds and exit %d", x.Valid, r.Exit)
	}
	// The fake probe reads the same each time: twice by itself, twice a round.
	for _, p := range r.Probes {
		if len(p.Values) < 8 || p.Off != 0 {
			t.Errorf("probe %+v, want at least eight readings alike", p)
		}
	}
	if r.Floor == nil || r.Floor.Latencies["ttft.p50"] <= 0 {
		t.Errorf("floor %+v", r.Floor)
	}
	if len(r.Targets) == 0 || !r.Targets[0].OK || len(r.Targets[0].Kernels) == 0 {
		t.Errorf("targets %+v", r.Targets)
	}
	if r.Host.CPUModel == "" || r.Host.Activity.BusyCores == nil || r.Host.Disk == nil || len(r.Findings) == 0 {
		t.Errorf("host %+v, %d findings", r.Host, len(r.Findings))
	}
	o.expect(t, o.code, "round 1 of 3")
}

// TestDoctorWithoutRoom: where results can't be kept nothing can be measured, and the
// checks are shown all the same.
func TestDoctorWithoutRoom(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := paceline(t, "doctor", "--quick", "--data", file)
	o.expect(t, exitMachine, "this machine can't measure", "it is not a folder", "--data DIR", "robot-stories", "No rounds were run: --quick was given", "What was found")
}

func TestDoctorInterrupted(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	p := start(t, "doctor", "--data", t.TempDir())
	p.waitFor(t, "round 1 of 10")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	o := p.wait(t)
	o.expect(t, exitCancelled, "interrupted")
	if o.stdout != "" {
		t.Errorf("half a report: %s", o.stdout)
	}
	if left, err := filepath.Glob(filepath.Join(tmp, "paceline-doctor-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDoctorBadFlags(t *testing.T) {
	for _, args := range [][]string{{"--rounds", "2"}, {"--rounds", "101"}, {"--rounds", "5", "--quick"}, {"here"}, {"--jsn"}} {
		paceline(t, append([]string{"doctor"}, args...)...).expect(t, exitRequest, "paceline: ")
	}
}
