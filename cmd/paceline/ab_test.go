//go:build native

package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/bench/result"
)

// anotherBuild is a program of another digest that measures the same.
func anotherBuild(t *testing.T) string {
	t.Helper()
	in, err := os.Open(self(t))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	path := filepath.Join(t.TempDir(), "base-paceline")
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if _, err := out.WriteString("\n"); err != nil { // behind the program: nothing reads it
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTurns(t *testing.T) {
	first := [2]int{}
	for pair := 1; pair <= 6; pair++ {
		got := turns(pair)
		first[got[0]]++
		if sides := slices.Sorted(slices.Values(got[:])); !slices.Equal(sides, []int{0, 1}) {
			t.Errorf("pair %d measures %v", pair, got)
		}
	}
	if first[0] != 3 || first[1] != 3 {
		t.Errorf("of six pairs %v begin with base and head", first)
	}
}

// TestTwoBuilds measures two builds in turns: a slower head fails by the rounds of the
// base, with nothing else to compare with on this machine.
func TestTwoBuilds(t *testing.T) {
	base, dir := anotherBuild(t), t.TempDir()
	out, junit := filepath.Join(dir, "head.json"), filepath.Join(dir, "report.xml")
	o := paceline(t, "run", quick(t), "--ab", base, self(t), "--fault", "slow=10", "--out", out, "--output", "junit="+junit, "--data", filepath.Join(dir, "untouched"))
	o.expect(t, exitFail, "FAIL", "output_rate", "against base ("+base+")", "--ab "+base)
	if !regexp.MustCompile(`\((3|5|7)\)`).MatchString(o.stdout) { // as many rounds of the base as the noise asked for
		t.Errorf("nothing says how many rounds the base had:\n%s", o.stdout)
	}
	for i, want := range []string{"pair 1 of 3: base", "pair 1 of 3: head", "pair 2 of 3: head", "pair 2 of 3: base", "pair 3 of 3: base", "pair 3 of 3: head"} {
		if at := strings.Index(o.stderr, want); at < 0 {
			t.Errorf("%d: nothing says %q", i, want)
		}
	}
	if strings.Index(o.stderr, "pair 2 of 3: head") > strings.Index(o.stderr, "pair 2 of 3: base") {
		t.Error("the two don't take turns at being first")
	}
	doc, err := result.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Rounds) < 3 || doc.Rounds[0].Subject.Faults == nil {
		t.Errorf("the result has %d rounds of the head, faults %v", len(doc.Rounds), doc.Rounds[0].Subject.Faults)
	}
	if b, err := os.ReadFile(junit); err != nil || !strings.Contains(string(b), "<failure") {
		t.Errorf("JUnit: %v, %.200s", err, b)
	}
	if _, err := os.Stat(filepath.Join(dir, "untouched")); err == nil {
		t.Error("the data folder was touched")
	}

	// The same against itself: whatever the noise, it is no regression by ten times.
	o = paceline(t, "run", quick(t), "--ab", self(t), self(t), "--inconclusive", "pass")
	if o.code != exitFail { // a busy machine may be slower for a while: that is a verdict
		o.expect(t, exitOK, "are the same build")
	}
}

func TestBadTwoBuilds(t *testing.T) {
	me, nowhere := self(t), filepath.Join(t.TempDir(), "nowhere")
	for _, c := range []struct {
		name string
		code int
		args []string
		says []string
	}{
		{"one build", exitRequest, []string{"run", quick(t), "--ab", me}, []string{"BASE HEAD", "2 names"}},
		{"names without --ab", exitRequest, []string{"run", quick(t), me, me}, []string{"accepts 1 arg"}},
		{"no such base", exitRequest, []string{"run", quick(t), "--ab", nowhere, me}, []string{"base: --build: no build at " + nowhere}},
		{"no such head", exitRequest, []string{"run", quick(t), "--ab", me, nowhere}, []string{"head: --build: no build at " + nowhere}},
		{"a running server", exitRequest, []string{"run", quick(t), "--ab", me, me, "--url", "http://127.0.0.1:1"}, []string{"--url and --ab"}},
		{"a baseline", exitRequest, []string{"run", quick(t), "--ab", me, me, "--baseline", "x.json"}, []string{"--baseline and --ab"}},
		{"a coordinator", exitRequest, []string{"run", quick(t), "--ab", me, me, "--coordinator", "http://127.0.0.1:1"}, []string{"--coordinator and --ab"}},
		{"a head that is no worker", exitMachine, []string{"run", quick(t), "--ab", me, "/bin/true"}, []string{"head (/bin/true)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			paceline(t, c.args...).expect(t, c.code, append(c.says, "paceline: ")...)
		})
	}
}

func TestInterruptTwoBuilds(t *testing.T) {
	p := start(t, "run", "ci", "--ab", self(t), self(t))
	p.waitFor(t, "trial 1")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.wait(t).expect(t, exitCancelled, "is cancelled")
}
