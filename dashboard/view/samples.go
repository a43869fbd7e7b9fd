package view

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
)

// Limits of what a page shows of a run's samples.
const (
	ShownSamples = 200
	readSamples  = 50_000
	minDist      = 5 // samples of a distribution worth drawing
)

// ErrEnough ends reading samples early; it is not a failure.
var ErrEnough = errors.New("enough samples")

// Samples gathers a run's requests: the first of them for a table, the rest for
// distributions. Its zero value is ready.
type Samples struct {
	Rows  []SampleRow
	Total int  // read
	More  bool // there are more than were read
	cells []cellSamples
}

// SampleRow is a request in a table.
type SampleRow struct {
	Round, Trial, Index int
	Workload            string
	TTFT, TPOT, Total   string
	Prompt              string
	Tokens              string
	Finish              string
	Warmup              bool
}

// cellSamples are the latencies of one cell outside warm-up.
type cellSamples struct {
	cell       string
	name       string
	ttft, gaps []float64 // ms
}

// Names maps the digests of cells to what people call them.
func Names(rounds []Round) map[string]string {
	out := map[string]string{}
	for _, x := range rounds {
		for _, c := range x.Cells {
			out[c.Cell] = c.Workload
			if p := PointText(c.Point); p != "" {
				out[c.Cell] += " · " + p
			}
		}
	}
	return out
}

// Add takes one more. ErrEnough says that no more are wanted.
func (s *Samples) Add(x result.Sample, names map[string]string) error {
	if s.Total == readSamples {
		s.More = true
		return ErrEnough
	}
	s.Total++
	name := names[x.Cell]
	if name == "" {
		name = Short(x.Cell)
	}
	if len(s.Rows) < ShownSamples {
		s.Rows = append(s.Rows, sampleRow(x, name))
	}
	if x.Trial == 0 || x.Error != "" || len(x.Events) == 0 {
		return nil
	}
	i := slices.IndexFunc(s.cells, func(c cellSamples) bool { return c.cell == x.Cell })
	if i < 0 {
		i = len(s.cells)
		s.cells = append(s.cells, cellSamples{cell: x.Cell, name: name})
	}
	c := &s.cells[i]
	c.ttft = append(c.ttft, ms(x.Events[0]-x.Admitted))
	for k := 1; k < len(x.Events); k++ {
		c.gaps = append(c.gaps, ms(x.Events[k]-x.Events[k-1]))
	}
	return nil
}

func sampleRow(x result.Sample, name string) SampleRow {
	row := SampleRow{
		Round: x.Round, Trial: x.Trial, Index: x.Index, Workload: name, TTFT: Missing, TPOT: Missing, Total: Missing,
		Prompt: fmt.Sprint(x.PromptTokens), Tokens: Missing, Finish: orMissing(x.Finish), Warmup: x.Trial == 0,
	}
	if x.CachedTokens > 0 {
		row.Prompt += fmt.Sprintf(" (%d cached)", x.CachedTokens)
	}
	if x.Error != "" {
		row.Finish = "error: " + x.Error
	} else if x.Broken != "" {
		row.Finish = "broken: " + x.Broken
	}
	tokens := 0
	for _, n := range []*int{x.Tokens.Retokenised, x.Tokens.Usage, x.Tokens.Engine} {
		if n != nil {
			tokens = *n
			row.Tokens = fmt.Sprintf("%d of %d", *n, x.WantTokens)
		}
	}
	if k := len(x.Events); k > 0 {
		row.TTFT = fmt.Sprintf("%.2f", ms(x.Events[0]-x.Admitted))
		row.Total = fmt.Sprintf("%.1f", ms(x.Events[k-1]-x.Admitted))
		if tokens > 1 && k > 1 {
			row.TPOT = fmt.Sprintf("%.3f", ms(x.Events[k-1]-x.Events[0])/float64(tokens-1))
		}
	}
	return row
}

func ms(ns int64) float64 { return float64(ns) / float64(time.Millisecond) }

// Distribution is the spread of a latency over a cell's requests.
type Distribution struct {
	Title  string
	Unit   string
	Values []float64 // sorted
	Text   string    // quantiles in words
}

// Distributions gives time to first token and gaps of each cell with enough samples.
func (s *Samples) Distributions() []Distribution {
	var out []Distribution
	for _, c := range s.cells {
		for _, d := range []Distribution{
			{Title: c.name + ": time to first token", Unit: "ms", Values: c.ttft},
			{Title: c.name + ": gaps between tokens", Unit: "ms", Values: c.gaps},
		} {
			if len(d.Values) < minDist {
				continue
			}
			d.Values = slices.Sorted(slices.Values(d.Values))
			d.Text = fmt.Sprintf("n = %d, min %.3g, median %.3g, max %.3g ms", len(d.Values), d.Values[0], stat.Median(d.Values), d.Values[len(d.Values)-1])
			out = append(out, d)
		}
	}
	return out
}
