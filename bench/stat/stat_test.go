package stat

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"github.com/paceline/paceline/bench/metric"
)

func TestQuantile(t *testing.T) {
	values := []float64{7, 1, 3, 15, 9, 5, 11, 13} // numpy.quantile(…, method="linear")
	for q, want := range map[float64]float64{0: 1, 0.05: 1.7, 0.25: 4.5, 0.5: 8, 0.9: 13.6, 0.99: 14.86, 1: 15} {
		if got := Quantile(values, q); math.Abs(got-want) > 1e-12 {
			t.Errorf("q %g: %g, want %g", q, got, want)
		}
	}
	if values[0] != 7 {
		t.Error("the caller's values were sorted")
	}
	for _, bad := range []float64{-0.1, 1.1, math.NaN()} {
		if got := Quantile(values, bad); !math.IsNaN(got) {
			t.Errorf("q %g gives %g", bad, got)
		}
	}
	if got := Quantile([]float64{math.Inf(1), math.Inf(1)}, 0.5); !math.IsInf(got, 1) {
		t.Errorf("median of two infinities is %g", got)
	}
}

func TestMoments(t *testing.T) {
	values := []float64{2, 4, 4, 4, 5, 5, 7, 9}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"median", Median(values), 4.5},
		{"mean", Mean(values), 5},
		{"mad", MAD(values), 0.5},
		{"spread", Spread(values), 0.5 * MADScale},
		{"half range", HalfRange(values), 3.5},
		{"cv", CV(values), math.Sqrt(32.0/7) / 5},
		{"mean near the largest number", Mean([]float64{math.MaxFloat64, math.MaxFloat64}), math.MaxFloat64},
	} {
		if math.Abs(c.got-c.want) > 1e-12*math.Abs(c.want) {
			t.Errorf("%s: %g, want %g", c.name, c.got, c.want)
		}
	}
	for name, got := range map[string]float64{
		"median": Median(nil), "mean": Mean(nil), "mad": MAD(nil), "half range": HalfRange(nil), "cv": CV([]float64{1}),
	} {
		if !math.IsNaN(got) {
			t.Errorf("%s of nothing is %g", name, got)
		}
	}
}

func TestOfKnowsWhatItNeeds(t *testing.T) {
	few := make([]float64, 43)
	_, err := Of(metric.P90, few)
	var short *InsufficientError
	if !errors.As(err, &short) || short.Need != 44 || short.Have != 43 {
		t.Errorf("p90 of 43: %v", err)
	}
	for _, d := range metric.Table() {
		for _, s := range d.Stats {
			if _, err := Of(s, make([]float64, s.MinSamples())); err != nil {
				t.Errorf("%s: %v", d.ID(s), err)
			}
		}
	}
}

func FuzzQuantile(f *testing.F) {
	f.Add([]byte("0123456789abcdef0123456789abcdef"), 0.5)
	f.Fuzz(func(t *testing.T, b []byte, q float64) {
		var values []float64
		for ; len(b) >= 8; b = b[8:] {
			values = append(values, math.Float64frombits(binary.LittleEndian.Uint64(b)))
		}
		got := Quantile(values, q)
		if math.IsNaN(got) {
			return
		}
		if got < slices.Min(values) || got > slices.Max(values) {
			t.Errorf("quantile %g of %v is %g, outside them", q, values, got)
		}
		_, _, _ = MAD(values), CV(values), Mean(values)
	})
}
