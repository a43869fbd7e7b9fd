package chart

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"
)

// maxBins is how many bars a histogram has at most.
const maxBins = 40

// Histogram is how often a value lies where.
type Histogram struct {
	Title  string
	Unit   string
	Values []float64 // finite; at least one
}

// Option is the chart's option as JSON. Everything above the 99.5 % quantile stands in
// the last bar, so that one odd request doesn't squeeze the rest into one bar.
func (h Histogram) Option() ([]byte, error) {
	values := slices.DeleteFunc(slices.Sorted(slices.Values(h.Values)), bad)
	if len(values) == 0 {
		return nil, fmt.Errorf("histogram %q: it has no values", h.Title)
	}
	lo, hi := values[0], values[int(math.Ceil(0.995*float64(len(values))))-1]
	bins := min(maxBins, max(5, int(2*math.Sqrt(float64(len(values))))))
	width := (hi - lo) / float64(bins)
	if width <= 0 {
		bins, width = 1, 1
	}
	counts := make([]int, bins)
	for _, v := range values {
		counts[min(bins-1, int((v-lo)/width))]++
	}
	labels := make([]string, bins)
	data := make([]any, bins)
	for i, n := range counts {
		from, to := lo+float64(i)*width, lo+float64(i+1)*width
		if i == bins-1 {
			to = values[len(values)-1]
		}
		labels[i] = fmt.Sprintf("%.3g", from)
		data[i] = map[string]any{"value": n, "tip": fmt.Sprintf("%.4g to %.4g %s\n%d of %d", from, to, h.Unit, n, len(values))}
	}
	bar := charts.NewBar()
	bar.SetGlobalOptions(
		charts.WithAnimation(false),
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(true), Trigger: "item"}),
		charts.WithLegendOpts(opts.Legend{Show: opts.Bool(false)}),
		charts.WithGridOpts(opts.Grid{Left: "44", Right: "16", Top: "24", Bottom: "44"}),
		charts.WithXAxisOpts(opts.XAxis{
			Type: "category", Data: labels, Name: h.Unit, AxisLabel: &opts.AxisLabel{Color: colourFaint},
			AxisLine: &opts.AxisLine{LineStyle: &opts.LineStyle{Color: colourLine}},
		}),
		charts.WithYAxisOpts(opts.YAxis{
			Type: "value", AxisLabel: &opts.AxisLabel{Color: colourFaint},
			SplitLine: &opts.SplitLine{Show: opts.Bool(true), LineStyle: &opts.LineStyle{Color: colourLine}},
		}),
	)
	bar.MultiSeries = append(bar.MultiSeries, charts.SingleSeries{
		Name: h.Title, Type: "bar", Data: data, BarCategoryGap: "8%", ItemStyle: &opts.ItemStyle{Color: colourMain},
	})
	b, err := json.Marshal(bar.JSON())
	if err != nil {
		return nil, fmt.Errorf("histogram %q: %w", h.Title, err)
	}
	return b, nil
}
