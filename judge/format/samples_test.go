package format

import (
	"testing"
	"time"

	"github.com/paceline/paceline/judge/gate"
)

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
	warn := sample(t, nil, func(add func(string, gate.Rule, gate.Baseline, ...float64)) {
		add("scaling", rate, ten, 39.3)
		add("scaling", rate, ten, 39.2)
		add("ttft", ttft, lat, 9.1)
	})
	warn.Lines[0].Point = map[string]string{"concurrency": "1", "isl": "512"}
	warn.Lines[1].Point = map[string]string{"concurrency": "8", "isl": "512"}
	warn.Source, warn.Lines[2].SourceLine = "bench/ci.yml", 31
	unlike := sample(t, nil, func(add func(string, gate.Rule, gate.Baseline, ...float64)) {
		add("throughput", rate, gate.Baseline{Incomparable: "cpu_model was Xeon, now EPYC"}, 39.3)
	})
	noisy := sample(t, nil, func(add func(string, gate.Rule, gate.Baseline, ...float64)) {
		add("throughput", rate, level("main", 39, 30, 45, 35, 41), 31, 33, 31, 38, 31, 30, 32)
	})
	broken := sample(t, []gate.Problem{{Kind: "lost", Detail: "attempt a-1 on ci-07: no beat for 60 s"}}, func(add func(string, gate.Rule, gate.Baseline, ...float64)) {
		add("throughput", rate, ten)
	})
	cancelled := sample(t, nil, func(add func(string, gate.Rule, gate.Baseline, ...float64)) {
		add("throughput", rate, ten, 39.3)
	})
	cancelled.Decided = time.Time{}
	cancelled.Overall = gate.Run{Kind: gate.Cancelled, Exit: gate.ExitCancelled, Headline: "the run was cancelled: interrupted"}
	refused := &Report{Suite: "ci", Source: "bench/ci.yml", Overall: gate.Overall(nil, nil, []gate.Problem{
		{Request: true, Kind: "request", Detail: "bench/ci.yml:21:20: unknown metric: found \"ouput_rate\"; did you mean \"output_rate\"?"},
	}, gate.Options{})}
	evil := "::error::\x1b[2Jx|y`z`<script>alert(1)</script>]]>\r\n::error::owned, 100%: *b* @all #1 ##[add-mask]x \"q\" \u202e\ufffe\x00"
	hostile := sample(t, []gate.Problem{{Kind: "error", Detail: evil}}, func(add func(string, gate.Rule, gate.Baseline, ...float64)) {
		add("throughput", rate, ten, 39.3)
	})
	hostile.Suite, hostile.Subject, hostile.Branch, hostile.Machine, hostile.Repeat, hostile.RunID = evil, evil, evil, evil, evil, evil
	hostile.Badges, hostile.Warnings, hostile.PageURL = []string{evil}, []string{evil}, "http://x/"+evil
	hostile.Lines[0].Workload, hostile.Lines[0].Point = evil, map[string]string{"concurrency": evil}
	hostile.Lines[0].Verdict.Kind, hostile.Lines[0].Verdict.Reason = gate.Fail, evil
	hostile.Lines[0].Series, hostile.Source, hostile.Lines[0].SourceLine = evil, evil, 7
	return map[string]*Report{
		"pass": pass, "fail": fail, "warn": warn, "first": first, "unlike": unlike, "noisy": noisy, "broken": broken, "cancelled": cancelled,
		"refused": refused, "hostile": hostile,
	}
}
