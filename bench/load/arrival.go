package load

import (
	"math"
	"math/rand/v2"
	"time"
)

// Arrivals are the instants of an open load: when requests are due, whatever becomes of the ones before. One goroutine
// at a time may ask.
type Arrivals struct {
	whole, part float64        // seconds from the start, of the arrival given last: two numbers, so that no error adds up
	gap         func() float64 // seconds to the next
}

// Constant arrivals are 1/rate apart. rate is in requests a second, > 0.
func Constant(rate float64) *Arrivals {
	return &Arrivals{gap: func() float64 { return 1 / rate }}
}

// Poisson arrivals know nothing of one another: gaps are exponential, with a mean of 1/rate.
func Poisson(rate float64, seed uint64) *Arrivals {
	r := source(seed)
	return &Arrivals{gap: func() float64 { return r.ExpFloat64() / rate }}
}

// Gamma arrivals have gaps of that distribution with a mean of 1/rate: in bursts for a shape under 1, Poisson's for 1, and
// the more even the higher the shape. Their coefficient of variation is 1/√shape.
func Gamma(rate, shape float64, seed uint64) *Arrivals {
	r := source(seed)
	return &Arrivals{gap: func() float64 { return gamma(r, shape) / (rate * shape) }}
}

func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed^0x9e3779b97f4a7c15)) }

// gamma draws from the distribution with a scale of 1: Marsaglia and Tsang, "A simple method for generating gamma variables",
// ACM TOMS 26 (2000), with their step for shapes under 1.
func gamma(r *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(r, shape+1) * math.Pow(1-r.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := r.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		if u := 1 - r.Float64(); math.Log(u) < 0.5*x*x+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// Next is the next arrival, as the time from the load's start. Instants are absolute: no rounding and no lateness adds up.
func (a *Arrivals) Next() time.Duration {
	whole, part := math.Modf(a.part + a.gap())
	a.whole, a.part = a.whole+whole, part
	return time.Duration(a.whole)*time.Second + time.Duration(math.Round(a.part*1e9))
}
