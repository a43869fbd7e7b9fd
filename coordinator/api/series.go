package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
)

// SeriesList is what a list of series answers.
type SeriesList struct {
	Series    []ledger.Series `json:"series" doc:"By suite, workload and metric"`
	Truncated bool            `json:"truncated,omitempty" doc:"There may be more: raise limit or filter"`
}

// ValueList is the trend of one series.
type ValueList struct {
	Series    ledger.Series  `json:"series"`
	Values    []ledger.Value `json:"values" doc:"Oldest first"`
	Truncated bool           `json:"truncated,omitempty" doc:"There may be older ones: raise limit, or set to"`
}

func (a *api) series(h huma.API) {
	type filter struct {
		Project  string `query:"project" maxLength:"200"`
		Suite    string `query:"suite" maxLength:"200"`
		Workload string `query:"workload" maxLength:"200"`
		Metric   string `query:"metric" maxLength:"100"`
		Target   string `query:"target" maxLength:"200"`
		Limit    int    `query:"limit" minimum:"1" maximum:"10000" default:"1000"`
	}
	huma.Register(h, get("/series", "list-series", "series", "List series", "Every key that has values, as last seen."), func(ctx context.Context, in *filter) (*body[SeriesList], error) {
		ss, err := a.Series.Series(ctx, ledger.SeriesFilter{
			Project: in.Project, Suite: in.Suite, Workload: in.Workload, Metric: in.Metric, Target: in.Target, Limit: in.Limit,
		})
		if err != nil {
			return nil, a.fail("list series", err)
		}
		return &body[SeriesList]{SeriesList{Series: orEmpty(ss), Truncated: len(ss) == in.Limit}}, nil
	})

	type values struct {
		Digest string    `path:"digest" pattern:"^[0-9a-f]{32}$" doc:"Of the series' key"`
		Branch string    `query:"branch" maxLength:"200"`
		Lane   []string  `query:"lane" enum:"base,candidate,local" maxItems:"3" doc:"One or more, with commas between"`
		Run    string    `query:"run" pattern:"^[A-Za-z0-9-]*$" maxLength:"64"`
		From   time.Time `query:"from" doc:"At or after"`
		To     time.Time `query:"to" doc:"Before"`
		Limit  int       `query:"limit" minimum:"1" maximum:"10000" default:"1000" doc:"The newest so many"`
	}
	huma.Register(h, get("/series/{digest}/values", "list-values", "series", "Read a trend", "One value a round, also invalid and faulty ones: they say so.", http.StatusNotFound), func(ctx context.Context, in *values) (*body[ValueList], error) {
		s, err := a.Series.OneSeries(ctx, in.Digest)
		if err != nil {
			return nil, a.fail("read series "+in.Digest, err)
		}
		f := ledger.ValueFilter{Series: in.Digest, Branch: in.Branch, Run: in.Run, After: in.From, Before: in.To, Limit: in.Limit}
		for _, l := range in.Lane {
			f.Lanes = append(f.Lanes, result.Lane(l))
		}
		vs, err := a.Series.Values(ctx, f)
		if err != nil {
			return nil, a.fail("read values of series "+in.Digest, err)
		}
		return &body[ValueList]{ValueList{Series: s, Values: orEmpty(vs), Truncated: len(vs) == in.Limit}}, nil
	})
}
