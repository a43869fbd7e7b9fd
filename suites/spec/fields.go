package spec

import (
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/paceline/paceline/bench/metric"
)

// suite reads a whole document over the defaults.
func (r *reader) suite(n ast.Node) *Suite {
	s := Default()
	var version, kind string
	base := DefaultWorkload()
	if n != nil {
		r.places[""] = placeOf(n)
	}
	r.mapping("", n,
		member{"apiVersion", r.text(&version)},
		member{"kind", r.text(&kind)},
		member{"metadata", func(path string, n ast.Node) {
			r.mapping(path, n,
				member{"name", r.text(&s.Name)},
				member{"title", r.text(&s.Title)},
				member{"description", r.text(&s.Description)},
				member{"labels", r.labels(&s.Labels)})
		}},
		member{"spec", func(path string, n ast.Node) {
			r.mapping(path, n,
				member{"seed", r.seed(&s.Seed)},
				member{"model", r.text(&s.Model)},
				member{"targets", r.texts(&s.Targets, maxTargets)},
				member{"rounds", r.whole(&s.Rounds)},
				member{"defaults", func(path string, n ast.Node) { r.mapping(path, n, r.shared(&base)...) }},
				member{"workloads", func(path string, n ast.Node) {
					r.list(path, n, maxWorkloads, "a list of workloads", func(path string, n ast.Node) {
						w := base
						r.workload(path, n, &w)
						s.Workloads = append(s.Workloads, w)
					})
				}})
		}})
	if version != APIVersion {
		r.blame(Problem{Path: "apiVersion", What: "another version of the format", Found: orNothing(version), Wanted: APIVersion})
	}
	if kind != "Suite" {
		r.blame(Problem{Path: "kind", What: "another kind of document", Found: orNothing(kind), Wanted: "Suite"})
	}
	return &s
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return strconv.Quote(clip(s))
}

// shared are the parts of a workload for which a suite may set defaults.
func (r *reader) shared(w *Workload) []member {
	return []member{
		{"request", func(path string, n ast.Node) {
			q := &w.Request
			r.mapping(path, n,
				member{"api", r.text(&q.API)}, member{"stream", r.flag(&q.Stream)},
				member{"max_tokens", r.whole(&q.MaxTokens)}, member{"ignore_eos", r.flag(&q.IgnoreEOS)},
				member{"temperature", r.number(&q.Temperature)}, member{"top_p", r.number(&q.TopP)},
				member{"top_k", r.whole(&q.TopK)}, member{"cache", r.text(&q.Cache)},
				member{"kv_cache", r.switchedOff(&q.NoKV)})
		}},
		{"warmup", func(path string, n ast.Node) {
			u := &w.Warmup
			r.mapping(path, n,
				member{"mode", r.text(&u.Mode)}, member{"requests", r.whole(&u.Requests)},
				member{"cv", r.number(&u.CV)}, member{"max", r.span(&u.Max)})
		}},
		{"trials", func(path string, n ast.Node) {
			r.mapping(path, n, member{"count", r.whole(&w.Trials.Count)})
		}},
		{"window", func(path string, n ast.Node) {
			v := &w.Window
			r.mapping(path, n,
				member{"min_duration", r.span(&v.MinDuration)}, member{"min_requests", r.whole(&v.MinRequests)},
				member{"max", r.span(&v.Max)})
		}},
		{"validity", func(path string, n ast.Node) {
			v := &w.Validity
			r.mapping(path, n,
				member{"max_client_lag_p99", r.span(&v.MaxClientLagP99)}, member{"max_client_cpu", r.number(&v.MaxClientCPU)},
				member{"max_error_rate", r.number(&v.MaxErrorRate)}, member{"max_osl_errors", r.number(&v.MaxOSLErrors)},
				member{"max_steal", r.number(&v.MaxSteal)}, member{"min_delivered", r.number(&v.MinDelivered)}, member{"noise_floor", r.number(&v.NoiseFloor)})
		}},
	}
}

func (r *reader) workload(path string, n ast.Node, w *Workload) {
	r.mapping(path, n, append([]member{
		{"name", r.text(&w.Name)},
		{"title", r.text(&w.Title)},
		{"target", r.text(&w.Target)},
		{"data", func(path string, n ast.Node) {
			d := &w.Data
			r.mapping(path, n,
				member{"type", r.text(&d.Type)}, member{"prompts", r.texts(&d.Prompts, maxPrompts)},
				member{"isl", r.whole(&d.ISL)}, member{"tail", r.whole(&d.Tail)}, member{"dataset", r.text(&d.Dataset)}, member{"digest", r.text(&d.Digest)})
		}},
		{"load", func(path string, n ast.Node) {
			l := &w.Load
			r.mapping(path, n,
				member{"type", r.text(&l.Type)}, member{"concurrency", r.whole(&l.Concurrency)},
				member{"requests", r.whole(&l.Requests)}, member{"rate", r.number(&l.Rate)}, member{"rate_of_max", r.number(&l.RateOfMax)},
				member{"burstiness", r.number(&l.Burstiness)}, member{"max_in_flight", r.whole(&l.MaxInFlight)})
		}},
		{"matrix", func(path string, n ast.Node) { r.matrix(path, n, w) }},
		{"fit", r.text(&w.Fit)},
		{"collect", r.texts(&w.Collect, maxGates)},
		{"cancel", func(path string, n ast.Node) {
			r.mapping(path, n,
				member{"rate", r.number(&w.Cancel.Rate)}, member{"after_tokens", r.whole(&w.Cancel.AfterTokens)})
		}},
		{"slo", func(path string, n ast.Node) {
			r.mapping(path, n, member{"ttft", r.span(&w.SLO.TTFT)}, member{"tpot", r.span(&w.SLO.TPOT)}, member{"e2e", r.span(&w.SLO.E2E)})
		}},
		{"gates", func(path string, n ast.Node) {
			r.list(path, n, maxGates, "a list of gates", func(path string, n ast.Node) {
				w.Gates = append(w.Gates, r.gate(path, n))
			})
		}},
		{"speedups", func(path string, n ast.Node) {
			r.list(path, n, maxGates, "a list of speed-ups", func(path string, n ast.Node) {
				var s Speedup
				r.mapping(path, n, member{"metric", r.metric(&s.Metric)}, member{"over", r.text(&s.Over)})
				w.Speedups = append(w.Speedups, s)
			})
		}},
		{"bands", func(path string, n ast.Node) {
			r.list(path, n, maxGates, "a list of bands", func(path string, n ast.Node) {
				w.Bands = append(w.Bands, r.band(path, n))
			})
		}},
	}, r.shared(w)...)...)
	w.open(r.places[join(path, "warmup.mode")] != place{} || r.places["spec.defaults.warmup.mode"] != place{})
}

// matrix keeps the axes in the order of the document, the last one fastest.
func (r *reader) matrix(path string, n ast.Node, w *Workload) {
	axis := func(path string, n ast.Node) {
		a := Axis{Name: path[strings.LastIndexByte(path, '.')+1:]}
		of := "a list of whole numbers"
		if isRate(a.Name) {
			of = "a list of numbers"
		}
		r.list(path, n, maxValues, of, func(path string, n ast.Node) {
			if isRate(a.Name) {
				var v float64
				r.number(&v)(path, n)
				a.Values = append(a.Values, decimal(v))
				return
			}
			var v int
			r.whole(&v)(path, n)
			a.Values = append(a.Values, strconv.Itoa(v))
		})
		w.Matrix = append(w.Matrix, a)
	}
	var members []member
	if m, ok := n.(*ast.MappingNode); ok {
		for _, v := range m.Values { // in the order of the document
			for _, name := range axes() {
				if keyOf(v) == name && !hasKey(members, name) {
					members = append(members, member{name, axis})
				}
			}
		}
	}
	for _, name := range axes() {
		if !hasKey(members, name) {
			members = append(members, member{name, axis})
		}
	}
	r.mapping(path, n, members...)
}

func hasKey(members []member, key string) bool {
	for _, m := range members {
		if m.key == key {
			return true
		}
	}
	return false
}

func axes() []string { return []string{"concurrency", "rate", "rate_of_max", "isl", "osl"} }

// isRate says whether an axis has numbers that need not be whole.
func isRate(axis string) bool { return axis == "rate" || axis == "rate_of_max" }

func (r *reader) gate(path string, n ast.Node) Gate {
	g := Gate{Severity: Fail}
	var severity string
	r.mapping(path, n,
		member{"metric", r.metric(&g.Metric)}, member{"severity", r.text(&severity)},
		member{"max_drop", r.limit(&g.MaxDrop)}, member{"max_rise", r.limit(&g.MaxRise)},
		member{"max_ratio", r.limit(&g.MaxRatio)}, member{"min", r.limit(&g.Min)}, member{"max", r.limit(&g.Max)})
	for _, l := range []string{"max_drop", "max_rise", "max_ratio", "min", "max"} {
		if r.bad[join(path, l)] { // it is there, only wrong
			r.bad[join(path, "limit")] = true
		}
	}
	if severity != "" {
		g.Severity = Severity(severity)
	}
	return g
}

// band reads a reference: one value, or low and high.
func (r *reader) band(path string, n ast.Node) Band {
	var b Band
	var value, low, high *float64
	r.mapping(path, n,
		member{"metric", r.metric(&b.Metric)}, member{"label", r.text(&b.Label)},
		member{"value", r.limit(&value)}, member{"low", r.limit(&low)}, member{"high", r.limit(&high)})
	switch {
	case r.bad[join(path, "value")] || r.bad[join(path, "low")] || r.bad[join(path, "high")]:
	case value != nil && low == nil && high == nil:
		b.Low, b.High = *value, *value
	case value == nil && low != nil && high != nil:
		b.Low, b.High = *low, *high
	default:
		r.blame(Problem{Path: path, What: "a band is one value or a range", Wanted: "value, or low and high"})
	}
	return b
}

func (r *reader) metric(to *metric.ID) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		if r.outline.leaf(path, "metric", nil) {
			return
		}
		var s string
		r.text(&s)(path, n)
		if r.bad[path] {
			return
		}
		id, _, _, err := metric.Parse(s)
		if err != nil {
			name, _, _ := strings.Cut(s, ".")
			p := Problem{What: err.Error()}
			if _, known := metric.Lookup(name); !known {
				p = Problem{What: "unknown metric", Found: strconv.Quote(clip(s)), DidYouMean: metric.Suggest(name)}
				if p.DidYouMean == "" {
					p.Wanted = "one of " + strings.Join(metric.Names(), ", ")
				}
			}
			r.report(path, placeOf(n), p)
			return
		}
		*to = id
	}
}

// switchedOff reads "on" or "off"; to is true for "off".
func (r *reader) switchedOff(to *bool) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		if r.outline.leaf(path, "string", "on") {
			return
		}
		s, ok := n.(*ast.StringNode)
		switch {
		case ok && (s.Value == "on" || s.Value == "off"):
			*to = s.Value == "off"
		case ok:
			r.report(path, placeOf(n), Problem{
				What: "unknown " + key(path), Found: orNothing(s.Value), Wanted: "on, off", DidYouMean: metric.Nearest(s.Value, []string{"on", "off"}),
			})
		default:
			r.wrong(path, n, "on or off")
		}
	}
}

func (r *reader) texts(to *[]string, limit int) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		var out []string
		r.list(path, n, limit, "a list of strings", func(path string, n ast.Node) {
			var s string
			r.text(&s)(path, n)
			out = append(out, s)
		})
		*to = out
	}
}

func (r *reader) labels(to *map[string]string) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		if r.outline.leaf(path, "labels", nil) {
			return
		}
		var values []*ast.MappingValueNode
		switch n := n.(type) {
		case *ast.MappingNode:
			values = n.Values
		case *ast.MappingValueNode:
			values = []*ast.MappingValueNode{n}
		default:
			r.wrong(path, n, "a mapping of names to strings")
			return
		}
		if len(values) > maxLabels {
			r.report(path, placeOf(n), Problem{What: "too many labels", Found: strconv.Itoa(len(values)), Wanted: "at most " + strconv.Itoa(maxLabels)})
			return
		}
		out := map[string]string{}
		for _, v := range values {
			key := keyOf(v)
			p := join(path, key)
			r.places[p] = placeOf(v.Value)
			if _, twice := out[key]; twice {
				r.report(p, placeOf(v.Key), Problem{What: "label " + strconv.Quote(clip(key)) + " appears twice"})
				continue
			}
			var s string
			r.text(&s)(p, v.Value)
			out[key] = s
		}
		if len(out) > 0 {
			*to = out
		}
	}
}
