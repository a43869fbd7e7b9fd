package spec

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Resolved writes the suite with every default filled in, in one fixed form: parsing
// it gives the same suite. Results carry it.
func (s *Suite) Resolved() []byte {
	w := &writer{}
	w.line(0, "apiVersion: "+APIVersion)
	w.line(0, "kind: Suite")
	w.line(0, "metadata:")
	w.text(2, "name", s.Name)
	w.textIf(2, "title", s.Title)
	w.textIf(2, "description", s.Description)
	if len(s.Labels) > 0 {
		w.line(2, "labels:")
		for _, k := range sortedKeys(s.Labels) {
			w.line(4, quote(k)+": "+quote(s.Labels[k]))
		}
	}
	w.line(0, "spec:")
	w.line(2, "seed: "+strconv.FormatUint(s.Seed, 10))
	w.text(2, "model", s.Model)
	w.line(2, "targets: "+quoted(s.Targets))
	w.whole(2, "rounds", s.Rounds)
	w.line(2, "workloads:")
	for i := range s.Workloads {
		w.workload(&s.Workloads[i])
	}
	return w.Bytes()
}

// Digest is the SHA-256 of the resolved suite, in hexadecimal digits.
func (s *Suite) Digest() string {
	sum := sha256.Sum256(s.Resolved())
	return hex.EncodeToString(sum[:])
}

// writer writes YAML by hand: the form is fixed, whatever a library's next version
// would write.
type writer struct{ bytes.Buffer }

func (w *writer) line(indent int, text string) {
	w.WriteString(strings.Repeat(" ", indent))
	w.WriteString(text)
	w.WriteByte('\n')
}

func (w *writer) text(indent int, key, v string) { w.line(indent, key+": "+quote(v)) }

func (w *writer) textIf(indent int, key, v string) {
	if v != "" {
		w.text(indent, key, v)
	}
}

func (w *writer) whole(indent int, key string, v int) { w.line(indent, key+": "+strconv.Itoa(v)) }

func (w *writer) number(indent int, key string, v float64) {
	w.line(indent, key+": "+decimal(v))
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func (w *writer) workload(l *Workload) {
	w.line(2, "- name: "+quote(l.Name))
	w.textIf(4, "title", l.Title)
	w.textIf(4, "target", l.Target)
	q := &l.Request
	w.line(4, "request:")
	w.text(6, "api", q.API)
	w.line(6, fmt.Sprintf("stream: %t", q.Stream))
	w.whole(6, "max_tokens", q.MaxTokens)
	w.line(6, fmt.Sprintf("ignore_eos: %t", q.IgnoreEOS))
	w.number(6, "temperature", q.Temperature)
	w.number(6, "top_p", q.TopP)
	w.whole(6, "top_k", q.TopK)
	w.text(6, "cache", q.Cache)
	if q.NoKV {
		w.text(6, "kv_cache", "off")
	}
	d := &l.Data
	w.line(4, "data:")
	w.text(6, "type", d.Type)
	if len(d.Prompts) > 0 {
		w.line(6, "prompts:")
		for _, p := range d.Prompts {
			w.line(6, "- "+quote(p))
		}
	}
	if d.ISL != 0 {
		w.whole(6, "isl", d.ISL)
	}
	if d.Tail != 0 {
		w.whole(6, "tail", d.Tail)
	}
	w.textIf(6, "dataset", d.Dataset)
	w.textIf(6, "digest", d.Digest)
	w.line(4, "load:")
	w.text(6, "type", l.Load.Type)
	w.whole(6, "concurrency", l.Load.Concurrency)
	w.whole(6, "requests", l.Load.Requests)
	if l.Load.Rate != 0 {
		w.number(6, "rate", l.Load.Rate)
	}
	if l.Load.RateOfMax != 0 {
		w.number(6, "rate_of_max", l.Load.RateOfMax)
	}
	if l.Load.Burstiness != 0 {
		w.number(6, "burstiness", l.Load.Burstiness)
	}
	if l.Load.MaxInFlight != 0 {
		w.whole(6, "max_in_flight", l.Load.MaxInFlight)
	}
	if len(l.Matrix) > 0 {
		w.line(4, "matrix:")
		for _, a := range l.Matrix {
			w.line(6, a.Name+": ["+strings.Join(a.Values, ", ")+"]")
		}
	}
	w.textIf(4, "fit", l.Fit)
	if len(l.Collect) > 0 {
		w.line(4, "collect: "+quoted(l.Collect))
	}
	w.measure(l)
	w.judge(l)
}

func (w *writer) measure(l *Workload) {
	w.line(4, "warmup:")
	w.text(6, "mode", l.Warmup.Mode)
	w.whole(6, "requests", l.Warmup.Requests)
	w.number(6, "cv", l.Warmup.CV)
	w.line(6, "max: "+l.Warmup.Max.String())
	w.line(4, "trials:")
	w.whole(6, "count", l.Trials.Count)
	w.line(4, "window:")
	w.line(6, "min_duration: "+l.Window.MinDuration.String())
	w.whole(6, "min_requests", l.Window.MinRequests)
	w.line(6, "max: "+l.Window.Max.String())
	v := &l.Validity
	w.line(4, "validity:")
	w.line(6, "max_client_lag_p99: "+v.MaxClientLagP99.String())
	w.number(6, "max_client_cpu", v.MaxClientCPU)
	w.number(6, "max_error_rate", v.MaxErrorRate)
	w.number(6, "max_osl_errors", v.MaxOSLErrors)
	w.number(6, "max_steal", v.MaxSteal)
	if v.MinDelivered != defaultDelivered || l.Load.Open() {
		w.number(6, "min_delivered", v.MinDelivered)
	}
	w.number(6, "noise_floor", v.NoiseFloor)
	if l.Cancel != (Cancel{}) {
		w.line(4, "cancel:")
		w.number(6, "rate", l.Cancel.Rate)
		w.whole(6, "after_tokens", l.Cancel.AfterTokens)
	}
	if l.SLO != (SLO{}) {
		w.line(4, "slo:")
		for _, s := range []struct {
			key string
			v   time.Duration
		}{{"ttft", l.SLO.TTFT}, {"tpot", l.SLO.TPOT}, {"e2e", l.SLO.E2E}} {
			if s.v != 0 {
				w.line(6, s.key+": "+s.v.String())
			}
		}
	}
}

func (w *writer) judge(l *Workload) {
	if len(l.Gates) > 0 {
		w.line(4, "gates:")
	}
	for _, g := range l.Gates {
		w.line(4, "- metric: "+quote(string(g.Metric)))
		w.text(6, "severity", string(g.Severity))
		for _, limit := range []struct {
			key string
			v   *float64
		}{{"max_drop", g.MaxDrop}, {"max_rise", g.MaxRise}, {"max_ratio", g.MaxRatio}, {"min", g.Min}, {"max", g.Max}} {
			if limit.v != nil {
				w.number(6, limit.key, *limit.v)
			}
		}
	}
	if len(l.Speedups) > 0 {
		w.line(4, "speedups:")
	}
	for _, s := range l.Speedups {
		w.line(4, "- metric: "+quote(string(s.Metric)))
		w.text(6, "over", s.Over)
	}
	if len(l.Bands) > 0 {
		w.line(4, "bands:")
	}
	for _, b := range l.Bands {
		w.line(4, "- metric: "+quote(string(b.Metric)))
		w.text(6, "label", b.Label)
		w.number(6, "low", b.Low)
		w.number(6, "high", b.High)
	}
}

func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quote(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// quote writes a double-quoted YAML string on one line. What isn't printable ASCII
// and might be taken for a line break or lost is escaped.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == utf8.RuneError || r < 0x20 || r >= 0x7f && r < 0xa1 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
