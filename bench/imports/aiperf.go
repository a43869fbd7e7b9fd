package imports

import "github.com/paceline/paceline/bench/result"

// readAIPerf reads profile_export_aiperf.json. Its inter_token_latency is one value a request, our time per output token; its
// inter_chunk_latency are the gaps between chunks.
func readAIPerf(name string, b []byte) (*Document, error) {
	var v map[string]any
	if err := decode(b, &v); err != nil {
		return nil, err
	}
	words := map[string]string{"avg": "mean", "p5": "p5", "p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "max": "max"}
	list := []mapped{
		{"output_token_throughput.avg", "output_rate", 1},
		{"total_token_throughput.avg", "total_rate", 1},
		{"request_throughput.avg", "request_rate", 1},
		{"goodput.avg", "goodput", 1},
		{"request_error_rate.avg", "error_rate", 0.01},
		{"effective_concurrency.avg", "concurrency_mean", 1},
	}
	for _, m := range [][2]string{
		{"time_to_first_token", "ttft"},
		{"inter_token_latency", "tpot"},
		{"inter_chunk_latency", "gap"},
		{"request_latency", "e2e"},
		{"output_token_throughput_per_user", "decode_rate_user"},
	} {
		list = append(list, stats(m[1], 1, func(s string) string { return m[0] + "." + s }, words)...)
	}
	config, _ := v["input_config"].(map[string]any)
	for _, part := range []string{"input_config", "run_info", "telemetry_data"} {
		delete(v, part)
	}
	n, err := numbersOf(v, list)
	if err != nil {
		return nil, err
	}
	d := newBuilder("aiperf", name)
	if v["was_cancelled"] == true {
		d.failed("the run was cancelled")
	}
	if n["request_count.avg"] == 0 {
		d.failed("no request ended well")
	}
	model := textOf(dig(first(dig(config, "models", "items")), "name"))
	d.doc.Run.Subject.Model = model
	point := map[string]string{
		"api":          textOf(dig(config, "endpoint", "type")),
		"input_tokens": textOf(dig(first(config["datasets"]), "prompts", "isl", "mean")), "output_tokens": textOf(dig(first(config["datasets"]), "prompts", "osl", "mean")),
	}
	phases, _ := config["phases"].([]any)
	for _, p := range phases { // the last one is measured
		point["concurrency"], point["rate"] = textOf(dig(p, "concurrency")), textOf(dig(p, "rate"))
	}
	return d.doc, d.setting(result.Hardware{}, "aiperf", model, point).put("aiperf", n, list)
}
