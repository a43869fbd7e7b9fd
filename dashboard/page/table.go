package page

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/dashboard/chart"
	"github.com/paceline/paceline/dashboard/view"
	"github.com/paceline/paceline/judge/gate"
)

// staleAfter is how old a series' last value is before the series counts as stale.
const staleAfter = 7 * 24 * time.Hour

// row is a series in the overview's table.
type row struct {
	Address  string
	Metric   string
	Meaning  string
	Where    string // workload, point, model, hardware
	Kind     gate.Kind
	Mark     view.Mark
	Reason   string
	Now      view.Quantity
	Change   view.Change
	NoChange string
	CanSee   string
	Spark    string
	SparkX   float64
	SparkY   float64
	Last     view.When
	LastRun  string
	Badges   []view.Badge
	Stale    bool
	over     float64 // size of the change over the noise
}

// judged is the newest verdict on a series.
type judged struct {
	verdict gate.Verdict
	run     string
}

// verdicts gives the newest verdict on each series of base and local runs.
func (s *site) verdicts(ctx context.Context, runs []ledger.Run, branch string) (map[string]judged, error) {
	out := map[string]judged{}
	seen := map[string]bool{}
	for _, x := range runs {
		k := x.Project + "\x00" + x.Suite + "\x00" + x.Branch + "\x00" + x.Subject.Target + "\x00" + x.Subject.Model
		if x.State != ledger.RunDecided || x.Lane == result.LaneCandidate || branch != "" && x.Branch != branch || seen[k] {
			continue
		}
		seen[k] = true
		js, err := s.Ledger.Runs().Judgements(ctx, x.ID)
		if err != nil {
			return nil, err
		}
		if len(js) == 0 {
			continue
		}
		rep, err := view.Decode(js[len(js)-1].Report)
		if err != nil {
			return nil, fmt.Errorf("run %s: %w", x.ID, err)
		}
		for _, l := range rep.Lines {
			if l.Verdict == nil || l.Series == "" {
				continue
			}
			// Several rules may watch one series: the worst is shown.
			old, ok := out[l.Series]
			if !ok || old.run == x.ID && worse(*l.Verdict, old.verdict) {
				out[l.Series] = judged{*l.Verdict, x.ID}
			}
		}
	}
	return out, nil
}

// worse says whether a stands before b; of equals the one that compares does.
func worse(a, b gate.Verdict) bool {
	if ra, rb := view.Rank(a.Kind), view.Rank(b.Kind); ra != rb {
		return ra < rb
	}
	return a.Rule.Relative() && !b.Rule.Relative()
}

// rowOf makes the row of a series. Points are those of the branch, without candidates.
func (s *site) rowOf(sum series.Summary, meta ledger.Series, j *judged, branch string) (row, bool) {
	points := slices.DeleteFunc(slices.Clone(sum.Recent), func(p series.Point) bool {
		return p.Lane == result.LaneCandidate || branch != "" && p.Branch != branch
	})
	if len(points) == 0 {
		return row{}, false
	}
	last := points[len(points)-1]
	points = slices.DeleteFunc(points, func(p series.Point) bool { return p.Branch != last.Branch })
	id := metric.ID(sum.Tags.Metric)
	def, _ := id.Def()
	r := row{
		Address: "/trend?series=" + last.Series, Metric: sum.Tags.Metric, Meaning: def.Meaning + "; " + def.Better.String(),
		Where: whereOf(meta, last.Tags), Mark: view.MarkOf(""), Reason: "no rule of the suite asks about this metric",
		Last: view.At(s.Now(), last.At), LastRun: "/runs/" + last.Run, Stale: s.Now().Sub(last.At) > staleAfter,
	}
	if meta.Synthetic {
		r.Badges = append(r.Badges, view.Badge{Text: "synthetic", Title: "random weights: good for speed, not for text"})
	}
	if last.Faults {
		r.Badges = append(r.Badges, view.Badge{Text: "fault-injected", Title: "the last value was measured with a planted defect"})
	}
	r.figures(points, last, id)
	var values []float64
	for _, p := range points {
		if p.Valid && (!p.Faults || p.Round == last.Round) { // the last one stands beside it, with its badge
			values = append(values, p.Value)
		}
	}
	r.Spark, r.SparkX, r.SparkY = chart.Spark(values)
	if j != nil {
		r.Kind, r.Mark, r.Reason = j.verdict.Kind, view.MarkOf(j.verdict.Kind), j.verdict.Reason
		if v := j.verdict; v.Rule.Relative() && v.N > 0 && v.K > 0 && j.run == last.Run {
			r.Change, r.CanSee, r.over = view.ChangeOf(v.Change, id), "≥ "+view.Share(v.CanSee), math.Abs(v.Z)
			r.Now = view.OfRounds(v.Value, v.Spread, v.K, last.N, id, "half the range of the rounds")
		}
	}
	return r, true
}

// figures compares the last run's valid rounds with those before it, as the gate does:
// of each earlier run and machine the first round, the last ten of them.
func (r *row) figures(points []series.Point, last series.Point, id metric.ID) {
	var now, base []float64
	spread := 0.0
	seen := map[[2]string]bool{}
	for _, p := range points {
		k := [2]string{p.Run, p.Machine}
		switch {
		case !p.Valid:
		case p.Run == last.Run:
			now, spread = append(now, p.Value), p.Spread
		case !p.Faults && !seen[k]:
			seen[k] = true
			base = append(base, p.Value)
		}
	}
	if len(now) == 0 {
		r.Now, r.NoChange = view.None("the last run has no valid round of this metric"), "the last run has no valid round"
		return
	}
	if len(now) > 1 {
		spread = stat.HalfRange(now)
	}
	r.Now = view.OfRounds(stat.Median(now), spread, len(now), last.N, id, "how far rounds or trials lie apart")
	r.NoChange = "nothing to compare with before this run"
	if len(base) == 0 {
		return
	}
	level := stat.Median(base)
	if level == 0 {
		r.NoChange = "the level before is 0: there is no relative change"
		return
	}
	r.Change = view.ChangeOf((stat.Median(now)-level)/math.Abs(level), id)
	if v, ok := compared(id, base, now); ok {
		r.CanSee, r.over = "≥ "+view.Share(v.CanSee), math.Abs(v.Z)
	}
}

// compared asks the gate for its figures of a metric without a rule; the threshold
// plays no part in them.
func compared(id metric.ID, base, now []float64) (*gate.Verdict, bool) {
	limit := 0.2
	rule := gate.Rule{Metric: id, Severity: gate.Investigate, MaxDrop: &limit}
	switch def, _ := id.Def(); def.Better {
	case metric.LowerIsBetter:
		rule.MaxDrop, rule.MaxRise = nil, &limit
	case metric.Neutral:
		return nil, false
	}
	var c gate.Candidate
	for _, v := range now {
		c.Rounds = append(c.Rounds, gate.Round{Value: v})
	}
	v := gate.Decide(rule, gate.Baseline{Values: base}, c).Verdict
	return v, v != nil && v.CanSee > 0
}

// whereOf says what a series was measured on.
func whereOf(meta ledger.Series, t series.Tags) string {
	parts := []string{t.Workload}
	if p := view.PointText(meta.Point); p != "" {
		parts = append(parts, p)
	}
	if meta.Model != "" {
		parts = append(parts, meta.Model)
	}
	hw := t.GPU
	if h := meta.Key.Hardware; h.GPUModel == "" && h.CPUModel != "" {
		hw = fmt.Sprintf("%d × %s", h.Cores, h.CPUModel)
	} else if h.GPUCount > 1 {
		hw = fmt.Sprintf("%d × %s", h.GPUCount, h.GPUModel)
	}
	return strings.Join(append(parts, hw), " · ")
}

func middle(xs []float64) float64 { return stat.Median(xs) }
