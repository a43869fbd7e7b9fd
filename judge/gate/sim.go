package gate

import (
	"math"
	"math/rand/v2"
)

// Scenario of a simulation: one series whose rounds are normal in logs, with
// a share of rounds that something slowed.
type Scenario struct {
	Sigma    float64 // noise of logs between rounds
	Drop     float64 // true drop of the candidate, share
	Baseline int     // rounds
	Slowed   float64 // share of rounds slowed by 15 to 35 %, on both sides
}

// Rates are shares of simulated candidates by verdict, and the rounds they took.
type Rates struct {
	Pass, Warn, Fail, Inconclusive float64
	Rounds                         float64 // mean
}

// Simulate runs the gate with a threshold on n candidates of the scenario, each with
// a baseline of its own. The figures of docs/gate.md come from here.
func Simulate(s Scenario, threshold float64, n int, seed uint64) Rates {
	rng := rand.New(rand.NewPCG(seed, math.Float64bits(s.Sigma)^math.Float64bits(s.Drop)^uint64(s.Baseline)))
	r := Rule{Metric: "output_rate", Severity: Failing, MaxDrop: &threshold}
	draw := func(level float64) float64 {
		x := level + s.Sigma*rng.NormFloat64()
		if rng.Float64() < s.Slowed {
			x += math.Log(1 - (0.15 + 0.20*rng.Float64()))
		}
		return x
	}
	var out Rates
	for range n {
		base := make([]float64, s.Baseline)
		for i := range base {
			base[i] = draw(0)
		}
		l := r.level(base, 0)
		cand := make([]float64, 0, maxLook)
		var kind Kind
		for look := 1; kind == ""; look = nextLook(look) {
			for len(cand) < look {
				cand = append(cand, draw(math.Log(1-s.Drop)))
			}
			kind = l.decide(l.look(cand), r.Severity, false)
		}
		switch kind {
		case Pass:
			out.Pass++
		case Warn:
			out.Warn++
		case Fail:
			out.Fail++
		case Inconclusive:
			out.Inconclusive++
		}
		out.Rounds += float64(len(cand))
	}
	for _, v := range []*float64{&out.Pass, &out.Warn, &out.Fail, &out.Inconclusive, &out.Rounds} {
		*v /= float64(n)
	}
	return out
}
