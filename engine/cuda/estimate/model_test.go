package estimate

import (
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/model"
)

func qwen(t *testing.T) model.Config {
	t.Helper()
	c, err := model.PresetConfig("qwen2.5-0.5b")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRows holds the model against its own arithmetic, done by hand for one row: 988 MB of bf16 weights and 6 MB
// of keys and values at 4.3 TB/s are 231 µs, 146 gaps of 2.2 µs 321 µs.
func TestRows(t *testing.T) {
	rows, err := Rows(qwen(t), 512)
	if err != nil || len(rows) != 24 {
		t.Fatalf("%d rows, error %v, want 24", len(rows), err)
	}
	r := rows[12]
	if r.GPU != "H200" || r.Weights != "bf16" || r.Batch != 1 {
		t.Fatalf("row 12 is %+v", r)
	}
	near := func(what string, got time.Duration, want float64) {
		if us := float64(got.Nanoseconds()) / 1e3; us < want-2 || us > want+2 {
			t.Errorf("%s: %.1f µs, want %.0f", what, us, want)
		}
	}
	near("floor", r.Floor, 231)
	near("slow", r.Slow, 552)
	near("fast", r.Fast, 421)
	for i, r := range rows {
		if r.Floor <= 0 || r.Fast <= r.Floor || r.Slow <= r.Fast {
			t.Errorf("row %d isn't in order: %+v", i, r)
		}
	}
	if w8, bf16 := rows[16].Floor, rows[12].Floor; float64(w8)/float64(bf16) > 0.52 {
		t.Errorf("the floor of w8 is %v, that of bf16 %v", w8, bf16)
	}
}

func TestPrintSaysWhatItIs(t *testing.T) {
	var b strings.Builder
	if err := Print(&b, qwen(t), 512); err != nil {
		t.Fatal(err)
	}
	if s := b.String(); !strings.HasPrefix(s, "MODELLED, not measured") || !strings.Contains(s, "146 launches") || strings.Count(s, "H200") != 12 {
		t.Errorf("got\n%s", s)
	}
}
