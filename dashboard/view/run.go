package view

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
)

// Source is what is known of a run.
type Source struct {
	Run       result.Run
	State     string // "open", "judging", "more", "decided", "cancelled"
	Exit      int    // of a decided or cancelled run
	Reason    string // of a cancellation
	DecidedAt time.Time
	Faults    []string // asked for
	Asked     int      // rounds asked for so far; 0 unknown
	Rounds    []Round
	Report    *format.Report // of the last judgement; nil: none yet
	Passes    []Pass
	Attempts  []Attempt
	Baseline  *result.Round // the baseline's last round; nil: unknown
	Usual     map[Probe]float64
	Samples   *Samples // nil: not read
	Log       []string
	LogCut    bool // more lines were written than are shown
	Now       time.Time
	Linked    bool // other pages can be reached
	Drawn     bool // there is a script that draws charts
}

// Round is a round with how it relates to baselines.
type Round struct {
	result.Round
	Join string // "none", "joined", "pending", "former"; empty unknown
}

// Probe names a machine probe.
type Probe struct{ Machine, Device, Kind string }

// Pass is one judgement of a run.
type Pass struct {
	N        int
	At       time.Time
	Verdict  string
	Headline string
}

// Attempt is a work order of a run.
type Attempt struct {
	ID, State, Agent, Problem string
	First, Rounds             int
}

// Run is a run's page.
type Run struct {
	Source
	Mark      Mark
	Live      bool // not decided: the page moves
	Headline  string
	Also      []string
	Smallest  string // what the gate could have failed
	Badges    []Badge
	Rows      []Row // what is judged
	Others    []Row // what is only shown
	Speedups  []SpeedupRow
	RoundRows []RoundRow
	Trials    []TrialRow
	Facts     []Field // of the last round
	Differ    []Differing
	Why       []Why
	Charts    []Drawing
}

// Badge warns of what a result is not.
type Badge struct{ Text, Title string }

// Row is a metric of a run.
type Row struct {
	Workload, Point string
	Metric, Meaning string
	This, Base      Quantity
	Change          Change
	NoChange        string // why there is no change
	Mark            Mark
	Reason          string // the verdict's own words
	Sure            string
	Trend           string // address of the trend; empty where it can't be reached
}

// SpeedupRow is how much better one cell is than another of the same rounds.
type SpeedupRow struct {
	Workload, Point string
	Metric, Meaning string
	Over            string
	This, Other     Quantity
	Times           Quantity
}

// Why is a decision with its numbers.
type Why struct {
	Name     string
	Mark     Mark
	Reason   string
	Limit    string
	Severity string
	Steps    []StepRow
	Base     []Numbered
	Rounds   []Numbered
	Noise    string // spread of logs that was used
	CanSee   string
	Smallest string
	Relative bool
	Against  string // whose level
	Open     bool
}

// StepRow is one look of a decision.
type StepRow struct {
	Rounds             int
	Change, D, Z, Text string
	Under              int
}

// Numbered is one value that went into a decision.
type Numbered struct{ Label, Text, Href string }

// NewRun makes the page of a run.
func NewRun(s Source) (*Run, error) {
	if s.Report == nil {
		s.Report = &format.Report{}
	}
	r := &Run{Source: s, Live: s.State != "decided" && s.State != "cancelled" && s.State != ""}
	r.verdict()
	r.badges()
	r.rows()
	r.speedups()
	for i := range s.Rounds {
		r.RoundRows = append(r.RoundRows, r.roundRow(&s.Rounds[i]))
		r.Trials = append(r.Trials, trialRows(&s.Rounds[i].Round)...)
	}
	if n := len(s.Rounds); n > 0 {
		last := &s.Rounds[n-1].Round
		r.Facts = Facts(last)
		if s.Baseline != nil {
			r.Differ = Difference(last, s.Baseline)
		}
	}
	for _, l := range s.Report.Lines {
		if l.Verdict != nil {
			r.Why = append(r.Why, r.why(l))
		}
	}
	return r, r.draw()
}

func (r *Run) verdict() {
	j := r.Report.Overall
	switch {
	case r.State == "cancelled":
		r.Mark, r.Headline = MarkOf(gate.Cancelled), "Cancelled"
		if r.Reason != "" {
			r.Headline += ": " + r.Reason
		}
	case r.Live && r.State == "more":
		r.Mark, r.Headline = Running("more rounds"), j.Headline
	case r.Live:
		r.Mark, r.Headline = Running("running"), "Not decided yet."
	case j.Kind == "":
		r.Mark, r.Headline = MarkOf(""), "This result was not judged."
	default:
		r.Mark, r.Headline, r.Also = MarkOf(j.Kind), j.Headline, j.Also
	}
	r.Smallest = r.smallest(j.Kind)
}

// smallest says what the gate could have failed: the one that decided, else the first
// that compares.
func (r *Run) smallest(kind gate.Kind) string {
	text := ""
	for _, l := range r.Report.Lines {
		v := l.Verdict
		if v == nil || v.SmallestFail <= 0 || v.Rule.Severity == gate.Investigate {
			continue
		}
		decided := v.Kind == kind && kind != gate.Pass
		if text != "" && !decided {
			continue
		}
		word := "drop"
		if v.Rule.MaxDrop == nil {
			word = "rise"
		}
		text = fmt.Sprintf("The smallest %s that this gate could have failed (%s): %s.", word, checkName(l), Share(v.SmallestFail))
		if decided {
			break
		}
	}
	return text
}

func (r *Run) badges() {
	add := func(text, title string) {
		if !slices.ContainsFunc(r.Badges, func(b Badge) bool { return b.Text == text }) {
			r.Badges = append(r.Badges, Badge{text, title})
		}
	}
	for _, f := range r.Faults {
		add("fault: "+f, "a planted defect: this result never joins a baseline")
	}
	for _, x := range r.Rounds {
		for _, f := range x.Subject.Faults {
			add("fault: "+f, "a planted defect: this result never joins a baseline")
		}
		if x.Subject.Synthetic {
			add("synthetic model", "random weights: good for speed, not for text")
		}
		if x.Subject.Modified {
			add("changed work tree", "the measured binary was built from files that differ from its commit")
		}
		if !x.Valid {
			add("invalid round", "at least one round can't be used; the rounds below say why")
		}
	}
	if r.Run.Lane == result.LaneCandidate {
		add("candidate", "a change under test: it never joins a baseline")
	}
}

// rows makes a row of each line of the report, or where nothing is judged yet, of each
// value that the rounds have.
func (r *Run) rows() {
	covered := map[string]bool{}
	for _, l := range r.Report.Lines {
		covered[l.Workload+PointText(l.Point)+string(l.Metric)] = true
		if l.Verdict != nil {
			r.Rows = append(r.Rows, r.lineRow(l))
		} else {
			r.Others = append(r.Others, r.lineRow(l))
		}
	}
	for i := range r.Rounds {
		for ci := range r.Rounds[i].Cells {
			c := &r.Rounds[i].Cells[ci]
			for _, v := range c.Values {
				k := c.Workload + PointText(c.Point) + string(v.Metric)
				if !covered[k] {
					covered[k] = true
					r.Others = append(r.Others, r.valueRow(&r.Rounds[i].Round, c, v))
				}
			}
		}
	}
}

// lineRow is a line of the report.
func (r *Run) lineRow(l format.Line) Row {
	def, _ := l.Metric.Def()
	row := Row{
		Workload: l.Workload, Point: PointText(l.Point), Metric: string(l.Metric), Meaning: def.Meaning + "; " + def.Better.String(),
		Mark: MarkOf(kindOf(l)), Trend: r.trend(l),
	}
	trials := r.trialsOf(l.Workload, l.Point)
	if l.Rounds == 0 {
		row.This = None(orElse(l.Missing, "no valid round has this metric"))
	} else {
		row.This = OfRounds(l.Value, l.Spread, l.Rounds, trials, l.Metric, "half the range of the rounds")
	}
	v := l.Verdict
	if v == nil {
		return row
	}
	row.Reason = v.Reason
	if v.K > 0 { // what the decision rests on
		row.This = OfRounds(v.Value, v.Spread, v.K, trials, l.Metric, "half the range of the rounds")
	}
	switch {
	case !v.Rule.Relative():
		row.Base = Quantity{Text: v.Rule.Limit(), Title: "a fixed limit, not a level that was measured"}
		row.NoChange = "a fixed limit: there is nothing to change against"
		row.Sure = "in " + plural(v.K, "round")
	case v.N == 0 || v.K == 0:
		row.Base = None(orElse(v.Baseline.Incomparable, "no round of the baseline is comparable with this run yet"))
		row.NoChange = v.Reason
	default:
		row.Base = OfRounds(v.BaselineValue, v.BaselineSpread, v.N, 0, l.Metric, "1.4826 × the median absolute deviation")
		row.Base.Count = fmt.Sprintf("(%d)", v.N)
		row.Base.Title += ", of " + orMissing(v.Baseline.Name)
		row.Change = ChangeOf(v.Change, l.Metric)
		row.Sure = fmt.Sprintf("z %.1f, %s, can see ≥ %s", v.Z, plural(v.K, "round"), Share(v.CanSee))
	}
	return row
}

// valueRow gathers a value over the run's valid rounds.
func (r *Run) valueRow(x *result.Round, c *result.CellResult, first result.Value) Row {
	def, _ := first.Metric.Def()
	var values []float64
	spread, trials := 0.0, 0
	for _, y := range r.Rounds {
		for _, d := range y.Cells {
			if !y.Valid || !d.Valid || d.Workload != c.Workload || d.Cell != c.Cell {
				continue
			}
			for _, v := range d.Values {
				if v.Metric == first.Metric {
					values = append(values, v.Value)
					spread, trials = v.Spread, v.N
				}
			}
		}
	}
	row := Row{
		Workload: c.Workload, Point: PointText(c.Point), Metric: string(first.Metric), Meaning: def.Meaning + "; " + def.Better.String(),
		Trend: r.address(result.KeyOf(x, r.Run.Subject, c, first.Metric).Digest()),
	}
	switch len(values) {
	case 0:
		row.This = None("only in rounds that are invalid")
	case 1:
		row.This = OfRounds(values[0], spread, 1, trials, first.Metric, "half the range of its trials")
	default:
		row.This = OfRounds(stat.Median(values), stat.HalfRange(values), len(values), trials, first.Metric, "half the range of the rounds")
	}
	return row
}

// trend is the address of a line's trend.
func (r *Run) trend(l format.Line) string {
	if l.Series != "" {
		return r.address(l.Series)
	}
	for i := range r.Rounds {
		x := &r.Rounds[i].Round
		for ci := range x.Cells {
			if c := &x.Cells[ci]; c.Workload == l.Workload && PointText(c.Point) == PointText(l.Point) {
				return r.address(result.KeyOf(x, r.Run.Subject, c, l.Metric).Digest())
			}
		}
	}
	return ""
}

func (r *Run) address(digest string) string {
	if !r.Linked {
		return ""
	}
	return "/trend?series=" + digest + "&run=" + r.Run.ID
}

func (r *Run) trialsOf(workload string, point map[string]string) int {
	for _, x := range r.Rounds {
		for _, c := range x.Cells {
			if c.Workload == workload && PointText(c.Point) == PointText(point) {
				return len(c.Trials)
			}
		}
	}
	return 0
}

func (r *Run) why(l format.Line) Why {
	v := l.Verdict
	id := v.Rule.Metric
	w := Why{
		Name: checkName(l), Mark: MarkOf(v.Kind), Reason: v.Reason, Limit: v.Rule.Limit(), Severity: string(v.Rule.Severity),
		Relative: v.Rule.Relative() && v.N > 0, Against: v.Baseline.Name, Open: v.Kind != gate.Pass && v.Kind != gate.NoBaseline,
	}
	for _, s := range v.Steps {
		w.Steps = append(w.Steps, StepRow{
			Rounds: s.Rounds, Change: changeText(ChangeOf(s.Change, id)), D: fmt.Sprintf("%+.4f", s.D), Z: fmt.Sprintf("%.2f", s.Z), Under: s.Under, Text: s.Text,
		})
	}
	for i, b := range v.Baseline.Values {
		n := Numbered{Text: Figure(b, id), Label: fmt.Sprintf("round %d", i+1)}
		if i < len(v.Baseline.Runs) {
			n.Label = "run " + Short(v.Baseline.Runs[i])
			if r.Linked {
				n.Href = "/runs/" + v.Baseline.Runs[i]
			}
		}
		w.Base = append(w.Base, n)
	}
	for i, x := range v.Candidate.Rounds {
		w.Rounds = append(w.Rounds, Numbered{Label: fmt.Sprintf("round %d", i+1), Text: Figure(x.Value, id)})
	}
	if w.Relative {
		w.Noise, w.CanSee, w.Smallest = fmt.Sprintf("%.4f", v.S), Share(v.CanSee), Share(v.SmallestFail)
	}
	return w
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func changeText(c Change) string { return strings.TrimSpace(c.Text + " " + c.Word) }

// PointText writes a matrix point: "concurrency 4, isl 512".
func PointText(point map[string]string) string {
	var parts []string
	for k, v := range point {
		parts = append(parts, k+" "+v)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
