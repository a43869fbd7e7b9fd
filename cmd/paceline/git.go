package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/internal/vcs"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/suites"
	"github.com/paceline/paceline/suites/spec"
)

// Values of --git.
const (
	gitAuto = "auto"
	gitYes  = "yes"
	gitNo   = "no"
)

// againstFlags say where a run finds what it is compared with, besides the data folder.
type againstFlags struct {
	git      string
	baseline string
}

func (a *againstFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&a.baseline, "baseline", "", "compare with the level in this file (paceline baseline export) in place of the data folder's; makes this run a candidate")
	fl.StringVar(&a.git, "git", gitAuto, "read commit, branch and merge base from the git repository here: yes, no, or auto (in CI only); flags win")
	fl.Lookup("git").NoOptDefVal = gitYes
}

// place is where a run stands in history.
type place struct {
	lane       result.Lane
	commitTime time.Time
	given      core.Given
}

// locate completes the flags by what the baseline file, git and CI say. Flags win.
func (f *runFlags) locate(ctx context.Context, suite string) (place, error) {
	var p place
	var file *baseline.File
	if f.against.baseline != "" {
		var err error
		if file, err = f.readBaseline(suite, &p.given); err != nil {
			return p, err
		}
	}
	if f.baseRef != "" || file != nil {
		p.lane = result.LaneCandidate
	}
	ci, inCI := vcs.FromCI(os.Getenv)
	switch f.against.git {
	case gitNo:
		return p, nil
	case gitAuto:
		if !inCI {
			return p, nil
		}
	case gitYes:
	default:
		return p, fail(exitRequest, "--git=%s: want yes, no or auto", f.against.git)
	}
	repo, err := vcs.Open(ctx, ".")
	if errors.Is(err, vcs.ErrNoRepository) && f.against.git == gitAuto {
		return p, nil
	}
	if err != nil {
		return p, fail(exitRequest, "%w: --git=no does without", err)
	}
	err = f.ask(ctx, repo, ci, file, suite, &p)
	return p, err
}

// readBaseline reads the file of --baseline.
func (f *runFlags) readBaseline(suite string, g *core.Given) (*baseline.File, error) {
	path := f.against.baseline
	file, body, err := readBaselineFile(path)
	if err != nil {
		return nil, fail(exitRequest, "--baseline: %w", err)
	}
	if s, err := suites.Open(suite); err == nil && s.Name != file.Suite {
		return nil, fail(exitRequest, "--baseline %s is of suite %s, this run is of suite %s: export the level of %s, or run %s", path, file.Suite, s.Name, s.Name, file.Suite)
	}
	g.Baseline = body
	return file, nil
}

// readBaselineFile reads a baseline file, and its bytes.
func readBaselineFile(path string) (*baseline.File, []byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read a baseline file: %w", err)
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, baseline.MaxFileBytes+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read baseline file %s: %w", path, err)
	}
	file, err := baseline.ReadFile(strings.NewReader(string(body)))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, body, nil
}

// ask fills the place from a repository.
func (f *runFlags) ask(ctx context.Context, repo *vcs.Repo, ci vcs.CI, file *baseline.File, suite string, p *place) error {
	claimed := f.commit != ""
	head, err := repo.Commit(ctx, orHead(f.commit))
	switch {
	case errors.Is(err, vcs.ErrUnknown) && claimed:
		return fail(exitRequest, "--commit %s is not in the repository at %s: fetch it, or correct it; --git=no takes it as it is", f.commit, repo.Root())
	case errors.Is(err, vcs.ErrUnknown):
		return fail(exitRequest, "the repository at %s has no commit yet: commit what you measure, or use --git=no", repo.Root())
	case err != nil:
		return fail(exitMachine, "%w", err)
	}
	f.commit, p.commitTime = head.Hash, head.Time
	if f.parent == "" {
		f.parent = head.Parent
	}
	if err := f.askBranch(ctx, repo, ci); err != nil {
		return err
	}
	if rev := thisBuild().Revision; rev != "" && !claimed {
		// A released paceline in somebody's repository: what it was built from says nothing
		// about the commit checked out here.
		_, err := repo.Commit(ctx, rev)
		p.given.OtherRepository = errors.Is(err, vcs.ErrUnknown)
	}
	name := f.baseRef
	if name == "" && ci.Base != "" {
		name = ci.Base
	}
	if name == "" && file != nil {
		name = file.Branch
	}
	if name == "" {
		return nil // a run of a branch that is compared with itself
	}
	return f.askBase(ctx, repo, name, ci.Change, file, suite, p)
}

func orHead(commit string) string {
	if commit == "" {
		return "HEAD"
	}
	return commit
}

// askBranch finds the branch that is measured.
func (f *runFlags) askBranch(ctx context.Context, repo *vcs.Repo, ci vcs.CI) (err error) {
	if f.branch == "" {
		f.branch = ci.Branch
	}
	if f.branch == "" {
		if f.branch, err = repo.Branch(ctx); err != nil {
			return fail(exitMachine, "%w", err)
		}
	}
	if f.branch == "" {
		return fail(exitRequest, "the repository at %s has no branch checked out (detached HEAD), and no variable of a CI names one: say --branch NAME, or --git=no", repo.Root())
	}
	return nil
}

// askBase finds the merge base with what lies before it, and the suite on the base.
// change: it is a pull request, so that a branch of the base's name is another one's.
func (f *runFlags) askBase(ctx context.Context, repo *vcs.Repo, name string, change bool, file *baseline.File, suite string, p *place) error {
	base, err := repo.Base(ctx, name)
	if errors.Is(err, vcs.ErrUnknown) {
		if file != nil { // whose level needs no history
			f.baseRef = name
			return nil
		}
		if name == f.branch && !change {
			f.baseRef, p.lane = "", result.LaneBase
			return nil
		}
		return fail(exitRequest, "the base %s is not in the repository at %s, so what this change branched off is unknown: %s", name, repo.Root(), mendClone(name))
	}
	if err != nil {
		return fail(exitMachine, "%w", err)
	}
	f.baseRef = base.Branch
	if base.Branch == "" {
		f.baseRef = base.Hash
	}
	if f.baseRef == f.branch && file == nil && !change {
		f.baseRef, p.lane = "", result.LaneBase // the base branch itself
		return nil
	}
	p.lane = result.LaneCandidate
	if p.given.BaseSuite, err = baseSuite(ctx, repo, base.Hash, suite); err != nil {
		return err
	}
	if file != nil {
		return nil
	}
	at, err := repo.MergeBase(ctx, f.commit, base.Hash)
	if errors.Is(err, vcs.ErrUnrelated) {
		shallow, err := repo.Shallow(ctx)
		if err == nil && shallow {
			return fail(exitRequest, "this clone is shallow and doesn't have the commit at which %s branched off %s: %s", f.branch, name, mendClone(name))
		}
		return fail(exitRequest, "commit %.12s has no history in common with %s: name its base with --base-ref", f.commit, name)
	}
	if err != nil {
		return fail(exitMachine, "%w", err)
	}
	if p.given.Ancestors, p.given.AncestorsCut, err = repo.Ancestors(ctx, at, core.MaxAncestors); err != nil {
		return fail(exitMachine, "%w", err)
	}
	return nil
}

func mendClone(base string) string {
	return "let CI clone all of it (actions/checkout: fetch-depth: 0; GitLab: GIT_DEPTH: 0), or run `git fetch --unshallow origin` and `git fetch origin " + base + "`"
}

// baseSuite is the suite's file as it is on the base; "" for a shipped suite, one from
// elsewhere, and one that the base has not or can't be read there.
func baseSuite(ctx context.Context, repo *vcs.Repo, commit, suite string) (string, error) {
	if _, shipped := suites.Source(suite); shipped {
		return "", nil
	}
	path, ok := repo.Path(suite)
	if !ok {
		return "", nil
	}
	text, err := repo.Show(ctx, commit, path)
	if errors.Is(err, vcs.ErrNoFile) {
		return "", nil
	}
	if err != nil {
		return "", fail(exitMachine, "%w", err)
	}
	if _, err := spec.Parse(path, text); err != nil {
		return "", nil //nolint:nilerr // a broken suite has no rules: this change may be what mends it
	}
	return string(text), nil
}
