package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/deploy/deploytest"
)

// TestRepository: the example is the same repository everywhere, and its story is the
// one that is driven.
func TestRepository(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("skipped: no git on this machine")
	}
	d := &drive{repo: filepath.Join(t.TempDir(), "repository")}
	other := d.repo + "-again"
	for _, dir := range []string{d.repo, other} {
		if _, err := command(t.Context(), ".", "bash", "../make-repo.sh", dir); err != nil {
			t.Fatal(err)
		}
	}
	hs, err := d.history(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var wants string
	for _, c := range hs {
		wants += string('0' + rune(c.want))
		if c.pull != (c.branch != "main") || c.main == "" {
			t.Errorf("%+v", c)
		}
	}
	if wants != "000000000001002" {
		t.Errorf("exit codes wanted: %s", wants)
	}
	last := hs[len(hs)-1].commit
	if got, err := command(t.Context(), other, "git", "rev-parse", "first-token"); err != nil || got != last {
		t.Errorf("made again, its last commit is %s and not %s: %v", got, last, err)
	}
	if _, err := command(t.Context(), ".", "bash", "../make-repo.sh", d.repo); err == nil {
		t.Error("a folder that is there is taken")
	}
}

// TestWorkflowAsksForWhatIsDriven: the workflow that the example shows gives the action
// the inputs that the jobs here give it.
func TestWorkflowAsksForWhatIsDriven(t *testing.T) {
	text, err := os.ReadFile("../repo/.github/workflows/bench.yml")
	if err != nil {
		t.Fatal(err)
	}
	a, err := deploytest.ReadAction("../../../deploy/github-action")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range teller() {
		if _, ok := a.Inputs[name]; !ok {
			t.Errorf("the action has no input %s", name)
		}
		if !strings.Contains(strings.ReplaceAll(string(text), `"`, ""), name+": "+value+"\n") {
			t.Errorf("the workflow has no %s: %s", name, value)
		}
	}
}

func TestEvidence(t *testing.T) {
	log := "round 1 of 1  machine probe  machine probe\n  round 1 is invalid: machine probe cpu.read (before) read 2 GB/s\n" +
		"  round 1: the machine had a load of 8.12 on 2 cores before the round\n::error::machine probe cpu.read\nstory output_rate 864 tok/s\n"
	if got := evidence(log); len(got) != 2 {
		t.Errorf("evidence: %q", got)
	}
}
