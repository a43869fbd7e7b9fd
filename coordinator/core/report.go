package core

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/paceline/paceline/coordinator/ledger"
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
	return c.report(cmp, v), nil
}

// judgement makes what is stored of a pass: what was read, and what came out.
func (c *Core) judgement(r ledger.Run, cmp *comparison, v gate.Run) (ledger.Judgement, error) {
	in := Input{Suite: r.SuiteHash, Base: cmp.Base, AsOf: cmp.asOf}
	for _, x := range cmp.Rounds {
		in.Rounds = append(in.Rounds, x.ID)
	}
	for _, k := range cmp.Checks {
		in.Outcomes = append(in.Outcomes, k.Outcome)
	}
	input, err := json.Marshal(in)
	if err != nil {
		return ledger.Judgement{}, fmt.Errorf("encode what run %s was judged by: %w", r.ID, err)
	}
	rep := c.report(cmp, v)
	rep.Decided = c.cfg.Now().UTC()
	report, err := json.Marshal(rep)
	if err != nil {
		return ledger.Judgement{}, fmt.Errorf("encode the report of run %s: %w", r.ID, err)
	}
	return ledger.Judgement{Run: r.ID, Verdict: string(v.Kind), Exit: v.Exit, Input: input, Report: report}, nil
}

// report makes the report of a run as its rounds are known now.
func (c *Core) report(cmp *comparison, v gate.Run) format.Report {
	rep := cmp.Report(v)
	if c.cfg.Page != nil {
		rep.PageURL = c.cfg.Page(cmp.Run.ID)
	}
	return rep
}
