package spec

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Rates of open loads, in requests a second, and as shares of the maximum.
const (
	minRate  = 0.001
	maxRate  = 100_000
	minShare = 0.01
	maxShare = 10
)

// schedule checks what only open loads and bursts have.
func (c *checker) schedule(path string, w *Workload) {
	l, p := &w.Load, path+".load"
	open, burst := l.Open(), l.Type == "burst"
	other := func(set bool, name, kinds string) {
		if set {
			c.add(p+"."+name, fmt.Sprintf("%s doesn't belong to a load of type %q", name, l.Type), "", "type: "+kinds)
		}
	}
	other(l.Rate != 0 && !open, "rate", "constant, poisson or gamma")
	other(l.RateOfMax != 0 && !open, "rate_of_max", "constant, poisson or gamma")
	other(l.Burstiness != 0 && l.Type != "gamma", "burstiness", "gamma")
	other(l.MaxInFlight != 0 && !open && !burst, "max_in_flight", "constant, poisson, gamma or burst")
	if l.Type == "gamma" {
		between(c, p+".burstiness", l.Burstiness, 0.01, 1000)
	}
	if open || burst {
		between(c, p+".max_in_flight", l.MaxInFlight, 1, maxInFlight)
	}
	switch {
	case burst && l.Requests == 0:
		c.add(p+".requests", "a burst has a number of requests", "", "requests: how many are sent at once")
	case open:
		c.rate(p, w)
	}
	if open && w.Warmup.Mode == "until_stable" {
		c.add(path+".warmup.mode", "an open load's output rate is that of its arrivals and never tells when the target is warm", w.Warmup.Mode, "requests, or none")
	}
}

// rate checks that there is one rate, and that it is in range.
func (c *checker) rate(p string, w *Workload) {
	l := w.Load
	var set []string
	for _, r := range []struct {
		name string
		set  bool
	}{
		{"rate", l.Rate != 0},
		{"rate_of_max", l.RateOfMax != 0},
		{"matrix: rate", w.hasAxis("rate")},
		{"matrix: rate_of_max", w.hasAxis("rate_of_max")},
	} {
		if r.set {
			set = append(set, r.name)
		}
	}
	if len(set) != 1 {
		c.add(p+".rate", "an open load has exactly one rate", orNone(set), "rate (requests a second) or rate_of_max (a share of what the target can do), here or in the matrix")
	}
	if l.Rate != 0 {
		between(c, p+".rate", l.Rate, minRate, maxRate)
	}
	if l.RateOfMax != 0 {
		between(c, p+".rate_of_max", l.RateOfMax, minShare, maxShare)
	}
}

// leastPoints are those that a fit needs.
const leastPoints = 3

// fit checks that there is an axis to fit over, and that no gate asks for a fit that isn't there.
func (c *checker) fit(path string, w *Workload) {
	for i, g := range w.Gates {
		if isFit(g.Metric) && w.Fit == "" {
			c.add(at(path+".gates", i)+".metric", fmt.Sprintf("%s is of a fit, and the workload has none", g.Metric), "", "fit: isl")
		}
	}
	if w.Fit == "" {
		return
	}
	c.word(path+".fit", w.Fit, words("fit")...)
	for _, a := range w.Matrix {
		if a.Name == w.Fit && len(a.Values) >= leastPoints {
			return
		}
	}
	c.add(path+".fit", "a fit has too few points", "", fmt.Sprintf("matrix: %s with at least %d values", w.Fit, leastPoints))
}

// leakRequests are those that a slope of memory needs.
const leakRequests = 50

// collect checks what is measured besides.
func (c *checker) collect(path string, w *Workload) {
	for i, what := range w.Collect {
		p := at(path+".collect", i)
		c.word(p, what, words("collect")...)
		if slices.Contains(w.Collect[:i], what) {
			c.add(p, "it stands twice", what, "")
		}
	}
	leak := slices.Contains(w.Collect, "leak")
	if leak && w.Load.Type != "sequential" {
		c.add(path+".collect", "memory at rest is read between requests, and here some are always in flight", w.Load.Type, "load: type: sequential")
	}
	if leak && trialRequests(w) < leakRequests {
		c.add(path+".collect", "a trial has too few requests for a leak", strconv.Itoa(trialRequests(w)), fmt.Sprintf("load.requests or window.min_requests of at least %d", leakRequests))
	}
	for i, g := range w.Gates {
		if g.Metric == "mem_leak" && !leak {
			c.add(at(path+".gates", i)+".metric", "mem_leak is not collected", "", "collect: [leak]")
		}
	}
}

func (c *checker) slo(path string, s SLO) {
	for _, x := range []struct {
		name string
		v    time.Duration
	}{{"ttft", s.TTFT}, {"tpot", s.TPOT}, {"e2e", s.E2E}} {
		if x.v != 0 {
			c.span(path+"."+x.name, x.v, time.Microsecond)
		}
	}
}

func (c *checker) load(path string, w *Workload) {
	l := &w.Load
	c.word(path+".load.type", l.Type, words("load.type")...)
	between(c, path+".load.concurrency", l.Concurrency, 1, maxInFlight)
	if l.Type != "closed" && l.Concurrency != 1 {
		what := "an open load or a burst has as many requests in flight as come"
		if l.Type == "sequential" {
			what = "a sequential load has one request in flight"
		}
		c.add(path+".load.concurrency", what, strconv.Itoa(l.Concurrency), "1, or type: closed")
	}
	c.schedule(path, w)
	between(c, path+".load.requests", l.Requests, 0, maxRequests)
	if l.Requests > 0 && l.Requests < w.Window.MinRequests {
		c.add(path+".load.requests", "a trial can't complete the window's min_requests", strconv.Itoa(l.Requests), fmt.Sprintf("0 or at least %d", w.Window.MinRequests))
	}
	for i, a := range w.Matrix {
		p := path + ".matrix." + a.Name
		if slices.ContainsFunc(w.Matrix[:i], func(b Axis) bool { return b.Name == a.Name }) {
			c.add(p, "the axis appears twice", "", "")
		}
		if len(a.Values) == 0 {
			c.add(p, "the axis has no value", "", "at least one")
		}
		most := maxTokens
		switch a.Name {
		case "concurrency":
			most = maxInFlight
			if l.Type != "closed" {
				c.add(p, fmt.Sprintf("a load of type %s has no concurrency to vary", l.Type), "", "load: type: closed")
			}
		case "rate", "rate_of_max":
			if !l.Open() {
				c.add(p, "only an open load has a rate to vary", orNothing(l.Type), "load: type: constant, poisson or gamma")
			}
		case "isl":
			if w.Data.Type != "synthetic" {
				c.add(p, "only synthetic data has a length to vary", orNothing(w.Data.Type), "data: type: synthetic")
			}
		case "osl":
		default:
			c.word(p, a.Name, axes()...)
		}
		for j, v := range a.Values {
			if isRate(a.Name) {
				low, high := minRate, float64(maxRate)
				if a.Name == "rate_of_max" {
					low, high = minShare, maxShare
				}
				if f, err := strconv.ParseFloat(v, 64); err != nil || f < low || f > high {
					c.add(at(p, j), "the rate is out of range", v, fmt.Sprintf("%v to %v", low, high))
				}
			} else if n, err := strconv.Atoi(v); err != nil || n < 1 || n > most || strconv.Itoa(n) != v {
				c.add(at(p, j), "the value is out of range", v, fmt.Sprintf("1 to %d", most))
			}
			if slices.Contains(a.Values[:j], v) {
				c.add(at(p, j), "the value appears twice", v, "")
			}
		}
	}
}
