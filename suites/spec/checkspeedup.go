package spec

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/paceline/paceline/bench/metric"
)

// variants are the targets that are another one with named options, and what they are
// variants of. A suite only names them: what the options are is internal/wire's, which
// every agent and worker has.
func variants() map[string]string {
	return map[string]string{
		"engine-w8": "engine", "engine-w4": "engine", "engine-lookup": "engine",
		"engine-cuda-w8": "engine-cuda", "engine-cuda-w4": "engine-cuda",
	}
}

// VariantOf gives the target that name is a variant of; ok is false where it is none.
func VariantOf(name string) (base string, ok bool) {
	base, ok = variants()[name]
	return base, ok
}

// Variants are the names of all variants, in alphabetical order.
func Variants() []string { return slices.Sorted(maps.Keys(variants())) }

// checkVariants reports what workloads say of one another and of the suite's targets.
func (s *Suite) checkVariants(c *checker) {
	for i := range s.Workloads {
		w, path := &s.Workloads[i], at("spec.workloads", i)
		if w.Target != "" {
			c.word(path+".target", w.Target, Variants()...)
			if base, ok := VariantOf(w.Target); ok && !slices.Contains(s.Targets, base) {
				c.add(path+".target", fmt.Sprintf("%s is a variant of target %s, which this suite doesn't measure", w.Target, base), quoted(s.Targets), base+" in spec.targets")
			}
		}
		for j, x := range w.Speedups {
			s.speedup(c, at(path+".speedups", j), w, x)
		}
	}
}

// speedup checks that every point of the workload has one of the other to be held
// against.
func (s *Suite) speedup(c *checker, path string, w *Workload, x Speedup) {
	def, ok := x.Metric.Def()
	switch {
	case x.Metric == "":
		c.add(path+".metric", "the speed-up's metric is missing", "", "metric: a name, such as output_rate")
	case ok && def.Better == metric.Neutral:
		c.add(path+".metric", fmt.Sprintf("%q has no better or worse", x.Metric), "", "a metric with a direction")
	}
	var names []string
	for i := range s.Workloads {
		if s.Workloads[i].Name != w.Name {
			names = append(names, s.Workloads[i].Name)
		}
	}
	k := slices.IndexFunc(s.Workloads, func(o Workload) bool { return o.Name == x.Over && o.Name != w.Name })
	if k < 0 {
		c.problems = append(c.problems, Problem{
			Path: path + ".over", What: "there is no other workload of this name", Found: orNothing(x.Over), Wanted: "the name of one of this suite",
			DidYouMean: metric.Nearest(x.Over, names),
		})
		return
	}
	o := &s.Workloads[k]
	if len(o.Matrix) == 0 {
		return // one cell, whatever the point
	}
	at := o.points()
	for _, p := range w.points() {
		if !slices.ContainsFunc(at, func(q point) bool { return maps.Equal(p.at, q.at) }) {
			c.add(path+".over", fmt.Sprintf("workload %q has no point %v", o.Name, p.at), "", "the same matrix, or none")
			return
		}
	}
}

// tail checks the part of prompts that isn't shared.
func (c *checker) tail(path string, w *Workload) {
	if w.Data.Tail == 0 {
		return
	}
	if w.Request.Cache != "shared" {
		c.add(path, "a tail of its own belongs to requests that share what is before it", strconv.Itoa(w.Data.Tail), "request: cache: shared")
		return
	}
	for _, p := range w.points() {
		if isl := p.workload.Data.ISL; isl > 0 && w.Data.Tail >= isl {
			c.add(path, "the tail leaves nothing to share", strconv.Itoa(w.Data.Tail), fmt.Sprintf("less than isl (%d)", isl))
			return
		}
	}
}
