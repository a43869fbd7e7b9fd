//go:build native

package main

import (
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
)

// githubEnv makes the commands of this test steps of a GitHub job whose repository has
// the quick suite in bench/. It gives the files of the step.
func githubEnv(t *testing.T) (suite, summary, outputs string) {
	t.Helper()
	dir := t.TempDir()
	suite, summary, outputs = filepath.Join(dir, "repo", "bench", "quick.yml"), filepath.Join(dir, "summary.md"), filepath.Join(dir, "output")
	if err := os.MkdirAll(filepath.Dir(suite), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(suite, []byte(read(t, quick(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{summary, outputs} {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_STEP_SUMMARY", summary)
	t.Setenv("GITHUB_OUTPUT", outputs)
	t.Setenv("GITHUB_WORKSPACE", filepath.Join(dir, "repo"))
	return suite, summary, outputs
}

// junitFile is as much of a JUnit file as these tests ask for.
type junitFile struct {
	Tests  int `xml:"tests,attr"`
	Errors int `xml:"errors,attr"`
	Cases  []struct {
		Class   string `xml:"classname,attr"`
		Name    string `xml:"name,attr"`
		File    string `xml:"file,attr"`
		Failure *struct {
			Message string `xml:"message,attr"`
		} `xml:"failure"`
		Error *struct {
			Type    string `xml:"type,attr"`
			Message string `xml:"message,attr"`
		} `xml:"error"`
		Skipped *struct{} `xml:"skipped"`
	} `xml:"testsuite>testcase"`
}

func readJUnit(t *testing.T, path string) (f junitFile) {
	t.Helper()
	if err := xml.Unmarshal([]byte(read(t, path)), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func commands(text string) (out []string) {
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "::") {
			out = append(out, line)
		}
	}
	return out
}

// TestGitHubJob drives one repository through a baseline and a regression, with files
// of every kind: the stream of --format json stays JSON, and the job is told beside it.
func TestGitHubJob(t *testing.T) {
	suite, summary, outputs := githubEnv(t)
	data, dir := t.TempDir(), t.TempDir()
	args := []string{"run", suite, "--data", data, "--format", "json"}
	for _, kind := range format.Names() {
		args = append(args, "--output", kind+"="+filepath.Join(dir, kind))
	}
	first := paceline(t, args...)
	first.expect(t, exitOK)
	var rep format.Report
	if err := json.Unmarshal([]byte(first.stdout), &rep); err != nil {
		t.Fatalf("standard output is no JSON: %v\n%s", err, first.stdout)
	}
	if rep.Source != "bench/quick.yml" || rep.Overall.Kind != gate.NoBaseline {
		t.Errorf("source %q, verdict %+v", rep.Source, rep.Overall)
	}
	if c := commands(first.stderr); len(c) != 1 || !strings.HasPrefix(c[0], "::notice title=paceline quick%3A NO BASELINE") {
		t.Errorf("annotations %q", c)
	}
	if s := read(t, summary); !strings.HasPrefix(s, "<!-- paceline:quick -->\n\n### ○ NO BASELINE") {
		t.Errorf("summary %.200q", s)
	}
	if s := read(t, outputs); !strings.Contains(s, "\n"+rep.RunID+"\n") || !strings.Contains(s, "\nno baseline\n") {
		t.Errorf("outputs %s", s)
	}
	if got := read(t, filepath.Join(dir, "json")); got != first.stdout {
		t.Errorf("the file differs from the stream:\n%s", got)
	}
	for kind, want := range map[string]string{
		"human": "○ NO BASELINE", "markdown": "<!-- paceline:quick -->", "junit": "<?xml", "github": "::notice", "openmetrics": "# TYPE paceline_",
	} {
		if got := read(t, filepath.Join(dir, kind)); !strings.HasPrefix(got, want) {
			t.Errorf("%s begins with %.60q", kind, got)
		}
	}

	for range 4 {
		paceline(t, "run", suite, "--data", data, "--ci", "none", "--inconclusive", "pass")
	}
	quiet := len(read(t, summary))
	slow := paceline(t, append(args, "--fault", "slow=4")...)
	slow.expect(t, exitFail)
	if c := commands(slow.stderr); len(c) != 2 || !strings.HasPrefix(c[1], "::error file=bench/quick.yml,line=21,title=speed output_rate%3A fail::") {
		t.Errorf("annotations %q", c)
	}
	if s := read(t, summary)[quiet:]; !strings.HasPrefix(s, "\n<!-- paceline:quick -->\n\n### ▼ FAIL (exit 1)") || !strings.Contains(s, "fault-injected: slow=4") {
		t.Errorf("summary %.200q", s)
	}
	f := readJUnit(t, filepath.Join(dir, "junit"))
	for _, c := range f.Cases {
		if bad := c.Class == "bench.quick.speed" && c.Name == "output_rate"; bad != (c.Failure != nil) || c.Error != nil || c.File != "bench/quick.yml" {
			t.Errorf("case %+v", c)
		}
	}
	if f.Tests != 3 {
		t.Errorf("%d tests", f.Tests)
	}
}

// TestGitHubBadSuite: the mistake stands at its line, and a stale report is none.
func TestGitHubBadSuite(t *testing.T) {
	suite, summary, outputs := githubEnv(t)
	text := strings.Replace(read(t, suite), "metric: output_rate", "metric: ouput_rate", 1)
	if err := os.WriteFile(suite, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(t.TempDir(), "report.xml")
	o := paceline(t, "run", suite, "--data", t.TempDir(), "--output", "junit="+report)
	o.expect(t, exitRequest, `did you mean "output_rate"?`)
	if c := commands(o.stderr); len(c) != 1 || !strings.HasPrefix(c[0], "::error file=bench/quick.yml,line=21,col=20,title=") {
		t.Errorf("annotations %q", c)
	}
	if f := readJUnit(t, report); f.Tests != 1 || f.Cases[0].Error == nil || f.Cases[0].Error.Type != "request" {
		t.Errorf("%+v", f)
	}
	if s := read(t, summary) + read(t, outputs); !strings.Contains(s, "ERROR (exit 2)") || !strings.Contains(s, "\n2\n") {
		t.Errorf("%s", s)
	}
	if o.stdout != "" {
		t.Errorf("standard output: %s", o.stdout)
	}
	here := paceline(t, "run", suite, "--data", t.TempDir(), "--format", "github")
	if got, want := commands(here.stdout), commands(o.stderr); len(got) != 1 || got[0] != want[0] || len(commands(here.stderr)) > 0 {
		t.Errorf("with --format github %q, want %q", got, want)
	}
}

// TestGitHubFormat: annotations that are on standard output aren't repeated.
func TestGitHubFormat(t *testing.T) {
	suite, _, _ := githubEnv(t)
	o := paceline(t, "run", suite, "--data", t.TempDir(), "--format", "github")
	o.expect(t, exitOK)
	if len(commands(o.stdout)) != 1 || len(commands(o.stderr)) != 0 {
		t.Errorf("stdout %q, stderr %q", o.stdout, o.stderr)
	}
}

// TestNoCI: --ci none leaves the job alone.
func TestNoCI(t *testing.T) {
	_, summary, outputs := githubEnv(t)
	o := paceline(t, "run", "nosuch", "--data", t.TempDir(), "--ci", "none")
	o.expect(t, exitRequest)
	if s := read(t, summary) + read(t, outputs); s != "" || len(commands(o.stderr)) > 0 {
		t.Errorf("%s%s", s, o.stderr)
	}
}

// TestCancelledIsTold: a JUnit file of a cancelled run says so, as standard output does.
func TestCancelledIsTold(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report.xml")
	p := start(t, "run", "ci", "--data", t.TempDir(), "--format", "json", "--output", "junit="+report)
	p.waitFor(t, "throughput")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	o := p.wait(t)
	o.expect(t, exitCancelled, "is cancelled")
	var rep format.Report
	if err := json.Unmarshal([]byte(o.stdout), &rep); err != nil || rep.Overall.Kind != gate.Cancelled {
		t.Errorf("%+v, %v", rep.Overall, err)
	}
	f := readJUnit(t, report)
	if f.Errors != 1 || f.Cases[0].Class != "bench.ci" || f.Cases[0].Name != "run" || f.Cases[0].Error == nil || f.Cases[0].Error.Type != "cancelled" {
		t.Errorf("%+v", f)
	}
}

// TestUpTellsOfABadSuite, also where the dashboard stays up afterwards.
func TestUpTellsOfABadSuite(t *testing.T) {
	report := filepath.Join(t.TempDir(), "report.xml")
	p := start(t, "up", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--suite", "nosuch", "--output", "junit="+report)
	p.waitFor(t, "Ctrl-C stops it")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.wait(t).expect(t, exitOK, `no suite is named "nosuch"`)
	if f := readJUnit(t, report); f.Errors != 1 {
		t.Errorf("%+v", f)
	}
}

// TestOutputsOfARunElsewhere: `run` under an `up` that owns the data folder writes its
// files here.
func TestOutputsOfARunElsewhere(t *testing.T) {
	data, report := t.TempDir(), filepath.Join(t.TempDir(), "report.xml")
	up := start(t, "up", "--listen", "127.0.0.1:0", "--data", data)
	up.waitFor(t, "Ctrl-C stops it")
	paceline(t, "run", quick(t), "--data", data, "--output", "junit="+report).expect(t, exitOK, "owns the data folder")
	if f := readJUnit(t, report); f.Tests != 3 || f.Errors != 0 {
		t.Errorf("%+v", f)
	}
	p := start(t, "run", "ci", "--data", data, "--output", "junit="+report)
	p.waitFor(t, "throughput")
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.wait(t).expect(t, exitCancelled)
	if f := readJUnit(t, report); f.Errors != 1 || f.Cases[0].Error.Type != "cancelled" {
		t.Errorf("%+v", f)
	}
	if err := up.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	up.wait(t)
}
