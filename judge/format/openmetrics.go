package format

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/paceline/paceline/judge/gate"
)

// openmetrics writes the gated series as OpenMetrics text 1.0, for GitLab's metrics
// report and for Prometheus: a value, its baseline and the change from that.
//
// GitLab compares values as strings, so every digit that noise can reach would show as
// a change of each commit. Figures are therefore rounded to the noise (rounding), and
// labels name the series and nothing that changes from run to run, such as a commit
// or a host. A "#" in a label would end the line there. What has no value is absent.
func openmetrics(b *bytes.Buffer, r *Report, o Options) error {
	var x exposition
	suite := [][2]string{{"suite", r.Suite}}
	x.add("paceline_exit_code", "", "exit code of the run: 0 pass, 1 a gate failed, 2 bad request, 3 machine or subject failed, 4 inconclusive, 5 cancelled",
		suite, strconv.Itoa(r.Overall.Exit))
	badges := strings.Join(r.Badges, ", ")
	for _, s := range r.series() {
		x.series(r.Suite, badges, s)
	}
	if o.All {
		for _, l := range r.others() {
			x.series(r.Suite, badges, gatedSeries{lines: []*Line{l}})
		}
	}
	x.write(b)
	return nil
}

// series adds what is known of one series.
func (x *exposition) series(suite, badges string, s gatedSeries) {
	l := s.lines[0]
	if l.Rounds == 0 {
		return
	}
	labels := [][2]string{{"suite", suite}, {"workload", l.Workload}}
	for _, axis := range sortedKeys(l.Point) {
		labels = append(labels, [2]string{axis, l.Point[axis]})
	}
	if c := s.class(); c != "" {
		labels = append(labels, [2]string{"class", c})
	}
	if badges != "" { // a planted fault is a series of its own
		labels = append(labels, [2]string{"badges", badges})
	}
	unit, factor := unitOf(l.Unit)
	name := "paceline_" + legal(string(l.Metric))
	meaning := string(l.Metric)
	if def, ok := l.Metric.Def(); ok {
		meaning += ": " + def.Meaning
	}
	var level *gate.Verdict // that the value is rounded by
	for _, l := range s.lines {
		if v := l.Verdict; v != nil && v.Rule.Relative() && v.N > 0 && v.K > 0 {
			level = v
			break
		}
	}
	x.add(withUnit(name, unit), unit, meaning, labels, rounding(l, level).value(factor))
	for _, l := range s.lines {
		v := l.Verdict
		if v == nil || !v.Rule.Relative() || v.N == 0 || v.K == 0 {
			continue
		}
		of := labels
		if v.Baseline.Name != "" {
			of = append(of[:len(of):len(of)], [2]string{"baseline", v.Baseline.Name})
		}
		f := rounding(l, v)
		x.add(withUnit(name+"_baseline", unit), unit, "baseline of "+string(l.Metric), of, f.baseline(factor))
		x.add(name+"_delta_ratio", "ratio", "change of "+string(l.Metric)+" from its baseline, as a share of it; 0 where noise hides it", of, f.delta())
	}
}

// unitOf gives OpenMetrics' base unit and what a value of ours is multiplied with.
func unitOf(unit string) (name string, factor float64) {
	switch unit {
	case "", "1": // a share or a count: its name says which
		return "", 1
	case "s":
		return "seconds", 1
	case "ms":
		return "seconds", 1e-3
	case "ms/tok":
		return "seconds_per_token", 1e-3
	case "B":
		return "bytes", 1
	case "ms/ktok": // a thousand tokens
		return "seconds_per_token", 1e-6
	case "ms/tok/ktok":
		return "seconds_per_token_squared", 1e-6
	case "ms/ktok²":
		return "seconds_per_token_squared", 1e-9
	case "B/req":
		return "bytes_per_request", 1
	case "B/tok":
		return "bytes_per_token", 1
	case "tok":
		return "tokens", 1
	case "tok/s":
		return "tokens_per_second", 1
	case "tok/s/user":
		return "tokens_per_second_per_user", 1
	case "req/s":
		return "requests_per_second", 1
	}
	return strings.Trim(legal(strings.ReplaceAll(unit, "/", "_per_")), "_"), 1
}

// withUnit ends a name with its unit, as OpenMetrics wants.
func withUnit(name, unit string) string {
	if unit == "" || strings.HasSuffix(name, "_"+unit) {
		return name
	}
	return name + "_" + unit
}

// legal makes a part of a name of letters, digits and underscores.
func legal(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			return c
		}
		return '_'
	}, s)
}

// exposition is a set of gauges.
type exposition struct {
	families []*family
	taken    map[string]bool // of samples, which must differ
}

type family struct {
	name, unit, help string
	samples          []string
}

// add adds a sample to its family. One that is there already stays as it is.
func (x *exposition) add(name, unit, help string, labels [][2]string, value string) {
	sample := name + labelSet(labels)
	if x.taken == nil {
		x.taken = map[string]bool{}
	}
	if x.taken[sample] {
		return
	}
	x.taken[sample] = true
	var f *family
	for _, g := range x.families {
		if g.name == name {
			f = g
		}
	}
	if f == nil {
		f = &family{name: name, unit: unit, help: help}
		x.families = append(x.families, f)
	}
	f.samples = append(f.samples, sample+" "+value)
}

func (x *exposition) write(b *bytes.Buffer) {
	for _, f := range x.families {
		fmt.Fprintf(b, "# TYPE %s gauge\n", f.name)
		if f.unit != "" {
			fmt.Fprintf(b, "# UNIT %s %s\n", f.name, f.unit)
		}
		fmt.Fprintf(b, "# HELP %s %s\n", f.name, escapeLabel(plain(f.help)))
		for _, s := range f.samples {
			b.WriteString(s + "\n")
		}
	}
	b.WriteString("# EOF\n")
}

// labelSet writes labels; a name that is no legal one or taken is made so.
func labelSet(labels [][2]string) string {
	var parts []string
	seen := map[string]bool{}
	for _, l := range labels {
		name := strings.TrimLeft(legal(l[0]), "_")
		if name == "" || name[0] >= '0' && name[0] <= '9' {
			name = "axis_" + name
		}
		for seen[name] {
			name += "_"
		}
		seen[name] = true
		parts = append(parts, name+`="`+escapeLabel(strings.ReplaceAll(plain(l[1]), "#", "_"))+`"`)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func escapeLabel(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s)
}
