package api

import (
	"bytes"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/paceline/paceline/coordinator/access"
	"github.com/paceline/paceline/judge/baseline"
)

// Baselines works on levels; coordinator/level's Store is one.
type Baselines interface {
	List(ctx context.Context) ([]baseline.Summary, error)
	Show(ctx context.Context, w baseline.Which) (baseline.Shown, error)
	Accept(ctx context.Context, a baseline.Acceptance) (baseline.Acceptance, error)
	Pin(ctx context.Context, p baseline.Pin) (baseline.Pin, error)
	Unpin(ctx context.Context, p baseline.Pin) error
	Export(ctx context.Context, w baseline.Which) (*baseline.File, error)
	Import(ctx context.Context, f *baseline.File, by, from string) (baseline.Imported, error)
}

// BaselineList is every level.
type BaselineList struct {
	Baselines []baseline.Summary `json:"baselines" doc:"By project, branch and suite"`
}

// AcceptAsked asks to make what is pending the level.
type AcceptAsked struct {
	Project string `json:"project,omitempty" maxLength:"200"`
	Branch  string `json:"branch" minLength:"1" maxLength:"200"`
	Suite   string `json:"suite,omitempty" maxLength:"200" doc:"Empty: every suite in which something is pending"`
	Reason  string `json:"reason" minLength:"1" maxLength:"2000" doc:"Kept in the audit log"`
	By      string `json:"by,omitempty" maxLength:"100" doc:"Who says so of themselves; the audit log has it beside what is known of the connection"`
}

// PinAsked asks for a level with a name.
type PinAsked struct {
	Name    string   `json:"name" minLength:"1" maxLength:"200" doc:"Such as v1.2; one of the same name and suite is replaced"`
	Project string   `json:"project,omitempty" maxLength:"200"`
	Branch  string   `json:"branch,omitempty" maxLength:"200" doc:"Whose level it is, where no runs are named; empty: the only one"`
	Suite   string   `json:"suite,omitempty" maxLength:"200" doc:"Empty: the only one, or that of the runs"`
	Runs    []string `json:"runs,omitempty" maxItems:"100" doc:"Whose valid rounds are the level; none: those of the branch's level now"`
	Reason  string   `json:"reason" minLength:"1" maxLength:"2000" doc:"Kept in the audit log"`
	By      string   `json:"by,omitempty" maxLength:"100" doc:"As with acceptances"`
}

// UnpinAsked asks to remove a pinned level.
type UnpinAsked struct {
	Name    string `json:"name" minLength:"1" maxLength:"200"`
	Project string `json:"project,omitempty" maxLength:"200"`
	Suite   string `json:"suite,omitempty" maxLength:"200" doc:"Empty: the only one that has the name"`
	Reason  string `json:"reason,omitempty" maxLength:"2000" doc:"Kept in the audit log"`
	By      string `json:"by,omitempty" maxLength:"100" doc:"As with acceptances"`
}

// LevelQuery names a level. It is exported because parameters are found in exported
// fields only, also where it is embedded.
type LevelQuery struct {
	Project string `query:"project" maxLength:"200"`
	Branch  string `query:"branch" maxLength:"200" doc:"Empty: the only one"`
	Suite   string `query:"suite" maxLength:"200" doc:"Empty: the only one"`
}

func (q *LevelQuery) which() baseline.Which {
	return baseline.Which{Project: q.Project, Branch: q.Branch, Suite: q.Suite}
}

// decider names the author of a decision: what the token proves, and what is claimed.
func decider(ctx context.Context, claimed string) string {
	if claimed == "" {
		return who(ctx)
	}
	return claimed + " (by " + who(ctx) + ", unproven)"
}

// decision is an operation that decides about levels, with the scope admin.
func decision(below, id, summary, description string, more ...int) huma.Operation {
	return needs(access.Admin, operation(http.MethodPost, below, id, "baselines", summary, description, append(more, http.StatusBadRequest, http.StatusUnsupportedMediaType)...))
}

const decisionBytes = 64 << 10

func (a *api) baselines(h huma.API) {
	huma.Register(h, get("/baselines", "list-baselines", "baselines", "List baselines", "Every branch and suite that has a level, or rounds that wait for an acceptance."),
		func(ctx context.Context, _ *struct{}) (*body[BaselineList], error) {
			l, err := a.Baselines.List(ctx)
			if err != nil {
				return nil, a.fail("list baselines", err)
			}
			return &body[BaselineList]{BaselineList{orEmpty(l)}}, nil
		})
	huma.Register(h, get("/baselines/level", "get-baseline", "baselines", "Read a baseline", "Each series with the rounds that are its level, and what its gates could find.", http.StatusBadRequest),
		func(ctx context.Context, in *LevelQuery) (*body[baseline.Shown], error) {
			x, err := a.Baselines.Show(ctx, in.which())
			if err != nil {
				return nil, a.fail("read the baseline", err)
			}
			return &body[baseline.Shown]{x}, nil
		})

	op := decision("/baselines/accept", "accept-baseline", "Accept what is pending",
		"Makes the pending rounds of a failing base branch its level; what was the level is former.")
	op.MaxBodyBytes = decisionBytes
	huma.Register(h, op, func(ctx context.Context, in *struct{ Body AcceptAsked }) (*body[baseline.Acceptance], error) {
		x := in.Body
		done, err := a.Baselines.Accept(ctx, baseline.Acceptance{Project: x.Project, Branch: x.Branch, Suite: x.Suite, Reason: x.Reason, By: decider(ctx, x.By)})
		if err != nil {
			return nil, a.fail("accept the level of "+x.Branch, err)
		}
		return &body[baseline.Acceptance]{done}, nil
	})
	op = decision("/baselines/pin", "pin-baseline", "Pin a level", "Gives a level a name, such as a release's. Every gate also compares with the suite's newest pinned level.")
	op.MaxBodyBytes = decisionBytes
	huma.Register(h, op, func(ctx context.Context, in *struct{ Body PinAsked }) (*body[baseline.Pin], error) {
		x := in.Body
		done, err := a.Baselines.Pin(ctx, baseline.Pin{Name: x.Name, Project: x.Project, Branch: x.Branch, Suite: x.Suite, Runs: x.Runs, Reason: x.Reason, By: decider(ctx, x.By)})
		if err != nil {
			return nil, a.fail("pin "+x.Name, err)
		}
		return &body[baseline.Pin]{done}, nil
	})
	op = decision("/baselines/unpin", "unpin-baseline", "Remove a pinned level", "Its runs stay.")
	op.MaxBodyBytes, op.DefaultStatus = decisionBytes, http.StatusNoContent
	huma.Register(h, op, func(ctx context.Context, in *struct{ Body UnpinAsked }) (*struct{}, error) {
		x := in.Body
		if err := a.Baselines.Unpin(ctx, baseline.Pin{Name: x.Name, Project: x.Project, Suite: x.Suite, Reason: x.Reason, By: decider(ctx, x.By)}); err != nil {
			return nil, a.fail("unpin "+x.Name, err)
		}
		return nil, nil //nolint:nilnil // 204
	})
	a.baselineFiles(h)
}

// baselineFiles are the routes that carry baseline files.
func (a *api) baselineFiles(h huma.API) {
	type file struct {
		ContentType string `header:"Content-Type"`
		Body        []byte
	}
	op := get("/baselines/file", "export-baseline", "baselines", "Export a baseline", "The runs that make the last ten rounds of every series, as a baseline file.", http.StatusBadRequest)
	huma.Register(h, streamed(op, "application/json", "A baseline file"), func(ctx context.Context, in *LevelQuery) (*file, error) {
		f, err := a.Baselines.Export(ctx, in.which())
		if err != nil {
			return nil, a.fail("export the baseline", err)
		}
		var b bytes.Buffer
		if err := baseline.WriteFile(&b, f); err != nil {
			return nil, a.fail("export the baseline", err)
		}
		return &file{"application/json", b.Bytes()}, nil
	})
	op = decision("/baselines/import", "import-baseline", "Import a baseline",
		"The body is a baseline file. Its runs become decided runs of their branch, all or none; those that are there already stay as they are.",
		http.StatusRequestEntityTooLarge, http.StatusInsufficientStorage)
	op.MaxBodyBytes, op.SkipValidateBody = baseline.MaxFileBytes, true // ReadFile is stricter than any schema
	huma.Register(h, op, func(ctx context.Context, in *struct {
		From    string `query:"from" maxLength:"200" doc:"What the file is called, for the audit log"`
		By      string `query:"by" maxLength:"100" doc:"As with acceptances"`
		RawBody []byte `contentType:"application/json"`
	},
	) (*body[baseline.Imported], error) {
		f, err := baseline.ReadFile(bytes.NewReader(in.RawBody))
		if err != nil {
			return nil, a.fail("import a baseline", err)
		}
		done, err := a.Baselines.Import(ctx, f, decider(ctx, in.By), in.From)
		if err != nil {
			return nil, a.fail("import a baseline", err)
		}
		return &body[baseline.Imported]{done}, nil
	})
}
