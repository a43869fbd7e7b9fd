package imports

import (
	"fmt"

	"github.com/paceline/paceline/bench/result"
)

// readGuideLLM reads a result of guidellm run; each of its benchmarks is a cell. Its time per output token has the first token
// in it and is none of ours; its inter token latency is our time per output token. Request latency is in seconds.
func readGuideLLM(name string, b []byte) (*Document, error) {
	var v map[string]any
	if err := decode(b, &v); err != nil {
		return nil, err
	}
	all, err := elements(v["benchmarks"], "benchmarks")
	if err != nil {
		return nil, err
	}
	list := []mapped{
		{"output_tokens_per_second.successful.mean", "output_rate", 1},
		{"tokens_per_second.successful.mean", "total_rate", 1},
		{"requests_per_second.successful.mean", "request_rate", 1},
		{"request_concurrency.successful.mean", "concurrency_mean", 1},
		{errorShare, "error_rate", 1},
	}
	words := map[string]string{"mean": "mean", "max": "max", "percentiles.p50": "p50", "percentiles.p90": "p90", "percentiles.p95": "p95", "percentiles.p99": "p99"}
	for _, m := range []struct {
		theirs, ours string
		factor       float64
	}{{"time_to_first_token_ms", "ttft", 1}, {"inter_token_latency_ms", "tpot", 1}, {"request_latency", "e2e", 1000}} {
		list = append(list, stats(m.ours, m.factor, func(s string) string { return m.theirs + ".successful." + s }, words)...)
	}
	d := newBuilder("guidellm", name)
	for i, x := range all {
		metrics, ok := dig(x, "metrics").(map[string]any)
		if !ok {
			return nil, fmt.Errorf("benchmark %d has no metrics", i+1)
		}
		n, err := numbersOf(metrics, list)
		if err != nil {
			return nil, fmt.Errorf("benchmark %d: %w", i+1, err)
		}
		good, bad := n["request_totals.successful"], n["request_totals.errored"]
		n.share(bad, good+bad)
		if good == 0 {
			d.failed(fmt.Sprintf("no request of benchmark %d ended well", i+1))
		}
		strategy := dig(x, "config", "strategy")
		point := map[string]string{
			"load": textOf(dig(strategy, "type_")), "concurrency": textOf(dig(strategy, "streams")), "rate": textOf(dig(strategy, "rate")),
			"input_tokens": whole(n["prompt_token_count.successful.median"]), "output_tokens": whole(n["output_token_count.successful.median"]),
		}
		c := d.setting(result.Hardware{}, "guidellm", "", point)
		if err := c.put("guidellm", n, list); err != nil {
			return nil, fmt.Errorf("benchmark %d: %w", i+1, err)
		}
	}
	return d.doc, nil
}

// whole is a number without its fraction; empty for 0.
func whole(f float64) string { return perRequest(f, 1) }
