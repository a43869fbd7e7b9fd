package spec

import (
	"fmt"
	"slices"
)

// Judged is head, measured as it says, with the rules that hold for a change of base:
// a gate that base has is base's, whatever head makes of it; one that base has not
// holds as head has it, since it can only demand more. A workload that head doesn't
// measure any more can't be judged: Loosened says so.
//
// A gate is the one on its metric with its kind of limit, as within one suite.
func Judged(base, head *Suite) *Suite {
	out := *head
	out.Workloads = slices.Clone(head.Workloads)
	for i := range out.Workloads {
		w := &out.Workloads[i]
		j := slices.IndexFunc(base.Workloads, func(v Workload) bool { return v.Name == w.Name })
		if j < 0 {
			continue
		}
		gates := slices.Clone(base.Workloads[j].Gates)
		for _, g := range w.Gates {
			if find(gates, g) < 0 {
				gates = append(gates, g)
			}
		}
		w.Gates = gates
	}
	return &out
}

// Loosened says, one sentence each with both values, where head's gates demand less
// than base's: a gate or workload that is gone, a wider limit, a lower severity. A
// change is judged by the rules of its base (Judged), and is told so where it loosens
// them.
func Loosened(base, head *Suite) []string {
	var out []string
	for i := range base.Workloads {
		w := &base.Workloads[i]
		j := slices.IndexFunc(head.Workloads, func(v Workload) bool { return v.Name == w.Name })
		if j < 0 {
			if len(w.Gates) > 0 {
				out = append(out, fmt.Sprintf("workload %s is gone, with %d gates", w.Name, len(w.Gates)))
			}
			continue
		}
		for _, g := range w.Gates {
			out = append(out, looser(w.Name, g, head.Workloads[j].Gates)...)
		}
	}
	return out
}

// find gives the index of the gate with g's metric and kind of limit, or −1. A suite
// has at most one.
func find(gates []Gate, g Gate) int {
	name, _ := g.limit()
	return slices.IndexFunc(gates, func(h Gate) bool {
		other, _ := h.limit()
		return h.Metric == g.Metric && other == name
	})
}

// looser compares one gate with the one of its metric and kind of limit.
func looser(workload string, g Gate, gates []Gate) []string {
	name, was := g.limit()
	where := fmt.Sprintf("workload %s, gate on %s", workload, g.Metric)
	i := find(gates, g)
	if i < 0 {
		return []string{fmt.Sprintf("%s: %s %s is gone", where, name, decimal(was))}
	}
	var out []string
	_, now := gates[i].limit()
	if name == "min" && now < was || name != "min" && now > was {
		out = append(out, fmt.Sprintf("%s: %s was %s, now %s", where, name, decimal(was), decimal(now)))
	}
	weight := []Severity{Investigate, Fail, Critical}
	if h := gates[i]; slices.Index(weight, h.Severity) < slices.Index(weight, g.Severity) {
		out = append(out, fmt.Sprintf("%s: severity was %s, now %s", where, g.Severity, h.Severity))
	}
	return out
}

// limit is the gate's limit with its name; a valid gate has exactly one.
func (g Gate) limit() (name string, v float64) {
	for _, l := range []struct {
		name string
		v    *float64
	}{{"max_drop", g.MaxDrop}, {"max_rise", g.MaxRise}, {"max_ratio", g.MaxRatio}, {"min", g.Min}, {"max", g.Max}} {
		if l.v != nil {
			return l.name, *l.v
		}
	}
	return "", 0
}
