package metric

// Table is every metric, in the order in which people are shown them. Instants
// of a request, monotonic: s scheduled, a admitted, w written, h first byte,
// c1…ck content-bearing events, d end; n output tokens, m prompt tokens; W is the
// measurement window.
func Table() []Def {
	latency := []Stat{P50, P90, P95, P99, Mean, Max}
	tail := []Stat{P50, P95, P99, Max}
	one := []Stat{One}
	return []Def{
		{
			Name: "output_rate", Unit: "tok/s", Better: HigherIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "output tokens whose event falls in the window, over its length",
		},
		{
			Name: "total_rate", Unit: "tok/s", Better: HigherIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "output tokens and the prompt tokens of prefills that end in the window, over its length",
		},
		{
			Name: "request_rate", Unit: "req/s", Better: HigherIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "requests completed in the window, over its length",
		},
		{
			Name: "max_rate", Unit: "req/s", Better: HigherIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "requests a second of a closed loop that keeps the target full, measured in the round: what rate_of_max is a share of",
		},
		{
			Name: "goodput", Unit: "req/s", Better: HigherIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "requests that began in the window, ended well and kept every limit of the suite's slo, over its length; times count from the schedule",
		},
		{
			Name: "good_fraction", Unit: "1", Better: HigherIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "share of requests that ended well and kept every limit of the suite's slo; errors and timeouts count as not good",
		},
		{
			Name: "decode_rate_user", Unit: "tok/s/user", Better: HigherIsBetter, Stats: []Stat{P50, P5}, Version: 1, Source: Client,
			Meaning: "what one user sees: 1000 / tpot",
		},
		{
			Name: "prefill_rate", Unit: "tok/s", Better: HigherIsBetter, Stats: []Stat{P50}, Version: 1, Source: Engine,
			Meaning: "(m − cached) over the engine's own prefill time",
		},
		{
			Name: "prefill_rate_est", Unit: "tok/s", Better: HigherIsBetter, Stats: []Stat{P50}, Version: 1, Source: Client,
			Meaning: "(m − cached) / ttft: a lower bound, for engines that don't report prefill time",
		},
		{
			Name: "ttft", Unit: "ms", Better: LowerIsBetter, Stats: latency, Version: 1, Source: Client,
			Meaning: "time to first token from admission: c1 − a",
		},
		{
			Name: "ttft_sched", Unit: "ms", Better: LowerIsBetter, Stats: latency, Version: 1, Source: Client,
			Meaning: "time to first token from the schedule: c1 − s",
		},
		{
			Name: "ttft_process_cold", Unit: "ms", Better: LowerIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "from the start of the process to the first token of its first request",
		},
		{
			Name: "ttft_first_request", Unit: "ms", Better: LowerIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "c1 − a of the first request after the subject is ready",
		},
		{
			Name: "warm_cold_ratio", Unit: "ratio", Better: LowerIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "median ttft of prompts whose beginning the prefix cache has, over that of new prompts of the same length, in one round",
		},
		{
			Name: "ttft_slope", Unit: "ms/ktok", Better: LowerIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "how the median ttft grows with a thousand tokens of prompt: a line through the points of a workload, by least squares",
		},
		{
			Name: "ttft_curvature", Unit: "ms/ktok²", Better: Neutral, Stats: one, Version: 1, Source: Client,
			Meaning: "the same by a parabola: its second-order coefficient, which attention makes positive",
		},
		{
			Name: "tpot_slope", Unit: "ms/tok/ktok", Better: LowerIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "how the median tpot grows with a thousand tokens of prompt: a line through the points of a workload",
		},
		{
			Name: "engine_ttft", Unit: "ms", Better: LowerIsBetter, Stats: []Stat{P50, P95}, Version: 1, Source: Engine,
			Meaning: "the engine's own time to first token: from submission to the first token known",
		},
		{
			Name: "transport_overhead", Unit: "ms", Better: LowerIsBetter, Stats: []Stat{P50, P95}, Version: 1, Source: Client,
			Meaning: "ttft − engine_ttft of the same request",
		},
		{
			Name: "tpot", Unit: "ms/tok", Better: LowerIsBetter, Stats: latency, Version: 1, Source: Client,
			Meaning: "time per output token after the first: (ck − c1) / (n − 1), n ≥ 2",
		},
		{
			Name: "gap", Unit: "ms", Better: LowerIsBetter, Stats: tail, Version: 1, Source: Client,
			Meaning: "time between content-bearing events, pooled over requests",
		},
		{
			Name: "stall_ratio", Unit: "1", Better: LowerIsBetter, Stats: []Stat{Mean, P95}, Version: 1, Source: Client,
			Meaning: "share of a stream's time that lies in gaps over 3 × its own median gap",
		},
		{
			Name: "tokens_per_event", Unit: "tok", Better: Neutral, Stats: []Stat{Mean, Max}, Version: 1, Source: Client,
			Meaning: "n / k: explains gap against tpot",
		},
		{
			Name: "e2e", Unit: "ms", Better: LowerIsBetter, Stats: latency, Version: 1, Source: Client,
			Meaning: "from admission to the last token: ck − a",
		},
		{
			Name: "e2e_sched", Unit: "ms", Better: LowerIsBetter, Stats: latency, Version: 1, Source: Client,
			Meaning: "from the schedule to the last token: ck − s",
		},
		{
			Name: "error_rate", Unit: "1", Better: LowerIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "(errors + timeouts + truncated) / attempted",
		},
		{
			Name: "token_agreement", Unit: "1", Better: HigherIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "share of requests on which every known count of output tokens agrees (engine ids, server usage, re-tokenised text where the ids are its own spelling), the ids decode to the text, and tokens computed again are the same",
		},
		{
			Name: "osl_exact", Unit: "1", Better: HigherIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "share of requests that gave exactly the output length they were asked for",
		},
		{
			Name: "stream_integrity", Unit: "1", Better: HigherIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "share of streams that were whole: end marker, usage present, every piece UTF-8, joined pieces equal the whole text",
		},
		{
			Name: "cancel_honoured", Unit: "1", Better: HigherIsBetter, Stats: one, Version: 1, Source: Client,
			Meaning: "share of cancelled requests after which the subject made at most one more token",
		},
		{
			Name: "cancel_latency", Unit: "ms", Better: LowerIsBetter, Stats: []Stat{P50, Max}, Version: 1, Source: Client,
			Meaning: "from the cancellation to the end of the stream",
		},
		{
			Name: "load_time", Unit: "s", Better: LowerIsBetter, Stats: one, Version: 1, Source: System,
			Meaning: "from the start of the subject's process until it is ready",
		},
		{
			Name: "mem_weights", Unit: "B", Better: LowerIsBetter, Stats: one, Version: 1, Source: Engine,
			Meaning: "bytes that hold weights after load",
		},
		{
			Name: "mem_peak_alloc", Unit: "B", Better: LowerIsBetter, Stats: one, Version: 1, Source: Engine,
			Meaning: "the engine allocator's high-water mark: weights, KV pages used, activations",
		},
		{
			Name: "mem_peak_process", Unit: "B", Better: LowerIsBetter, Stats: one, Version: 1, Source: System,
			Meaning: "largest resident set of the subject's process",
		},
		{
			Name: "mem_peak_device", Unit: "B", Better: LowerIsBetter, Stats: one, Version: 1, Source: System,
			Meaning: "most memory in use on the subject's GPUs, as their driver counts it: the subject's, the driver's own and anybody else's",
		},
		{
			Name: "mem_leak", Unit: "B/req", Better: LowerIsBetter, Stats: one, Version: 1, Source: System,
			Meaning: "memory that each request keeps: lower bound of the 95 % interval of how memory in use at rest grows with requests; 0 where that holds 0",
		},
		{
			Name: "kv_bytes_per_token", Unit: "B/tok", Better: LowerIsBetter, Stats: one, Version: 1, Source: Engine,
			Meaning: "bytes of KV cache for one position",
		},
		{
			Name: "concurrency_mean", Unit: "1", Better: Neutral, Stats: one, Version: 1, Source: Client,
			Meaning: "mean number of requests in flight during the window",
		},
		{
			Name: "offered_rate", Unit: "req/s", Better: Neutral, Stats: one, Version: 1, Source: Client,
			Meaning: "of open loads: requests that were due in the window, over its length",
		},
		{
			Name: "delivered_ratio", Unit: "1", Better: HigherIsBetter, Stats: one, Version: 1, Source: Client, Validity: true,
			Meaning: "of open loads: share of the requests due in the window that were sent in it",
		},
		{
			Name: "queue_client", Unit: "ms", Better: LowerIsBetter, Stats: tail, Version: 1, Source: Client, Validity: true,
			Meaning: "from schedule to admission: a − s",
		},
		{
			Name: "client_lag", Unit: "ms", Better: LowerIsBetter, Stats: []Stat{P99, Max}, Version: 1, Source: Client, Validity: true,
			Meaning: "how late the load generator's own timers fired",
		},
		{
			Name: "client_cpu", Unit: "1", Better: LowerIsBetter, Stats: one, Version: 1, Source: System, Validity: true,
			Meaning: "the measuring code's own share of one core over the window",
		},
		{
			Name: "steal", Unit: "1", Better: LowerIsBetter, Stats: one, Version: 1, Source: System, Validity: true,
			Meaning: "share of CPU time that the hypervisor took over the window",
		},
	}
}
