package harness

import (
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/suites/spec"
)

// schedule says how much of an open load's schedule there was, and how much of it was sent while the window lasted.
func (g gathered) schedule(w Window) {
	if !w.Scheduled || w.Nanos <= 0 || len(w.Own) == 0 {
		return
	}
	sent := 0
	for i := range w.Own {
		if w.Own[i].Admitted <= 1+w.Nanos {
			sent++
		}
	}
	g.add("offered_rate", float64(len(w.Own))/(float64(w.Nanos)/1e9))
	g.add("delivered_ratio", float64(sent)/float64(len(w.Own)))
}

// goodput counts the requests that began in the window, ended well and kept every limit. Requests that were cancelled on
// purpose are neither good nor bad.
func (g gathered) goodput(w Window) {
	if w.SLO == (spec.SLO{}) || w.Nanos <= 0 {
		return
	}
	good, all := 0, 0
	for i := range w.Own {
		s := &w.Own[i]
		if s.CancelAt != 0 && s.Error == "" {
			continue
		}
		all++
		if keeps(s, w.SLO) {
			good++
		}
	}
	if all == 0 {
		return
	}
	g.add("goodput", float64(good)/(float64(w.Nanos)/1e9))
	g.add("good_fraction", float64(good)/float64(all))
}

// keeps says whether a request ended well and within every limit, from the schedule on.
func keeps(s *result.Sample, slo spec.SLO) bool {
	if s.Error != "" || truncated(s) || len(s.Events) == 0 {
		return false
	}
	first, last := s.Events[0], s.Events[len(s.Events)-1]
	within := func(ns int64, limit time.Duration) bool { return limit == 0 || ns <= limit.Nanoseconds() }
	if !within(first-s.Scheduled, slo.TTFT) || !within(last-s.Scheduled, slo.E2E) {
		return false
	}
	n := tokens(s)
	return n < 2 || len(s.Events) < 2 || within((last-first)/int64(n-1), slo.TPOT)
}
