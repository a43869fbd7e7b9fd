package calibrate

import (
	"encoding/json"
	"math"
	"testing"
)

// TestTrue: what a window holds is counted from the server's log, the warm-up's part of it included.
func TestTrue(t *testing.T) {
	const ms = 1_000_000
	answer := func(received int64) Truth {
		return Truth{Received: received * ms, Written: []int64{(received + 50) * ms, (received + 60) * ms, (received + 70) * ms}}
	}
	// One of warm-up that reaches 20 ms into the window, and two that follow one another.
	log := []Truth{answer(150), answer(50), answer(100)}
	got := True(log, Reading{Requests: 2, Window: 0.1})
	want := Reading{TTFTms: 50, TPOTms: 10, Window: 0.1, Requests: 2, Rate: 20, TokensRate: 60, Concurrency: 1.4}
	// In (100, 200]: two tokens of warm-up at 110 and 120, three of the first, one of the second at 200.
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if math.Abs(got.TokensRate-60) > 1e-9 || math.Abs(got.Concurrency-1.4) > 1e-9 || got.TTFTms != 50 || got.TPOTms != 10 || got.Requests != 2 {
		t.Errorf("got %s\nwant %s", a, b)
	}
	if got := True(nil, Reading{Requests: 2, Window: 1}); got != (Reading{}) {
		t.Errorf("of an empty log: %+v", got)
	}
}
