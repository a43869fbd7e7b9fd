package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/result"
)

// RoundRow is a round in a table.
type RoundRow struct {
	Index   int
	Mark    Mark
	Warned  bool
	Started time.Time
	Took    string
	Machine string // host
	Title   string // what the machine is
	Join    string // "part of the level", …
	Probes  []ProbeText
	Reasons []result.Reason
}

// ProbeText is a machine probe's readings around a round.
type ProbeText struct{ Text, Title string }

// TrialRow is a trial in a table.
type TrialRow struct {
	Round           int
	Workload, Point string
	Index           int
	Mark            Mark
	Window          string
	Requests        int
	Values          []Quantity // the first few, each with its metric in front
	Reasons         []result.Reason
}

// classText is a hardware class with all that sets it apart.
func classText(h result.Hardware) string {
	if h.GPUModel == "" {
		return fmt.Sprintf("%s, %d cores, %s, governor %s", orMissing(h.CPUModel), h.Cores, orMissing(h.ISA), orMissing(h.Governor))
	}
	return fmt.Sprintf("%d × %s, %d GiB, power limit %s, driver %d", max(1, h.GPUCount), h.GPUModel, h.GPUMemory>>30, orMissing(h.GPUPower), h.DriverMajor)
}

func (r *Run) roundRow(x *Round) RoundRow {
	h := x.Environment.Hardware
	row := RoundRow{
		Index: x.Index, Mark: Valid(x.Valid), Started: x.Started, Took: Missing, Machine: orMissing(x.Environment.Host), Reasons: x.Reasons,
		Title: classText(h) + "; machine " + Short(x.Environment.MachineID),
	}
	if h.GPUModel != "" {
		row.Machine += fmt.Sprintf(" (%d × %s)", max(1, h.GPUCount), h.GPUModel)
	}
	if !x.Ended.IsZero() && x.Ended.After(x.Started) {
		row.Took = Span(x.Ended.Sub(x.Started))
	}
	for _, reason := range x.Reasons {
		row.Warned = row.Warned || reason.Warn
	}
	switch x.Join {
	case "joined":
		row.Join = "part of the level"
	case "pending":
		row.Join = "pending: part of the level once accepted"
	case "former":
		row.Join = "part of a former level"
	}
	row.Probes = r.probes(&x.Round)
	return row
}

// probes gives each probe's reading before and after, and how it is to the machine's
// usual one.
func (r *Run) probes(x *result.Round) []ProbeText {
	var out []ProbeText
	seen := map[Probe]int{}
	for _, p := range x.Probes {
		k := Probe{x.Environment.MachineID, p.Device, p.Kind}
		text := fmt.Sprintf("%.4g", p.Value)
		if i, ok := seen[k]; ok {
			out[i].Text = strings.Replace(out[i].Text, " "+p.Unit, " → "+text+" "+p.Unit, 1)
			continue
		}
		seen[k] = len(out)
		t := ProbeText{Text: p.Kind + " " + text + " " + p.Unit, Title: "machine probe " + p.Kind + ", before → after the round; no history of this machine yet"}
		if usual := r.Usual[k]; usual > 0 {
			t.Text += fmt.Sprintf(", %.1f %% of usual", 100*p.Value/usual)
			t.Title = fmt.Sprintf("machine probe %s, before → after the round; this machine's usual is %.4g %s", p.Kind, usual, p.Unit)
		}
		out = append(out, t)
	}
	return out
}

// shownValues is how many metrics a trial's row has.
const shownValues = 3

func trialRows(x *result.Round) []TrialRow {
	var out []TrialRow
	for _, c := range x.Cells {
		for _, t := range c.Trials {
			row := TrialRow{
				Round: x.Index, Workload: c.Workload, Point: PointText(c.Point), Index: t.Index, Mark: Valid(t.Valid),
				Window: fmt.Sprintf("%.2f s", time.Duration(t.WindowNanos).Seconds()), Requests: t.Requests, Reasons: t.Reasons,
			}
			for _, v := range t.Values {
				if len(row.Values) == shownValues {
					break
				}
				if def, ok := v.Metric.Def(); ok && def.Validity {
					continue
				}
				row.Values = append(row.Values, Quantity{
					Text: string(v.Metric) + " " + Figure(v.Value, v.Metric), Title: plural(v.N, "sample"),
				})
			}
			out = append(out, row)
		}
	}
	return out
}
