package serve

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paceline/paceline/engine"
)

// meter counts what was answered.
type meter struct {
	mu      *sync.Mutex // guards what follows
	answers map[answerKey]uint64
	queued  *histogram
	first   *histogram
	whole   *histogram
}

type answerKey struct {
	path   string
	status int
}

func newMeter() meter {
	return meter{mu: &sync.Mutex{}, answers: map[answerKey]uint64{}, queued: newHistogram(), first: newHistogram(), whole: newHistogram()}
}

func (m *meter) answered(path string, status int) {
	m.mu.Lock()
	m.answers[answerKey{path, status}]++
	m.mu.Unlock()
}

// finished takes a request that the engine had, once it has ended. A stage that it did not reach has
// no time.
func (m *meter) finished(f *engine.Finish, began time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !f.PrefillStart.IsZero() {
		m.queued.add(f.PrefillStart.Sub(f.Queued))
	}
	if !f.PrefillEnd.IsZero() {
		m.first.add(f.PrefillEnd.Sub(began))
	}
	if f.Reason == engine.FinishStop || f.Reason == engine.FinishLength {
		m.whole.add(f.End.Sub(began))
	}
}

// histogram counts durations at or below bounds, in seconds.
type histogram struct {
	bounds []float64
	counts []uint64 // of each bound by itself; the last is for those above all
	sum    float64
}

func newHistogram() *histogram {
	h := &histogram{bounds: []float64{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100}}
	h.counts = make([]uint64, len(h.bounds)+1)
	return h
}

func (h *histogram) add(d time.Duration) {
	v := d.Seconds()
	i, _ := slices.BinarySearch(h.bounds, v)
	h.counts[i]++
	h.sum += v
}

func (h *histogram) write(w io.Writer, name, help string) {
	fmt.Fprintf(w, "# TYPE %s histogram\n# UNIT %s seconds\n# HELP %s %s\n", name, name, name, help)
	var n uint64
	for i, b := range h.bounds {
		n += h.counts[i]
		fmt.Fprintf(w, "%s_bucket{le=\"%g\"} %d\n", name, b, n)
	}
	n += h.counts[len(h.bounds)]
	fmt.Fprintf(w, "%s_bucket{le=\"+Inf\"} %d\n%s_count %d\n%s_sum %g\n", name, n, name, n, name, h.sum)
}

// metrics answers in the OpenMetrics text format, version 1.0.0.
func (s *Server) metrics(w http.ResponseWriter, _ *http.Request) *failure {
	var b bytes.Buffer
	st := s.engine.Stats()
	gauge := func(name, help string, v any) {
		fmt.Fprintf(&b, "# TYPE %s gauge\n# HELP %s %s\n%s %v\n", name, name, help, name, v)
	}
	counter := func(name, help string, v uint64) {
		fmt.Fprintf(&b, "# TYPE %s counter\n# HELP %s %s\n%s_total %d\n", name, name, help, name, v)
	}
	label := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace
	fmt.Fprintf(&b, "# TYPE paceline_model info\n# HELP paceline_model What is served.\npaceline_model_info{model=\"%s\",backend=\"%s\"} 1\n", label(s.o.Name), label(st.Backend.Name))
	gauge("paceline_requests_in_flight", "Requests under way or waiting, each choice counted.", s.places.used.Load())
	gauge("paceline_requests_limit", "Requests that may be under way or waiting.", s.places.limit)
	counter("paceline_engine_steps", "Steps of the engine.", st.Steps)
	counter("paceline_engine_requests", "Requests that the engine took.", st.Requests)
	counter("paceline_engine_cancelled", "Requests that ended before their last token.", st.Cancelled)
	counter("paceline_prompt_tokens", "Prompt tokens computed; those from the prefix cache are not counted.", st.PromptTokens)
	counter("paceline_cached_tokens", "Prompt tokens taken from the prefix cache.", st.CachedTokens)
	counter("paceline_output_tokens", "Tokens generated.", st.OutputTokens)
	counter("paceline_recomputed_tokens", "Tokens computed again after a preemption.", st.RecomputedTokens)
	counter("paceline_engine_preemptions", "Times that a request gave its memory to others.", st.Preemptions)
	gauge("paceline_engine_running", "Requests that have memory.", st.Running)
	gauge("paceline_engine_waiting", "Requests that wait for memory.", st.Waiting)
	counter("paceline_prefix_cache_evicted_tokens", "Tokens whose pages were taken from the prefix cache.", st.PrefixCache.Evictions)
	gauge("paceline_kv_pages_cached", "Pages of the KV cache kept for their text only.", st.PagesCached)
	gauge("paceline_kv_pages", "Pages of the KV cache.", st.PagesTotal)
	gauge("paceline_kv_pages_used", "Pages of the KV cache in use.", st.PagesUsed)
	s.meter.write(&b)
	b.WriteString("# EOF\n")
	w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8")
	_, _ = w.Write(b.Bytes()) // the client went away
	return nil
}

func (m *meter) write(b *bytes.Buffer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b.WriteString("# TYPE paceline_http_requests counter\n# HELP paceline_http_requests Answers by path and status; 499 where the client left first.\n")
	for _, k := range slices.SortedFunc(maps.Keys(m.answers), func(x, y answerKey) int {
		return cmp.Or(cmp.Compare(x.path, y.path), cmp.Compare(x.status, y.status))
	}) {
		fmt.Fprintf(b, "paceline_http_requests_total{path=\"%s\",status=\"%d\"} %d\n", k.path, k.status, m.answers[k])
	}
	m.queued.write(b, "paceline_queued_seconds", "From the engine's queue to its first step with the request.")
	m.first.write(b, "paceline_first_token_seconds", "From the arrival of a request to its first token.")
	m.whole.write(b, "paceline_request_seconds", "From the arrival of a request to its last token, of those that ended well.")
}
