//go:build !native

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/paceline/paceline/judge/machine"
)

// TestDoctorWithoutEngine: the plain build looks at the machine and says why it runs no
// rounds.
func TestDoctorWithoutEngine(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	var stdout, stderr bytes.Buffer
	if code := Main([]string{"doctor", "--json", "--data", t.TempDir()}, strings.NewReader(""), &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d; standard error:\n%s", code, &stderr)
	}
	var r machine.Report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Rounds != nil || !strings.Contains(r.NoRounds, "native build") || r.Targets[0].OK || !strings.Contains(r.Headline, "this build can't measure") {
		t.Errorf("headline %q, no rounds because %q, targets %+v", r.Headline, r.NoRounds, r.Targets)
	}
	if r.Floor == nil || len(r.Probes) != 2 || len(r.Probes[0].Values) != 2 || len(r.Findings) == 0 || r.Host.CPUModel == "" {
		t.Errorf("floor %+v, probes %+v, %d findings", r.Floor, r.Probes, len(r.Findings))
	}
}
