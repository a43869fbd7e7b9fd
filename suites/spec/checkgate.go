package spec

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/paceline/paceline/bench/metric"
)

// Limits are the limits of a gate that are set, by name.
func (g Gate) limits() []string {
	var set []string
	for _, l := range []struct {
		name string
		v    *float64
	}{{"max_drop", g.MaxDrop}, {"max_rise", g.MaxRise}, {"max_ratio", g.MaxRatio}, {"min", g.Min}, {"max", g.Max}} {
		if l.v != nil {
			set = append(set, l.name)
		}
	}
	return set
}

// Compares says whether the gate compares with a baseline; if not, its limit is a
// value in the metric's unit.
func (g Gate) Compares() bool { return g.MaxDrop != nil || g.MaxRise != nil || g.MaxRatio != nil }

// gate checks the i-th gate of a workload: that its metric is known and can be
// judged in that way, and that a trial has the samples for it.
func (c *checker) gate(path string, w *Workload, i int) {
	g := w.Gates[i]
	c.word(path+".severity", string(g.Severity), words("gates.severity")...)
	set := g.limits()
	if len(set) != 1 {
		c.add(path+".limit", "a gate has exactly one limit", orNone(set), "one of max_drop, max_rise, max_ratio, min, max")
	}
	if g.Metric == "" {
		c.add(path+".metric", "the gate's metric is missing", "", "metric: a name, such as output_rate")
		return
	}
	id, def, stat, err := metric.Parse(string(g.Metric))
	if err != nil {
		c.add(path+".metric", err.Error(), "", "")
		return
	}
	if id != g.Metric {
		c.add(path+".metric", "the metric's statistic is missing", string(g.Metric), string(id))
	}
	for j := range w.Gates[:i] {
		// A gate may stand beside another of its metric, but not twice in one way.
		if w.Gates[j].Metric == g.Metric && reflect.DeepEqual(w.Gates[j].limits(), set) {
			c.add(path, fmt.Sprintf("metric %q has this kind of gate twice", g.Metric), "", "one "+strings.Join(set, ", "))
		}
	}
	if def.Validity {
		c.add(path+".metric", fmt.Sprintf("%q says whether a trial is valid, it can't be gated", g.Metric), "", "a limit in validity")
		return
	}
	c.direction(path, g, def)
	c.amount(path, g)
	if need := stat.MinSamples(); perRequest(def) && trialRequests(w) < need {
		c.add(path+".metric", fmt.Sprintf("a trial has too few requests for %s", g.Metric), strconv.Itoa(trialRequests(w)),
			fmt.Sprintf("window.min_requests or load.requests of at least %d", need))
	}
}

func orNone(set []string) string {
	if len(set) == 0 {
		return "none"
	}
	return strings.Join(set, ", ")
}

// direction refuses limits that look the wrong way.
func (c *checker) direction(path string, g Gate, def metric.Def) {
	refuse := func(name string, v *float64, want metric.Direction, instead string) {
		if v != nil && def.Better != want {
			c.add(path+"."+name, fmt.Sprintf("%s is for metrics of which %s", name, want), fmt.Sprintf("%s, of which %s", def.Name, def.Better), instead)
		}
	}
	switch def.Better {
	case metric.HigherIsBetter:
		refuse("max_rise", g.MaxRise, metric.LowerIsBetter, "max_drop")
		refuse("max_ratio", g.MaxRatio, metric.LowerIsBetter, "max_drop")
	case metric.LowerIsBetter:
		refuse("max_drop", g.MaxDrop, metric.HigherIsBetter, "max_rise or max_ratio")
	default:
		if g.Compares() {
			c.add(path+".metric", fmt.Sprintf("of %s neither direction is better", def.Name), "", "min or max")
		}
	}
	// A share may be 0, of which no part can be taken.
	if g.Compares() && def.Unit == "1" {
		c.add(path+".metric", fmt.Sprintf("%s may be 0, so that a change relative to it means nothing", def.Name), "", "min or max")
	}
	if g.Severity == Critical && g.Compares() {
		c.add(path+".severity", "critical fails without confirmation, which a noisy comparison needs", string(g.Severity), "fail, or a min or max")
	}
}

// amount checks the limits' values.
func (c *checker) amount(path string, g Gate) {
	if v := g.MaxDrop; v != nil && (*v < 0.01 || *v > 0.95) {
		c.add(path+".max_drop", "max_drop is out of range", fmt.Sprint(*v), "0.01 to 0.95, as a share: 0.20 is 20 %")
	}
	if v := g.MaxRise; v != nil && (*v < 0.01 || *v > 10) {
		c.add(path+".max_rise", "max_rise is out of range", fmt.Sprint(*v), "0.01 to 10, as a share: 0.20 is 20 %")
	}
	if v := g.MaxRatio; v != nil && (*v < 1.01 || *v > 100) {
		c.add(path+".max_ratio", "max_ratio is out of range", fmt.Sprint(*v), "1.01 to 100: 2.0 is twice the baseline")
	}
}

// perRequest says whether each request gives the metric one value, so that a trial
// has as many as requests. Gaps and readings of the system are more.
func perRequest(d metric.Def) bool { return d.Name != "gap" && d.Source != metric.System }

// trialRequests is how many completed requests a trial has at least.
func trialRequests(w *Workload) int { return max(w.Load.Requests, w.Window.MinRequests) }
