package page

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/dashboard/view"
	"github.com/paceline/paceline/judge/format"
)

// maxLogLines is how many lines of a log a page shows, the last ones.
const maxLogLines = 300

// runPage is a run with what only a served page has.
type runPage struct {
	Run       *view.Run
	CanCancel bool
}

func (s *site) runOrFile(w http.ResponseWriter, r *http.Request) {
	if id, ok := strings.CutSuffix(r.PathValue("id"), ".json"); ok {
		s.document(w, r, id)
		return
	}
	s.page(s.run)(w, r)
}

func (s *site) run(r *http.Request) (show, error) {
	run, err := s.Ledger.Runs().Get(r.Context(), r.PathValue("id"))
	if err != nil {
		return show{}, err
	}
	src, err := s.source(r.Context(), run)
	if err != nil {
		return show{}, err
	}
	v, err := view.NewRun(src)
	if err != nil {
		return show{}, err
	}
	p := show{name: "run", Page: Page{
		Title: fmt.Sprintf("Run %s %s", v.ShortID(), v.Mark.Word), Nav: "runs", Charts: len(v.Charts) > 0 || v.Live,
		Main: runPage{Run: v, CanCancel: s.Cancel != nil && v.Live},
	}}
	if v.Live {
		p.Live = "/runs/" + run.ID + "/live"
	}
	return p, nil
}

// source reads what a run's page shows.
func (s *site) source(ctx context.Context, run ledger.Run) (view.Source, error) {
	src := view.Source{
		Run: run.Run, State: string(run.State), Exit: run.Exit, Reason: run.Reason, DecidedAt: run.DecidedAt, Faults: run.Faults,
		Asked: run.Rounds, Usual: map[view.Probe]float64{}, Samples: &view.Samples{}, Now: s.Now(), Linked: true, Drawn: s.Assets.Has("echarts.min.js"),
	}
	js, err := s.Ledger.Runs().Judgements(ctx, run.ID)
	if err != nil {
		return src, err
	}
	for _, j := range js {
		if src.Report, err = view.Decode(j.Report); err != nil {
			return src, fmt.Errorf("judgement %d of run %s: %w", j.Pass, run.ID, err)
		}
		src.Passes = append(src.Passes, view.Pass{N: j.Pass, At: j.At, Verdict: j.Verdict, Headline: src.Report.Overall.Headline})
	}
	rounds, err := s.Ledger.Rounds().OfRun(ctx, run.ID)
	if err != nil {
		return src, err
	}
	for _, x := range rounds {
		src.Rounds = append(src.Rounds, view.Round{Round: x.Round, Join: string(x.Join)})
		for _, p := range x.Probes {
			if err := s.usual(ctx, src.Usual, view.Probe{Machine: x.Environment.MachineID, Device: p.Device, Kind: p.Kind}); err != nil {
				return src, err
			}
		}
	}
	attempts, err := s.Ledger.Attempts().OfRun(ctx, run.ID)
	if err != nil {
		return src, err
	}
	agents, err := s.Ledger.Agents().List(ctx)
	if err != nil {
		return src, err
	}
	names := map[string]string{}
	for _, a := range agents {
		names[a.ID] = a.Name
	}
	for _, a := range attempts {
		at := view.Attempt{ID: a.ID, State: string(a.State), Agent: names[a.Agent], First: a.FirstRound, Rounds: a.Rounds}
		if a.Problem != nil {
			at.Problem = a.Problem.Message
		}
		src.Attempts = append(src.Attempts, at)
		if err := s.logOf(ctx, a.ID, &src); err != nil {
			return src, err
		}
	}
	if src.Baseline, err = s.baselineRound(ctx, src.Report, run.ID); err != nil {
		return src, err
	}
	cells := view.Names(src.Rounds)
	err = s.Samples(ctx, run.ID, func(x result.Sample) error { return src.Samples.Add(x, cells) })
	if err != nil && !errors.Is(err, view.ErrEnough) {
		return src, err
	}
	return src, nil
}

// logOf appends the last lines of an attempt's log.
func (s *site) logOf(ctx context.Context, attempt string, src *view.Source) error {
	return s.Log(ctx, attempt, func(line string) error {
		if len(src.Log) == maxLogLines {
			src.Log, src.LogCut = src.Log[1:], true
		}
		src.Log = append(src.Log, line)
		return nil
	})
}

// usual fills in the median of a machine probe's history, once it has ten readings.
func (s *site) usual(ctx context.Context, known map[view.Probe]float64, p view.Probe) error {
	if _, ok := known[p]; ok {
		return nil
	}
	history, err := s.Ledger.Rounds().Probes(ctx, p.Machine, p.Device, p.Kind, 100)
	if err != nil {
		return err
	}
	known[p] = 0
	if len(history) >= 10 {
		known[p] = middle(history)
	}
	return nil
}

// baselineRound is the last round of the newest run that a verdict compared with;
// nil where nothing was compared.
func (s *site) baselineRound(ctx context.Context, rep *format.Report, not string) (*result.Round, error) {
	if rep == nil {
		return nil, nil
	}
	for _, l := range rep.Lines {
		if l.Verdict == nil || len(l.Verdict.Baseline.Runs) == 0 {
			continue
		}
		runs := l.Verdict.Baseline.Runs
		id := runs[len(runs)-1]
		if id == not {
			continue
		}
		rounds, err := s.Ledger.Rounds().OfRun(ctx, id)
		if err != nil {
			return nil, err
		}
		if n := len(rounds); n > 0 {
			return &rounds[n-1].Round, nil
		}
	}
	return nil, nil
}

// document answers with a run's result file.
func (s *site) document(w http.ResponseWriter, r *http.Request, id string) {
	d, err := s.Document(r.Context(), id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(d) // a reader that is gone misses nothing
}

// samples answers with a run's samples as JSON Lines.
func (s *site) samples(w http.ResponseWriter, r *http.Request) {
	run, err := s.Ledger.Runs().Get(r.Context(), r.PathValue("id"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl; charset=utf-8")
	w.Header().Set("Content-Disposition", fmt.Sprintf("inline; filename=%q", run.ID+".samples.jsonl"))
	enc := json.NewEncoder(w)
	err = s.Samples(r.Context(), run.ID, func(x result.Sample) error { return enc.Encode(x) })
	if err != nil && r.Context().Err() == nil {
		// The status is sent already: a cut connection says that the file isn't whole.
		panic(http.ErrAbortHandler)
	}
}
