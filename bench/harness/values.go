package harness

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/suites/spec"
)

// Window is what one trial's values are computed from.
type Window struct {
	// Nanos is the window's length. It is (1, 1+Nanos] on the samples' time axis.
	Nanos int64
	// Own are the requests that began in the window.
	Own []result.Sample
	// Carried are requests that began before it and were still in flight, on the
	// same time axis: only what happened of them inside the window counts.
	Carried []result.Sample
	// Exact: every request was to give exactly WantTokens.
	Exact bool
	// Scheduled: requests were due by a schedule of their own.
	Scheduled bool
	SLO       spec.SLO

	LagMs     []float64 // lateness of the generator's own timers; empty: not known
	ClientCPU *float64  // share of one core
	Steal     *float64  // share of CPU time
}

// Values computes every metric that the window's samples can tell, in the order of
// the table. A statistic that has too few samples is left out and named in the
// reasons, which only warn.
func Values(w Window) ([]result.Value, []result.Reason) {
	c := collect(w)
	var values []result.Value
	var short []string
	for _, def := range metric.Table() {
		for _, s := range def.Stats {
			samples := c[def.Name]
			if len(samples) == 0 {
				continue
			}
			v, err := stat.Of(s, samples)
			var few *stat.InsufficientError
			if errors.As(err, &few) {
				short = append(short, fmt.Sprintf("%s (%d of %d)", def.ID(s), few.Have, few.Need))
				continue
			}
			if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
				continue
			}
			values = append(values, result.Value{Metric: def.ID(s), Value: v, N: c.count(def, s, w)})
		}
	}
	if len(short) == 0 {
		return values, nil
	}
	return values, []result.Reason{{
		Code: "samples", Warn: true,
		Detail: "too few samples for " + strings.Join(short, ", "),
	}}
}

// gathered are the samples behind each metric, by its name; metrics of one value
// have one.
type gathered map[string][]float64

func (g gathered) add(name string, v float64) { g[name] = append(g[name], v) }

// count is how many samples stand behind a value.
func (g gathered) count(def metric.Def, s metric.Stat, w Window) int {
	if s == metric.One {
		return len(w.Own)
	}
	return len(g[def.Name])
}

func collect(w Window) gathered {
	g := gathered{}
	g.rates(w)
	g.shares(w)
	g.schedule(w)
	g.goodput(w)
	for i := range w.Own {
		g.latencies(&w.Own[i])
	}
	for _, l := range w.LagMs {
		g.add("client_lag", l)
	}
	if w.ClientCPU != nil {
		g.add("client_cpu", *w.ClientCPU)
	}
	if w.Steal != nil {
		g.add("steal", *w.Steal)
	}
	return g
}

// inside says whether an instant lies in the window.
func (w Window) inside(t int64) bool { return t > 1 && t <= 1+w.Nanos }

// rates counts what happened inside the window, whoever began it.
func (g gathered) rates(w Window) {
	if w.Nanos <= 0 {
		return
	}
	sec := float64(w.Nanos) / 1e9
	var output, prompt, overlap float64
	completed, known := 0, true
	for _, s := range slices.Concat(w.Carried, w.Own) {
		if k := len(s.Events); k > 0 {
			in := 0
			for _, e := range s.Events {
				if w.inside(e) {
					in++
				}
			}
			// An event's tokens: the output spread evenly over its events.
			output += float64(in) * float64(tokens(&s)) / float64(k)
		}
		prefilled := s.EnginePrefillEnd
		if prefilled == 0 && len(s.Events) > 0 {
			prefilled = s.Events[0]
		}
		if w.inside(prefilled) {
			known = known && s.PromptTokens > 0
			prompt += float64(s.PromptTokens)
		}
		if s.Error == "" && w.inside(s.End) {
			completed++
		}
		if s.Admitted != 0 && s.End != 0 {
			overlap += float64(max(min(s.End, 1+w.Nanos)-max(s.Admitted, 1), 0))
		}
	}
	g.add("output_rate", output/sec)
	if known {
		g.add("total_rate", (output+prompt)/sec)
	}
	g.add("request_rate", float64(completed)/sec)
	g.add("concurrency_mean", overlap/float64(w.Nanos))
}

// shares counts requests that began in the window by how they ended.
func (g gathered) shares(w Window) {
	var ended, failed, streams, whole, counted, agree, asked, exact int
	var cancelled, honoured int
	for i := range w.Own {
		s := &w.Own[i]
		if s.CancelAt != 0 && s.Error == "" {
			if after, ok := afterCancel(s); ok {
				cancelled++
				if after <= 1 {
					honoured++
				}
			}
			continue
		}
		ended++
		if s.Error != "" || truncated(s) {
			failed++
		}
		if s.Error != "" {
			continue
		}
		streams++
		if s.Broken == "" || isTokenTruth(s.Broken) {
			whole++
		}
		if n, ok := agreement(s); n > 1 {
			counted++
			if ok {
				agree++
			}
		}
		if w.Exact {
			asked++
			if tokens(s) == s.WantTokens {
				exact++
			}
		}
	}
	for _, r := range []struct {
		name    string
		of, all int
	}{
		{"error_rate", failed, ended},
		{"stream_integrity", whole, streams},
		{"token_agreement", agree, counted},
		{"osl_exact", exact, asked},
		{"cancel_honoured", honoured, cancelled},
	} {
		if r.all > 0 {
			g.add(r.name, float64(r.of)/float64(r.all))
		}
	}
}

// latencies adds one request's times.
func (g gathered) latencies(s *result.Sample) {
	if s.Admitted != 0 && s.Scheduled != 0 {
		g.add("queue_client", ms(s.Admitted-s.Scheduled))
	}
	if s.CancelAt != 0 {
		g.add("cancel_latency", ms(s.End-s.CancelAt))
	}
	if s.Error != "" || len(s.Events) == 0 {
		return
	}
	first, last := s.Events[0], s.Events[len(s.Events)-1]
	ttft := ms(first - s.Admitted)
	g.add("ttft", ttft)
	g.add("ttft_sched", ms(first-s.Scheduled))
	if s.EngineQueued != 0 && s.EnginePrefillEnd != 0 {
		g.add("engine_ttft", ms(s.EnginePrefillEnd-s.EngineQueued))
		g.add("transport_overhead", ttft-ms(s.EnginePrefillEnd-s.EngineQueued))
	}
	fresh := float64(s.PromptTokens - s.CachedTokens)
	switch {
	case fresh <= 0:
	case s.EnginePrefillStart != 0 && s.EnginePrefillEnd > s.EnginePrefillStart:
		g.add("prefill_rate", fresh/(float64(s.EnginePrefillEnd-s.EnginePrefillStart)/1e9))
	case s.EnginePrefillEnd == 0 && ttft > 0:
		g.add("prefill_rate_est", fresh/(ttft/1e3))
	}
	if s.CancelAt != 0 {
		return // the rest of the stream is not there
	}
	g.add("e2e", ms(last-s.Admitted))
	g.add("e2e_sched", ms(last-s.Scheduled))
	n, k := tokens(s), len(s.Events)
	g.add("tokens_per_event", float64(n)/float64(k))
	if k < 2 {
		return
	}
	if n >= 2 {
		tpot := ms(last-first) / float64(n-1)
		g.add("tpot", tpot)
		if tpot > 0 {
			g.add("decode_rate_user", 1000/tpot)
		}
	}
	gaps := make([]float64, k-1)
	for i := range gaps {
		gaps[i] = ms(s.Events[i+1] - s.Events[i])
	}
	g["gap"] = append(g["gap"], gaps...)
	if last > first {
		g.add("stall_ratio", stalled(gaps)/ms(last-first))
	}
}

// stalled is the time in gaps over three times their median.
func stalled(gaps []float64) float64 {
	limit := 3 * stat.Median(gaps)
	var sum float64
	for _, g := range gaps {
		if g > limit {
			sum += g
		}
	}
	return sum
}

func ms(ns int64) float64 { return float64(ns) / 1e6 }

// tokens is the output length: the engine's count, else the server's, else that of
// the text tokenised again, else the number of events.
func tokens(s *result.Sample) int {
	for _, n := range []*int{s.Tokens.Engine, s.Tokens.Usage, s.Tokens.Retokenised} {
		if n != nil {
			return *n
		}
	}
	return len(s.Events)
}

// truncated says that a stream ended without its end marker.
func truncated(s *result.Sample) bool { return s.Broken == brokenEnd }

// afterCancel is how many tokens were made after the cancellation: as the subject
// says, else those of its count that the client had not seen by then.
func afterCancel(s *result.Sample) (n int, ok bool) {
	if s.AfterCancel != nil {
		return *s.AfterCancel, true
	}
	if s.Tokens.Engine == nil && s.Tokens.Usage == nil {
		return 0, false
	}
	seen := 0
	for _, e := range s.Events {
		if e <= s.CancelAt {
			seen++
		}
	}
	return tokens(s) - seen, true
}
