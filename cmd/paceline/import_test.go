//go:build native

package main

import (
	"encoding/json"
	"testing"
)

// A result of another tool, as a person sees it and as a program does, judged like our own.
func TestImport(t *testing.T) {
	const peers = "../../bench/imports/testdata/peers/"
	paceline(t, "import", peers+"vllm.json", peers+"llama-bench.csv").expect(t, 0,
		"result of vllm bench serve, 1 round", "concurrency=8", "from p50_ttft_ms", "that we have no metric for, which --all shows",
		"output of llama-bench, 1 round", "prefill_rate.p50")
	paceline(t, "import", peers+"vllm.json", "--all").expect(t, 0, "vllm.max_concurrent_requests")
	o := paceline(t, "import", "--json", peers+"guidellm.json")
	var list []imported
	if err := json.Unmarshal([]byte(o.stdout), &list); err != nil || len(list) != 1 || len(list[0].Result.Rounds) != 1 || len(list[0].From) != 1 {
		t.Errorf("%v\n%.400s", err, o.stdout)
	}
	paceline(t, "import", "import_test.go").expect(t, exitRequest, "not a file of measurements", "trtllm-bench")
	paceline(t, "import", "nothing-here.json").expect(t, exitRequest, "nothing-here.json")
	// One run passes against itself; tails and what is the tool's own aren't gated unless somebody asks.
	paceline(t, "check", peers+"vllm.json", "--baseline", peers+"vllm.json").expect(t, 0, "11 of 11 checks passed", "ttft.p50")
	paceline(t, "check", peers+"vllm.json", "--baseline", peers+"vllm.json", "--metric", "ttft.p99").expect(t, 0, "1 of 1 checks passed")
	paceline(t, "check", peers+"vllm.json", "--baseline", peers+"vllm.json", "--metric", "vllm.duration").expect(t, exitRequest, "which way is better")
}
