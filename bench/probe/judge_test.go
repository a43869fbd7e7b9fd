package probe

import (
	"math"
	"slices"
	"testing"

	"github.com/paceline/paceline/bench/result"
)

func TestJudge(t *testing.T) {
	steady := slices.Repeat([]float64{100}, 10)
	noisy := []float64{90, 92, 94, 96, 98, 100, 102, 104, 106, 108, 110} // median 100, spread 8.9
	for _, c := range []struct {
		name      string
		value     float64
		history   []float64
		off, warn bool
	}{
		{"no history", 1, nil, false, false},
		{"like its history", 100, steady, false, false},
		{"five per cent is allowed", 95, steady, false, false},
		{"six per cent down", 94, steady, true, false},
		{"six per cent up", 106, steady, true, false},
		{"a noisy machine is allowed more", 80, noisy, false, false},
		{"and not everything", 70, noisy, true, false},
		{"nine readings only warn", 50, steady[:9], true, true},
		{"not a number", math.NaN(), steady, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, off := Judge(result.Probe{Kind: "cpu.read", Unit: "GB/s", Value: c.value, When: "before"}, c.history)
			if off != c.off || r.Warn != c.warn || (r.Code == "probe") != c.off {
				t.Errorf("off %v, reason %+v; want off %v, warn %v", off, r, c.off, c.warn)
			}
		})
	}
}
