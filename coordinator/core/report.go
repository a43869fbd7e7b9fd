package core

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/gate"
	"github.com/paceline/paceline/suites/spec"
)

// Report is the stored report of a decided run. Of one that isn't decided it is what
// its rounds say so far, with the run's state as the kind of the overall verdict.
func (c *Core) Report(ctx context.Context, run string) (format.Report, error) {
	r, err := c.cfg.Ledger.Runs().Get(ctx, run)
	if err != nil {
		return format.Report{}, err
	}
	if r.State == ledger.RunDecided {
		js, err := c.cfg.Ledger.Runs().Judgements(ctx, run)
		if err != nil {
			return format.Report{}, err
		}
		var rep format.Report
		if len(js) == 0 {
			return rep, fmt.Errorf("run %s is decided without a judgement: %w", run, ledger.ErrCorrupt)
		}
		if err := json.Unmarshal(js[len(js)-1].Report, &rep); err != nil {
			return rep, fmt.Errorf("read the report of run %s: %w", run, err)
		}
		return rep, nil
	}
	suite, err := spec.Parse(r.Suite+".yml", []byte(r.SuiteText))
	if err != nil {
		return format.Report{}, fmt.Errorf("read the suite of run %s: %w", run, err)
	}
	rounds, err := c.cfg.Ledger.Rounds().OfRun(ctx, run)
	if err != nil {
		return format.Report{}, err
	}
	cmp, err := c.compare(ctx, r, suite, rounds)
	if err != nil {
		return format.Report{}, err
	}
	v := gate.Run{Kind: gate.Kind(r.State), Headline: "the run is " + string(r.State)}
	if r.State == ledger.RunCancelled {
		v = gate.Run{Kind: gate.Cancelled, Exit: gate.ExitCancelled, Headline: "the run was cancelled: " + r.Reason}
	}
	return c.report(r, cmp, v), nil
}

// judgement makes what is stored of a pass: what was read, and what came out.
func (c *Core) judgement(r ledger.Run, cmp *comparison, v gate.Run) (ledger.Judgement, error) {
	in := Input{Suite: r.SuiteHash, Base: cmp.base, AsOf: cmp.asOf}
	for _, x := range cmp.rounds {
		in.Rounds = append(in.Rounds, x.ID)
	}
	for _, k := range cmp.checks {
		in.Outcomes = append(in.Outcomes, k.out)
	}
	input, err := json.Marshal(in)
	if err != nil {
		return ledger.Judgement{}, fmt.Errorf("encode what run %s was judged by: %w", r.ID, err)
	}
	rep := c.report(r, cmp, v)
	rep.Decided = c.cfg.Now().UTC()
	report, err := json.Marshal(rep)
	if err != nil {
		return ledger.Judgement{}, fmt.Errorf("encode the report of run %s: %w", r.ID, err)
	}
	return ledger.Judgement{Run: r.ID, Verdict: string(v.Kind), Exit: v.Exit, Input: input, Report: report}, nil
}

// report makes the report of a run as its rounds are known now.
func (c *Core) report(r ledger.Run, cmp *comparison, v gate.Run) format.Report {
	rep := format.Report{
		RunID: r.ID, Suite: r.Suite, Subject: subjectText(r, cmp.rounds), Branch: r.Branch, Commit: r.Commit, Machine: machineText(cmp.rounds),
		Base: cmp.base, Overall: v, Repeat: r.Repeat, Badges: badges(r, cmp.rounds), Warnings: warnings(cmp.rounds),
	}
	if c.cfg.Page != nil {
		rep.PageURL = c.cfg.Page(r.ID)
	}
	for _, x := range cmp.rounds {
		if x.Valid {
			rep.Rounds++
		}
		for _, cell := range x.Cells {
			rep.Trials = max(rep.Trials, len(cell.Trials))
		}
	}
	verdicts, _ := cmp.verdicts()
	gated := map[string]bool{}
	for i, k := range cmp.checks {
		l := newLine(k.cell, k.rule.Metric)
		if k.key.Cell != "" {
			l.Series = k.key.Digest()
		}
		cand := k.candidate
		l.values(cand.Rounds)
		if l.Rounds == 0 {
			l.Missing = cand.Reason
		}
		l.Verdict = &verdicts[i]
		gated[l.Workload+fmt.Sprint(l.Point)+string(l.Metric)] = true
		rep.Lines = append(rep.Lines, l.Line)
	}
	for _, cell := range cmp.suite.Expand() {
		if cell.Target != r.Subject.Target {
			continue
		}
		for _, id := range metricsOf(cmp.rounds, cell) {
			if gated[cell.Workload+fmt.Sprint(cell.Point)+string(id)] {
				continue
			}
			for _, m := range measured(r, cmp.rounds, cell, id) {
				l := newLine(cell, id)
				l.Series = m.digest
				if l.values(m.candidate.Rounds); l.Rounds > 0 {
					rep.Lines = append(rep.Lines, l.Line)
				}
			}
		}
	}
	return rep
}

// line is a report's line in the making.
type line struct{ format.Line }

func newLine(cell spec.Cell, id metric.ID) line {
	def, _ := id.Def()
	l := format.Line{Workload: cell.Workload, Metric: id, Unit: def.Unit}
	if len(cell.Point) > 0 {
		l.Point = cell.Point
	}
	return line{l}
}

func (l *line) values(rounds []gate.Round) {
	if len(rounds) == 0 {
		return
	}
	var vs []float64
	for _, r := range rounds {
		vs = append(vs, r.Value)
	}
	l.Rounds, l.Value, l.Spread = len(vs), stat.Median(vs), stat.HalfRange(vs)
}

// metricsOf are the metrics that any round has of a cell, in the order of the table.
func metricsOf(rounds []ledger.Round, cell spec.Cell) []metric.ID {
	seen := map[metric.ID]bool{}
	for _, r := range rounds {
		for _, c := range r.Cells {
			if c.Cell != cell.Digest || c.Workload != cell.Workload {
				continue
			}
			for _, v := range c.Values {
				seen[v.Metric] = true
			}
		}
	}
	var out []metric.ID
	for _, d := range metric.Table() {
		for _, s := range d.Stats {
			if id := d.ID(s); seen[id] {
				out = append(out, id)
			}
		}
	}
	return out
}

// subjectText is what was measured, in words.
func subjectText(r ledger.Run, rounds []ledger.Round) string {
	text := r.Subject.Target + " · " + r.Subject.Model
	if b := r.Subject.Build; b != "" && b != "self" {
		text = r.Subject.Target + " · " + shortBuild(b) + " · " + r.Subject.Model
	}
	if len(rounds) == 0 {
		return text
	}
	id := rounds[len(rounds)-1].Subject
	var more []string
	for _, s := range []string{id.DType, id.Engine, id.Build} {
		if s != "" && s != "(unknown)" {
			more = append(more, s)
		}
	}
	if len(more) > 0 {
		text += " (" + strings.Join(more, ", ") + ")"
	}
	return text
}

// shortBuild is a build with its digest or commit cut to what people compare.
func shortBuild(b string) string {
	kind, rest, _ := strings.Cut(b, ":")
	if hash, ok := strings.CutPrefix(rest, "sha256:"); ok {
		kind, rest = kind+":sha256", hash
	}
	if kind != "url" && len(rest) > 12 {
		return kind + ":" + rest[:12]
	}
	return b
}

// machineText names the machines that measured, in words.
func machineText(rounds []ledger.Round) string {
	var out []string
	for _, r := range rounds {
		h := r.Environment.Hardware
		text := h.CPUModel
		if h.GPUModel != "" {
			text = fmt.Sprintf("%d × %s", h.GPUCount, h.GPUModel)
		} else if h.Cores > 0 {
			text += fmt.Sprintf(", %d cores", h.Cores)
		}
		if h.ISA != "" {
			text += ", " + h.ISA
		}
		if r.Environment.Host != "" {
			text = r.Environment.Host + ": " + text
		}
		if text != "" && !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, "; ")
}

// badges say what must be seen wherever the result is shown.
func badges(r ledger.Run, rounds []ledger.Round) []string {
	faults := map[string]bool{}
	for _, f := range r.Faults {
		faults[f] = true
	}
	synthetic, modified, unknown := false, false, false
	for _, x := range rounds {
		unknown = unknown || baseline.Unknown(x.Subject)
		synthetic = synthetic || x.Subject.Synthetic
		modified = modified || x.Subject.Modified
		for _, f := range x.Subject.Faults {
			faults[f] = true
		}
	}
	var out []string
	if synthetic {
		out = append(out, "synthetic")
	}
	for _, f := range slices.Sorted(maps.Keys(faults)) {
		out = append(out, "fault-injected: "+f)
	}
	if modified {
		out = append(out, "modified work tree")
	} else if unknown && r.Lane == result.LaneBase { // it claims a commit
		out = append(out, "unknown build")
	}
	return out
}

// maxWarnings bounds a report's warnings.
const maxWarnings = 20

// warnings are what to know about the measurement, each once, those of invalid rounds
// first.
func warnings(rounds []ledger.Round) []string {
	var out []string
	add := func(s string) {
		if s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, r := range rounds {
		if !r.Valid {
			add(fmt.Sprintf("round %d is invalid: %s", r.Index, whyInvalid(&r.Round, nil, "it doesn't say why")))
		}
	}
	for _, r := range rounds {
		where := fmt.Sprintf("round %d", r.Index)
		reasons(r.Reasons, func(s string) { add(where + ": " + s) })
		for _, c := range r.Cells {
			reasons(c.Reasons, func(s string) { add(where + ", " + c.Workload + ": " + s) })
		}
	}
	if n := len(out) - maxWarnings; n > 0 {
		out = append(out[:maxWarnings], fmt.Sprintf("and %d more", n))
	}
	return out
}

func reasons(rs []result.Reason, add func(string)) {
	for _, r := range rs {
		if r.Warn {
			add(r.Detail)
		}
	}
}
