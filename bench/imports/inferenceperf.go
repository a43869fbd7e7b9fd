package imports

import "github.com/paceline/paceline/bench/result"

// readInferencePerf reads *_lifecycle_metrics.json. All of its times are in seconds. normalized_time_per_output_token has the
// first token in it; time_per_output_token hasn't.
func readInferencePerf(name string, b []byte) (*Document, error) {
	var v map[string]any
	if err := decode(b, &v); err != nil {
		return nil, err
	}
	list := []mapped{
		{"successes.throughput.output_tokens_per_sec", "output_rate", 1},
		{"successes.throughput.total_tokens_per_sec", "total_rate", 1},
		{"successes.throughput.requests_per_sec", "request_rate", 1},
		{errorShare, "error_rate", 1},
	}
	words := map[string]string{"mean": "mean", "median": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "max": "max"}
	for _, m := range [][2]string{{"time_to_first_token", "ttft"}, {"time_per_output_token", "tpot"}, {"inter_token_latency", "gap"}, {"request_latency", "e2e"}} {
		list = append(list, stats(m[1], 1000, func(s string) string { return "successes.latency." + m[0] + "." + s }, words)...)
	}
	n, err := numbersOf(v, list)
	if err != nil {
		return nil, err
	}
	good, bad := n["successes.count"], n["failures.count"]
	n.share(bad, good+bad)
	d := newBuilder("inference-perf", name)
	if good == 0 {
		d.failed("no request ended well")
	}
	c := d.setting(result.Hardware{}, "inference-perf", "", map[string]string{
		"input_tokens": whole(n["successes.prompt_tokens.median"]), "output_tokens": whole(n["successes.output_len.median"]),
		"rate": textOf(dig(v, "load_summary", "requested_rate")),
	})
	return d.doc, c.put("inference-perf", n, list)
}
