package calibrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/harness"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/target/openai"
	"github.com/paceline/paceline/suites/spec"
)

// Prompt is what is asked; a scripted server doesn't read it.
func Prompt() string { return strings.TrimSpace(strings.Repeat("hello ", 128)) }

// Client sends so many requests with the load generator that suites run with, slots at a time, and gives what it says.
func Client(ctx context.Context, url string, slots, requests, tokens int) (Reading, error) {
	w := spec.DefaultWorkload()
	cell := spec.Cell{
		Digest: "calibrate", Workload: "calibrate", Target: "server", Request: w.Request, Seed: 1,
		Data: spec.Data{Type: "prompt", Prompts: []string{Prompt()}},
		Load: spec.Load{Type: "closed", Concurrency: slots},
		// Connections are open when the trial begins, as the control's are after its first requests.
		Warmup: spec.Warmup{Mode: "requests", Requests: slots}, Trials: spec.Trials{Count: 1},
		Window: spec.Window{MinRequests: requests, Max: time.Hour},
	}
	cell.Request.MaxTokens, cell.Request.Cache = tokens, "shared"
	round, err := harness.RunRound(ctx, harness.Order{Run: "calibrate", Attempt: "calibrate", Index: 1, Cells: []spec.Cell{cell}}, harness.Deps{
		Open: func(ctx context.Context, _ harness.Order) (harness.Opened, error) {
			t, err := openai.Open(ctx, openai.Options{URL: url})
			return harness.Opened{Target: t}, err
		},
	})
	if err != nil {
		return Reading{}, err
	}
	c := round.Cells[0]
	if len(c.Trials) == 0 {
		return Reading{}, fmt.Errorf("no trial came to its end: %+v", c.Reasons)
	}
	trial := c.Trials[0]
	value := func(id metric.ID) float64 {
		for _, v := range trial.Values {
			if v.Metric == id {
				return v.Value
			}
		}
		err = errors.Join(err, fmt.Errorf("the trial has no %s: %+v", id, trial.Reasons))
		return 0
	}
	r := Reading{
		TTFTms: value("ttft.p50"), TPOTms: value("tpot.p50"), TokensRate: value("output_rate"), Rate: value("request_rate"),
		Concurrency: value("concurrency_mean"), Requests: trial.Requests, Window: float64(trial.WindowNanos) / 1e9,
	}
	r.Errors = int(value("error_rate")*float64(trial.Requests) + 0.5)
	return r, err
}
