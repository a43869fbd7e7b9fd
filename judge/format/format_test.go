package format

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/judge/gate"
)

var update = flag.Bool("update", false, "write golden files from what the code does now")

func limit(v float64) *float64 { return &v }

// decided makes a line by really deciding it.
func decided(t *testing.T, workload string, r gate.Rule, base gate.Baseline, values ...float64) (Line, gate.Verdict) {
	t.Helper()
	var c gate.Candidate
	for _, v := range values {
		c.Rounds = append(c.Rounds, gate.Round{Value: v})
	}
	if len(values) == 0 {
		c.Invalid, c.Reason = 3, "the machine was throttled for 412 ms"
	}
	o := gate.Decide(r, base, c)
	if o.Verdict == nil {
		t.Fatalf("%s %s: wants more rounds: %+v", workload, r.Metric, o.Need)
	}
	v := *o.Verdict
	def, _ := r.Metric.Def()
	l := Line{Workload: workload, Metric: r.Metric, Unit: def.Unit, Value: v.Value, Spread: v.Spread, Rounds: len(values), Verdict: &v}
	if len(values) == 0 {
		l.Missing = c.Reason
	}
	return l, v
}

// sample is a report of the given lines, with the verdict that follows from them.
func sample(t *testing.T, problems []gate.Problem, build func(add func(string, gate.Rule, gate.Baseline, ...float64))) *Report {
	t.Helper()
	r := &Report{
		RunID: "2f81", Suite: "ci", Subject: "engine · robot-stories (bf16/f32, cpu avx512)", Branch: "main", Commit: "9d0e7c4a51b2c3d4e5f6",
		Machine: "ci-07 (AMD EPYC, 2 cores)", Base: "main", Rounds: 3, Trials: 2,
		Decided: time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC),
		PageURL: "http://127.0.0.1:7070/runs/2f81", Repeat: "paceline run ci --model robot-stories",
	}
	var verdicts []gate.Verdict
	var names []string
	build(func(workload string, rule gate.Rule, base gate.Baseline, values ...float64) {
		l, v := decided(t, workload, rule, base, values...)
		r.Lines = append(r.Lines, l)
		verdicts, names = append(verdicts, v), append(names, workload+" "+string(rule.Metric))
	})
	r.Lines = append(r.Lines,
		Line{Workload: "throughput", Metric: "tpot.p50", Unit: "ms/tok", Value: 24.2, Spread: 0.31, Rounds: 3},
		Line{Workload: "throughput", Metric: "ttft.p99", Unit: "ms", Missing: "insufficient: p99 needs 459 samples, there are 12"})
	r.Overall = gate.Overall(verdicts, names, problems, gate.Options{})
	return r
}

func level(name string, values ...float64) gate.Baseline {
	return gate.Baseline{Name: name, Values: values}
}

func samples(t *testing.T) map[string]*Report {
	rate := gate.Rule{Metric: "output_rate", Severity: gate.Failing, MaxDrop: limit(0.20)}
	floor := gate.Rule{Metric: "output_rate", Severity: gate.Investigate, Min: limit(4)}
	ttft := gate.Rule{Metric: "ttft.p50", Severity: gate.Investigate, MaxRatio: limit(2)}
	count := gate.Rule{Metric: "token_agreement", Severity: gate.Critical, Min: limit(1)}
	ten := level("main", 39.1, 39.4, 38.8, 39.0, 39.6, 38.9, 39.2, 39.3, 38.7, 39.1)
	lat := level("main", 3.9, 4.0, 3.85, 3.95, 3.9)
	pass := sample(t, nil, func(add func(string, gate.Rule, gate.Baseline, ...float64)) {
		add("throughput", rate, ten, 39.3)
		add("throughput", floor, gate.Baseline{}, 39.3)
		add("ttft", ttft, lat, 4.1)
		add("token-accuracy", count, gate.Baseline{}, 1)
	})
	fail := sample(t, nil, func(add func(string, gate.Rule, gate.Baseline, ...float64)) {
		add("throughput", rate, ten, 27.2, 27.5, 27.3)
		add("throughput", rate, level("pinned v1.2", 36, 36.4, 36.2, 35.9, 36.1), 27.2, 27.5, 27.3)
		add("ttft", ttft, lat, 9.1)
		add("token-accuracy", count, gate.Baseline{}, 1)
	})
	fail.Badges = []string{"synthetic", "fault-injected: slow=1.43"}
	fail.Warnings = []string{"busy: load 1.8 on 2 cores"}
	first := sample(t, nil, func(add func(string, gate.Rule, gate.Baseline, ...float64)) {
		add("throughput", rate, gate.Baseline{}, 39.3)
		add("ttft", ttft, gate.Baseline{Incomparable: "cpu_model was Xeon, now EPYC"}, 4)
		add("token-accuracy", count, gate.Baseline{}, 1)
	})
	noisy := sample(t, nil, func(add func(string, gate.Rule, gate.Baseline, ...float64)) {
		add("throughput", rate, level("main", 39, 30, 45, 35, 41), 31, 33, 31, 38, 31, 30, 32)
	})
	broken := sample(t, []gate.Problem{{Kind: "lost", Detail: "attempt a-1 on ci-07: no beat for 60 s"}}, func(add func(string, gate.Rule, gate.Baseline, ...float64)) {
		add("throughput", rate, ten)
	})
	evil := "\x1b[2Jx|y`z`<script>alert(1)</script>\r\n::error::owned, 100%: *b* @all \u202e"
	hostile := sample(t, []gate.Problem{{Kind: "error", Detail: evil}}, func(add func(string, gate.Rule, gate.Baseline, ...float64)) {
		add("throughput", rate, ten, 39.3)
	})
	hostile.Suite, hostile.Subject, hostile.Branch, hostile.Machine, hostile.Repeat, hostile.RunID = evil, evil, evil, evil, evil, evil
	hostile.Badges, hostile.Warnings, hostile.PageURL = []string{evil}, []string{evil}, "http://x/"+evil
	hostile.Lines[0].Workload, hostile.Lines[0].Point = evil, map[string]string{"concurrency": evil}
	hostile.Lines[0].Verdict.Kind, hostile.Lines[0].Verdict.Reason = gate.Fail, evil
	return map[string]*Report{"pass": pass, "fail": fail, "first": first, "noisy": noisy, "broken": broken, "hostile": hostile}
}

func render(t *testing.T, format string, r *Report, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, format, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	ending := map[string]string{"human": "txt", "json": "json", "markdown": "md", "junit": "xml", "github": "github.txt"}
	for name, r := range samples(t) {
		for _, format := range Names() {
			t.Run(name+"/"+format, func(t *testing.T) {
				got := render(t, format, r, Options{})
				path := filepath.Join("testdata", name+"."+ending[format])
				if *update {
					if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", path, diff)
				}
			})
		}
	}
}

// What a person must find in the terminal's form.
func TestHumanSaysEverything(t *testing.T) {
	text := render(t, "human", samples(t)["fail"], Options{})
	for _, want := range []string{
		"output_rate", "27.3 tok/s", "39.1 tok/s ± 0.2", "(10)", "−30.2 % worse", "▼ fail", "synthetic", "slow=1.43", "could fail a drop of 20 %",
		"http://127.0.0.1:7070/runs/2f81", "paceline run ci", "exit 1", "3 rounds", "pinned v1.2", "never blocks",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it lacks %q:\n%s", want, text)
		}
	}
	if first, _, _ := strings.Cut(render(t, "human", samples(t)["first"], Options{}), "\n"); !strings.Contains(first, "NOTHING WAS COMPARED") {
		t.Errorf("the first line is %q", first)
	}
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if last := all[len(all)-1]; !strings.Contains(last, "FAIL (exit 1)") {
		t.Errorf("the last line is %q", last)
	}
}

func TestColourChangesNothingElse(t *testing.T) {
	escape := regexp.MustCompile("\x1b\\[[0-9]+m")
	for name, r := range samples(t) {
		dull, bright := render(t, "human", r, Options{All: true}), render(t, "human", r, Options{All: true, Colour: true})
		if !strings.Contains(bright, "\x1b[") {
			t.Errorf("%s: no colour", name)
		}
		if got := escape.ReplaceAllString(bright, ""); got != dull {
			t.Errorf("%s: without its colours it is another text (-dull +bright):\n%s", name, cmp.Diff(dull, got))
		}
	}
}

// Names and reasons come from elsewhere: no form lets them be anything but text.
func TestHostileTexts(t *testing.T) {
	r := samples(t)["hostile"]
	for _, format := range []string{"human", "markdown", "github"} {
		if text := render(t, format, r, Options{All: true}); strings.ContainsAny(text, "\x1b\r\u202e") {
			t.Errorf("%s lets control characters through: %q", format, text)
		}
	}
	// The command to repeat stands in a code span, where nothing is markup.
	if text, _, _ := strings.Cut(render(t, "markdown", r, Options{}), "repeat: "); strings.Contains(text, "<script") {
		t.Errorf("markdown lets HTML through: %s", text)
	}
	for _, line := range strings.Split(strings.TrimRight(render(t, "github", r, Options{}), "\n"), "\n") {
		if !regexp.MustCompile(`^::(error|warning|notice) title=[^:,\n]*::[^\n]*$`).MatchString(line) {
			t.Errorf("not one annotation: %q", line)
		}
	}
}

func TestJUnitAgreesWithTheExitCode(t *testing.T) {
	for name, r := range samples(t) {
		var doc junitSuites
		if err := xml.Unmarshal([]byte(render(t, "junit", r, Options{})), &doc); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s := doc.Suites[0]
		if s.Tests != len(s.Cases) || len(s.Cases) != len(r.gated())+1 {
			t.Errorf("%s: %d cases, %d tests, %d rules", name, len(s.Cases), s.Tests, len(r.gated()))
		}
		if bad := s.Failures + s.Errors; (bad > 0) != (r.Overall.Exit != 0) {
			t.Errorf("%s: %d failures and errors, exit %d", name, bad, r.Overall.Exit)
		}
	}
}

func TestJSONIsTheReport(t *testing.T) {
	for name, r := range samples(t) {
		var back Report
		if err := json.Unmarshal([]byte(render(t, "json", r, Options{})), &back); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name != "hostile" { // its invalid UTF-8, if any, is replaced
			if diff := cmp.Diff(r, &back); diff != "" {
				t.Errorf("%s: reading it back (-want +got):\n%s", name, diff)
			}
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestWriteErrors(t *testing.T) {
	r := samples(t)["pass"]
	if err := Write(fullDisk{}, "human", r, Options{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("got %v", err)
	}
	for name, want := range map[string]string{"junits": `did you mean "junit"?`, "pdf-and-more": "known are human"} {
		if err := Write(io.Discard, name, r, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
}

func TestEmptyReport(t *testing.T) {
	for _, format := range Names() {
		if got := render(t, format, &Report{}, Options{All: true}); got == "" {
			t.Errorf("%s writes nothing", format)
		}
	}
}

// Every kind of verdict has a shape of its own, or the one for "not judged".
func TestSymbols(t *testing.T) {
	seen := map[string]gate.Kind{}
	for _, k := range []gate.Kind{gate.Pass, gate.Fail, gate.Warn, gate.Inconclusive, gate.NoBaseline, gate.Error, gate.Invalid} {
		if other, taken := seen[Symbol(k)]; taken {
			t.Errorf("%s and %s have the same shape", k, other)
		}
		seen[Symbol(k)] = k
	}
	if metric.Nearest("human", Names()) != "human" {
		t.Error("human is not a format")
	}
}
