package plan

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

// TestTableHoldsTheAims counts what the project promises to reach.
func TestTableHoldsTheAims(t *testing.T) {
	want := map[string][]string{
		"decode-bf16":       {"ratio 1 llama.cpp bf16", "share 0.88", "ratio 2.7 candle f32"},
		"decode-w8":         {"ratio 1.25 llama.cpp q8_0", "share 0.8"},
		"decode-w4":         {"ratio 1.2 llama.cpp q4_0", "share 0.78", "ratio 7 candle f32"},
		"prefill-bf16":      {"ratio 1.25 llama.cpp bf16", "ratio 1.1 transformers bf16"},
		"prefill-w8":        {"ratio 2.2 llama.cpp q8_0"},
		"prefill-w4":        {"ratio 1.6 llama.cpp q4_0"},
		"prefill-exact":     {"at least 200"},
		"prefill-long-bf16": {"ratio 0.85 paceline bf16"},
		"prefill-long-w8":   {"ratio 0.85 paceline w8"},
		"prefill-long-w4":   {"ratio 0.85 paceline w4"},
		"streams-8-bf16":    {"ratio 1.2 llama.cpp bf16"},
		"streams-32-bf16":   {"ratio 1.2 llama.cpp bf16"},
		"streams-8-w8":      {"ratio 1.2 llama.cpp q8_0"},
		"streams-32-w8":     {"ratio 1.2 llama.cpp q8_0"},
		"ttft-bf16":         {"ratio 1.3 llama.cpp bf16"},
		"ttft-w8":           {"ratio 1.3 llama.cpp q8_0"},
		"memory-bf16":       {"needed 1.15"},
		"memory-w8":         {"needed 1.15"},
		"start-bf16":        {"at most 1.5"},
		"start-w8":          {"at most 0.8"},
	}
	got := map[string][]string{}
	for _, r := range Table() {
		if r.Ours.Program != Engine {
			t.Errorf("row %s measures %s and not the engine", r.ID, r.Ours.Program)
		}
		for _, target := range r.Targets {
			text := fmt.Sprintf("%s %g", target.Check, target.Want)
			if p := target.Peer; p != nil {
				text += fmt.Sprintf(" %s %s", p.Program, p.Format)
				if p.Kind != r.Ours.Kind || p.Decode != r.Ours.Decode || p.Streams != r.Ours.Streams {
					t.Errorf("row %s compares %+v with %+v", r.ID, r.Ours, *p)
				}
			}
			got[r.ID] = append(got[r.ID], text)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the table has\n%v\nwant\n%v", got, want)
	}
}

func TestOnly(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"decode-w8"}, "decode-w8"},
		{[]string{"start", "decode"}, "decode-bf16 decode-w8 decode-w4 start-bf16 start-w8"},
		{[]string{"prefill-long"}, "prefill-long-bf16 prefill-long-w8 prefill-long-w4"},
	} {
		rows, err := Only(Table(), c.names)
		var ids []string
		for _, r := range rows {
			ids = append(ids, r.ID)
		}
		if got := strings.Join(ids, " "); err != nil || got != c.want {
			t.Errorf("%q gives %q, %v; want %q", c.names, got, err, c.want)
		}
	}
	if all, err := Only(Table(), nil); err != nil || len(all) != len(Table()) {
		t.Errorf("no names give %d rows, %v", len(all), err)
	}
	for _, name := range []string{"decod", "", "decode-"} {
		if _, err := Only(Table(), []string{name}); err == nil || !strings.Contains(err.Error(), "decode-bf16") {
			t.Errorf("%q: error %v, want one that lists the rows", name, err)
		}
	}
}

// TestTurnsTakeTurns: each task once a round, each second round backwards, rows together.
func TestTurnsTakeTurns(t *testing.T) {
	a, b := Task{Program: Engine, Kind: Decode}, Task{Program: Candle, Kind: Decode}
	rows := []Row{
		{ID: "x", Ours: a, Targets: []Target{{Check: Ratio, Peer: &b}, {Check: Share}, {Check: Ratio, Peer: &b}}},
		{ID: "y", Ours: b},
	}
	var got []string
	for _, turn := range Turns(rows, 3) {
		got = append(got, fmt.Sprintf("%d%d%c", turn.Row, turn.Round, turn.Task.Program[0]))
	}
	if want := "00p 00c 01c 01p 02p 02c 10c 11c 12c"; strings.Join(got, " ") != want {
		t.Errorf("turns %q, want %q", strings.Join(got, " "), want)
	}
}

// TestMedianRank holds the ranks against Conover's table of the sign test: below six values
// there is no 95 % interval.
func TestMedianRank(t *testing.T) {
	for n, want := range map[int]int{0: 0, 1: 0, 5: 0, 6: 1, 8: 1, 9: 2, 11: 2, 12: 3, 15: 4, 20: 6, 25: 8, 50: 18} {
		if got := medianRank(n); got != want {
			t.Errorf("n = %d: rank %d, want %d", n, got, want)
		}
	}
	for n := range 200 { // by the definition, summed exactly in another order
		k := medianRank(n)
		below := func(k int) float64 {
			sum := 0.0
			for i := k - 1; i >= 0; i-- {
				lg, _ := math.Lgamma(float64(n + 1))
				li, _ := math.Lgamma(float64(i + 1))
				lr, _ := math.Lgamma(float64(n - i + 1))
				sum += math.Exp(lg - li - lr - float64(n)*math.Ln2)
			}
			return sum
		}
		if below(k) > 0.025+1e-12 || below(k+1) <= 0.025-1e-12 {
			t.Errorf("n = %d: rank %d misses with %g, the next with %g", n, k, below(k), below(k+1))
		}
	}
}

func TestSummarise(t *testing.T) {
	if s := Summarise(nil); s != (Summary{}) {
		t.Errorf("of nothing: %+v", s)
	}
	s := Summarise([]float64{9, 1, 8, 2, 7, 3, 6, 4, 5})
	if s.N != 9 || s.Median != 5 || s.Min != 1 || s.Max != 9 || s.Low == nil || *s.Low != 2 || *s.High != 8 {
		t.Errorf("of 1 to 9: %+v, want the interval 2 to 8", s)
	}
	if s := Summarise([]float64{1, 2, 3, 4, 5}); s.Low != nil || s.High != nil {
		t.Errorf("five values have an interval: %+v", s)
	}
}
