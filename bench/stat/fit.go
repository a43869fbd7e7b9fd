package stat

import "math"

// Fit is a polynomial through points by least squares.
type Fit struct {
	// Of are the coefficients: constant, of x, of x².
	Of []float64
	// Half is half of the 95 % interval of each; NaN where there are no more points than coefficients.
	Half []float64
}

// Polynomial fits one of degree 1 or 2 to points, more than degree of them with different x; ok is false otherwise.
// Errors are taken as independent and of one size (Draper and Smith, Applied Regression Analysis, ch. 1 and 2).
func Polynomial(x, y []float64, degree int) (f Fit, ok bool) {
	n, terms := len(x), degree+1
	if degree < 1 || degree > 2 || len(y) != n || n < terms {
		return f, false
	}
	// Of x scaled to 1, so that powers are of one size.
	scale := 0.0
	for _, v := range x {
		scale = max(scale, math.Abs(v))
	}
	if scale == 0 {
		return f, false
	}
	normal := make([][]float64, terms) // with the identity beside it, which becomes the inverse
	right := make([]float64, terms)
	for i := range normal {
		normal[i] = make([]float64, 2*terms)
		normal[i][terms+i] = 1
	}
	for k := range x {
		v := x[k] / scale
		for i := range terms {
			for j := range terms {
				normal[i][j] += math.Pow(v, float64(i+j))
			}
			right[i] += math.Pow(v, float64(i)) * y[k]
		}
	}
	if !invert(normal) {
		return f, false
	}
	f = Fit{make([]float64, terms), make([]float64, terms)}
	for i := range terms {
		for j := range terms {
			f.Of[i] += normal[i][terms+j] * right[j]
		}
	}
	rest := 0.0
	for k := range x {
		d := y[k]
		for i := range terms {
			d -= f.Of[i] * math.Pow(x[k]/scale, float64(i))
		}
		rest += d * d
	}
	for i := range terms {
		unit := math.Pow(scale, float64(i))
		f.Half[i] = math.NaN()
		if free := n - terms; free > 0 {
			f.Half[i] = student(free) * math.Sqrt(rest/float64(free)*normal[i][terms+i]) / unit
		}
		f.Of[i] /= unit
	}
	return f, true
}

// invert turns [A | I] into [I | A⁻¹]; false: A has no inverse.
func invert(a [][]float64) bool {
	for c := range a {
		best := c
		for r := c; r < len(a); r++ {
			if math.Abs(a[r][c]) > math.Abs(a[best][c]) {
				best = r
			}
		}
		if math.Abs(a[best][c]) < 1e-12 {
			return false
		}
		a[c], a[best] = a[best], a[c]
		p := a[c][c]
		for j := range a[c] {
			a[c][j] /= p
		}
		for r := range a {
			if r == c {
				continue
			}
			by := a[r][c]
			for j := range a[r] {
				a[r][j] -= by * a[c][j]
			}
		}
	}
	return true
}

// student is the 0.975-quantile of Student's distribution with so many degrees of freedom: a table, and beyond it the first
// terms of its expansion (Abramowitz and Stegun 26.7.5).
func student(free int) float64 {
	table := []float64{12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281}
	if free <= len(table) {
		return table[free-1]
	}
	const z = 1.959964
	v := float64(free)
	return z + (z*z*z+z)/(4*v) + (5*math.Pow(z, 5)+16*z*z*z+3*z)/(96*v*v) +
		(3*math.Pow(z, 7)+19*math.Pow(z, 5)+17*z*z*z-15*z)/(384*v*v*v)
}
