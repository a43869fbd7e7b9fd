package plan

import (
	"maps"
	"math"
	"slices"
)

// Sample is one turn's result.
type Sample struct {
	Row   string  `json:"row"`
	Round int     `json:"round"` // from 1, as shown
	Task  Task    `json:"task"`
	Value float64 `json:"value"` // in the kind's unit

	// ProbeGBs is the machine's read rate, the mean of a probe before and one after, in GB/s.
	ProbeGBs float64 `json:"probe_gb_s"`
	// StealShare and OtherShare are shares of all CPU time meanwhile, 0..1: what the hypervisor
	// took, and what processes used that don't belong to the measurement.
	StealShare float64 `json:"steal_share"`
	OtherShare float64 `json:"other_share"`

	BytesPerToken float64 `json:"bytes_per_token,omitempty"` // of weights, where the program says
	NeededBytes   float64 `json:"needed_bytes,omitempty"`    // weights and KV, where the program says
	Note          string  `json:"note,omitempty"`            // what the program says of itself
	Error         string  `json:"error,omitempty"`           // why there is no value
}

// Verdict is whether a target is reached.
type Verdict string

// The verdicts. Close ones are decided by the median while the interval holds the target.
const (
	Yes         Verdict = "yes"
	YesClose    Verdict = "yes, close"
	No          Verdict = "no"
	NoClose     Verdict = "no, close"
	NotMeasured Verdict = "not measured"
)

// Outcome is one target with its evidence.
type Outcome struct {
	Target  Target  `json:"target"`
	Ours    Summary `json:"ours"`   // in the kind's unit
	Peer    Summary `json:"peer"`   // of a ratio; else N is 0
	Figure  Summary `json:"figure"` // what the target is about: a ratio, a share, our value
	Verdict Verdict `json:"verdict"`
	Why     string  `json:"why,omitempty"` // it is not measured
}

// Judge gives the outcome of each target of the row from its samples; samples of other rows
// are ignored.
func Judge(r Row, samples []Sample) []Outcome {
	byTask := map[Task]map[int]Sample{}
	why := map[Task]string{}
	for _, s := range samples {
		switch {
		case s.Row != r.ID:
		case s.Error != "":
			why[s.Task] = s.Error
		default:
			if byTask[s.Task] == nil {
				byTask[s.Task] = map[int]Sample{}
			}
			byTask[s.Task][s.Round] = s
		}
	}
	_, lower := r.Ours.Kind.Unit()
	ours := byTask[r.Ours]
	var out []Outcome
	for _, t := range r.Targets {
		o := Outcome{Target: t, Ours: Summarise(values(ours)), Verdict: NotMeasured}
		var figures []float64
		needs := []Task{r.Ours}
		if t.Peer != nil {
			needs = append(needs, *t.Peer)
			o.Peer = Summarise(values(byTask[*t.Peer]))
		}
		for _, round := range rounds(ours) {
			if f, ok := figure(t, lower, ours[round], byTask, round); ok {
				figures = append(figures, f)
			}
		}
		o.Figure = Summarise(figures)
		if len(figures) == 0 {
			o.Why = reason(needs, why)
		} else {
			o.Verdict = verdict(t, o.Figure)
		}
		out = append(out, o)
	}
	return out
}

// figure is what target t is about in one round.
func figure(t Target, lowerIsBetter bool, ours Sample, byTask map[Task]map[int]Sample, round int) (float64, bool) {
	f := math.NaN()
	switch t.Check {
	case Ratio:
		peer, ok := byTask[*t.Peer][round]
		if !ok {
			return 0, false
		}
		f = ours.Value / peer.Value
		if lowerIsBetter {
			f = 1 / f
		}
	case Share:
		f = ours.Value * ours.BytesPerToken / (ours.ProbeGBs * 1e9)
		if ours.BytesPerToken == 0 {
			return 0, false
		}
	case AtLeast, AtMost:
		f = ours.Value
	case Needed:
		if ours.NeededBytes > 0 {
			f = ours.Value * 1e6 / ours.NeededBytes
		}
	}
	return f, !math.IsNaN(f) && !math.IsInf(f, 0)
}

// reason is why nothing could be compared.
func reason(tasks []Task, why map[Task]string) string {
	for _, t := range tasks {
		if w := why[t]; w != "" {
			return t.String() + ": " + w
		}
	}
	return "no round has all values"
}

// verdict compares a summary of at least one value with the target.
func verdict(t Target, s Summary) Verdict {
	reached := func(v float64) bool { return v >= t.Want }
	if t.Check == AtMost || t.Check == Needed {
		reached = func(v float64) bool { return v <= t.Want }
	}
	low, high := s.Min, s.Max // what is known with too few values for an interval
	if s.Low != nil {
		low, high = *s.Low, *s.High
	}
	close := reached(low) != reached(high)
	switch {
	case !reached(s.Median) && close:
		return NoClose
	case !reached(s.Median):
		return No
	case low < t.Lower:
		return NoClose
	case close:
		return YesClose
	}
	return Yes
}

func values(rounds map[int]Sample) []float64 {
	var out []float64
	for _, s := range rounds {
		out = append(out, s.Value)
	}
	return out
}

// rounds in their order.
func rounds(m map[int]Sample) []int { return slices.Sorted(maps.Keys(m)) }
