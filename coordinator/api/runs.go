package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/suites"
)

// maxBodyBytes bounds a request's body: two suites of the largest size, escaped, and a
// baseline file.
const maxBodyBytes = 6<<20 + baseline.MaxFileBytes

// submitter is who a run was created by where nobody has a token: a name in the body
// would be a claim that nothing proves.
const submitter = "loopback"

// Submission asks for a run.
type Submission struct {
	Suite     string            `json:"suite,omitempty" maxLength:"1048576" doc:"The suite, YAML. Either this or suite_name"`
	SuiteName string            `json:"suite_name,omitempty" maxLength:"100" doc:"A suite that ships with the program, such as ci"`
	SuiteFile string            `json:"suite_file,omitempty" maxLength:"200" doc:"Name of the suite's file, for messages"`
	Subject   SubjectAsked      `json:"subject,omitzero" required:"false" doc:"What is to be measured"`
	Rounds    int               `json:"rounds,omitempty" minimum:"0" maximum:"100" doc:"Rounds of the first attempt; 0: the suite's"`
	Project   string            `json:"project,omitempty" maxLength:"200"`
	Branch    string            `json:"branch,omitempty" maxLength:"200" doc:"Empty: local"`
	Commit    string            `json:"commit,omitempty" maxLength:"200"`
	Parent    string            `json:"parent,omitempty" maxLength:"200" doc:"Commit before"`
	Time      time.Time         `json:"commit_time,omitzero" required:"false" doc:"Orders commits where parent is unknown"`
	BaseRef   string            `json:"base_ref,omitempty" maxLength:"200" doc:"Branch that a candidate is compared with, or a commit measured there"`
	Lane      string            `json:"lane,omitempty" enum:"base,candidate,local" doc:"Empty: local without a branch, else base"`
	Faults    []string          `json:"faults,omitempty" maxItems:"16" doc:"Planted defects such as slow=1.43; the run never joins a baseline"`
	Labels    map[string]string `json:"labels,omitempty" maxProperties:"32" doc:"A machine must have all of them"`
	Machine   string            `json:"machine,omitempty" maxLength:"200" doc:"Name of the one that is to measure"`
	QueueFor  float64           `json:"queue_for_sec,omitempty" minimum:"0" maximum:"2592000" doc:"How long it may wait for a machine; 0: the coordinator's default"`
	Repeat    string            `json:"repeat,omitempty" maxLength:"8192" doc:"A command that repeats the run, shown beside it"`

	RequireBaseline bool   `json:"require_baseline,omitempty" doc:"Exit 3 where nothing could be compared"`
	Inconclusive    string `json:"inconclusive,omitempty" enum:"pass,fail" doc:"What inconclusive counts as; empty: exit 4"`

	Baseline        json.RawMessage `json:"baseline,omitempty" doc:"A baseline file, at most 8 MiB, whose level stands in for the coordinator's; the run is a candidate"`
	BaseSuite       string          `json:"base_suite,omitempty" maxLength:"1048576" doc:"The suite as it is at the base ref, YAML: its gates are the rules"`
	Ancestors       []string        `json:"ancestors,omitempty" maxItems:"200" doc:"The merge base and the commits before it, newest first"`
	AncestorsCut    bool            `json:"ancestors_cut,omitempty" doc:"There are more than those named"`
	OtherRepository bool            `json:"other_repository,omitempty" doc:"The commit is of a repository that doesn't know the measured build's revision"`
}

// SubjectAsked names what is to be measured.
type SubjectAsked struct {
	Target string   `json:"target,omitempty" maxLength:"200" doc:"One of the suite's targets; empty: its first"`
	Build  string   `json:"build,omitempty" maxLength:"200" doc:"Empty: self"`
	Model  string   `json:"model,omitempty" maxLength:"200" doc:"Name in the agent's catalogue; empty: the suite's"`
	Flags  []string `json:"flags,omitempty" maxItems:"64" doc:"Of the target"`
}

// request is what the core is asked.
func (s *Submission) request(by string) (core.SubmitRequest, error) {
	text, file := s.Suite, s.SuiteFile
	switch {
	case (s.Suite == "") == (s.SuiteName == ""):
		return core.SubmitRequest{}, fmt.Errorf("%w: give either suite (YAML) or suite_name (%s)", core.ErrRequest, strings.Join(suites.Names(), ", "))
	case s.SuiteName != "":
		src, ok := suites.Source(s.SuiteName)
		if !ok {
			return core.SubmitRequest{}, fmt.Errorf("%w: no suite is named %q: shipped are %s", core.ErrRequest, s.SuiteName, strings.Join(suites.Names(), ", "))
		}
		text, file = string(src), s.SuiteName+".yml"
	}
	return core.SubmitRequest{
		Suite: text, SuiteFile: file,
		Subject: result.Subject{Target: s.Subject.Target, Build: s.Subject.Build, Model: s.Subject.Model, Flags: s.Subject.Flags},
		Rounds:  s.Rounds, Project: s.Project, Branch: s.Branch, Commit: s.Commit, Parent: s.Parent, Time: s.Time, BaseRef: s.BaseRef,
		Lane: result.Lane(s.Lane), Faults: s.Faults, Labels: s.Labels, Machine: s.Machine, QueueFor: time.Duration(s.QueueFor * float64(time.Second)),
		CreatedBy: by, Repeat: s.Repeat, Options: core.Options{RequireBaseline: s.RequireBaseline, Inconclusive: s.Inconclusive},
		Given: core.Given{
			Baseline: s.Baseline, BaseSuite: s.BaseSuite, Ancestors: s.Ancestors, AncestorsCut: s.AncestorsCut, OtherRepository: s.OtherRepository,
		},
	}, nil
}

// Run is a run with its attempts, and the cursor from which its changes follow.
type Run struct {
	ledger.Run
	Attempts []ledger.Attempt `json:"attempts"`
	Cursor   int64            `json:"cursor" doc:"Events after it are newer than this answer"`
}

// RunList is a page of runs.
type RunList struct {
	Runs []ledger.Run `json:"runs" doc:"Newest first, without the text of their suites"`
	Next int64        `json:"next,omitempty" doc:"The cursor of the next page; absent on the last"`
}

// Cancellation says why a run is cancelled.
type Cancellation struct {
	Reason string `json:"reason,omitempty" maxLength:"500" doc:"Shown beside the run"`
}

// RunID is the path's run. It is exported because parameters are found in exported
// fields only, also where it is embedded.
type RunID struct {
	ID string `path:"id" pattern:"^[A-Za-z0-9-]+$" maxLength:"64" doc:"The run's id"`
}

type body[T any] struct{ Body T }

func (a *api) runs(h huma.API) {
	op := operation(http.MethodPost, "/runs", "submit-run", "runs", "Submit a run", "Queues a suite for a machine. The answer is the run with its first attempt; its events tell how it goes on.",
		http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusInsufficientStorage)
	op.DefaultStatus, op.MaxBodyBytes = http.StatusAccepted, maxBodyBytes
	huma.Register(h, op, func(ctx context.Context, in *struct{ Body Submission }) (*body[Run], error) {
		q, err := in.Body.request(who(ctx))
		if err != nil {
			return nil, a.fail("submit a run", err)
		}
		r, err := a.Core.Submit(ctx, q)
		if err != nil {
			return nil, a.fail("submit a run", err)
		}
		return a.run(ctx, r.ID)
	})

	type filter struct {
		Project string   `query:"project" maxLength:"200"`
		Suite   string   `query:"suite" maxLength:"200"`
		Branch  string   `query:"branch" maxLength:"200"`
		Commit  string   `query:"commit" maxLength:"200"`
		Lane    string   `query:"lane" enum:"base,candidate,local"`
		State   []string `query:"state" enum:"open,judging,more,decided,cancelled" maxItems:"5" doc:"One or more, with commas between"`
		Cursor  int64    `query:"cursor" minimum:"0" doc:"next of the page before; 0: from the newest"`
		Limit   int      `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	}
	huma.Register(h, get("/runs", "list-runs", "runs", "List runs", "Newest first, page by page."), func(ctx context.Context, in *filter) (*body[RunList], error) {
		f := ledger.RunFilter{
			Project: in.Project, Suite: in.Suite, Branch: in.Branch, Commit: in.Commit, Lane: result.Lane(in.Lane),
			Before: in.Cursor, Limit: in.Limit,
		}
		for _, s := range in.State {
			f.States = append(f.States, ledger.RunState(s))
		}
		rs, err := a.Runs.List(ctx, f)
		if err != nil {
			return nil, a.fail("list runs", err)
		}
		out := RunList{Runs: orEmpty(rs)}
		for i := range out.Runs {
			out.Runs[i].SuiteText = ""
		}
		if len(rs) == in.Limit {
			out.Next = rs[len(rs)-1].Seq
		}
		return &body[RunList]{out}, nil
	})

	huma.Register(h, get("/runs/{id}", "get-run", "runs", "Read a run", "With its attempts.", http.StatusNotFound), func(ctx context.Context, in *RunID) (*body[Run], error) {
		return a.run(ctx, in.ID)
	})

	op = operation(http.MethodPost, "/runs/{id}/cancel", "cancel-run", "runs", "Cancel a run", "Harmless if it is cancelled already; a conflict if it is decided.",
		http.StatusNotFound, http.StatusConflict, http.StatusUnsupportedMediaType)
	op.MaxBodyBytes = 64 << 10
	huma.Register(h, op, func(ctx context.Context, in *struct {
		RunID
		Body Cancellation
	},
	) (*body[Run], error) {
		reason := in.Body.Reason
		if reason == "" {
			reason = "asked for by " + submitter
		}
		if _, err := a.Core.Cancel(ctx, in.ID, reason); err != nil {
			return nil, a.fail("cancel run "+in.ID, err)
		}
		return a.run(ctx, in.ID)
	})
}

// run reads a run as it is sent. The cursor is read first: what happens in between
// is told twice rather than never.
func (a *api) run(ctx context.Context, id string) (*body[Run], error) {
	cursor, err := a.Events.Last(ctx)
	if err != nil {
		return nil, a.fail("read run "+id, err)
	}
	r, err := a.Runs.Get(ctx, id)
	if err != nil {
		return nil, a.fail("read run "+id, err)
	}
	as, err := a.Attempts.OfRun(ctx, id)
	if err != nil {
		return nil, a.fail("read the attempts of run "+id, err)
	}
	return &body[Run]{Run{Run: r, Attempts: orEmpty(as), Cursor: cursor}}, nil
}

// orEmpty makes a list of nothing [] and not null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
