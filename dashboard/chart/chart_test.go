package chart

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestTrendOption(t *testing.T) {
	b, err := Trend{
		Unit: "tok/s",
		Points: []Point{
			{Label: "a", Value: 100, Trials: []float64{99, 101}, Valid: true, Href: "/runs/a", Tip: "100 tok/s", Zone: "m1"},
			{Label: "b", Value: math.NaN(), Valid: false, Zone: "m1"},
			{Label: "c", Value: 70, Valid: true, Zone: "m2"},
		},
		Baseline: &Band{"baseline", 98, 102}, Limits: []Limit{{"fails below", 80, true}}, Bands: []Band{{"Candle", 4.89, 4.89}, {"vLLM", 50, 100}},
	}.Option()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		XAxis  []struct{ Data []string }
		Series []struct {
			Name     string
			Data     []json.RawMessage
			MarkLine struct{ Data []map[string]any }
			MarkArea struct{ Data []any }
		}
	}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	if strings.Join(got.XAxis[0].Data, "") != "abc" {
		t.Errorf("x axis %v", got.XAxis[0].Data)
	}
	if len(got.Series) != 3 || len(got.Series[0].Data) != 2 || len(got.Series[2].Data) != 2 {
		t.Fatalf("series %s", b)
	}
	if n := len(got.Series[1].MarkLine.Data); n != 3 { // threshold, Candle, change of machine
		t.Errorf("%d marked lines, want 3", n)
	}
	if n := len(got.Series[1].MarkArea.Data); n != 2 { // baseline, vLLM
		t.Errorf("%d marked areas, want 2", n)
	}
	if strings.Contains(string(b), "http") {
		t.Errorf("the option names another host: %s", b)
	}
}

// TestFaultsApart: a planted defect is shown as what it is and bends no line.
func TestFaultsApart(t *testing.T) {
	tr := Trend{Points: []Point{
		{Label: "a", Value: 100, Valid: true},
		{Label: "b", Value: 70, Valid: true, Fault: true},
		{Label: "c", Value: 60, Fault: true},
		{Label: "d", Value: 100, Valid: true, Current: true},
	}}
	if line := tr.median(); line[1] != nil || line[2] != nil || line[3].([]float64)[1] != 100 {
		t.Errorf("the line is %v", line)
	}
	var symbols []string
	for _, d := range tr.rounds() {
		symbols = append(symbols, d.Symbol)
	}
	if got := strings.Join(symbols, ","); got != ",triangle,triangle,diamond" {
		t.Errorf("symbols %q", got)
	}
}

func TestSpark(t *testing.T) {
	if p, _, _ := Spark([]float64{1}); p != "" {
		t.Errorf("one value gives %q", p)
	}
	p, x, y := Spark([]float64{1, 3, math.Inf(1), 2})
	if p != "2.0,22.0 60.0,2.0 118.0,12.0" || x != 118 || y != 12 {
		t.Errorf("points %q, last %g,%g", p, x, y)
	}
	if p, _, _ := Spark([]float64{5, 5}); p != "2.0,12.0 118.0,12.0" {
		t.Errorf("a flat line is %q", p)
	}
}
