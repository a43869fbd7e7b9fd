package core

import (
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/gate"
)

// TestClocksThatDisagree: machines whose clocks are a day off, either way, change
// neither the order of a level nor a verdict; order is the ledger's.
func TestClocksThatDisagree(t *testing.T) {
	w := newWorld(t, nil)
	skewed := func(rate float64, by time.Duration) machine {
		m := at(rate)
		m.change = func(r *result.Round) { r.Started, r.Ended = r.Started.Add(by), r.Ended.Add(by) }
		return m
	}
	// An old level on a clock that is ahead, a new one on a clock that is behind.
	for range 10 {
		w.measure(SubmitRequest{Branch: "main", Commit: "old"}, skewed(10, 24*time.Hour))
	}
	for range 10 {
		w.measure(SubmitRequest{Branch: "main", Commit: "new"}, skewed(20, -24*time.Hour))
	}
	candidate := SubmitRequest{Branch: "topic", Commit: "c", BaseRef: "main", Lane: result.LaneCandidate}
	if r, _ := w.measure(candidate, skewed(14, 24*time.Hour)); r.Verdict != string(gate.Fail) || r.Exit != gate.ExitFail {
		t.Errorf("against the newest ten by arrival, 14 of 20: %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
	if r, _ := w.measure(candidate, skewed(19.8, -24*time.Hour)); r.Verdict != string(gate.Pass) {
		t.Errorf("against the newest ten by arrival, 19.8 of 20: %s: %s", r.Verdict, w.headline(r.ID))
	}
}
