package harness

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
)

// stream is a sample with events at the given ms after its admission at 1 ns.
func stream(end float64, events ...float64) result.Sample {
	s := result.Sample{Scheduled: 1, Admitted: 1, End: 1 + int64(end*1e6), PromptTokens: 10, WantTokens: len(events)}
	for _, e := range events {
		s.Events = append(s.Events, 1+int64(e*1e6))
	}
	s.Tokens = result.Counts{Engine: new(len(events)), Usage: new(len(events))}
	return s
}

func TestValuesOfOneWindow(t *testing.T) {
	bundled := stream(60, 20, 40, 60)
	bundled.Tokens = result.Counts{Usage: new(9)} // three tokens an event
	stalling := stream(100, 10, 20, 30, 90, 100)
	failed := stream(50)
	failed.Error = "reset"
	failed.Tokens = result.Counts{}
	reported := stream(50, 30, 50)
	reported.EngineQueued, reported.EnginePrefillStart, reported.EnginePrefillEnd = 5e6, 10e6, 26e6
	reported.CachedTokens = 2
	begun := stream(150, -50, 50, 150)
	for _, c := range []struct {
		name   string
		window Window
		wants  map[metric.ID]*float64
	}{
		{"nothing", Window{Nanos: 1e8}, map[metric.ID]*float64{
			"output_rate": new(0.0), "request_rate": new(0.0), "ttft.p50": nil, "error_rate": nil, "concurrency_mean": new(0.0),
		}},
		{"bundled tokens", Window{Nanos: 1e8, Own: []result.Sample{bundled}, Exact: true}, map[metric.ID]*float64{
			"output_rate": new(90.0), "tpot.p50": new(5.0), "gap.p50": new(20.0), "tokens_per_event.mean": new(3.0),
			"osl_exact": new(0.0), "token_agreement": nil, "concurrency_mean": new(0.6), "prefill_rate_est.p50": new(500.0),
			"prefill_rate.p50": nil, "engine_ttft.p50": nil,
		}},
		{"a stall", Window{Nanos: 1e8, Own: []result.Sample{stalling}}, map[metric.ID]*float64{
			"stall_ratio.mean": new(60.0 / 90), "gap.max": new(60.0), "tpot.p50": new(22.5), "osl_exact": nil,
		}},
		{"an error counts, and has no latency", Window{Nanos: 1e8, Own: []result.Sample{failed, stream(50, 30, 50)}}, map[metric.ID]*float64{
			"error_rate": new(0.5), "ttft.p50": new(30.0), "request_rate": new(10.0), "stream_integrity": new(1.0),
		}},
		{"the engine's own instants", Window{Nanos: 1e8, Own: []result.Sample{reported}}, map[metric.ID]*float64{
			"engine_ttft.p50": new(21.0), "transport_overhead.p50": new(9.0), "prefill_rate.p50": new(500.0), "prefill_rate_est.p50": nil,
		}},
		{"tokens of requests begun before and ended after", Window{Nanos: 1e8, Carried: []result.Sample{begun}}, map[metric.ID]*float64{
			"output_rate": new(10.0), "total_rate": new(10.0), "request_rate": new(0.0), "concurrency_mean": new(1.0), "ttft.p50": nil,
		}},
		{"one token has no time per token", Window{Nanos: 1e8, Own: []result.Sample{stream(30, 30)}}, map[metric.ID]*float64{
			"tpot.p50": nil, "gap.p50": nil, "decode_rate_user.p50": nil, "e2e.p50": new(30.0),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			values, _ := Values(c.window)
			want(t, c.name, values, c.wants)
		})
	}
}

func TestPercentilesNeedSamples(t *testing.T) {
	for _, c := range []struct {
		n    int
		have []metric.ID
	}{
		{43, []metric.ID{"ttft.p50"}},
		{44, []metric.ID{"ttft.p50", "ttft.p90"}},
		{90, []metric.ID{"ttft.p50", "ttft.p90", "ttft.p95"}},
		{459, []metric.ID{"ttft.p50", "ttft.p90", "ttft.p95", "ttft.p99"}},
	} {
		w := Window{Nanos: 1e9}
		for i := range c.n {
			w.Own = append(w.Own, stream(50, float64(i+1), 500))
		}
		values, reasons := Values(w)
		for _, id := range []metric.ID{"ttft.p50", "ttft.p90", "ttft.p95", "ttft.p99"} {
			_, ok := find(values, id)
			if ok != slices.Contains(c.have, id) {
				t.Errorf("%d samples: %s is there: %v", c.n, id, ok)
			}
		}
		if (len(reasons) == 0) != (c.n == 459) {
			t.Errorf("%d samples: reasons %v", c.n, reasons)
		}
	}
	// Type 7: 44 values 1…44 have their 0.9-quantile at 1 + 0.9·43.
	w := Window{Nanos: 1e9}
	for i := range 44 {
		w.Own = append(w.Own, stream(500, float64(44-i), 500))
	}
	values, _ := Values(w)
	want(t, "type 7", values, map[metric.ID]*float64{"ttft.p90": new(1 + 0.9*43), "ttft.p50": new(22.5)})
}

// FuzzValues: whatever a stored file holds, values are finite and in the table's
// order, and nothing panics.
func FuzzValues(f *testing.F) {
	one, err := json.Marshal([]result.Sample{stream(50, 10, 20, 50)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(one, int64(1e8))
	f.Add([]byte(`[{"events_ns":[9223372036854775807,-9223372036854775808],"tokens":{"engine":-5},"cancel_ns":3}]`), int64(-1))
	f.Fuzz(func(t *testing.T, b []byte, nanos int64) {
		var samples []result.Sample
		if json.Unmarshal(b, &samples) != nil {
			return
		}
		values, _ := Values(Window{Nanos: nanos, Own: samples, Carried: samples, Exact: true})
		seen := map[metric.ID]bool{}
		for _, v := range values {
			if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) || seen[v.Metric] {
				t.Errorf("%s = %v, seen before: %v", v.Metric, v.Value, seen[v.Metric])
			}
			seen[v.Metric] = true
			if _, ok := v.Metric.Def(); !ok {
				t.Errorf("%s is not in the table", v.Metric)
			}
		}
	})
}
