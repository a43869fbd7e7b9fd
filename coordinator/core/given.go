package core

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/suites/spec"
)

// MaxAncestors bounds the commits that a submission names.
const MaxAncestors = 200

// Given is what a caller knows of what the run is compared with, from files and from
// version control. All of it may be absent: then the ledger says it.
type Given struct {
	// Baseline is a baseline file, whose level stands in for the ledger's. The run is a
	// candidate then.
	Baseline []byte `json:"baseline,omitempty"`
	// BaseSuite is the suite as it is at the base ref, YAML: its gates are the rules.
	BaseSuite string `json:"base_suite,omitempty"`
	// Ancestors are the merge base and the commits before it, newest first.
	Ancestors []string `json:"ancestors,omitempty"`
	// AncestorsCut: there are more than those named.
	AncestorsCut bool `json:"ancestors_cut,omitempty"`
	// OtherRepository: Commit was read from a repository that doesn't know the revision
	// of the measured build. The two are not compared then.
	OtherRepository bool `json:"other_repository,omitempty"`
}

// Against is what Given became in the ledger: digests of what was kept
// (ledger.Baselines).
type Against struct {
	Name            string `json:"name,omitempty"`    // of the baseline file's level, for people
	File            string `json:"file,omitempty"`    // the baseline file
	Suite           string `json:"suite,omitempty"`   // the base ref's suite
	Commits         string `json:"commits,omitempty"` // history
	OtherRepository bool   `json:"other_repository,omitempty"`
}

// history is the part of a branch's commits that a candidate has seen.
type history struct {
	Commits []string `json:"commits"` // the merge base first
	Cut     bool     `json:"cut,omitempty"`
}

// given is Given, read.
type given struct {
	file    *baseline.File
	suite   string
	history history
	other   bool
}

// read checks what was given. Its errors wrap ErrRequest.
func (g Given) read() (given, error) {
	out := given{suite: g.BaseSuite, history: history{Commits: g.Ancestors, Cut: g.AncestorsCut}, other: g.OtherRepository}
	wrong := func(err error) (given, error) { return given{}, fmt.Errorf("%w: %w", ErrRequest, err) }
	if len(g.Baseline) > 0 {
		f, err := baseline.ReadFile(bytes.NewReader(g.Baseline))
		if err != nil {
			return wrong(fmt.Errorf("baseline file: %w", err))
		}
		out.file = f
	}
	if g.BaseSuite != "" {
		if _, err := spec.Parse("suite of the base ref", []byte(g.BaseSuite)); err != nil {
			return wrong(err)
		}
	}
	if len(g.Ancestors) > MaxAncestors {
		return wrong(fmt.Errorf("%d ancestors: at most %d are read, and ancestors_cut says that there are more", len(g.Ancestors), MaxAncestors))
	}
	if slices.ContainsFunc(g.Ancestors, func(s string) bool { return s == "" || len(s) > maxName || strings.ContainsAny(s, " \t\r\n\\") }) {
		return wrong(errors.New("ancestors are commits, newest first"))
	}
	return out, nil
}

// fill gives the request with what follows from a baseline file: who is compared with
// a file is a candidate of its branch.
func (g given) fill(q SubmitRequest) SubmitRequest {
	if g.file == nil {
		return q
	}
	if q.Lane == "" {
		q.Lane = result.LaneCandidate
	}
	if q.BaseRef == "" {
		q.BaseRef = g.file.Branch
	}
	if q.Branch == "" {
		q.Branch = LocalBranch
	}
	return q
}

// keep stores what came with a submission, and writes its digests into the run.
func (c *Core) keep(ctx context.Context, r *ledger.Run, g given) error {
	a := Against{OtherRepository: g.other}
	var err error
	store := func(body []byte) (digest string) {
		if err == nil {
			digest, err = c.cfg.Ledger.Baselines().Keep(ctx, body)
		}
		return digest
	}
	if f := g.file; f != nil {
		if f.Suite != r.Suite {
			return fmt.Errorf("%w: the baseline file is of suite %s, the run is of suite %s: export the level of %s, or run %s", ErrRequest, f.Suite, r.Suite, r.Suite, f.Suite)
		}
		if r.Lane != result.LaneCandidate {
			return fmt.Errorf("%w: a run of lane %s is compared with its own branch: only a candidate is compared with a baseline file", ErrRequest, r.Lane)
		}
		var b bytes.Buffer
		if err := baseline.WriteFile(&b, f); err != nil {
			return err
		}
		a.Name, a.File = f.Name(), store(b.Bytes())
	}
	if g.suite != "" {
		a.Suite = store([]byte(g.suite))
	}
	if len(g.history.Commits) > 0 {
		b, err := json.Marshal(g.history)
		if err != nil {
			return fmt.Errorf("encode ancestors: %w", err)
		}
		a.Commits = store(b)
	}
	if err != nil || a == (Against{}) {
		return err
	}
	o := optionsOf(*r)
	o.Against = a
	if r.Options, err = json.Marshal(o); err != nil {
		return fmt.Errorf("encode options: %w", err)
	}
	return nil
}

// optionsOf are the run's options; none where they can't be read, which only a
// damaged ledger has.
func optionsOf(r ledger.Run) (o Options) {
	if len(r.Options) > 0 {
		_ = json.Unmarshal(r.Options, &o)
	}
	return o
}
