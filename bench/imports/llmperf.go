package imports

import (
	"fmt"

	"github.com/paceline/paceline/bench/result"
)

// readLLMPerf reads *_summary.json. All of its times are in seconds. Its inter token latency is the whole time of a request over
// its tokens, and its throughput has the start of its own workers in it: the first is none of ours, the second is named.
func readLLMPerf(name string, b []byte) (*Document, error) {
	var v map[string]any
	if err := decode(b, &v); err != nil {
		return nil, err
	}
	list := []mapped{
		{"results_mean_output_throughput_token_per_s", "output_rate", 1},
		{"results_num_completed_requests_per_min", "request_rate", 1.0 / 60},
		{"results_error_rate", "error_rate", 1},
	}
	words := map[string]string{"mean": "mean", "max": "max", "quantiles_p50": "p50", "quantiles_p90": "p90", "quantiles_p95": "p95", "quantiles_p99": "p99"}
	for _, m := range [][2]string{{"ttft", "ttft"}, {"end_to_end_latency", "e2e"}} {
		list = append(list, stats(m[1], 1000, func(s string) string { return "results_" + m[0] + "_s_" + s }, words)...)
	}
	n, err := numbersOf(v, list)
	if err != nil {
		return nil, err
	}
	delete(n, "timestamp")
	d := newBuilder("llmperf", name)
	if n["results_num_completed_requests"] == 0 {
		d.failed(fmt.Sprintf("none of %v requests ended well", n["results_num_requests_started"]))
	}
	model := textOf(v["model"])
	d.doc.Run.Subject.Model = model
	c := d.setting(result.Hardware{}, "llmperf", model, map[string]string{
		"concurrency": textOf(v["num_concurrent_requests"]), "input_tokens": textOf(v["mean_input_tokens"]), "output_tokens": textOf(v["mean_output_tokens"]),
	})
	return d.doc, c.put("llmperf", n, list)
}
