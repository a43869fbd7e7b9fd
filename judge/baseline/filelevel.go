package baseline

import (
	"context"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/gate"
)

// FileLevels gives a file's levels by series, as judge/compare takes them. Make it
// with File.Levels.
type FileLevels struct {
	name   string
	series map[string]*fileSeries // by digest
}

// fileSeries is the level of one series of a file.
type fileSeries struct {
	key    result.Key
	level  []Record
	newest time.Time
}

// Name names the file's level for people: its branch and when it was exported.
func (f *File) Name() string {
	return f.Branch + " (file of " + f.Exported.UTC().Format("2006-01-02 15:04") + ")"
}

// Levels reads the level of every series of the file. Which runs those are was decided
// where it was exported; no run of the file is left out.
func (f *File) Levels() *FileLevels {
	all := map[string][]Record{}
	l := &FileLevels{name: f.Name(), series: map[string]*fileSeries{}}
	f.Each(func(key result.Key, r Record) {
		digest := key.Digest()
		all[digest] = append(all[digest], r)
		if l.series[digest] == nil {
			l.series[digest] = &fileSeries{key: key}
		}
	})
	for digest, s := range l.series {
		if s.level = Level(all[digest], Query{Branch: f.Branch}); len(s.level) > 0 {
			s.newest = s.level[len(s.level)-1].At
		}
	}
	return l
}

// Level implements judge/compare's Levels. It never fails.
func (l *FileLevels) Level(_ context.Context, key result.Key) (gate.Baseline, error) {
	b := gate.Baseline{Name: l.name}
	if key.Cell == "" {
		return b, nil
	}
	if s := l.series[key.Digest()]; s != nil {
		b = Gate(l.name, s.level, 0)
	}
	switch {
	case len(b.Values) == 0:
		b.Incomparable = l.otherClass(key)
	case len(b.Values) < Enough:
		b.Pooled = l.pooled(key)
	}
	return b, nil
}

// Pinned implements judge/compare's Levels: a file has no pinned level.
func (l *FileLevels) Pinned(context.Context, result.Key) (gate.Baseline, bool, error) {
	return gate.Baseline{}, false, nil
}

// otherClass names how the newest level of the same cell and metric differs; "" if
// there is none.
func (l *FileLevels) otherClass(key result.Key) string {
	var best *fileSeries
	for _, s := range l.series {
		if s.key.Cell != key.Cell || s.key.Metric != key.Metric || len(s.level) == 0 {
			continue
		}
		if best == nil || s.newest.After(best.newest) || s.newest.Equal(best.newest) && s.key.Digest() < best.key.Digest() {
			best = s
		}
	}
	if best == nil {
		return ""
	}
	return strings.Join(Differences(best.key, key), "; ")
}

// pooled is the spread of the file's other levels of the metric, target and class.
func (l *FileLevels) pooled(key result.Key) float64 {
	var levels [][]Record
	digest := key.Digest()
	for d, s := range l.series {
		if d != digest && s.key.Metric == key.Metric && s.key.Target == key.Target && s.key.Hardware == key.Hardware {
			levels = append(levels, s.level)
		}
	}
	return Pooled(levels)
}
