package page

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/dashboard/view"
	"github.com/paceline/paceline/judge/gate"
)

// Limits of the overview.
const (
	overviewPoints = 60  // newest points of each series
	overviewRuns   = 200 // newest runs in which verdicts are looked for
	latestRuns     = 5
	lagShown       = time.Minute
)

// overview answers "is anything worse?".
type overview struct {
	Counts   []count
	Branch   string
	LastRun  view.When
	Look     []row // fail, warn, inconclusive, invalid, stale
	Fine     []row // judged and fine, or without a baseline yet
	Shown    []row // without a rule
	Latest   runList
	Filters  []filter
	Filtered bool
	Empty    bool
}

// count is a word of the verdict strip.
type count struct {
	Mark view.Mark
	Text string
}

func (s *site) overview(r *http.Request) (show, error) {
	ctx := r.Context()
	q := r.URL.Query()
	runs, err := s.Ledger.Runs().List(ctx, ledger.RunFilter{Limit: overviewRuns})
	if err != nil {
		return show{}, err
	}
	want := series.ListQuery{Suite: q.Get("suite"), Workload: q.Get("workload"), Target: q.Get("target"), Recent: overviewPoints}
	sums, banner, err := s.list(ctx, want)
	if err != nil {
		return show{}, err
	}
	metas, err := s.metas(ctx)
	if err != nil {
		return show{}, err
	}
	branch, verdict, gpu := q.Get("branch"), q.Get("verdict"), q.Get("gpu")
	js, err := s.verdicts(ctx, runs, branch)
	if err != nil {
		return show{}, err
	}
	o := overview{Branch: branch, Filtered: len(q) > 0}
	var all []row
	for _, sum := range sums {
		if gpu != "" && sum.Tags.GPU != gpu {
			continue
		}
		var j *judged
		if x, ok := js[sum.Tags.Series]; ok {
			j = &x
		}
		x, ok := s.rowOf(sum, metas[sum.Tags.Series], j, branch)
		if ok && (verdict == "" || string(x.Kind) == verdict) {
			all = append(all, x)
		}
	}
	slices.SortStableFunc(all, func(a, b row) int {
		if c := cmp.Compare(group(a), group(b)); c != 0 {
			return c
		}
		return cmp.Compare(b.over, a.over)
	})
	o.split(all)
	o.Latest.Rows = s.runRows(runs[:min(latestRuns, len(runs))])
	for _, x := range runs {
		if x.Lane != result.LaneCandidate && (branch == "" || x.Branch == branch) {
			o.LastRun = view.At(s.Now(), x.Created)
			break
		}
	}
	o.Empty = len(all) == 0 && len(runs) == 0
	o.Filters = overviewFilters(q.Get, sums, runs)
	return show{name: "overview", Page: Page{Title: "Overview", Nav: "overview", Live: "/live", Banner: banner, Main: o}}, nil
}

func overviewFilters(get func(string) string, sums []series.Summary, runs []ledger.Run) []filter {
	tag := func(f func(series.Tags) string) func(series.Summary) string {
		return func(x series.Summary) string { return f(x.Tags) }
	}
	return []filter{
		{"branch", "branch", get("branch"), distinct(runs, get("branch"), func(x ledger.Run) string {
			if x.Lane == result.LaneCandidate {
				return ""
			}
			return x.Branch
		})},
		{"suite", "suite", get("suite"), distinct(runs, get("suite"), func(x ledger.Run) string { return x.Suite })},
		{"workload", "workload", get("workload"), distinct(sums, get("workload"), tag(func(t series.Tags) string { return t.Workload }))},
		{"target", "target", get("target"), distinct(sums, get("target"), tag(func(t series.Tags) string { return t.Target }))},
		{"GPU", "gpu", get("gpu"), distinct(sums, get("gpu"), tag(func(t series.Tags) string { return t.GPU }))},
		{"verdict", "verdict", get("verdict"), []string{
			string(gate.Fail), string(gate.Warn), string(gate.Inconclusive), string(gate.Pass), string(gate.Invalid), string(gate.NoBaseline),
		}},
	}
}

// group orders rows: worst verdicts first, then stale ones.
func group(r row) int {
	if r.Stale && r.Kind != gate.Fail && r.Kind != gate.Error {
		return view.Rank(gate.Invalid)
	}
	return view.Rank(r.Kind)
}

// split puts the rows where they belong and counts them for the strip.
func (o *overview) split(all []row) {
	n := map[string]int{}
	for _, x := range all {
		switch {
		case x.Kind == gate.Fail || x.Kind == gate.Error:
			n["fail"]++
		case x.Stale || x.Kind == gate.Invalid || x.Kind == gate.NotComparable:
			n["stale"]++
		case x.Kind == gate.Warn:
			n["warn"]++
		case x.Kind == gate.Inconclusive:
			n["undecided"]++
		case x.Kind == gate.Pass:
			n["fine"]++
		case x.Kind == gate.NoBaseline:
			n["new"]++
		default:
			n["shown"]++
			o.Shown = append(o.Shown, x)
			continue
		}
		if !x.Stale && (x.Kind == gate.Pass || x.Kind == gate.NoBaseline) {
			o.Fine = append(o.Fine, x)
		} else {
			o.Look = append(o.Look, x)
		}
	}
	word := "regressions"
	if n["fail"] == 1 {
		word = "regression"
	}
	add := func(m view.Mark, format string, k int, always bool) {
		if k > 0 || always {
			o.Counts = append(o.Counts, count{m, fmt.Sprintf(format, k)})
		}
	}
	add(view.MarkOf(gate.Fail), "%d "+word, n["fail"], true)
	add(view.MarkOf(gate.Warn), "%d to look at", n["warn"], true)
	add(view.MarkOf(gate.Inconclusive), "%d undecided", n["undecided"], true)
	add(view.MarkOf(gate.Pass), "%d fine", n["fine"], true)
	add(view.MarkOf(gate.Invalid), "%d stale or invalid", n["stale"], true)
	add(view.MarkOf(gate.NoBaseline), "%d without a baseline yet", n["new"], false)
}

// list reads the series, from the other store where the first fails or lags; banner
// says so.
func (s *site) list(ctx context.Context, q series.ListQuery) (sums []series.Summary, banner string, err error) {
	store, banner := s.store(ctx)
	sums, err = store.List(ctx, q)
	if err != nil && s.Fallback != nil && banner == "" {
		banner = fmt.Sprintf("The trend store can't be read (%v): these numbers come from the ledger.", err)
		sums, err = s.Fallback.List(ctx, q)
	}
	return sums, banner, err
}

// store is the trends' store, or the other one where the first lags.
func (s *site) store(ctx context.Context) (series.Reader, string) {
	if s.Fallback == nil || s.Lag == nil {
		return s.Series, ""
	}
	n, since, err := s.Lag(ctx)
	if err != nil || n == 0 || s.Now().Sub(since) < lagShown {
		return s.Series, ""
	}
	return s.Fallback, fmt.Sprintf("The trend store lags by %s (%d runs wait): these numbers come from the ledger.", view.Span(s.Now().Sub(since)), n)
}

// metas gives what the ledger knows of each series.
func (s *site) metas(ctx context.Context) (map[string]ledger.Series, error) {
	all, err := s.Ledger.Rounds().Series(ctx, ledger.SeriesFilter{})
	if err != nil {
		return nil, err
	}
	out := make(map[string]ledger.Series, len(all))
	for _, x := range all {
		out[x.Digest] = x
	}
	return out, nil
}
