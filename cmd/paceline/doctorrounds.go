package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/datadir"
	"github.com/paceline/paceline/judge/format"
	"github.com/paceline/paceline/judge/machine"
)

// quickRounds measures rounds of the shipped model as `run` does, but into a folder
// that is thrown away: nothing of them is kept, and no baseline sees them. What goes
// wrong with them is part of the answer; the error is only that of ctx.
func quickRounds(ctx context.Context, n int, d *display) (*machine.Rounds, []result.Probe, error) {
	x := &machine.Rounds{Suite: doctorSuite, Model: shippedModel, Asked: n}
	start := now()
	rounds, rep, err := runRounds(ctx, n, d)
	x.Seconds = now().Sub(start).Seconds()
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	x.Count(rounds)
	switch {
	case err != nil:
		x.Failed = err.Error()
	case len(rounds) == 0:
		x.Failed = rep.Overall.Headline
	}
	for _, l := range rep.Lines {
		if l.Verdict == nil || !l.Verdict.Rule.Relative() {
			continue
		}
		var values []float64
		for _, r := range l.Verdict.Candidate.Rounds {
			values = append(values, r.Value)
		}
		g, err := machine.Sight(l.Workload, l.Verdict.Rule, values)
		if err != nil {
			x.Unknown = append(x.Unknown, err.Error())
			continue
		}
		x.Gates = append(x.Gates, g)
	}
	var probes []result.Probe
	for _, r := range rounds {
		probes = append(probes, r.Probes...)
	}
	return x, probes, nil
}

// runRounds gives the rounds as the coordinator stored them, with their report.
func runRounds(ctx context.Context, n int, d *display) (_ []result.Round, rep format.Report, err error) {
	dir, err := os.MkdirTemp("", "paceline-doctor-*")
	if err != nil {
		return nil, rep, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	l, err := openLocal(ctx, localOptions{
		data: dir, owner: datadir.Owner{PID: os.Getpid(), Command: "doctor", Since: now()}, log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, rep, err
	}
	defer l.close()
	f := runFlags{rounds: n, against: againstFlags{git: "no"}} // whose repository this is changes nothing about the machine
	q, err := f.request(ctx, doctorSuite)
	if err != nil {
		return nil, rep, err
	}
	run, err := l.measure(ctx, q, d)
	if err != nil {
		return nil, rep, err
	}
	doc, err := l.core.Document(ctx, run.ID)
	if err != nil {
		return nil, rep, err
	}
	rep, err = l.core.Report(ctx, run.ID)
	return doc.Rounds, rep, err
}
