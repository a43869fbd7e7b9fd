//go:build native

package main

import "testing"

func TestSignificant(t *testing.T) {
	for rate, want := range map[float64]string{0: "0.00", 4.891: "4.89", 27.53: "27.5", 512.4: "512", 25382.6: "25383"} {
		if got := significant(rate); got != want {
			t.Errorf("%v: got %q, want %q", rate, got, want)
		}
	}
}
