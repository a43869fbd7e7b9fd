package imports

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/bench/metric"
)

// The files are those of real runs, but for trtllm-bench's, which is written after its source; lists of single requests are
// cut short. The server behind them had a first token after 50 ms and one each 10 ms after it.
func TestPeers(t *testing.T) {
	for file, c := range map[string]struct {
		format Format
		point  map[string]string
		values map[string]float64 // in our units
		kept   map[string]float64 // under the tool's names, because we have no such metric
		absent []string           // of ours
	}{
		"vllm.json": {
			VLLM,
			map[string]string{"concurrency": "8", "rate": "inf", "api": "openai-chat", "input_tokens": "266", "output_tokens": "32"},
			map[string]float64{
				"output_rate": 695.8119954760676, "total_rate": 6484.165983232789, "request_rate": 21.744124858627114, "error_rate": 0,
				"ttft.p50": 55.140255999958754, "ttft.p99": 71.84940727997856, "tpot.mean": 9.998263596270453, "gap.p99": 21.170359819971015, "e2e.p90": 375.82619720012644,
			},
			map[string]float64{"vllm.max_concurrent_requests": 32, "vllm.mean_itl_ms": 9.998263596270453, "vllm.median_ttft_ms": 55.140255999958754, "vllm.std_e2el_ms": 5.342702412656152},
			[]string{"concurrency_mean"},
		},
		"aiperf.json": {
			AIPerf,
			map[string]string{"concurrency": "8", "api": "chat", "input_tokens": "128", "output_tokens": "32"},
			map[string]float64{"output_rate": 677.1651823786154, "request_rate": 21.161411949331733, "error_rate": 0, "concurrency_mean": 7.753135877891543, "decode_rate_user.p5": 95.42056932562912},
			map[string]float64{"aiperf.inter_chunk_latency.avg": 9.999134776965725},
			[]string{"gap.mean"},
		},
		"guidellm.json": {
			GuideLLM,
			map[string]string{"concurrency": "8", "load": "concurrent", "input_tokens": "182", "output_tokens": "32"},
			map[string]float64{
				"output_rate": 670.0284508414752, "request_rate": 20.9383890887961, "ttft.p50": 51.88632011413574, "tpot.mean": 9.964960477044507,
				"e2e.mean": 364.0115186572075, "error_rate": 0, "concurrency_mean": 7.621826393682467,
			},
			map[string]float64{"guidellm.time_per_output_token_ms.successful.mean": 11.346073297318071}, // it has the first token in it
			[]string{"gap.p50"},
		},
		"inference-perf.json": {
			InferencePerf,
			map[string]string{"input_tokens": "254", "output_tokens": "32"},
			map[string]float64{
				"output_rate": 678.8470526029914, "ttft.p50": 50.94133599993711, "tpot.p50": 10.006728112902267, "gap.p99": 26.542263399978765, "e2e.max": 397.5360020001517, "error_rate": 0,
			},
			map[string]float64{"inference-perf.load_summary.schedule_delay.mean": 2.336842124650836, "inference-perf.successes.latency.normalized_time_per_output_token.mean": 0.011419375406494792},
			nil,
		},
		"llmperf.json": {
			LLMPerf,
			map[string]string{"concurrency": "8", "input_tokens": "600", "output_tokens": "32"},
			map[string]float64{"output_rate": 214.50397047467143, "request_rate": 402.19494464000894 / 60, "ttft.p99": 0.2103954867198219 * 1000, "e2e.p50": 367.7230559999316, "error_rate": 0},
			map[string]float64{"llmperf.results_inter_token_latency_s_mean": 0.011573457941050153}, // the whole request over its tokens
			[]string{"tpot.mean", "tpot.p50", "gap.p50"},
		},
		"trtllm-bench.json": {
			TRTLLM,
			map[string]string{"concurrency": "32", "input_tokens": "512", "output_tokens": "128", "dtype": "bfloat16", "tp": "1"},
			map[string]float64{"output_rate": 5083.147182923803, "ttft.p95": 18.951999999999998, "tpot.p50": 6.2, "e2e.mean": 805.8, "request_rate": 39.71208736659221},
			map[string]float64{"trtllm-bench.performance.output_throughput_per_gpu_tok_s": 5083.147182923803},
			nil,
		},
		"llama-bench.json":  {LlamaBench, map[string]string{"input_tokens": "16", "threads": "1"}, map[string]float64{"prefill_rate.p50": 27.2847}, nil, []string{"ttft.p50"}},
		"llama-bench.jsonl": {LlamaBench, map[string]string{"input_tokens": "32", "threads": "2"}, nil, nil, nil},
		"llama-bench.csv":   {LlamaBench, map[string]string{"input_tokens": "32", "threads": "2"}, map[string]float64{"prefill_rate.p50": 27.569424}, nil, nil},
		"llama-bench.sql":   {LlamaBench, map[string]string{"input_tokens": "16", "threads": "1"}, map[string]float64{"prefill_rate.p50": 60.370646}, nil, nil},
	} {
		t.Run(file, func(t *testing.T) {
			d := peer(t, file)
			if d.Format != c.format || len(d.Failed) > 0 {
				t.Errorf("it is %q, failed %q", d.Format, d.Failed)
			}
			cell := d.Rounds[0].Cells[0]
			for axis, want := range c.point {
				if cell.Point[axis] != want {
					t.Errorf("%s is %q, want %q", axis, cell.Point[axis], want)
				}
			}
			got := map[string]float64{}
			for _, v := range cell.Values {
				got[string(v.Metric)] = v.Value
			}
			for _, list := range []map[string]float64{c.values, c.kept} {
				for id, want := range list {
					if v, ok := got[id]; !ok || math.Abs(v-want) > 1e-9*want {
						t.Errorf("%s is %v (there: %v), want %v", id, v, ok, want)
					}
				}
			}
			for id := range c.kept {
				if !d.Shown[Series{cell.Cell, metric.ID(id)}] {
					t.Errorf("%s would be gated", id)
				}
			}
			for _, id := range c.absent {
				if v, ok := got[id]; ok {
					t.Errorf("%s is %v: the tool measures no such thing", id, v)
				}
			}
		})
	}
}

func peer(t *testing.T, file string) *Document {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "peers", file))
	if err != nil {
		t.Fatal(err)
	}
	d, err := Read(file, b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Repetitions of llama-bench are rounds; where only their mean is there, it is the only one.
func TestLlamaBenchRounds(t *testing.T) {
	for file, want := range map[string]int{"llama-bench.json": 3, "llama-bench.jsonl": 3, "llama-bench.csv": 1, "llama-bench.sql": 1} {
		d := peer(t, file)
		if len(d.Rounds) != want || len(d.Rounds[0].Cells) != 2 || d.Rounds[0].Environment.Hardware.CPUModel != "AMD EPYC" {
			t.Errorf("%s: %d rounds of %d cells on %q, want %d of 2 on AMD EPYC", file, len(d.Rounds), len(d.Rounds[0].Cells), d.Rounds[0].Environment.Hardware.CPUModel, want)
		}
	}
}

// A file that was cut off, at whatever place, is an error or nothing that is known, and never a shorter result.
func TestPeersCutOff(t *testing.T) {
	files, err := filepath.Glob("testdata/peers/*.*")
	if err != nil || len(files) != 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, share := range []float64{0.3, 0.6, 0.9, 0.99} {
			d, err := Read(f, b[:int(share*float64(len(b)))])
			if err == nil && !strings.HasSuffix(f, ".csv") { // whose last test may be missing
				t.Errorf("%s cut to %.0f %% gives %d rounds", f, 100*share, len(d.Rounds))
			}
		}
	}
}

func TestPeersRefuse(t *testing.T) {
	for name, c := range map[string]struct{ text, words string }{
		"a text for a number":    {`{"aiperf_version":"1","output_token_throughput":{"avg":"fast"}}`, "field output_token_throughput.avg is fast: want a number"},
		"no benchmark":           {`{"metadata":{},"benchmarks":[]}`, "it has no benchmarks"},
		"no speed":               {`[{"build_commit":"x","n_prompt":1,"n_gen":0,"avg_ts":null}]`, "repetition 1 has the speed"},
		"no test":                {"build_commit,n_prompt,n_gen,avg_ts\n", "it has no test"},
		"two results in a file":  {`{"endpoint_type":"a","request_throughput":1}{"endpoint_type":"a","request_throughput":1}`, "something follows"},
		"a statement without an": {"INSERT INTO llama_bench (build_commit, n_prompt) VALUES ('x', '1", "the file cut off"},
		"fewer values":           {"INSERT INTO llama_bench (build_commit, n_prompt) VALUES ('it''s');", "1 values for 2 columns"},
		"something else":         {`{"hello": 1}`, "vllm bench serve, AIPerf"},
	} {
		if _, err := Read("file", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.words) {
			t.Errorf("%s: %v, want %q", name, err, c.words)
		}
	}
}

// Every request failed: the measurement failed, and its zeros are no speed.
func TestPeersFailed(t *testing.T) {
	d, err := Read("file", []byte(`{"endpoint_type":"a","request_throughput":0,"num_prompts":5,"completed":0,"failed":5}`))
	if err != nil || len(d.Failed) != 1 || !strings.Contains(d.Failed[0], "none of 5") {
		t.Errorf("%+v, error %v", d, err)
	}
}
