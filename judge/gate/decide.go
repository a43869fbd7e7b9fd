package gate

import (
	"fmt"
	"math"

	"github.com/paceline/paceline/bench/stat"
)

// maxInvalid is how many invalid rounds are tried again.
const maxInvalid = 3

// Decide applies the rule. The rule must be valid (Rule.Validate).
//
// The decision is taken at the largest look (1, 3, 5 or 7) that the rounds fill, with
// that many rounds; what more there is waits for the next look.
func Decide(r Rule, b Baseline, c Candidate) Outcome {
	_, o := assess(r, b, c)
	return o
}

// assess decides, and gives the figures also where it asks for more rounds.
func assess(r Rule, b Baseline, c Candidate) (*Verdict, Outcome) {
	if over := len(b.Values) - maxBaseline; over > 0 {
		b.Values = b.Values[over:]
		if len(b.Runs) > over {
			b.Runs = b.Runs[over:]
		}
	}
	v := &Verdict{Rule: r, Baseline: b, Candidate: c, K: len(c.Rounds), N: len(b.Values)}
	if len(b.Values) > 0 {
		v.BaselineValue, v.BaselineSpread = stat.Median(b.Values), stat.Spread(b.Values)
	}
	if len(c.Rounds) == 0 && c.Absent > 0 {
		v.Config = true
		return v, v.end(Error, fmt.Sprintf("%s was not measured in any of %s: the target doesn't give it, or a trial has too few requests for it: take the gate out of the suite, or mend the workload",
			r.Metric, rounds(c.Absent)))
	}
	if len(c.Rounds) == 0 {
		if c.Invalid > 0 && c.Invalid < maxInvalid {
			return v, need(1, fmt.Sprintf("no valid round yet: %s", c.Reason))
		}
		return v, v.end(Invalid, "no valid round: "+orElse(c.Reason, "the metric could not be measured"))
	}
	values := make([]float64, len(c.Rounds))
	for i, round := range c.Rounds {
		values[i] = round.Value
	}
	v.Value, v.Spread = stat.Median(values), stat.HalfRange(values)
	if v.BaselineValue != 0 {
		v.Change = finite((v.Value - v.BaselineValue) / v.BaselineValue)
	}
	if !r.Relative() {
		return v, v.absolute(values)
	}
	return v, v.relative(values)
}

// absolute holds the values against a fixed limit.
func (v *Verdict) absolute(values []float64) Outcome {
	violates := func(x float64) bool {
		return v.Rule.Min != nil && x < *v.Rule.Min || v.Rule.Max != nil && x > *v.Rule.Max
	}
	bad := 0
	for _, x := range values {
		if violates(x) {
			bad++
		}
	}
	limit := v.Rule.limitText()
	switch {
	case bad == 0:
		return v.end(Pass, fmt.Sprintf("%s is %s in each of %s", limit, "kept", rounds(v.K)))
	case v.Rule.Severity == Critical:
		return v.end(Fail, fmt.Sprintf("%s is broken in %d of %s (%s); a critical rule needs no confirmation", limit, bad, rounds(v.K), v.figure(v.Value)))
	case v.Rule.Severity == Investigate:
		if violates(v.Value) {
			return v.end(Warn, fmt.Sprintf("%s is broken (%s): worth a look; this rule never blocks", limit, v.figure(v.Value)))
		}
		return v.end(Pass, fmt.Sprintf("%s is kept by the median of %s", limit, rounds(v.K)))
	case v.K < 3:
		return v.more(3, fmt.Sprintf("%s is broken in %d of %s: more rounds confirm it or not", limit, bad, rounds(v.K)))
	case violates(v.Value):
		return v.end(Fail, fmt.Sprintf("%s is broken by the median of %s (%s)", limit, rounds(v.K), v.figure(v.Value)))
	}
	return v.end(Warn, fmt.Sprintf("%s is broken in %d of %s, but kept by their median (%s)", limit, bad, rounds(v.K), v.figure(v.Value)))
}

// relative is the commit gate.
func (v *Verdict) relative(values []float64) Outcome {
	if v.N == 0 {
		if v.Baseline.Incomparable != "" {
			return v.end(NotComparable, "the baseline was measured on something else: "+v.Baseline.Incomparable)
		}
		if v.Baseline.Absent != "" {
			return v.end(NoBaseline, v.Baseline.Absent)
		}
		return v.end(NoBaseline, "there is nothing to compare with yet; this run is recorded")
	}
	base, ok := logs(v.Baseline.Values)
	cand, ok2 := logs(values)
	if !ok || !ok2 {
		return v.end(Error, "a relative rule needs values above 0; use min or max for this metric")
	}
	l := v.Rule.level(base, v.Baseline.Pooled)
	v.S = l.s
	if l.canFail(v.Candidate.StartBound) {
		v.SmallestFail = v.share(max(l.hi, zFail*l.s*errorFactor(maxLook, l.n)))
	}
	v.CanSee = v.share(zFail * l.s * errorFactor(maxLook, l.n))
	for _, look := range looks() {
		if look[0] <= len(cand) {
			v.Steps = append(v.Steps, v.step(l.look(cand[:look[0]])))
		}
	}
	k := v.Steps[len(v.Steps)-1].Rounds
	f := l.look(cand[:k])
	kind := l.decide(f, v.Rule.Severity, v.Candidate.StartBound)
	step := &v.Steps[len(v.Steps)-1]
	v.Z = step.Z
	// The values shown are those that the decision rests on.
	v.K, v.Value, v.Spread = k, stat.Median(values[:k]), stat.HalfRange(values[:k])
	v.Change = finite((v.Value - v.BaselineValue) / v.BaselineValue)
	worse := fmt.Sprintf("%s against %s (%s)", v.figure(v.Value), v.figure(v.BaselineValue), v.changeText())
	limit := v.Rule.limitText()
	switch kind {
	case Pass:
		if f.d < l.lo {
			return v.close(step, Pass, worse+": within 0.6 of the threshold of "+limit)
		}
		return v.close(step, Pass, worse+": not beyond "+limit)
	case Fail:
		return v.close(step, Fail, worse+fmt.Sprintf(": beyond %s in %s, z = %.1f, %d of them under 0.6 of it", limit, rounds(k), f.z, f.under))
	case Warn:
		if v.Rule.Severity == Investigate {
			return v.close(step, Warn, worse+fmt.Sprintf(": beyond %s, worth a look; this rule never blocks", limit))
		}
		return v.close(step, Warn, worse+": more than 0.6 of the threshold, surely less than "+limit)
	case Inconclusive:
		return v.close(step, Inconclusive, worse+fmt.Sprintf(": with %s the change could reach %s (95 %% bound %s): too noisy to tell",
			rounds(k), limit, percent(v.share(l.upper(f)))))
	}
	why := worse + fmt.Sprintf(" after %s is neither clearly fine nor a confirmed fail", rounds(k))
	if v.Candidate.Invalid > 2*maxInvalid {
		return v.close(step, Invalid, why+"; too many rounds were invalid: "+v.Candidate.Reason)
	}
	step.Text += ": more rounds"
	return v.more(nextLook(k), why)
}

// step says what a look found.
func (v *Verdict) step(f figures) Step {
	s := Step{Rounds: f.k, D: f.d, Z: f.z, Under: f.under, Change: v.changeOf(f.d)}
	s.Text = fmt.Sprintf("%s: %s, z = %.2f, %d under 0.6 of the threshold", rounds(f.k), percentSigned(s.Change), s.Z, s.Under)
	return s
}

// changeOf turns d to a signed change of the value.
func (v *Verdict) changeOf(d float64) float64 {
	if v.Rule.HigherIsBetter() {
		return finite(math.Expm1(-d))
	}
	return finite(math.Expm1(d))
}

// finite keeps a ratio of values of very different size a number, which JSON wants.
func finite(x float64) float64 { return max(-math.MaxFloat64, min(x, math.MaxFloat64)) }

// share turns a log difference to a share of the baseline: a drop or a rise.
func (v *Verdict) share(d float64) float64 {
	if v.Rule.HigherIsBetter() {
		return finite(-math.Expm1(-d))
	}
	return finite(math.Expm1(d))
}

// more asks for the rounds that are missing to the next look.
func (v *Verdict) more(look int, why string) Outcome {
	return need(look-len(v.Candidate.Rounds), why)
}

func need(n int, why string) Outcome {
	return Outcome{Need: &Need{Rounds: n, Where: "another machine of the class, else the same one", Why: why}}
}

func (v *Verdict) close(step *Step, kind Kind, reason string) Outcome {
	step.Text += ": " + string(kind)
	return v.end(kind, reason)
}

func (v *Verdict) end(kind Kind, reason string) Outcome {
	v.Kind, v.Reason = kind, reason
	return Outcome{Verdict: v}
}

// logs are the natural logarithms; ok is false where one doesn't exist.
func logs(values []float64) (out []float64, ok bool) {
	out = make([]float64, len(values))
	for i, v := range values {
		if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, false
		}
		out[i] = math.Log(v)
	}
	return out, true
}
