package imports

import "github.com/paceline/paceline/bench/result"

// readTRTLLM reads --report_json of trtllm-bench. It measures inside of the engine's process, without HTTP, and its percentiles
// are single values of the sorted list, not between two. *_percentiles are in milliseconds.
func readTRTLLM(name string, b []byte) (*Document, error) {
	var v map[string]any
	if err := decode(b, &v); err != nil {
		return nil, err
	}
	list := []mapped{
		{"performance.system_output_throughput_tok_s", "output_rate", 1},
		{"performance.system_total_throughput_tok_s", "total_rate", 1},
		{"performance.request_throughput_req_s", "request_rate", 1},
		{"request_info.avg_num_concurrent_requests", "concurrency_mean", 1},
	}
	words := map[string]string{"average": "mean", "p50": "p50", "p90": "p90", "p95": "p95", "p99": "p99", "maximum": "max"}
	for _, m := range [][2]string{
		{"streaming_metrics.ttft_percentiles", "ttft"},
		{"streaming_metrics.tpot_percentiles", "tpot"},
		{"streaming_metrics.gen_tps_percentiles", "decode_rate_user"},
		{"performance.request_latency_percentiles_ms", "e2e"},
	} {
		list = append(list, stats(m[1], 1, func(s string) string { return m[0] + "." + s }, words)...)
	}
	parts := map[string]any{}
	for _, part := range []string{"performance", "streaming_metrics", "request_info", "dataset"} {
		parts[part] = v[part]
	}
	n, err := numbersOf(parts, list)
	if err != nil {
		return nil, err
	}
	d := newBuilder("trtllm-bench", name)
	model := textOf(dig(v, "engine", "model"))
	d.doc.Run.Subject.Model = model
	c := d.setting(result.Hardware{GPUModel: textOf(dig(v, "machine", "name"))}, "trtllm-bench", model, map[string]string{
		"dtype": textOf(dig(v, "engine", "dtype")), "quantization": textOf(dig(v, "engine", "quantization")), "tp": textOf(dig(v, "world_info", "tp_size")),
		"concurrency":  whole(n["request_info.avg_num_concurrent_requests"]),
		"input_tokens": whole(n["request_info.avg_input_length"]), "output_tokens": whole(n["request_info.avg_output_length"]),
	})
	return d.doc, c.put("trtllm-bench", n, list)
}
