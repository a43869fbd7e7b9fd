package imports

import (
	"fmt"

	"github.com/paceline/paceline/bench/result"
)

// readVLLM reads --save-result of vllm bench serve. Its latencies begin when a request is sent; a request's time per token
// leaves the first one out, as ours does, and its itl are pooled gaps between outputs. max_concurrent_requests counts everything
// alive within a second and is no concurrency: it stays under vllm's own name.
func readVLLM(name string, b []byte) (*Document, error) {
	var v map[string]any
	if err := decode(b, &v); err != nil {
		return nil, err
	}
	words := map[string]string{"mean": "mean", "p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99"}
	list := []mapped{
		{"output_throughput", "output_rate", 1},
		{"total_token_throughput", "total_rate", 1},
		{"request_throughput", "request_rate", 1},
		{"request_goodput", "goodput", 1},
		{errorShare, "error_rate", 1},
	}
	for theirs, ours := range map[string]string{"ttft": "ttft", "tpot": "tpot", "itl": "gap", "e2el": "e2e"} {
		list = append(list, stats(ours, 1, func(s string) string { return s + "_" + theirs + "_ms" }, words)...)
		list = append(list, mapped{"median_" + theirs + "_ms", ours + ".p50", 1})
	}
	n, err := numbersOf(v, list)
	if err != nil {
		return nil, err
	}
	n.share(n["failed"], n["failed"]+n["completed"])
	d := newBuilder("vllm", name)
	if n["completed"] == 0 {
		d.failed(fmt.Sprintf("none of %v requests ended well", n["num_prompts"]))
	}
	d.doc.Run.Subject.Model = textOf(v["model_id"])
	c := d.setting(result.Hardware{}, "vllm", textOf(v["model_id"]), map[string]string{
		"api": textOf(v["endpoint_type"]), "concurrency": textOf(v["max_concurrency"]), "rate": textOf(v["request_rate"]),
		"input_tokens": perRequest(n["total_input_tokens"], n["completed"]), "output_tokens": perRequest(n["total_output_tokens"], n["completed"]),
	})
	return d.doc, c.put("vllm", n, list)
}

// perRequest is a mean as a whole number, to tell settings apart.
func perRequest(total, requests float64) string {
	if requests <= 0 || total <= 0 {
		return ""
	}
	return fmt.Sprintf("%.0f", total/requests)
}
