package check

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/imports"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/compare"
	"github.com/paceline/paceline/judge/gate"
)

// DefaultChange is how much worse a metric may be that no suite has a rule for.
const DefaultChange = 0.20

// Rules are what a caller wants of the gates. The zero value takes a result file's
// rules from its suite, and DefaultChange for every metric of other files.
type Rules struct {
	Drop, Rise float64                     // limits, as shares of the baseline; 0: not given
	Metrics    []string                    // patterns of what is gated; none: all
	Better     map[string]metric.Direction // by unit or name, where a file doesn't say
}

// given says whether a limit was given.
func (r Rules) given() bool { return r.Drop > 0 || r.Rise > 0 }

// limit is the rule on a metric in a direction; nil where its direction has no limit.
func (r Rules) limit(id metric.ID, better metric.Direction) *gate.Rule {
	rule := gate.Rule{Metric: id, Severity: gate.Failing}
	switch {
	case better == metric.HigherIsBetter && r.Drop > 0:
		rule.MaxDrop = &r.Drop
	case better == metric.LowerIsBetter && r.Rise > 0:
		rule.MaxRise = &r.Rise
	default:
		return nil
	}
	return &rule
}

// matcher makes the test whether a metric of a workload is gated.
func (r Rules) matcher() func(workload string, id metric.ID) bool {
	if len(r.Metrics) == 0 {
		return func(string, metric.ID) bool { return true }
	}
	var parts []string
	for _, p := range r.Metrics {
		parts = append(parts, strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(p)))
	}
	re := regexp.MustCompile(`^(?:` + strings.Join(parts, "|") + `)$`)
	return func(workload string, id metric.ID) bool {
		return re.MatchString(string(id)) || re.MatchString(workload) || re.MatchString(workload+" "+string(id))
	}
}

// onSuite changes the rules of a suite's cells to what was asked for.
func (r Rules) onSuite(cells []compare.Cell, rounds []result.Round) error {
	match, gated, known := r.matcher(), 0, map[string]bool{}
	for i := range cells {
		c := &cells[i]
		var rules []gate.Rule
		compared := map[metric.ID]bool{}
		for _, rule := range c.Rules {
			known[string(rule.Metric)] = true
			if !match(c.Workload, rule.Metric) {
				continue
			}
			if def, _ := rule.Metric.Def(); rule.Relative() && r.given() {
				compared[rule.Metric] = true
				if l := r.limit(rule.Metric, def.Better); l != nil {
					rules = append(rules, *l)
					continue
				}
			}
			rules = append(rules, rule)
		}
		if r.given() && len(r.Metrics) > 0 { // also what the suite doesn't gate
			for _, id := range measuredOf(rounds, c.Digest) {
				known[string(id)] = true
				def, _ := id.Def()
				l := r.limit(id, def.Better)
				if l == nil || def.Validity || def.Unit == "1" || compared[id] || !match(c.Workload, id) {
					continue
				}
				rules = append(rules, *l)
			}
		}
		c.Rules = rules
		gated += len(rules)
	}
	if gated == 0 {
		return r.noMatch(slices.Sorted(maps.Keys(known)))
	}
	return nil
}

// noMatch is the error of patterns that gate nothing. Known are "workload metric", or
// metrics.
func (r Rules) noMatch(known []string) error {
	if len(r.Metrics) == 0 {
		return errors.New("there is nothing to gate: no metric has a direction with a limit")
	}
	words := slices.Clone(known)
	for _, k := range known {
		if at := strings.LastIndexByte(k, ' '); at > 0 {
			words = append(words, k[at+1:], k[:at])
		}
	}
	for _, p := range r.Metrics {
		if near := metric.Nearest(p, words); near != "" {
			return fmt.Errorf("--metric %s gates nothing: did you mean %q?", p, near)
		}
	}
	return fmt.Errorf("--metric %s gates nothing: there are %s", strings.Join(r.Metrics, ", "), some(known))
}

// measuredOf are the metrics that the rounds have of a cell, in their order.
func measuredOf(rounds []result.Round, digest string) []metric.ID {
	var out []metric.ID
	for _, r := range rounds {
		for _, c := range r.Cells {
			if c.Cell != digest {
				continue
			}
			for _, v := range c.Values {
				if !slices.Contains(out, v.Metric) {
					out = append(out, v.Metric)
				}
			}
		}
	}
	return out
}

// rules makes cells and rules of files that no suite describes: one limit on
// everything that the patterns choose.
func (c *Check) rules(docs []*imports.Document, r Rules) error {
	if !r.given() {
		r.Drop, r.Rise = DefaultChange, DefaultChange
	}
	c.match = r.matcher()
	defs := map[imports.Series]imports.Def{}
	shown := map[imports.Series]bool{}
	for _, d := range docs {
		maps.Copy(shown, d.Shown)
		for s, def := range d.Defs {
			if was, ok := defs[s]; !ok || was.Better == metric.Neutral {
				defs[s] = def
			} else if def.Better != metric.Neutral && def.Better != was.Better {
				return fmt.Errorf("of %s in %s %s, but in another file %s", s.Metric, d.Name, def.Better, was.Better)
			}
		}
	}
	c.cells()
	used, known, gated := map[string]bool{}, []string{}, 0
	var missing, units []string // what has no direction, parallel
	for i := range c.in.Cells {
		cell := &c.in.Cells[i]
		for _, id := range measuredOf(c.in.Rounds, cell.Digest) {
			known = append(known, cell.Workload+" "+string(id))
			def, foreign := c.define(defs, cell, id, r.Better, used)
			if shown[imports.Series{Cell: cell.Digest, Metric: id}] && len(r.Metrics) == 0 {
				continue
			}
			if !c.match(cell.Workload, id) || def.Validity {
				continue
			}
			if def.Better == metric.Neutral {
				if foreign {
					missing, units = append(missing, fmt.Sprintf("%s (%s)", cell.Workload, id)), append(units, string(id))
				}
				continue
			}
			rule := r.limit(id, def.Better)
			if rule == nil {
				continue
			}
			if f, ok := cell.Foreign[id]; ok {
				rule.Foreign = &f
			}
			if err := rule.Validate(); err != nil {
				return err
			}
			cell.Rules = append(cell.Rules, *rule)
			gated++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(r.Better)) {
		if !used[key] {
			return fmt.Errorf("--better %s: nothing that needs it has this unit or name", key)
		}
	}
	switch {
	case len(missing) > 0:
		return c.noDirection(missing, units[0])
	case gated == 0 && len(c.problems) == 0:
		return r.noMatch(known)
	}
	return nil
}

// cells are those that any round has, in order. A package that all of them share says
// nothing, and is left out of the names.
func (c *Check) cells() {
	at := map[string]bool{}
	packages := map[string]bool{}
	for _, r := range c.in.Rounds {
		for _, x := range r.Cells {
			packages[x.Point["pkg"]] = true
			if at[x.Cell] {
				continue
			}
			at[x.Cell] = true
			c.in.Cells = append(c.in.Cells, compare.Cell{
				Digest: x.Cell, Workload: x.Workload, Point: x.Point, Foreign: map[metric.ID]gate.Foreign{},
			})
		}
	}
	if len(packages) == 1 {
		for i := range c.in.Cells {
			c.in.Cells[i].Point = nil
		}
	}
}

// define finds a metric's definition: the table's, the file's, or what the caller
// said of its unit or name.
func (c *Check) define(defs map[imports.Series]imports.Def, cell *compare.Cell, id metric.ID, better map[string]metric.Direction, used map[string]bool) (def metric.Def, foreign bool) {
	if def, ok := id.Def(); ok {
		return def, false
	}
	d := defs[imports.Series{Cell: cell.Digest, Metric: id}]
	for _, key := range []string{string(id), cell.Workload} {
		if b, ok := better[key]; ok {
			used[key] = true
			d.Better = b
		}
	}
	f := gate.Foreign{Unit: d.Unit}
	switch d.Better {
	case metric.HigherIsBetter:
		f.Better = gate.Higher
	case metric.LowerIsBetter:
		f.Better = gate.Lower
	}
	cell.Foreign[id] = f
	return metric.Def{Name: string(id), Unit: d.Unit, Better: d.Better}, true
}

// noDirection says what to write where nobody knows which way is better.
func (c *Check) noDirection(missing []string, unit string) error {
	if c.format == imports.GoBench {
		return fmt.Errorf("nothing says which way is better of %s: let the benchmark print the line \"Unit %s better=higher\" (or lower), or give --better %s=higher, or leave it out with --metric",
			some(missing), unit, unit)
	}
	return fmt.Errorf("nothing says which way is better of %s: write higher or lower as its direction, or give --better %s=higher (or lower), or leave it out with --metric",
		some(missing), unit)
}

// fit turns a relative rule into a fixed limit where a value is not above 0, of which
// no share can be taken: the worst value of the level, and the rule's share of that.
func fit(r gate.Rule, b gate.Baseline, c gate.Candidate) gate.Rule {
	level := b.Values[max(0, len(b.Values)-baseline.Rounds):]
	if len(level) == 0 || !r.Relative() {
		return r
	}
	fine := func(v float64) bool { return v > 0 }
	if slices.IndexFunc(level, func(v float64) bool { return !fine(v) }) < 0 &&
		slices.IndexFunc(c.Rounds, func(x gate.Round) bool { return !fine(x.Value) }) < 0 {
		return r
	}
	switch {
	case r.MaxDrop != nil:
		worst := slices.Min(level)
		worst -= *r.MaxDrop * math.Abs(worst)
		r.Min, r.MaxDrop = &worst, nil
	case r.MaxRise != nil:
		worst := slices.Max(level)
		worst += *r.MaxRise * math.Abs(worst)
		r.Max, r.MaxRise = &worst, nil
	}
	return r
}
