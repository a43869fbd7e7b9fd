// Package chart turns numbers to chart options of ECharts, by go-echarts.
//
// It gives JSON that a page carries beside its table; drawing is the page's script
// (dashboard/assets), and which numbers stand in a chart is dashboard/page's. No
// HTML of go-echarts is used: its scripts are inline, and its default asset host is
// another one.
package chart

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/go-echarts/go-echarts/v2/charts"
	"github.com/go-echarts/go-echarts/v2/opts"
)

// Colours are custom properties of the style sheet, looked up when the chart is
// drawn, so that one option serves light and dark.
const (
	colourMain   = "var(--s1)"
	colourFaint  = "var(--dim)"
	colourBand   = "var(--band)"
	colourOthers = "var(--others)"
	colourFail   = "var(--fail)"
	colourNote   = "var(--warn)"
	colourLine   = "var(--line)"
)

// Point is a round of a trend.
type Point struct {
	Label   string    // on the x axis: a commit, a time
	Value   float64   // finite
	Trials  []float64 // shown faint
	Valid   bool      // false: hollow, not part of the line
	Fault   bool      // measured with a planted defect: a triangle, not part of the line
	Href    string    // where a click leads
	Tip     string    // lines shown on hover, joined by line breaks
	Zone    string    // machine and driver; a change starts a new zone
	Current bool      // marked: the run that the page is about
}

// Band is a horizontal strip or, with Low = High, a line.
type Band struct {
	Label     string
	Low, High float64
}

// Limit is a line that a rule draws.
type Limit struct {
	Label string // "fails below"
	Value float64
	Fails bool // else it only asks for a look
}

// Trend is a metric over rounds.
type Trend struct {
	Unit     string
	Points   []Point
	Baseline *Band   // the level with its spread
	Limits   []Limit // where the gate looks
	Bands    []Band  // what others reported
	FromZero bool
	Log      bool
}

// datum is a point of a series with what the script needs beside it.
type datum struct {
	Value     []float64 `json:"value"`
	Href      string    `json:"href,omitempty"`
	Tip       string    `json:"tip,omitempty"`
	ItemStyle any       `json:"itemStyle,omitempty"`
	Symbol    string    `json:"symbol,omitempty"`
	Size      int       `json:"symbolSize,omitempty"`
}

// Option is the chart's option as JSON.
func (t Trend) Option() ([]byte, error) {
	line := charts.NewLine()
	labels := make([]string, len(t.Points))
	for i, p := range t.Points {
		labels[i] = p.Label
	}
	axis := "value"
	if t.Log {
		axis = "log"
	}
	line.SetGlobalOptions(
		charts.WithAnimation(false),
		charts.WithTooltipOpts(opts.Tooltip{Show: opts.Bool(true), Trigger: "item"}),
		charts.WithLegendOpts(opts.Legend{Show: opts.Bool(false)}),
		charts.WithGridOpts(opts.Grid{Left: "64", Right: "96", Top: "24", Bottom: "56"}),
		charts.WithXAxisOpts(opts.XAxis{
			Type: "category", Data: labels, AxisLabel: &opts.AxisLabel{Color: colourFaint},
			AxisLine: &opts.AxisLine{LineStyle: &opts.LineStyle{Color: colourLine}},
		}),
		charts.WithYAxisOpts(opts.YAxis{
			Type: axis, Name: t.Unit, Scale: opts.Bool(!t.FromZero), AxisLabel: &opts.AxisLabel{Color: colourFaint},
			SplitLine: &opts.SplitLine{Show: opts.Bool(true), LineStyle: &opts.LineStyle{Color: colourLine}},
		}),
		charts.WithDataZoomOpts(opts.DataZoom{Type: "inside"}),
	)
	median := charts.SingleSeries{
		Name: "median of rounds", Type: "line", Data: t.median(), Symbol: "none", Color: colourMain,
		ConnectNulls: opts.Bool(true), ItemStyle: &opts.ItemStyle{Color: colourMain},
	}
	median.MarkLines, median.MarkAreas = t.marks()
	line.MultiSeries = append(line.MultiSeries,
		charts.SingleSeries{Name: "trials", Type: "scatter", Data: t.trials(), SymbolSize: 4, ItemStyle: &opts.ItemStyle{Color: colourFaint, Opacity: opts.Float(0.45)}},
		median,
		charts.SingleSeries{Name: "rounds", Type: "scatter", Data: t.rounds(), SymbolSize: 9, ItemStyle: &opts.ItemStyle{Color: colourMain}},
	)
	b, err := json.Marshal(line.JSON())
	if err != nil {
		return nil, fmt.Errorf("chart of a trend: %w", err)
	}
	return b, nil
}

// median is the line: the running median of the last three valid rounds without
// planted defects, so that one odd round doesn't bend it and a step shows after two.
func (t Trend) median() []any {
	out := make([]any, len(t.Points))
	var last []float64
	for i, p := range t.Points {
		if !p.Valid || p.Fault || bad(p.Value) {
			out[i] = nil
			continue
		}
		last = append(last, p.Value)
		if len(last) > 3 {
			last = last[1:]
		}
		out[i] = []float64{float64(i), middle(last)}
	}
	return out
}

func (t Trend) trials() []datum {
	var out []datum
	for i, p := range t.Points {
		for _, v := range p.Trials {
			if !bad(v) {
				out = append(out, datum{Value: []float64{float64(i), v}})
			}
		}
	}
	return out
}

func (t Trend) rounds() []datum {
	var out []datum
	for i, p := range t.Points {
		if bad(p.Value) {
			continue
		}
		d := datum{Value: []float64{float64(i), p.Value}, Href: p.Href, Tip: p.Tip}
		switch {
		case !p.Valid: // hollow
			d.ItemStyle = opts.ItemStyle{Color: "transparent", BorderColor: colourFaint, BorderWidth: 1.5}
		case p.Fault:
			d.ItemStyle = opts.ItemStyle{Color: colourNote}
		}
		switch {
		case p.Fault:
			d.Symbol = "triangle"
		case p.Valid && p.Current:
			d.Symbol, d.Size = "diamond", 15
		}
		out = append(out, d)
	}
	return out
}

// marks are threshold, baseline band, bands of others, and zones of machines.
func (t Trend) marks() (*opts.MarkLines, *opts.MarkAreas) {
	var lines, areas []any
	addLine := func(label, colour string, y float64) {
		lines = append(lines, map[string]any{
			"name": label, "yAxis": y,
			"label":     map[string]any{"formatter": label, "color": colour, "position": "end", "width": 88, "overflow": "truncate"},
			"lineStyle": map[string]any{"color": colour, "type": "dashed"},
		})
	}
	addArea := func(label, where string, from, to map[string]any, colour string) {
		from["name"] = label
		from["label"] = map[string]any{"color": colourFaint, "position": where, "formatter": label}
		from["itemStyle"] = map[string]any{"color": colour}
		areas = append(areas, []any{from, to})
	}
	if b := t.Baseline; b != nil {
		addArea(b.Label, "insideTopLeft", map[string]any{"yAxis": b.Low}, map[string]any{"yAxis": b.High}, colourBand)
	}
	for _, l := range t.Limits {
		colour := colourNote
		if l.Fails {
			colour = colourFail
		}
		addLine(l.Label, colour, l.Value)
	}
	for _, b := range t.Bands {
		if b.Low == b.High {
			addLine(b.Label, colourNote, b.Low)
			continue
		}
		addArea(b.Label, "insideTopRight", map[string]any{"yAxis": b.Low}, map[string]any{"yAxis": b.High}, colourOthers)
	}
	for i := 1; i < len(t.Points); i++ {
		if t.Points[i].Zone != t.Points[i-1].Zone {
			lines = append(lines, map[string]any{
				"name": t.Points[i].Zone, "xAxis": i, "label": map[string]any{"formatter": "machine: " + t.Points[i].Zone, "color": colourFaint},
				"lineStyle": map[string]any{"color": colourFaint, "type": "dotted"},
			})
		}
	}
	ml := &opts.MarkLines{Data: lines}
	ml.Symbol = []string{"none", "none"}
	return ml, &opts.MarkAreas{Data: areas}
}

func bad(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
