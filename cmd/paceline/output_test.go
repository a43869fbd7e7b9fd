package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
)

// decided is evidence of a run that is over. before is called when it is read.
type decided struct {
	rep    format.Report
	before func()
}

func (d decided) Report(context.Context, string) (format.Report, error) {
	if d.before != nil {
		d.before()
	}
	return d.rep, nil
}

func (d decided) Document(context.Context, string) (result.Document, error) {
	return result.Document{Schema: result.SchemaVersion}, nil
}

func (d decided) Samples(context.Context, string, func(result.Sample) error) error { return nil }

func command(t *testing.T) (cmd *cobra.Command, stdout, stderr *bytes.Buffer) {
	cmd, stdout, stderr = &cobra.Command{}, &bytes.Buffer{}, &bytes.Buffer{}
	cmd.SetContext(t.Context())
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	return cmd, stdout, stderr
}

func exitOf(err error) int {
	var exit *exitError
	if err == nil {
		return exitOK
	}
	if !errors.As(err, &exit) {
		return -1
	}
	return exit.code
}

// TestFailedWritesKeepTheVerdict: it is shown, what is missing is said, and the exit
// code is the verdict's, or 3 where that was 0.
func TestFailedWritesKeepTheVerdict(t *testing.T) {
	for exit, want := range map[int]int{exitOK: exitMachine, exitFail: exitFail, exitMachine: exitMachine, exitInconclusive: exitInconclusive} {
		dir, kept := filepath.Join(t.TempDir(), "gone"), filepath.Join(t.TempDir(), "kept.json")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		o := outputFlags{
			format: "human", ci: "none", outputs: []string{"junit=" + filepath.Join(dir, "a.xml"), "json=" + kept},
			report: filepath.Join(dir, "a.html"), out: filepath.Join(dir, "a.json"),
		}
		if err := o.check(); err != nil {
			t.Fatal(err)
		}
		e := decided{rep: format.Report{RunID: "r1", Suite: "ci", Overall: gate.Run{Kind: gate.Warn, Exit: exit, Headline: "hm"}}}
		e.before = func() {
			if err := os.Remove(dir); err != nil {
				t.Error(err)
			}
		}
		cmd, stdout, _ := command(t)
		err := o.finish(cmd, e, "r1", exit)
		if got := exitOf(err); got != want {
			t.Errorf("exit %d became %d, want %d", exit, got, want)
		}
		if !strings.HasPrefix(stdout.String(), "◆ WARN") {
			t.Errorf("standard output: %s", stdout.String())
		}
		for _, says := range []string{"junit to " + filepath.Join(dir, "a.xml"), "a.html", "a.json", "stored in the data folder", "WARN"} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%q doesn't say %q", err, says)
			}
		}
		if _, err := os.Stat(kept); err != nil {
			t.Errorf("what could be written wasn't: %v", err)
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("nobody reads") }

func TestBrokenStandardOutput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	o := outputFlags{format: "human", ci: "none", outputs: []string{"json=" + path}}
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	cmd, _, _ := command(t)
	cmd.SetOut(broken{})
	err := o.finish(cmd, decided{rep: *failed()}, "r1", exitFail)
	if exitOf(err) != exitFail || !strings.Contains(err.Error(), "nobody reads") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// TestEnded: files and streams are told of a run without a verdict, and its report
// never claims one.
func TestEnded(t *testing.T) {
	open := format.Report{RunID: "r1", Suite: "ci", Rounds: 2, Overall: gate.Run{Kind: "open", Headline: "the run is open"}}
	cancelled := format.Report{RunID: "r1", Suite: "ci", Overall: gate.Run{Kind: gate.Cancelled, Exit: exitCancelled, Headline: "the run was cancelled: by hand"}}
	for name, c := range map[string]struct {
		e    evidence
		run  string
		err  error
		kind gate.Kind
		exit int
		says string
	}{
		"cancelled":           {decided{rep: cancelled}, "r1", fail(exitCancelled, "run r1 is cancelled"), gate.Cancelled, exitCancelled, "by hand"},
		"cancelled, not said": {decided{rep: open}, "r1", fail(exitCancelled, "run r1 is cancelled"), gate.Cancelled, exitCancelled, "r1 is cancelled"},
		"nobody knows":        {decided{rep: open}, "r1", fail(exitMachine, "the worker did not stop"), gate.Error, exitMachine, "did not stop"},
		"refused":             {nil, "", fail(exitRequest, "no model folder"), gate.Error, exitRequest, "request: no model folder"},
		"without a code":      {nil, "", errors.New("what is this?"), gate.Error, exitRequest, "what is this?"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.json")
			o := outputFlags{format: "json", ci: "none", outputs: []string{"json=" + path}, suite: "ci"}
			if err := o.check(); err != nil {
				t.Fatal(err)
			}
			cmd, stdout, _ := command(t)
			if err := o.ended(cmd, c.e, c.run, c.err); !errors.Is(err, c.err) {
				t.Errorf("got %v", err)
			}
			for _, text := range []string{stdout.String(), read(t, path)} {
				var rep format.Report
				if err := json.Unmarshal([]byte(text), &rep); err != nil {
					t.Fatal(err)
				}
				if v := rep.Overall; v.Kind != c.kind || v.Exit != c.exit || !strings.Contains(v.Headline, c.says) || rep.Suite != "ci" {
					t.Errorf("%+v", v)
				}
			}
		})
	}
}

// TestTelling: an error after the flags were found right is told once, one before not.
func TestTelling(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.xml")
	wrong := fail(exitRequest, "no such branch")
	for _, ready := range []bool{true, false} {
		o := outputFlags{format: "human", ci: "none", outputs: []string{"junit=" + path}}
		cmd, stdout, _ := command(t)
		err := o.telling(func(*cobra.Command, []string) error {
			o.suite = "throughput"
			if ready {
				if err := o.check(); err != nil {
					return err
				}
			}
			return wrong
		})(cmd, nil)
		if !errors.Is(err, wrong) || stdout.Len() > 0 {
			t.Errorf("%v, %s", err, stdout.String())
		}
		b, rerr := os.ReadFile(path)
		if ready != (rerr == nil) || ready && !strings.Contains(string(b), `classname="bench.throughput" name="run"`) {
			t.Errorf("ready %v: %s, %v", ready, b, rerr)
		}
		_ = os.Remove(path)
	}
}

// TestLocate: each rule's line, of a file in a repository; else none.
func TestLocate(t *testing.T) {
	dir := t.TempDir()
	src := read(t, filepath.Join("testdata", "quick.yml"))
	path := filepath.Join(dir, "my.yml")
	if err := os.WriteFile(path, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	drop, one := 0.2, 1.0
	report := func() *format.Report {
		return &format.Report{Lines: []format.Line{
			{Workload: "speed", Verdict: &gate.Verdict{Rule: gate.Rule{Metric: "output_rate", MaxDrop: &drop, Severity: gate.Failing}}},
			{Workload: "speed", Verdict: &gate.Verdict{Rule: gate.Rule{Metric: "token_agreement", Min: &one, Severity: gate.Critical}}},
			{Workload: "speed", Verdict: &gate.Verdict{Rule: gate.Rule{Metric: "output_rate", MaxDrop: &one, Severity: gate.Failing}}},
			{Workload: "gone"},
		}}
	}
	rep := report()
	o := outputFlags{suite: path}
	o.locate(rep, githubJob{workspace: dir})
	text := strings.Split(src, "\n")
	for i, want := range []string{"metric: output_rate", "metric: token_agreement", "name: speed"} {
		if n := rep.Lines[i].SourceLine; n == 0 || !strings.Contains(text[n-1], want) {
			t.Errorf("line %d for %s", n, want)
		}
	}
	if rep.Source != "my.yml" || rep.Lines[3].SourceLine != 0 {
		t.Errorf("source %q, %d", rep.Source, rep.Lines[3].SourceLine)
	}
	for _, o := range []outputFlags{{suite: "ci"}, {}, {suite: filepath.Join(dir, "none.yml")}} {
		rep := report()
		o.locate(rep, githubJob{workspace: dir})
		if rep.Source != "" || rep.Lines[0].SourceLine != 0 {
			t.Errorf("%q is at %q", o.suite, rep.Source)
		}
	}
}
