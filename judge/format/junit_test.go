package format

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/judge/gate"
)

func parseJUnit(t *testing.T, r *Report) junitSuite {
	t.Helper()
	text := render(t, "junit", r, Options{})
	strict := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := strict.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, text)
		}
	}
	var doc junitSuites
	if err := xml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Suites) != 1 {
		t.Fatalf("%d suites", len(doc.Suites))
	}
	return doc.Suites[0]
}

func (c junitCase) outcome() string {
	switch {
	case c.Failure != nil:
		return "failure"
	case c.Error != nil:
		return "error"
	case c.Skipped != nil:
		return "skipped"
	}
	return "passed"
}

// TestJUnitOutcomes: a regression fails, what broke errors, what nobody can tell is
// skipped, and the run itself errors only by what no series says.
func TestJUnitOutcomes(t *testing.T) {
	for name, want := range map[string]map[string]string{
		"pass": {"bench.ci run": "passed", "bench.ci.throughput output_rate": "passed", "bench.ci.ttft ttft.p50": "passed", "bench.ci.token-accuracy token_agreement": "passed"},
		"fail": {"bench.ci run": "passed", "bench.ci.throughput output_rate": "failure", "bench.ci.ttft ttft.p50": "passed", "bench.ci.token-accuracy token_agreement": "passed"},
		"warn": {
			"bench.ci run": "passed", "bench.ci.scaling output_rate [concurrency=1 isl=512]": "passed",
			"bench.ci.scaling output_rate [concurrency=8 isl=512]": "passed", "bench.ci.ttft ttft.p50": "passed",
		},
		"first":     {"bench.ci run": "passed", "bench.ci.throughput output_rate": "skipped", "bench.ci.ttft ttft.p50": "skipped", "bench.ci.token-accuracy token_agreement": "passed"},
		"unlike":    {"bench.ci run": "passed", "bench.ci.throughput output_rate": "skipped"},
		"noisy":     {"bench.ci run": "passed", "bench.ci.throughput output_rate": "skipped"},
		"broken":    {"bench.ci run": "error", "bench.ci.throughput output_rate": "error"},
		"cancelled": {"bench.ci run": "error", "bench.ci.throughput output_rate": "passed"},
		"refused":   {"bench.ci run": "error"},
	} {
		got := map[string]string{}
		s := parseJUnit(t, samples(t)[name])
		for _, c := range s.Cases {
			got[c.Class+" "+c.Name] = c.outcome()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestJUnitCounts: the attributes are what the cases are, and a red exit code is red
// here too, but for 4, which is skipped.
func TestJUnitCounts(t *testing.T) {
	for name, r := range samples(t) {
		s := parseJUnit(t, r)
		got := map[string]int{}
		for _, c := range s.Cases {
			got[c.outcome()]++
		}
		if s.Tests != len(s.Cases) || s.Failures != got["failure"] || s.Errors != got["error"] || s.Skipped != got["skipped"] {
			t.Errorf("%s: attributes %d %d %d %d, cases %v", name, s.Tests, s.Failures, s.Errors, s.Skipped, got)
		}
		bad := s.Failures+s.Errors > 0
		switch r.Overall.Exit {
		case gate.ExitOK:
			if bad && name != "hostile" {
				t.Errorf("%s: exit 0 and %v", name, got)
			}
		case gate.ExitInconclusive:
			if bad || s.Skipped == 0 {
				t.Errorf("%s: exit 4 and %v", name, got)
			}
		case gate.ExitFail:
			if s.Failures == 0 {
				t.Errorf("%s: exit 1 and %v", name, got)
			}
		default:
			if s.Errors == 0 {
				t.Errorf("%s: exit %d and %v", name, r.Overall.Exit, got)
			}
		}
	}
}

func caseNamed(t *testing.T, s junitSuite, name string) junitCase {
	t.Helper()
	for _, c := range s.Cases {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no case is named %q", name)
	return junitCase{}
}

func TestJUnitSaysWhy(t *testing.T) {
	all := samples(t)
	c := caseNamed(t, parseJUnit(t, all["cancelled"]), "run")
	if c.Error.Type != "cancelled" || !strings.Contains(c.Error.Message, "interrupted") {
		t.Errorf("cancelled: %+v", c.Error)
	}
	c = caseNamed(t, parseJUnit(t, all["broken"]), "run")
	if c.Error.Type != "lost" || !strings.Contains(c.Error.Message, "no beat for 60 s") {
		t.Errorf("lost: %+v", c.Error)
	}
	c = caseNamed(t, parseJUnit(t, all["fail"]), "output_rate")
	for _, want := range []string{"a drop of 20 % against main", "pinned v1.2", "z = 43", "[synthetic]", "[fault-injected: slow=1.43]"} {
		if !strings.Contains(c.Failure.Text, want) {
			t.Errorf("a failure lacks %q: %s", want, c.Failure.Text)
		}
	}
	// A failing series doesn't hide that a machine was lost.
	r := all["fail"]
	r.Overall.Problems = []gate.Problem{{Kind: "lost", Detail: "ci-08 is gone"}}
	s := parseJUnit(t, r)
	if s.Failures != 1 || s.Errors != 1 {
		t.Errorf("%d failures and %d errors", s.Failures, s.Errors)
	}
}

// TestJUnitWithoutProblems: reports stored before problems were kept apart still say
// that a machine was lost; so does one whose baseline was required and isn't there.
func TestJUnitWithoutProblems(t *testing.T) {
	r := samples(t)["broken"]
	r.Overall.Problems = nil
	if c := caseNamed(t, parseJUnit(t, r), "run"); c.Error == nil || !strings.Contains(c.Error.Message, "no beat") {
		t.Errorf("%+v", c)
	}
	r = samples(t)["unlike"]
	r.Overall.Exit = gate.ExitMachine
	r.Overall.Headline += "; a baseline was required"
	if c := caseNamed(t, parseJUnit(t, r), "run"); c.Error == nil || c.Error.Type != "error" {
		t.Errorf("%+v", c)
	}
}

// TestJUnitInconclusiveAsFail: what was asked to fail fails.
func TestJUnitInconclusiveAsFail(t *testing.T) {
	r := samples(t)["noisy"]
	v := *r.Lines[0].Verdict
	r.Overall = gate.Overall([]gate.Verdict{v}, []string{"throughput output_rate"}, nil, gate.Options{Inconclusive: "fail"})
	if c := caseNamed(t, parseJUnit(t, r), "output_rate"); c.Failure == nil {
		t.Errorf("%s", c.outcome())
	}
}

// TestJUnitNames: readers know a case by class and name, so these differ within a run
// and stay over runs, whatever the thresholds and levels are.
func TestJUnitNames(t *testing.T) {
	r := samples(t)["warn"]
	twin := r.Lines[0]
	r.Lines[0].Series, twin.Series = "aaaaaaaaaaaa", "bbbbbbbbbbbb"
	r.Lines = append(r.Lines, twin, twin)
	r.Lines[len(r.Lines)-1].Metric = metric.ID("output_rate ") // the same once it is trimmed by a reader
	seen := map[string]bool{}
	for _, c := range parseJUnit(t, r).Cases {
		id := c.Class + " " + c.Name
		if seen[id] {
			t.Errorf("%s appears twice", id)
		}
		seen[id] = true
	}
	if !seen["bench.ci.scaling output_rate [concurrency=1 isl=512 class=aaaaaaaa]"] {
		t.Errorf("cases %v", seen)
	}
	a, b := samples(t)["pass"], samples(t)["pass"]
	b.Lines = append(b.Lines[1:], b.Lines[0]) // another first rule on the same series
	*b.Lines[0].Verdict.Rule.Min = 9
	names := func(r *Report) (out map[string]bool) {
		out = map[string]bool{}
		for _, c := range parseJUnit(t, r).Cases {
			out[c.Class+" "+c.Name] = true
		}
		return out
	}
	if diff := cmp.Diff(names(a), names(b)); diff != "" {
		t.Errorf("another limit gives other cases:\n%s", diff)
	}
}

// FuzzJUnit: any text gives XML 1.0 that says the same number of cases.
func FuzzJUnit(f *testing.F) {
	for _, s := range []string{"", "]]>", "\x00\x0b\ufffe\uffff", "a\r\nb", "<&>\"'", "\xff\xfe", "\u2028\u202e", strings.Repeat("x", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := &Report{
			RunID: s, Suite: s, Subject: s, Branch: s, Commit: s, Machine: s, PageURL: s, Repeat: s, Source: s, Badges: []string{s}, Warnings: []string{s},
			Lines: []Line{{Workload: s, Point: map[string]string{s: s}, Metric: metric.ID(s), Unit: s, Series: s, Missing: s, Verdict: &gate.Verdict{
				Kind: gate.Kind(s), Reason: s, Steps: []gate.Step{{Text: s}}, Rule: gate.Rule{Metric: "output_rate", Min: limit(1)},
			}}},
			Overall: gate.Run{Kind: gate.Kind(s), Exit: 3, Headline: s, Also: []string{s}, Problems: []gate.Problem{{Kind: s, Detail: s}}},
		}
		got := parseJUnit(t, r)
		if len(got.Cases) != 2 || got.Cases[0].Error == nil {
			t.Errorf("%d cases of %s", len(got.Cases), fmt.Sprintf("%q", s))
		}
	})
}
