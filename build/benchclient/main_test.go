package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// TestMain is the program itself where a test starts it anew.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "-mode" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestTurns lets both clients, each a process of its own, work on a real server: they count what it counts, and neither can
// see a first token before it was written.
func TestTurns(t *testing.T) {
	r := row{name: "test", slots: 2, requests: 8, first: 8 * time.Millisecond, gap: 2 * time.Millisecond}
	samples, err := turns(t.Context(), r, 2, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, s := range samples {
		order = append(order, s.Client)
		if s.Said.Requests < r.requests || s.Sent < s.Said.Requests || s.True.Requests != s.Said.Requests {
			t.Errorf("%s says %d requests of %d, the server %d", s.Client, s.Said.Requests, s.Sent, s.True.Requests)
		}
		if s.True.TTFTms < 8 || s.Said.TTFTms < s.True.TTFTms || s.True.TPOTms < 1.9 || s.Said.CPUms <= 0 || s.Said.PeakMiB < 1 {
			t.Errorf("%+v", s)
		}
	}
	if got := strings.Join(order, " "); got != "ours control control ours" {
		t.Errorf("turns: %s", got)
	}
	var out bytes.Buffer
	if err := table(&out, []row{r}, samples); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"TTFT ms over the truth", "concurrency kept %", "ours − control"} {
		if !strings.Contains(out.String(), words) {
			t.Errorf("the table lacks %q:\n%s", words, out.String())
		}
	}
}

// TestTrueReading: what a window holds is counted from the server's log, the warm-up's part of it included.
func TestTrueReading(t *testing.T) {
	const ms = 1_000_000
	answer := func(received int64) truth {
		return truth{Received: received * ms, Written: []int64{(received + 50) * ms, (received + 60) * ms, (received + 70) * ms}}
	}
	// One of warm-up that reaches 20 ms into the window, and two that follow one another.
	log := []truth{answer(150), answer(50), answer(100)}
	got := trueReading(log, reading{Requests: 2, Window: 0.1})
	want := reading{TTFTms: 50, TPOTms: 10, Window: 0.1, Requests: 2, Rate: 20, TokensRate: 60, Concurrency: 1.4}
	// In (100, 200]: two tokens of warm-up at 110 and 120, three of the first, one of the second at 200.
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if math.Abs(got.TokensRate-60) > 1e-9 || math.Abs(got.Concurrency-1.4) > 1e-9 || got.TTFTms != 50 || got.TPOTms != 10 || got.Requests != 2 {
		t.Errorf("got %s\nwant %s", a, b)
	}
	if got := trueReading(nil, reading{Requests: 2, Window: 1}); got != (reading{}) {
		t.Errorf("of an empty log: %+v", got)
	}
}
