package format

import (
	"fmt"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/judge/gate"
)

// readOpenMetrics is a strict reader of the part of OpenMetrics 1.0 that gauges need.
// It gives the value of each sample by its name with labels, as written.
func readOpenMetrics(text string) (map[string]string, error) {
	name := regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	number := regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	body, ok := strings.CutSuffix(text, "# EOF\n")
	if !ok || strings.Contains(body, "# EOF") {
		return nil, fmt.Errorf("it ends with %.20q, or more than once", text[max(0, len(text)-20):])
	}
	out := map[string]string{}
	ended := map[string]bool{} // families
	family, samples := "", 0
	meta := map[string]string{}
	for i, line := range strings.Split(strings.TrimSuffix(body, "\n"), "\n") {
		bad := func(format string, args ...any) error {
			return fmt.Errorf("line %d, %q: %s", i+1, line, fmt.Sprintf(format, args...))
		}
		if rest, ok := strings.CutPrefix(line, "# "); ok {
			kind, rest, _ := strings.Cut(rest, " ")
			of, value, _ := strings.Cut(rest, " ")
			switch {
			case !name.MatchString(of):
				return nil, bad("no name: %q", of)
			case of != family:
				if kind != "TYPE" {
					return nil, bad("a family begins with its type")
				}
				if ended[of] {
					return nil, bad("family %s is split", of)
				}
				ended[of], family, samples, meta = true, of, 0, map[string]string{}
			case samples > 0:
				return nil, bad("metadata after a sample")
			}
			if _, twice := meta[kind]; twice {
				return nil, bad("%s twice", kind)
			}
			meta[kind] = value
			switch kind {
			case "TYPE":
				if value != "gauge" {
					return nil, bad("type %q", value)
				}
			case "UNIT":
				if !strings.HasSuffix(of, "_"+value) {
					return nil, bad("the name doesn't end with its unit")
				}
			case "HELP":
				if err := escaped(value); err != nil {
					return nil, bad("%v", err)
				}
			default:
				return nil, bad("what is %q?", kind)
			}
			continue
		}
		of, rest, ok := strings.Cut(line, "{")
		if !ok || of != family {
			return nil, bad("a sample outside its family %q", family)
		}
		seen := map[string]bool{}
		for first := true; !strings.HasPrefix(rest, "}"); first = false {
			if !first {
				if rest, ok = strings.CutPrefix(rest, ","); !ok {
					return nil, bad("no comma before %q", rest)
				}
			}
			label, after, ok := strings.Cut(rest, `="`)
			if !ok || !name.MatchString(label) || strings.Contains(label, ":") || strings.HasPrefix(label, "__") || seen[label] {
				return nil, bad("label %q", label)
			}
			seen[label] = true
			end := closing(after)
			if end < 0 {
				return nil, bad("label %s has no end", label)
			}
			if err := escaped(after[:end]); err != nil {
				return nil, bad("label %s: %v", label, err)
			}
			rest = after[end+1:]
		}
		value, ok := strings.CutPrefix(rest, "} ")
		if !ok || !number.MatchString(value) {
			return nil, bad("value %q", value)
		}
		id := strings.TrimSuffix(line, " "+value)
		if _, twice := out[id]; twice {
			return nil, bad("a sample twice")
		}
		out[id] = value
		samples++
	}
	return out, nil
}

// closing finds the quote that ends a label's value.
func closing(s string) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

func escaped(s string) error {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		if i++; i == len(s) || !strings.ContainsRune(`\"n`, rune(s[i])) {
			return fmt.Errorf("escape in %q", s)
		}
	}
	return nil
}

func metrics(t *testing.T, r *Report, o Options) map[string]string {
	t.Helper()
	text := render(t, "openmetrics", r, o)
	got, err := readOpenMetrics(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return got
}

func TestOpenMetricsIsOpenMetrics(t *testing.T) {
	for name, r := range samples(t) {
		for _, all := range []bool{false, true} {
			if got := metrics(t, r, Options{All: all}); len(got) == 0 {
				t.Errorf("%s: no sample", name)
			}
		}
	}
}

// TestStrictReaderIsStrict: the reader above refuses what the format forbids.
func TestStrictReaderIsStrict(t *testing.T) {
	good := "# TYPE a_seconds gauge\n# UNIT a_seconds seconds\n# HELP a_seconds x\na_seconds{b=\"c\"} 1\n# EOF\n"
	if got, err := readOpenMetrics(good); err != nil || got[`a_seconds{b="c"}`] != "1" {
		t.Fatal(got, err)
	}
	for _, swap := range [][2]string{
		{"# EOF\n", ""},
		{"# EOF\n", "# EOF"},
		{"# TYPE", "# EOF\n# TYPE"},
		{"# UNIT a_seconds seconds", "# UNIT a_seconds bytes"},
		{"# TYPE a_seconds gauge\n", ""},
		{`{b="c"} 1`, `{b="c"} 1` + "\n# HELP a_seconds y"},
		{`"c"`, `"c`},
		{`"c"`, `"c\q"`},
		{`b="c"`, `b="c",b="d"`},
		{`{b=`, `{1b=`},
		{`} 1`, `} NaN`},
		{`a_seconds{`, `b_seconds{`},
		{"# EOF", "a_seconds{b=\"c\"} 2\n# EOF"},
		{"# HELP a_seconds x", "# HELP a_seconds x\n# HELP a_seconds x"},
	} {
		if _, err := readOpenMetrics(strings.Replace(good, swap[0], swap[1], 1)); err == nil {
			t.Errorf("%q in place of %q is read", swap[1], swap[0])
		}
	}
}

func TestOpenMetricsValues(t *testing.T) {
	all := samples(t)
	got := metrics(t, all["fail"], Options{})
	const in = `suite="ci",workload="throughput",badges="synthetic, fault-injected: slow=1.43"`
	for id, want := range map[string]string{
		`paceline_exit_code{suite="ci"}`:                                                           "1",
		`paceline_output_rate_tokens_per_second{` + in + `}`:                                       "27", // noise of three rounds against ten is 2.5 %: steps of a token
		`paceline_output_rate_baseline_tokens_per_second{` + in + `,baseline="main"}`:              "39",
		`paceline_output_rate_baseline_tokens_per_second{` + in + `,baseline="pinned v1.2"}`:       "36",
		`paceline_output_rate_delta_ratio{` + in + `,baseline="main"}`:                             "-0.30",
		`paceline_ttft_p50_seconds{` + strings.Replace(in, "throughput", "ttft", 1) + `}`:          "0.0090",
		`paceline_token_agreement{` + strings.Replace(in, "throughput", "token-accuracy", 1) + `}`: "1.000",
	} {
		if got[id] != want {
			t.Errorf("%s is %q, want %s", id, got[id], want)
		}
	}
	// What was not measured is absent, not 0; what noise hides is no change.
	for id := range metrics(t, all["broken"], Options{}) {
		if strings.Contains(id, "output_rate") {
			t.Errorf("a value without a round: %s", id)
		}
	}
	pass := metrics(t, all["pass"], Options{})
	now, base := pass[`paceline_output_rate_tokens_per_second{suite="ci",workload="throughput"}`], pass[`paceline_output_rate_baseline_tokens_per_second{suite="ci",workload="throughput",baseline="main"}`]
	if now == "" || now != base || pass[`paceline_output_rate_delta_ratio{suite="ci",workload="throughput",baseline="main"}`] != "0" {
		t.Errorf("39.3 tok/s against 39.1 is %s against %s: %v", now, base, pass)
	}
	// Of what has no rule, only on demand.
	const free = `paceline_tpot_p50_seconds_per_token{suite="ci",workload="throughput"}`
	if _, shown := pass[free]; shown {
		t.Error("a value without a rule is shown")
	}
	if v := metrics(t, all["pass"], Options{All: true})[free]; v != "0.024" {
		t.Errorf("%s is %q", free, v)
	}
}

// TestOpenMetricsForGitLab reads as GitLab does: what follows a "#" is dropped, the
// rest is split as a shell would, the first word is the name. Every sample must come
// through under a name of its own.
func TestOpenMetricsForGitLab(t *testing.T) {
	for name, r := range samples(t) {
		seen := map[string]bool{}
		for _, line := range strings.Split(render(t, "openmetrics", r, Options{All: true}), "\n") {
			line, _, _ = strings.Cut(line, "#")
			words, ok := shellSplit(line)
			if !ok {
				t.Errorf("%s: quotes don't match: %s", name, line)
			}
			if len(words) == 0 {
				continue
			}
			if _, err := strconv.ParseFloat(words[len(words)-1], 64); err != nil || len(words) != 2 || seen[words[0]] {
				t.Errorf("%s: words %q", name, words)
			}
			seen[words[0]] = true
		}
		if len(seen) != len(metrics(t, r, Options{All: true})) {
			t.Errorf("%s: GitLab sees %d samples", name, len(seen))
		}
	}
}

// shellSplit is Ruby's shellsplit, for double quotes and backslashes.
func shellSplit(s string) (words []string, ok bool) {
	var w strings.Builder
	in, quoted := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			w.WriteByte(s[i])
			in = true
		case c == '"':
			quoted, in = !quoted, true
		case c == '\'' && !quoted:
			return nil, false
		case c == ' ' && !quoted:
			if in {
				words = append(words, w.String())
			}
			w.Reset()
			in = false
		default:
			w.WriteByte(c)
			in = true
		}
	}
	if in {
		words = append(words, w.String())
	}
	return words, !quoted
}

// TestNoiseDoesNotFlap: two runs of unchanged code, on a main branch that goes on, are
// nearly always equal strings; a real change is not.
func TestNoiseDoesNotFlap(t *testing.T) {
	rule := gate.Rule{Metric: "output_rate", Severity: gate.Failing, MaxDrop: limit(0.20)}
	for _, noise := range []float64{0.005, 0.02, 0.05} {
		rng := rand.New(rand.NewPCG(7, uint64(noise*1000)))
		differ, deltas, missed := 0, 0, 0
		const times = 400
		for range times {
			level := 20 + 60*rng.Float64()
			draw := func() float64 { return level * math.Exp(noise*rng.NormFloat64()) }
			history := make([]float64, 11)
			for i := range history {
				history[i] = draw()
			}
			at := func(from int, draw func() float64) (value, delta string) {
				base := gate.Baseline{Name: "main", Values: history[from : from+10]}
				var c gate.Candidate
				for { // as a run does: rounds until the gate has enough
					c.Rounds = append(c.Rounds, gate.Round{Value: draw()})
					v := gate.Decide(rule, base, c).Verdict
					if v == nil {
						continue
					}
					f := rounding(&Line{Metric: rule.Metric, Value: v.Value, Rounds: v.K}, v)
					return f.value(1), f.delta()
				}
			}
			a, _ := at(0, draw)
			b, d := at(1, draw)
			if a != b {
				differ++
			}
			if d != "0" {
				deltas++
			}
			if c, d := at(1, func() float64 { return 0.7 * draw() }); c == b || d == "0" {
				missed++
			}
		}
		t.Logf("noise %g: %d of %d differ, %d show a change", noise, differ, times, deltas)
		if differ > times/4 || deltas > times/10 || missed > 0 {
			t.Errorf("noise %g: of %d pairs %d differ and %d show a change; %d drops of 30 %% are not seen", noise, times, differ, deltas, missed)
		}
	}
}

func TestOnGrid(t *testing.T) {
	for _, c := range []struct {
		v, step float64
		want    string
	}{
		{39.3, 0.7, "39"},
		{39.3, 0.4, "39.5"},
		{-0.304, 0.01, "-0.30"},
		{1234567890, 3e7, "1250000000"},
		{0.0041, 0.00007, "0.0041"},
		{5, 5, "5"},
		{5, 6, "10"},
		{4, 6, "0"},
		{96, 6, "100"},
		{-0.001, 0.01, "0"},
		{1, 0.001, "1.000"},
	} {
		if got := onGrid(c.v, c.step); got != c.want {
			t.Errorf("%g in steps of %g is %s, want %s", c.v, c.step, got, c.want)
		}
	}
}

// TestUnitsHaveNames: every unit of the table has a name of OpenMetrics' kind.
func TestUnitsHaveNames(t *testing.T) {
	for _, d := range metric.Table() {
		name, factor := unitOf(d.Unit)
		if strings.ContainsAny(name, "/ ") || factor <= 0 || name == "" && d.Unit != "1" || name == d.Unit && len(name) < 3 {
			t.Errorf("%s: unit %q is %q", d.Name, d.Unit, name)
		}
	}
	if name, _ := unitOf("ns/op"); name != "ns_per_op" {
		t.Error(name)
	}
}

// FuzzOpenMetrics: any names give a text that the strict reader reads.
func FuzzOpenMetrics(f *testing.F) {
	for _, s := range []string{"", "suite", `a"b\c`, "é#x", "__name__", "1x", "\n", "s", "badges", "output_rate"} {
		f.Add(s, s, 1.5)
	}
	f.Add("x", "B", 1e300)
	f.Add("x", "ms", 1e-300)
	f.Fuzz(func(t *testing.T, s, unit string, v float64) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return // no result file can hold it
		}
		line := Line{Workload: s, Point: map[string]string{s: s, "suite": s}, Metric: metric.ID(s), Unit: unit, Value: v, Rounds: 1}
		gated := line
		gated.Verdict = &gate.Verdict{Rule: gate.Rule{Metric: "output_rate", MaxDrop: limit(0.2)}, N: 3, K: 1, BaselineValue: v / 2, Change: 1, S: 0.03, Baseline: gate.Baseline{Name: s}}
		r := &Report{Suite: s, Badges: []string{s}, Lines: []Line{gated, line}}
		if _, err := readOpenMetrics(render(t, "openmetrics", r, Options{All: true})); err != nil {
			t.Error(err)
		}
	})
}
