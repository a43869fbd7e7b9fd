package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/suites"
	"github.com/paceline/paceline/suites/spec"
)

// Health says whether the coordinator can work.
type Health struct {
	Ready   bool      `json:"ready"`
	Version string    `json:"version" doc:"Of the program"`
	API     int       `json:"api" doc:"Version of this API"`
	Ledger  string    `json:"ledger" doc:"ok, or what is wrong"`
	Cursor  int64     `json:"cursor" doc:"The newest event"`
	Now     time.Time `json:"now" doc:"The coordinator's clock"`
}

func (a *api) health(h huma.API) {
	type answer struct {
		Status int
		Body   Health
	}
	huma.Register(h, needs(public, get("/health", "health", "service", "Is the coordinator ready?", "503 with the same body where it is not.")), func(ctx context.Context, _ *struct{}) (*answer, error) {
		out := &answer{Status: http.StatusOK, Body: Health{Ready: true, Version: a.Version, API: 1, Ledger: "ok", Now: a.Now().UTC()}}
		cursor, err := a.Events.Last(ctx)
		if err != nil {
			a.Log.Error("not ready", "error", err)
			out.Status, out.Body.Ready, out.Body.Ledger = http.StatusServiceUnavailable, false, "the ledger can't be read: the coordinator's log says why"
		}
		out.Body.Cursor = cursor
		return out, nil
	})
}

// AgentList is every agent.
type AgentList struct {
	Agents []ledger.Agent `json:"agents" doc:"By name"`
}

// Suite is a suite that ships with the program.
type Suite struct {
	Name        string            `json:"name"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Model       string            `json:"model,omitempty"`
	Targets     []string          `json:"targets"`
	Workloads   []string          `json:"workloads"`
	Cells       int               `json:"cells" doc:"After expansion"`
	Rounds      int               `json:"rounds"`
	EstimateSec float64           `json:"estimate_sec" doc:"Roughly, at least"`
	Digest      string            `json:"digest" doc:"Of the resolved suite"`
	Text        string            `json:"text,omitempty" doc:"YAML, as it ships; absent in lists"`
}

// SuiteList is every shipped suite.
type SuiteList struct {
	Suites []Suite `json:"suites" doc:"By name"`
}

func (a *api) fleet(h huma.API) {
	huma.Register(h, get("/agents", "list-agents", "fleet", "List agents", "Every machine that measures, with its state."), func(ctx context.Context, _ *struct{}) (*body[AgentList], error) {
		as, err := a.Agents.List(ctx)
		if err != nil {
			return nil, a.fail("list agents", err)
		}
		return &body[AgentList]{AgentList{orEmpty(as)}}, nil
	})
	huma.Register(h, get("/suites", "list-suites", "suites", "List suites", "Those that ship with the program."), func(context.Context, *struct{}) (*body[SuiteList], error) {
		out := SuiteList{Suites: []Suite{}}
		for _, name := range suites.Names() {
			s, err := suites.Load(name)
			if err != nil {
				return nil, a.fail("read suite "+name, err)
			}
			out.Suites = append(out.Suites, describe(s))
		}
		return &body[SuiteList]{out}, nil
	})
	huma.Register(h, get("/suites/{name}", "get-suite", "suites", "Read a suite", "With its text.", http.StatusNotFound), func(_ context.Context, in *struct {
		Name string `path:"name" maxLength:"100"`
	},
	) (*body[Suite], error) {
		src, ok := suites.Source(in.Name)
		if !ok {
			return nil, newProblem(http.StatusNotFound, fmt.Sprintf("no suite is named %q", in.Name), "shipped are "+strings.Join(suites.Names(), ", "))
		}
		s, err := suites.Load(in.Name)
		if err != nil {
			return nil, a.fail("read suite "+in.Name, err)
		}
		out := describe(s)
		out.Text = string(src)
		return &body[Suite]{out}, nil
	})
}

func describe(s *spec.Suite) Suite {
	e := s.Estimate()
	out := Suite{
		Name: s.Name, Title: s.Title, Description: s.Description, Labels: s.Labels, Model: s.Model, Targets: orEmpty(s.Targets), Workloads: []string{},
		Cells: e.Cells, Rounds: s.Rounds, EstimateSec: e.Time.Seconds(), Digest: s.Digest(),
	}
	for _, w := range s.Workloads {
		out.Workloads = append(out.Workloads, w.Name)
	}
	return out
}
