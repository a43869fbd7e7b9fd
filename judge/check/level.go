package check

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/imports"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/compare"
	"github.com/paceline/paceline/judge/gate"
)

// documents are the levels of files whose rounds, all of them, are the level.
type documents struct {
	name   string
	series []*series // in the order of the files
	at     map[string]*series
	names  map[string]string // of cells, by digest: of the candidate
	own    bool              // result files: a workload's name means something beside its digest
}

// series is the level of one series.
type series struct {
	key      result.Key
	workload string
	values   []float64
	runs     []string
}

// Documents is the level that files' rounds are. Its error is the caller's to mend.
func (c *Check) Documents(docs []*imports.Document) (Level, error) {
	l := &documents{own: !c.foreign, at: map[string]*series{}, names: map[string]string{}}
	var names, notes []string
	for _, cell := range c.in.Cells {
		l.names[cell.Digest] = cell.Workload
		if pkg := cell.Point["pkg"]; c.foreign && pkg != "" {
			l.names[cell.Digest] += " of " + pkg
		}
	}
	for _, d := range docs {
		if d.Foreign() != c.foreign || c.foreign && d.Run.Subject.Target != c.in.Run.Subject.Target {
			return Level{}, fmt.Errorf("%s is a %s, and what is judged a %s: they measure different things", d.Name, d.Format, c.format)
		}
		if slices.Contains(c.Runs(), d.Run.ID) {
			return Level{}, fmt.Errorf("%s is run %s, which is judged itself: give --baseline another one", d.Name, d.Run.ID)
		}
		names = append(names, d.Name)
		notes = append(notes, notesOf(d)...)
		l.add(d)
	}
	l.name = strings.Join(names, ", ")
	if len(l.series) == 0 {
		return Level{}, fmt.Errorf("%s has no valid round to compare with", l.name)
	}
	return Level{Name: l.name, Levels: l, Notes: notes, Gone: c.gone(l)}, nil
}

// notesOf is what to know about a file that is a level.
func notesOf(d *imports.Document) []string {
	var out []string
	for _, f := range d.Failed {
		out = append(out, fmt.Sprintf("the baseline %s says: %s", d.Name, f))
	}
	faults := map[string]bool{}
	for _, r := range d.Rounds {
		for _, f := range r.Subject.Faults {
			faults[f] = true
		}
	}
	if len(faults) > 0 {
		out = append(out, fmt.Sprintf("the baseline %s was measured with planted faults: %s", d.Name, strings.Join(slices.Sorted(maps.Keys(faults)), ", ")))
	}
	return out
}

// add takes the valid values of a file.
func (l *documents) add(d *imports.Document) {
	for i := range d.Rounds {
		r := &d.Rounds[i]
		for j := range r.Cells {
			c := &r.Cells[j]
			if !r.Valid || !c.Valid {
				continue
			}
			for _, v := range c.Values {
				key := result.KeyOf(r, d.Run.Subject, c, v.Metric)
				digest := key.Digest()
				s := l.at[digest]
				if s == nil {
					s = &series{key: key, workload: c.Workload}
					l.at[digest] = s
					l.series = append(l.series, s)
				}
				s.values, s.runs = append(s.values, v.Value), append(s.runs, r.ID)
			}
		}
	}
}

// Level implements compare.Levels.
func (l *documents) Level(_ context.Context, key result.Key) (gate.Baseline, error) {
	b := gate.Baseline{Name: l.name}
	if key.Cell == "" {
		return b, nil
	}
	s := l.at[key.Digest()]
	if s == nil {
		b.Incomparable, b.Absent = l.nearest(key)
		return b, nil
	}
	b.Values, b.Runs = s.values, s.runs
	if len(s.values) < baseline.Enough {
		b.Pooled = l.pooled(key)
	}
	return b, nil
}

// Pinned implements compare.Levels: files have no pinned level.
func (l *documents) Pinned(context.Context, result.Key) (gate.Baseline, bool, error) {
	return gate.Baseline{}, false, nil
}

// nearest says how the nearest series differs, or that there is none.
func (l *documents) nearest(key result.Key) (incomparable, absent string) {
	name := l.names[key.Cell]
	var other []string
	for _, s := range slices.Backward(l.series) {
		switch {
		case s.key.Cell == key.Cell && s.key.Metric == key.Metric:
			return strings.Join(baseline.Differences(s.key, key), "; "), ""
		case l.own && s.workload == name && s.key.Metric == key.Metric && incomparable == "":
			incomparable = fmt.Sprintf("workload %s was another one: its request, data, load, warm-up or window differ", name)
		case s.key.Cell == key.Cell && !slices.Contains(other, string(s.key.Metric)):
			other = append(other, string(s.key.Metric))
		}
	}
	switch {
	case incomparable != "":
		return incomparable, ""
	case len(other) > 0:
		slices.Sort(other)
		return "", fmt.Sprintf("%s has no %s of %s, only %s", l.name, key.Metric, name, some(other))
	}
	return "", fmt.Sprintf("%s has no %s", l.name, name)
}

// pooled is the spread of the other levels of the metric, target and class.
func (l *documents) pooled(key result.Key) float64 {
	var levels [][]baseline.Record
	for _, s := range l.series {
		if s.key.Metric != key.Metric || s.key.Target != key.Target || s.key.Hardware != key.Hardware || len(s.values) < baseline.Enough {
			continue
		}
		var level []baseline.Record
		for _, v := range s.values {
			level = append(level, baseline.Record{Value: v})
		}
		levels = append(levels, level)
	}
	return baseline.Pooled(levels)
}

// gone names the series of a level that the rules would gate and no round has. What
// a suite gates and nobody measured is an error already.
func (c *Check) gone(l *documents) []string {
	if !c.foreign {
		return nil
	}
	type at struct {
		cell string
		id   metric.ID
	}
	here := map[at]bool{}
	for _, r := range c.in.Rounds {
		for _, x := range r.Cells {
			for _, v := range x.Values {
				here[at{x.Cell, v.Metric}] = true
			}
		}
	}
	var out []string
	for _, s := range l.series {
		if k := (at{s.key.Cell, s.key.Metric}); !here[k] && c.match(s.workload, s.key.Metric) {
			here[k] = true
			out = append(out, s.workload+" "+string(s.key.Metric))
		}
	}
	return out
}

// worded says of a level without a value that it has none: a check records nothing
// that could become one.
type worded struct {
	compare.Levels
	name string
}

// Level implements compare.Levels.
func (l worded) Level(ctx context.Context, key result.Key) (gate.Baseline, error) {
	b, err := l.Levels.Level(ctx, key)
	if len(b.Values) == 0 && b.Incomparable == "" && b.Absent == "" {
		b.Absent = l.name + " has no round of this series"
	}
	return b, err
}

// None is no level at all.
func None() Level { return Level{Levels: none{}} }

type none struct{}

func (none) Level(context.Context, result.Key) (gate.Baseline, error) {
	return gate.Baseline{Absent: "no baseline was given: name a file or a branch with --baseline"}, nil
}

func (none) Pinned(context.Context, result.Key) (gate.Baseline, bool, error) {
	return gate.Baseline{}, false, nil
}
