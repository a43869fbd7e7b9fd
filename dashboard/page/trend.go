package page

import (
	"context"
	"encoding/csv"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/dashboard/chart"
	"github.com/paceline/paceline/dashboard/view"
	"github.com/paceline/paceline/suites/spec"
)

// Limits of a trend.
const (
	trendPoints = 400 // newest points that are drawn
	trendTrials = 120 // newest rounds whose trials are drawn too
	levelOf     = 10  // rounds of a level
)

// trend is a metric over rounds.
type trend struct {
	Metric, Meaning, Where string
	Badges                 []view.Badge
	Summary                []view.Field // what the page says in words above the chart
	Option                 template.JS
	Drawn                  bool
	Switches               []choice
	Filters                []filter
	Keep                   []filter // choices that the form doesn't show
	Bands                  []string // references in words
	Rows                   []point
	Faults                 bool // some were measured with a planted defect
	CSV                    string
	Prev, Next             string // addresses of the neighbouring series
}

// choice is a switch with the address that turns it.
type choice struct {
	Text, Address string
	On            bool
}

// point is a round in the table of a trend.
type point struct {
	At              view.When
	Run, Short      string
	Mark            view.Mark
	Value           view.Quantity
	Change          view.Change
	Commit, Branch  string
	Lane, Machine   string
	Current, Faults bool
}

// trendList is the page of trends without a series.
type trendList struct{ Rows []row }

func (s *site) trend(r *http.Request) (show, error) {
	digest := r.URL.Query().Get("series")
	if digest == "" {
		return s.trends(r)
	}
	points, meta, banner, err := s.points(r.Context(), r.URL.Query())
	if err != nil {
		return show{}, err
	}
	t, err := s.trendOf(r, meta, points)
	if err != nil {
		return show{}, err
	}
	return show{name: "trend", Page: Page{Title: t.Metric + " · " + meta.Workload, Nav: "trend", Charts: true, Live: "/live", Banner: banner, Main: t}}, nil
}

// trends lists every series.
func (s *site) trends(r *http.Request) (show, error) {
	sums, banner, err := s.list(r.Context(), series.ListQuery{Recent: overviewPoints})
	if err != nil {
		return show{}, err
	}
	metas, err := s.metas(r.Context())
	if err != nil {
		return show{}, err
	}
	var l trendList
	for _, sum := range sums {
		if x, ok := s.rowOf(sum, metas[sum.Tags.Series], nil, ""); ok {
			l.Rows = append(l.Rows, x)
		}
	}
	return show{name: "trend", Page: Page{Title: "Trends", Nav: "trend", Live: "/live", Banner: banner, Main: l}}, nil
}

// points reads the points that an address asks for.
func (s *site) points(ctx context.Context, q url.Values) ([]series.Point, ledger.Series, string, error) {
	meta, err := s.Ledger.Rounds().OneSeries(ctx, q.Get("series"))
	if err != nil {
		return nil, meta, "", err
	}
	query := series.Query{Series: meta.Digest, Limit: trendPoints}
	for _, l := range strings.Split(q.Get("lanes"), ",") {
		switch result.Lane(l) {
		case result.LaneBase, result.LaneCandidate, result.LaneLocal:
			query.Lanes = append(query.Lanes, result.Lane(l))
		}
	}
	store, banner := s.store(ctx)
	points, err := store.Trend(ctx, query)
	if err != nil && s.Fallback != nil && banner == "" {
		banner = fmt.Sprintf("The trend store can't be read (%v): these numbers come from the ledger.", err)
		points, err = s.Fallback.Trend(ctx, query)
	}
	if err != nil {
		return nil, meta, "", err
	}
	if b := q.Get("branch"); b != "" {
		points = slices.DeleteFunc(points, func(p series.Point) bool { return p.Branch != b })
	}
	return points, meta, banner, nil
}

func (s *site) trendOf(r *http.Request, meta ledger.Series, points []series.Point) (trend, error) {
	q := r.URL.Query()
	id := meta.Key.Metric
	def, _ := id.Def()
	t := trend{
		Metric: string(id), Meaning: def.Meaning + "; " + def.Better.String() + ".", Drawn: s.Assets.Has("echarts.min.js"),
		Where: whereOf(meta, series.Tags{Workload: meta.Workload, GPU: series.GPUName(meta.Key.Hardware)}), CSV: "/trend.csv?" + r.URL.RawQuery,
		Switches: []choice{
			{"from zero", with(r.URL, "from", unless(q.Get("from") == "zero", "zero")), q.Get("from") == "zero"},
			{"logarithmic", with(r.URL, "y", unless(q.Get("y") == "log", "log")), q.Get("y") == "log"},
			{"without candidates", with(r.URL, "lanes", unless(q.Get("lanes") == "base,local", "base,local")), q.Get("lanes") == "base,local"},
		},
		Filters: []filter{{"branch", "branch", q.Get("branch"), distinct(points, q.Get("branch"), func(p series.Point) string { return p.Branch })}},
	}
	for k, v := range q {
		if k != "branch" && len(v) > 0 && v[0] != "" {
			t.Keep = append(t.Keep, filter{Name: k, Value: v[0]})
		}
	}
	if meta.Synthetic {
		t.Badges = append(t.Badges, view.Badge{Text: "synthetic", Title: "random weights: good for speed, not for text"})
	}
	c := chart.Trend{Unit: def.Unit, FromZero: q.Get("from") == "zero", Log: q.Get("y") == "log"}
	level, n := 0.0, 0
	c.Baseline, level, n = levelBand(points)
	if err := s.rules(r.Context(), &c, &t, meta, points, level, n); err != nil {
		return t, err
	}
	if err := s.rounds(r.Context(), &c, &t, meta, points, q.Get("run"), level, n); err != nil {
		return t, err
	}
	t.words(points, c, level, n, id)
	option, err := c.Option()
	if err != nil {
		return t, err
	}
	t.Option = template.JS(option)
	return t, nil
}

// unless gives the value that a switch sets, or none where it is on already.
func unless(on bool, value string) string {
	if on {
		return ""
	}
	return value
}

// levelBand is the level before the newest run: of each run and machine the first
// round, the last ten.
func levelBand(points []series.Point) (*chart.Band, float64, int) {
	if len(points) == 0 {
		return nil, 0, 0
	}
	last := points[len(points)-1].Run
	seen := map[[2]string]bool{}
	var base []series.Point
	for _, p := range points {
		k := [2]string{p.Run, p.Machine}
		if p.Valid && !p.Faults && p.Lane != result.LaneCandidate && p.Run != last && !seen[k] {
			seen[k] = true
			base = append(base, p)
		}
	}
	if len(base) == 0 {
		return nil, 0, 0
	}
	base = base[max(0, len(base)-levelOf):]
	values := mapped(base, func(p series.Point) string { return p.Run })
	var vs []float64
	for _, p := range base {
		vs = append(vs, p.Value)
	}
	level, spread := stat.Median(vs), stat.Spread(vs)
	return &chart.Band{Label: fmt.Sprintf("baseline: %d rounds, up to run %s", len(vs), view.Short(values[len(values)-1])), Low: level - spread, High: level + spread}, level, len(vs)
}

// rules draws the limits and references that the newest run's suite has for the
// metric.
func (s *site) rules(ctx context.Context, c *chart.Trend, t *trend, meta ledger.Series, points []series.Point, level float64, n int) error {
	if len(points) == 0 {
		return nil
	}
	run, err := s.Ledger.Runs().Get(ctx, points[len(points)-1].Run)
	if err != nil {
		return err
	}
	suite, err := spec.Parse(run.Suite+".yml", []byte(run.SuiteText))
	if err != nil {
		return nil // a suite of another version draws no limits; its values stand
	}
	for _, w := range suite.Workloads {
		if w.Name != meta.Workload {
			continue
		}
		for _, g := range w.Gates {
			if g.Metric != meta.Key.Metric {
				continue
			}
			l := chart.Limit{Fails: g.Severity != spec.Investigate}
			verb := "look"
			if l.Fails {
				verb = "fails"
			}
			switch {
			case g.Min != nil:
				l.Label, l.Value = verb+" below", *g.Min
			case g.Max != nil:
				l.Label, l.Value = verb+" above", *g.Max
			case n == 0:
				continue
			case g.MaxDrop != nil:
				l.Label, l.Value = verb+" below", level*(1-*g.MaxDrop)
			case g.MaxRise != nil:
				l.Label, l.Value = verb+" above", level*(1+*g.MaxRise)
			case g.MaxRatio != nil:
				l.Label, l.Value = verb+" above", level**g.MaxRatio
			}
			c.Limits = append(c.Limits, l)
		}
		for _, b := range w.Bands {
			if b.Metric != meta.Key.Metric {
				continue
			}
			c.Bands = append(c.Bands, chart.Band{Label: b.Label, Low: b.Low, High: b.High})
			text := view.Figure(b.Low, b.Metric)
			if b.High != b.Low {
				text = strings.Fields(text)[0] + "–" + view.Figure(b.High, b.Metric)
			}
			t.Bands = append(t.Bands, b.Label+" "+text)
		}
	}
	return nil
}

// rounds fills in chart and table, the table newest first.
func (s *site) rounds(ctx context.Context, c *chart.Trend, t *trend, meta ledger.Series, points []series.Point, current string, level float64, n int) error {
	id := meta.Key.Metric
	for i, p := range points {
		d := chart.Point{
			Label: p.At.Format("01-02 15:04"), Value: p.Value, Valid: p.Valid, Href: "/runs/" + p.Run, Zone: view.Short(p.Machine), Current: p.Run == current,
			Fault: p.Faults,
		}
		if p.Faults {
			t.Faults = true
		}
		if p.Commit != "" {
			d.Label = view.Short(p.Commit)
		}
		row := point{
			At: view.At(s.Now(), p.At), Run: "/runs/" + p.Run, Short: view.Short(p.Run), Mark: view.Valid(p.Valid), Commit: view.Short(p.Commit), Branch: p.Branch,
			Value: view.OfRounds(p.Value, p.Spread, 1, p.N, id, "half the range of its trials"), Lane: string(p.Lane), Machine: view.Short(p.Machine),
			Current: d.Current, Faults: p.Faults,
		}
		if n > 0 && level != 0 {
			row.Change = view.ChangeOf((p.Value-level)/math.Abs(level), id)
		}
		d.Tip = strings.Join([]string{
			fmt.Sprintf("%s %s, %d trials", row.Value.Text, row.Value.Spread, p.N), strings.TrimSpace(row.Change.Text + " " + row.Change.Word),
			strings.TrimSpace(p.Branch + " " + row.Commit), "run " + row.Short + ", " + row.Mark.Word, view.Stamp(p.At),
		}, "\n")
		if i >= len(points)-trendTrials {
			x, err := s.Ledger.Rounds().Get(ctx, p.Round)
			if err != nil {
				return err
			}
			d.Trials = trialsOf(&x.Round, meta.Key.Cell, meta.Workload, id)
		}
		c.Points = append(c.Points, d)
		t.Rows = append(t.Rows, row)
	}
	slices.Reverse(t.Rows)
	return nil
}

// trialsOf are the values of a metric in the valid trials of a cell.
func trialsOf(x *result.Round, cell, workload string, id metric.ID) []float64 {
	var out []float64
	for _, c := range x.Cells {
		if c.Cell != cell || c.Workload != workload {
			continue
		}
		for _, t := range c.Trials {
			for _, v := range t.Values {
				if v.Metric == id && t.Valid {
					out = append(out, v.Value)
				}
			}
		}
	}
	return out
}

// words says what the chart shows, for who reads.
func (t *trend) words(points []series.Point, c chart.Trend, level float64, n int, id metric.ID) {
	if len(points) == 0 {
		return
	}
	last := points[len(points)-1]
	t.Summary = append(t.Summary, view.Field{Name: "newest round", Value: view.Figure(last.Value, id)})
	if n > 0 {
		t.Summary = append(t.Summary, view.Field{Name: "level", Value: fmt.Sprintf("%s (%d rounds before the newest run)", view.Figure(level, id), n)})
		if level != 0 {
			ch := view.ChangeOf((last.Value-level)/math.Abs(level), id)
			t.Summary = append(t.Summary, view.Field{Name: "change", Value: strings.TrimSpace(ch.Text + " " + ch.Word)})
		}
	}
	for _, l := range c.Limits {
		t.Summary = append(t.Summary, view.Field{Name: l.Label, Value: view.Figure(l.Value, id)})
	}
}

// trendCSV answers with the points of a trend.
func (s *site) trendCSV(w http.ResponseWriter, r *http.Request) {
	points, meta, _, err := s.points(r.Context(), r.URL.Query())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", meta.Workload+"-"+string(meta.Key.Metric)+".csv"))
	out := csv.NewWriter(w)
	_ = out.Write([]string{"time", "value", "spread", "unit", "trials", "valid", "lane", "branch", "commit", "run", "round", "machine", "build", "fault_injected"})
	for _, p := range points {
		_ = out.Write([]string{
			p.At.UTC().Format(time.RFC3339Nano), strconv.FormatFloat(p.Value, 'g', -1, 64), strconv.FormatFloat(p.Spread, 'g', -1, 64),
			view.Unit(meta.Key.Metric), strconv.Itoa(p.N), strconv.FormatBool(p.Valid), string(p.Lane), plain(p.Branch), plain(p.Commit), p.Run, p.Round, p.Machine, plain(p.Build), strconv.FormatBool(p.Faults),
		})
	}
	out.Flush() // a reader that is gone misses nothing
}

// plain keeps a spreadsheet from taking a name for a formula.
func plain(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t", rune(s[0])) {
		return "'" + s
	}
	return s
}
