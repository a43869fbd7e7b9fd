package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/paceline/paceline/bench/stat"
)

// column is a figure of a sample.
type column struct {
	title string
	of    func(sample) float64
	form  string
}

// off is by how much, in percent, what was said is more than what was.
func off(said, was float64) float64 { return 100 * (said/was - 1) }

func columns(ceiling bool) []column {
	if ceiling {
		return []column{
			{"requests/s", func(s sample) float64 { return s.Said.Rate }, "%.0f"},
			{"CPU ms a request", func(s sample) float64 { return s.Said.CPUms / float64(max(s.Sent, 1)) }, "%.3f"},
			{"peak MiB", func(s sample) float64 { return s.Said.PeakMiB }, "%.0f"},
			{"TTFT ms over the truth", func(s sample) float64 { return s.Said.TTFTms - s.True.TTFTms }, "%+.2f"},
		}
	}
	return []column{
		{"TTFT ms over the truth", func(s sample) float64 { return s.Said.TTFTms - s.True.TTFTms }, "%+.3f"},
		{"TPOT %", func(s sample) float64 { return off(s.Said.TPOTms, s.True.TPOTms) }, "%+.3f"},
		{"tok/s %", func(s sample) float64 { return off(s.Said.TokensRate, s.True.TokensRate) }, "%+.3f"},
		{"concurrency kept %", func(s sample) float64 { return 100 * s.Said.Concurrency / float64(slotsOf(s)) }, "%.2f"},
	}
}

func slotsOf(s sample) int {
	for _, r := range rows(false) {
		if r.name == s.Row {
			return r.slots
		}
	}
	return 1
}

// table prints the median of each figure over the rounds, and its range.
func table(w io.Writer, all []row, samples []sample) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, r := range all {
		fmt.Fprintf(t, "\n%s\tours\t(least to most)\tcontrol\t(least to most)\tours − control\tours ÷ control\n", r.name)
		for _, c := range columns(r.ceiling) {
			var ours, control []float64
			for _, s := range samples {
				switch {
				case s.Row != r.name:
				case s.Client == "ours":
					ours = append(ours, c.of(s))
				default:
					control = append(control, c.of(s))
				}
			}
			if len(ours) == 0 || len(control) == 0 {
				continue
			}
			a, b := stat.Median(ours), stat.Median(control)
			one := func(v []float64) string {
				return fmt.Sprintf("%s\t(%s to %s)", fmt.Sprintf(c.form, stat.Median(v)), fmt.Sprintf(c.form, slices.Min(v)), fmt.Sprintf(c.form, slices.Max(v)))
			}
			difference, ratio := fmt.Sprintf("%+.3f", a-b), "–"
			if r.ceiling && b > 0 && c.title != "TTFT ms over the truth" {
				difference, ratio = "–", fmt.Sprintf("%.2f", a/b)
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", c.title, one(ours), one(control), difference, ratio)
		}
	}
	return t.Flush()
}
