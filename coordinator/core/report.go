package core

import (
	"encoding/json"
	"fmt"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/gate"
)

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
	report, err := json.Marshal(v)
	if err != nil {
		return ledger.Judgement{}, fmt.Errorf("encode the report of run %s: %w", r.ID, err)
	}
	return ledger.Judgement{Run: r.ID, Verdict: string(v.Kind), Exit: v.Exit, Input: input, Report: report}, nil
}
