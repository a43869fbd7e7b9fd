package core

import (
	"testing"
	"time"

	"github.com/paceline/paceline/coordinator/ledger"
)

func TestObserve(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	type look struct {
		after time.Duration // since the look before
		beat  uint64
		lost  bool
	}
	for _, c := range []struct {
		name  string
		looks []look
	}{
		{"silent", []look{{0, 1, false}, {4 * time.Second, 1, false}, {4 * time.Second, 1, false}, {4 * time.Second, 1, true}}},
		{"beating", []look{{0, 1, false}, {5 * time.Second, 2, false}, {5 * time.Second, 3, false}, {5 * time.Second, 4, false}}},
		{"beats again", []look{{0, 1, false}, {5 * time.Second, 1, false}, {5 * time.Second, 2, false}, {5 * time.Second, 2, false}, {5 * time.Second, 2, true}}},
		{"a stopped coordinator watched nothing", []look{{0, 1, false}, {time.Hour, 1, false}, {time.Second, 1, false}, {4 * time.Second, 1, true}}},
		{"a clock set back", []look{{0, 1, false}, {-time.Hour, 1, false}, {5 * time.Second, 1, false}, {5 * time.Second, 1, true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWatch(10 * time.Second)
			now := start
			for i, l := range c.looks {
				now = now.Add(l.after)
				got := w.observe([]ledger.Attempt{{ID: "a", Beat: l.beat}}, now)
				if (len(got) == 1) != l.lost {
					t.Errorf("look %d: lost is %v, want %v", i, len(got) == 1, l.lost)
				}
			}
		})
	}
	w := newWatch(time.Second)
	w.observe([]ledger.Attempt{{ID: "a"}}, start)
	w.observe(nil, start.Add(time.Second)) // it ended: forgotten
	if len(w.seen) != 0 {
		t.Errorf("still watching %v", w.seen)
	}
}
