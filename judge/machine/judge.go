package machine

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/probe/health"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/stat"
	"github.com/paceline/paceline/judge/gate"
)

// Limits of what was measured.
const (
	probeDisturbs = 0.05 // a round whose probe is so far off its history is invalid
	probeNote     = 0.02
	floorNote     = 0.5 // ms to a first token that is none
	floorTimes    = 3   // a result inside so many times the floor is refused
)

// Judge adds what was found to the report, with its headline and exit code: 3 where
// nothing can be measured, else 0.
func (r *Report) Judge() {
	r.Schema = SchemaVersion
	fs := health.Examine(&r.Host, r.GPUs)
	fs = append(r.measured(), fs...)
	health.Sort(fs)
	r.Findings, r.Worst = fs, health.Worst(fs)
	if r.Worst == health.Blocks {
		r.Exit = gate.ExitMachine
	}
	r.Headline = r.headline()
}

func (r *Report) headline() string {
	count := func(s health.Severity) int {
		n := 0
		for _, f := range r.Findings {
			if f.Severity == s {
				n++
			}
		}
		return n
	}
	engine := slices.ContainsFunc(r.Targets, func(t Target) bool { return t.OK })
	can := "this machine can measure"
	if !engine {
		can = "this build can't measure, the machine was looked at"
	}
	switch disturbs := count(health.Disturbs); {
	case r.Worst == health.Blocks:
		i := slices.IndexFunc(r.Findings, func(f health.Finding) bool { return f.Severity == health.Blocks })
		return "this machine can't measure: " + r.Findings[i].What
	case disturbs == 1:
		return can + "; one thing disturbs it"
	case disturbs > 1:
		return fmt.Sprintf("%s; %d things disturb it", can, disturbs)
	case r.Worst == health.Note:
		return can + "; nothing disturbs it, and there is something to know"
	}
	return can + "; nothing disturbs it"
}

// measured are the findings of what was measured.
func (r *Report) measured() []health.Finding {
	var out []health.Finding
	out = append(out, r.rounds()...)
	if r.NoProbe != "" {
		out = append(out, health.Finding{
			ID: "probe", Severity: health.Blocks, What: "the machine probe failed: " + r.NoProbe,
			Why: "every round is bracketed by it", Do: "mend that first",
		})
	}
	if r.GPUFault != "" {
		out = append(out, health.Finding{
			ID: "gpu.driver", Severity: health.Disturbs, What: "the GPUs can't be read: " + r.GPUFault,
			Why: "what slows a GPU down would go unseen", Do: "see whether the driver works", Command: "nvidia-smi",
		})
	}
	for _, p := range r.Probes {
		if len(p.Values) < 2 {
			continue
		}
		f := health.Finding{
			ID: "probe." + p.Kind, Severity: health.OK, What: fmt.Sprintf("the machine probe %s stays within %s of its median", p.Kind, percent(p.Off)),
			Evidence: fmt.Sprintf("median %s of %d readings, from %s to %s", gate.Figure(p.Median, p.Unit), len(p.Values),
				gate.Figure(slices.Min(p.Values), p.Unit), gate.Figure(slices.Max(p.Values), p.Unit)),
		}
		if p.Off > probeNote {
			f.Severity = health.Note
			f.What = fmt.Sprintf("the machine probe %s is up to %s off its median", p.Kind, percent(p.Off))
			f.Why = "it measures the machine alone, without any build: so much of every difference is the machine's"
			f.Do = "mend what else disturbs it; in a virtual machine it may be a neighbour, and then only another machine helps"
		}
		if p.Off > probeDisturbs {
			f.Severity = health.Disturbs
			f.Why = "it measures the machine alone, without any build; a round whose probe is so far off its history is invalid"
		}
		out = append(out, f)
	}
	return append(out, r.floor()...)
}

func (r *Report) floor() []health.Finding {
	if r.Floor == nil {
		return nil
	}
	ttft, ok := r.Floor.Latencies["ttft.p50"]
	if !ok {
		return nil
	}
	f := health.Finding{
		ID: "floor", Severity: health.OK,
		What:     fmt.Sprintf("first tokens from %s on can be measured", duration(floorTimes*ttft)),
		Evidence: fmt.Sprintf("the measuring program itself takes %s to a first token, %s between tokens", duration(ttft), duration(r.Floor.Latencies["tpot.p50"])),
	}
	if ttft > floorNote {
		f.Severity = health.Note
		f.Why = fmt.Sprintf("results inside %d times what the measuring program itself takes are refused", floorTimes)
		f.Do = "free a core for it: it is slow because something else runs"
	}
	return []health.Finding{f}
}

// rounds are the findings of the quick rounds and what a gate could see.
func (r *Report) rounds() []health.Finding {
	x := r.Rounds
	if x == nil {
		return nil
	}
	const why = "a round that isn't valid says nothing about what is measured"
	f := health.Finding{ID: "rounds", Severity: health.OK, What: fmt.Sprintf("%d of %d quick rounds are valid", x.Valid, x.Valid+x.Invalid), Evidence: strings.Join(x.Reasons, "; ")}
	switch {
	case x.Failed != "":
		f.Severity, f.What, f.Evidence = health.Blocks, "no quick round could be measured", x.Failed
		f.Why = "a run would most likely end in the same way"
		f.Do = "mend what the message names; `paceline run ci --verbose` tells more"
	case x.Valid == 0:
		f.Severity, f.Why = health.Blocks, why
		f.What = fmt.Sprintf("none of %d quick rounds is valid", x.Invalid)
		f.Do = "mend what disturbs this machine, or take another"
	case x.Invalid > 0:
		f.Severity, f.Why = health.Disturbs, why
		f.Do = "mend what disturbs this machine: rounds that are repeated take time"
	}
	out := []health.Finding{f}
	for i := range x.Gates {
		g := &x.Gates[i]
		f := health.Finding{ID: "gate." + string(g.Metric), Severity: health.OK, What: asPart(g.Text)}
		f.Evidence = fmt.Sprintf("noise of %s between %d rounds", percent(math.Expm1(g.Noise)), len(g.Values))
		if !g.Safe {
			f.Severity = health.Disturbs
			f.Why = "a regression smaller than that is inconclusive or passes here"
			f.Do = "make the machine quieter, take another one, or set a threshold above it"
		}
		out = append(out, f)
	}
	return out
}

// asPart makes a sentence of Gate.Text a finding's own: without capital and full stop.
func asPart(sentence string) string {
	if sentence == "" {
		return ""
	}
	return strings.ToLower(sentence[:1]) + strings.TrimSuffix(sentence[1:], ".")
}

// ProbesOf gathers readings by kind, in order of first appearance.
func ProbesOf(readings []result.Probe) []Probe {
	var out []Probe
	for _, p := range readings {
		i := slices.IndexFunc(out, func(x Probe) bool { return x.Kind == p.Kind })
		if i < 0 {
			i = len(out)
			out = append(out, Probe{Kind: p.Kind, Unit: p.Unit})
		}
		out[i].Values = append(out[i].Values, p.Value)
	}
	for i := range out {
		p := &out[i]
		p.Median = stat.Median(p.Values)
		for _, v := range p.Values {
			if p.Median > 0 {
				p.Off = max(p.Off, math.Abs(v-p.Median)/p.Median)
			}
		}
	}
	return out
}

// FloorOf takes the null target's figures.
func FloorOf(latencies []result.Value, perEventUs float64) *Floor {
	f := &Floor{Latencies: map[metric.ID]float64{}, PerEventUs: perEventUs}
	for _, v := range latencies {
		f.Latencies[v.Metric] = v.Value
	}
	return f
}

// Count fills in how many rounds are valid, and why the others aren't.
func (x *Rounds) Count(rounds []result.Round) {
	for _, r := range rounds {
		if r.Valid {
			x.Valid++
			continue
		}
		x.Invalid++
		for _, reason := range whyInvalid(r) {
			if !slices.Contains(x.Reasons, reason) {
				x.Reasons = append(x.Reasons, reason)
			}
		}
	}
}

// whyInvalid gives a round's own reasons, else its first trial's that isn't valid.
func whyInvalid(r result.Round) []string {
	if own := blocking(r.Reasons); len(own) > 0 {
		return own
	}
	for _, c := range r.Cells {
		if reasons := blocking(c.Reasons); len(reasons) > 0 {
			return reasons
		}
		for _, t := range c.Trials {
			if reasons := blocking(t.Reasons); len(reasons) > 0 {
				return reasons
			}
		}
	}
	return []string{"it doesn't say why"}
}

func blocking(reasons []result.Reason) []string {
	var out []string
	for _, r := range reasons {
		if !r.Warn {
			out = append(out, r.Detail)
		}
	}
	return out
}
