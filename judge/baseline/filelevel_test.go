package baseline

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
)

// many is a file of n runs of one round each.
func many(n int, change func(i int, r *result.Round)) *File {
	f := exported()
	one := f.Runs[0]
	f.Runs = nil
	for i := range n {
		x := one
		x.Document.Run.ID, x.Document.Run.Created = fmt.Sprint("m", i), day(1).Add(time.Duration(i)*time.Hour)
		r := one.Document.Rounds[0]
		r.ID, r.RunID, r.Ended = fmt.Sprint("m", i, "-1"), x.Document.Run.ID, x.Document.Run.Created.Add(time.Minute)
		r.Cells = slices.Clone(r.Cells)
		r.Cells[0].Values = []result.Value{{Metric: "output_rate", Value: 40 + float64(i%3), N: 3}}
		if change != nil {
			change(i, &r)
		}
		x.Document.Rounds = []result.Round{r}
		f.Runs = append(f.Runs, x)
	}
	return f
}

func keyOf(f *File, metric string) result.Key {
	d := &f.Runs[len(f.Runs)-1].Document
	for _, v := range d.Rounds[0].Cells[0].Values {
		if string(v.Metric) == metric {
			return result.KeyOf(&d.Rounds[0], d.Run.Subject, &d.Rounds[0].Cells[0], v.Metric)
		}
	}
	return result.Key{}
}

func TestFileLevels(t *testing.T) {
	f := many(12, nil)
	key := keyOf(f, "output_rate")
	b, err := f.Levels().Level(t.Context(), key)
	if err != nil || len(b.Values) != Rounds || b.Runs[9] != "m11" || b.Name != "main (file of 2026-11-09 12:00)" || b.Pooled != 0 {
		t.Fatalf("%+v, %v", b, err)
	}
	other := key
	other.Hardware.Cores = 8
	if b, _ = f.Levels().Level(t.Context(), other); len(b.Values) != 0 || b.Incomparable != "cores was 2, now 8" {
		t.Errorf("another class: %+v", b)
	}
	other.Cell = "new"
	if b, _ = f.Levels().Level(t.Context(), other); len(b.Values) != 0 || b.Incomparable != "" {
		t.Errorf("a new cell: %+v", b)
	}
	if b, _ = f.Levels().Level(t.Context(), result.Key{}); len(b.Values) != 0 {
		t.Errorf("no series: %+v", b)
	}
	if _, ok, err := f.Levels().Pinned(t.Context(), key); ok || err != nil {
		t.Errorf("a pinned level: %v, %v", ok, err)
	}
}

// TestFileLevelsPool: a short level borrows the noise of the file's others.
func TestFileLevelsPool(t *testing.T) {
	f := many(6, func(i int, r *result.Round) {
		if i == 5 {
			c := r.Cells[0]
			c.Cell = "c2"
			r.Cells = append(r.Cells, c)
		}
	})
	key := keyOf(f, "output_rate")
	key.Cell = "c2"
	b, _ := f.Levels().Level(t.Context(), key)
	if len(b.Values) != 1 || b.Pooled < 0.01 || strings.Contains(b.Incomparable, "cores") {
		t.Errorf("%+v", b)
	}
}
