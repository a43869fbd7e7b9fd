package format

import (
	"math"
	"strconv"

	"github.com/paceline/paceline/judge/gate"
)

// figures are a value and its baseline as far as noise lets them be known.
type figures struct {
	now, base float64
	change    float64
	noise     float64 // share of the value under which a difference means nothing; 0: exact
}

// Noise where none is known, and bounds of what is: under a fifth of a percent nobody
// looks, and beyond 40 % a figure would be rounded to nothing.
const (
	unknownNoise = 0.05
	leastNoise   = 0.002
	mostNoise    = 0.4
)

// rounding says how a line is rounded: by what noise may make of its rounds,
// else by its own spread. level may be nil.
func rounding(l *Line, level *gate.Verdict) figures {
	f := figures{now: l.Value, noise: unknownNoise}
	switch {
	case level != nil:
		f.base, f.change = level.BaselineValue, level.Change
		if noise := level.Noise(); noise > 0 {
			f.noise = noise
		}
		// A value that noise can't tell from its level is written as the level.
		if math.Abs(f.change) <= f.noise {
			f.now, f.change = f.base, 0
		}
	case l.Unit == "1":
		f.noise = 0 // a share that has a fixed limit: 99.8 % is not 100 %
	case l.Rounds > 1 && l.Value != 0:
		f.noise = max(2*l.Spread/math.Abs(l.Value), unknownNoise)
	}
	if f.noise > 0 {
		f.noise = min(max(f.noise, leastNoise), mostNoise)
	}
	return f
}

func (f figures) value(factor float64) string    { return f.round(f.now, factor) }
func (f figures) baseline(factor float64) string { return f.round(f.base, factor) }

// round writes v × factor on the grid of both values, so that equal ones are equal
// strings.
func (f figures) round(v, factor float64) string {
	if f.noise == 0 {
		return onGrid(v*factor, 0.001)
	}
	size := math.Abs(f.now)
	if b := math.Abs(f.base); b > 0 && (b < size || size == 0) {
		size = b
	}
	if size == 0 {
		return onGrid(v*factor, 0.001)
	}
	return onGrid(v*factor, f.noise*size*factor)
}

func (f figures) delta() string {
	if f.change == 0 {
		return "0"
	}
	return onGrid(f.change, max(f.noise/2, 0.01))
}

// onGrid writes v rounded to a step of 1, 2 or 5 times a power of ten that is at least
// as large as asked: a grid that small changes of the noise leave alone.
func onGrid(v, step float64) string {
	power := int(math.Floor(math.Log10(step)))
	unit := math.Pow10(power)
	times := 1.0
	for _, m := range []float64{1, 2, 5, 10} {
		times = m
		if m*unit >= step*(1-1e-9) {
			break
		}
	}
	if times == 10 {
		power++
	}
	s := strconv.FormatFloat(math.Round(v/(times*unit))*times*unit, 'f', max(-power, 0), 64)
	if f, err := strconv.ParseFloat(s, 64); err == nil && f == 0 {
		return "0"
	}
	return s
}
