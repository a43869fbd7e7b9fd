package quant

import (
	"math"
	"runtime"
	"sync"
	"sync/atomic"
)

// spanColumns is how far an error is spread: columns of one span make up for each other. It
// bounds the time, which grows with its square, and is eight groups.
const spanColumns = 1024

// span says how neighbouring columns of a matrix depend on each other: after rounding column
// j with an error e, adding −e·spread[j][k]/spread[j][j] to each later column k keeps
// the outputs as near as they can be.
//
// spread is the upper triangular U with (XᵀX + λI)⁻¹ = UᵀU, X the inputs that the matrix was
// seen to multiply (GPTQ: Frantar, Ashkboos, Hoefler, Alistarh, arXiv 2210.17323, §3).
type span struct {
	from, n int
	spread  []float64 // n×n
}

// damping is λ as a share of the mean square of the inputs. The paper has 0.01; with the few
// hundred inputs that are looked at here, ten times as much fits other texts better.
const damping = 0.1

// newSpan computes the span of n columns from column from, for inputs of width columns that
// lie one after another in x. It is nil where all of them are zero.
func newSpan(x []float32, width, from, n int) *span {
	h := moments(x, width, from, n)
	trace := 0.0
	for j := range n {
		trace += h[j*n+j]
	}
	if !(trace > 0) {
		return nil
	}
	for j := range n {
		h[j*n+j] += damping * trace / float64(n)
	}
	factor(h, n)
	return &span{from: from, n: n, spread: invertUpper(h, n)}
}

// moments is XᵀX of some columns, n×n.
func moments(x []float32, width, from, n int) []float64 {
	count := len(x) / width
	columns := make([]float64, n*count) // transposed, so that a column lies in one piece
	for t := range count {
		for j := range n {
			columns[j*count+t] = float64(x[t*width+from+j])
		}
	}
	h := make([]float64, n*n)
	parallel(n, func(i int) {
		for j := range i + 1 {
			v := dot(columns[i*count:(i+1)*count], columns[j*count:(j+1)*count])
			h[i*n+j], h[j*n+i] = v, v
		}
	})
	return h
}

// factor replaces the positive definite h, n×n, by the upper triangular M with h = M·Mᵀ:
// Cholesky's method from the last row up. What lies below the diagonal is left.
func factor(h []float64, n int) {
	for j := n - 1; j >= 0; j-- {
		row := h[j*n : (j+1)*n]
		row[j] = math.Sqrt(max(row[j]-dot(row[j+1:], row[j+1:]), math.SmallestNonzeroFloat64))
		parallel(j, func(i int) {
			h[i*n+j] = (h[i*n+j] - dot(h[i*n+j+1:(i+1)*n], row[j+1:])) / row[j]
		})
	}
}

// invertUpper is the inverse of an upper triangular matrix, n×n.
func invertUpper(m []float64, n int) []float64 {
	out := make([]float64, n*n)
	for i := n - 1; i >= 0; i-- {
		row := out[i*n : (i+1)*n]
		row[i] = 1
		for k := i + 1; k < n; k++ {
			subtract(row[k:], m[i*n+k], out[k*n+k:(k+1)*n])
		}
		for k := i; k < n; k++ {
			row[k] /= m[i*n+i]
		}
	}
	return out
}

// carry spreads the error of column j, counted within the span, over the later columns of w.
func (s *span) carry(w []float64, j int, err float64) {
	row := s.spread[j*s.n : (j+1)*s.n]
	subtract(w[j+1:], err/row[j], row[j+1:])
}

// subtract is a −= f·b. The conversion keeps product and difference apart (see fit.cost).
func subtract(a []float64, f float64, b []float64) {
	b = b[:len(a)]
	for i := range a {
		a[i] -= float64(f * b[i])
	}
}

func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float64(a[i] * b[i])
		s1 += float64(a[i+1] * b[i+1])
		s2 += float64(a[i+2] * b[i+2])
		s3 += float64(a[i+3] * b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float64(a[i] * b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// parallel calls do for 0..n-1, by all processors where it is worth it.
func parallel(n int, do func(i int)) {
	workers := min(runtime.GOMAXPROCS(0), n/64)
	if workers < 2 {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for lo := int(next.Add(32)) - 32; lo < n; lo = int(next.Add(32)) - 32 {
				for i := lo; i < min(lo+32, n); i++ {
					do(i)
				}
			}
		})
	}
	wait.Wait()
}
