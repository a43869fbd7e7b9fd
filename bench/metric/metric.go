// Package metric is the one table of what Paceline measures: name, unit,
// direction, statistics, definition version, source and meaning.
//
// Nothing else may guess a unit or a direction from a name. The package imports
// nothing of ours; bench/stat computes the statistics, bench/harness the values,
// judge reads the direction from here.
package metric

import (
	"fmt"
	"strings"
)

// Direction says which way is better.
type Direction int8

// Directions.
const (
	Neutral        Direction = iota // shown, never gated by a change
	HigherIsBetter                  // a drop is worse
	LowerIsBetter                   // a rise is worse
)

// String gives "neutral", "higher is better" or "lower is better".
func (d Direction) String() string {
	switch d {
	case HigherIsBetter:
		return "higher is better"
	case LowerIsBetter:
		return "lower is better"
	}
	return "neutral"
}

// Stat names how a trial's value is made of its samples.
type Stat string

// Statistics. Quantiles are exact, type 7.
const (
	One  Stat = "" // one value a trial: nothing to choose
	P5   Stat = "p5"
	P50  Stat = "p50"
	P90  Stat = "p90"
	P95  Stat = "p95"
	P99  Stat = "p99"
	Mean Stat = "mean"
	Max  Stat = "max"
)

// MinSamples is how many samples a trial needs before the statistic may be
// shown: so many that the quantile's 95 % interval is bounded by samples
// (p90 44, p95 90, p99 459); 1 for the rest.
func (s Stat) MinSamples() int {
	switch s {
	case P90:
		return 44
	case P5, P95:
		return 90
	case P99:
		return 459
	}
	return 1
}

// Source says who knows the value.
type Source string

// Sources.
const (
	Client Source = "client" // instants of the load generator
	Engine Source = "engine" // the engine's own instants and allocator
	Server Source = "server" // usage and timings that a server reports
	System Source = "system" // operating system or NVML
)

// Def defines a metric. A Version changes whenever the same samples would give
// another value, and with it every series' key.
type Def struct {
	Name     string
	Unit     string // as in the table of units: "tok/s", "ms", "B", "1", …
	Better   Direction
	Stats    []Stat // the first is the default; {One} for one value a trial
	Version  int
	Source   Source
	Validity bool   // judged as an input of validity, not as a result
	Meaning  string // one sentence with the formula
}

// ID names a metric with its statistic: "output_rate", "ttft.p50".
type ID string

// Parse finds the definition and statistic that an ID or a bare name means
// ("ttft" means "ttft.p50"). The error lists the nearest names.
func Parse(s string) (ID, Def, Stat, error) {
	name, stat, found := strings.Cut(s, ".")
	def, ok := Lookup(name)
	if !ok {
		if near := Suggest(name); near != "" {
			return "", Def{}, "", fmt.Errorf("unknown metric %q: did you mean %q?", s, near)
		}
		return "", Def{}, "", fmt.Errorf("unknown metric %q: known are %s", s, strings.Join(Names(), ", "))
	}
	if !found {
		return def.ID(def.Stats[0]), def, def.Stats[0], nil
	}
	for _, st := range def.Stats {
		if st != One && string(st) == stat {
			return def.ID(st), def, st, nil
		}
	}
	return "", Def{}, "", fmt.Errorf("metric %q has no statistic %q: it has %s", name, stat, def.statNames())
}

// MustParse is Parse for names written in this program's own source.
func MustParse(s string) ID {
	id, _, _, err := Parse(s)
	if err != nil {
		panic("metric: " + err.Error())
	}
	return id
}

// ID is the metric's name with a statistic of its own.
func (d Def) ID(s Stat) ID {
	if s == One {
		return ID(d.Name)
	}
	return ID(d.Name + "." + string(s))
}

// Def is the definition behind an ID that Parse gave; ok is false for any other.
func (id ID) Def() (Def, bool) {
	_, def, _, err := Parse(string(id))
	return def, err == nil
}

func (d Def) statNames() string {
	var names []string
	for _, s := range d.Stats {
		if s != One {
			names = append(names, string(s))
		}
	}
	if len(names) == 0 {
		return "one value a trial, without a statistic"
	}
	return strings.Join(names, ", ")
}

// Lookup finds a definition by name.
func Lookup(name string) (Def, bool) {
	for _, d := range Table() {
		if d.Name == name {
			return d, true
		}
	}
	return Def{}, false
}

// Names lists every name in the order of the table.
func Names() []string {
	t := Table()
	names := make([]string, len(t))
	for i, d := range t {
		names[i] = d.Name
	}
	return names
}

// Suggest gives the known name nearest to s by edit distance, or "" where none is
// within a third of its length.
func Suggest(s string) string { return Nearest(s, Names()) }

// Nearest gives the candidate nearest to s by edit distance, or "" where none is
// within max(2, len(s)/3) edits.
func Nearest(s string, candidates []string) string {
	best, bestD := "", max(2, len(s)/3)+1
	for _, c := range candidates {
		if d := distance(s, c); d < bestD {
			best, bestD = c, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diag := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diag, row[j] = row[j], min(row[j]+1, row[j-1]+1, diag+cost)
		}
	}
	return row[len(b)]
}
