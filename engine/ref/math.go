package ref

import "math"

// matrix is a weight [outputs, inputs], row by row.
type matrix struct {
	outputs, inputs int
	data            []float32
}

// row writes row i to dst.
func (m matrix) row(dst []float64, i int) {
	for j, v := range m.data[i*m.inputs : (i+1)*m.inputs] {
		dst[j] = float64(v)
	}
}

// apply is y = W·x + bias for each of the vectors that lie one after another in x;
// bias may be nil.
func (m matrix) apply(y, x []float64, bias []float32, s *scratch) {
	w := s.row[:m.inputs]
	for i := range m.outputs {
		m.row(w, i) // once for all vectors
		b := 0.0
		if bias != nil {
			b = float64(bias[i])
		}
		for t := range len(x) / m.inputs {
			y[t*m.outputs+i] = b + dot(w, x[t*m.inputs:(t+1)*m.inputs])
		}
	}
}

// dot is Σ a·b. Four sums keep the processor busy; which element goes to which of
// them depends on its index only.
func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var s0, s1, s2, s3 float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return (s0 + s1) + (s2 + s3)
}

// rmsNorm is x / √(mean(x²) + eps) · weight, for each vector in x.
func rmsNorm(y, x []float64, weight []float32, eps float64) {
	for at := 0; at < len(x); at += len(weight) {
		v := x[at : at+len(weight)]
		scale := 1 / math.Sqrt(dot(v, v)/float64(len(v))+eps)
		for i := range v {
			y[at+i] = v[i] * scale * float64(weight[i])
		}
	}
}

// softmax turns scores to weights in place.
func softmax(scores []float64) {
	top := scores[0]
	for _, v := range scores {
		top = max(top, v)
	}
	sum := 0.0
	for i, v := range scores {
		scores[i] = math.Exp(v - top)
		sum += scores[i]
	}
	for i := range scores {
		scores[i] /= sum
	}
}

// logProb is ln softmax(logits)[id].
func logProb(logits []float64, id int32) float64 {
	top := logits[0]
	for _, v := range logits {
		top = max(top, v)
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(v - top)
	}
	return logits[id] - top - math.Log(sum)
}

// rotation is the rotary embedding (Su et al., 2021) of one position, in the
// layout of transformers: element i of a head is paired with element i + d/2, and
// both are turned by the angle position·theta^(-2i/d).
type rotation struct {
	frequency []float64 // theta^(-2i/d)
	cos, sin  []float64 // of the position that was set
}

func newRotation(theta float64, headDim int) rotation {
	half := headDim / 2
	r := rotation{frequency: make([]float64, half), cos: make([]float64, half), sin: make([]float64, half)}
	for i := range half {
		r.frequency[i] = math.Pow(theta, -2*float64(i)/float64(headDim))
	}
	return r
}

func (r rotation) set(position int) {
	for i, f := range r.frequency {
		r.sin[i], r.cos[i] = math.Sincos(float64(position) * f)
	}
}

// turn rotates all heads in x.
func (r rotation) turn(x []float64) {
	half := len(r.frequency)
	for at := 0; at < len(x); at += 2 * half {
		for i := range half {
			a, b := x[at+i], x[at+half+i]
			x[at+i] = a*r.cos[i] - b*r.sin[i]
			x[at+half+i] = b*r.cos[i] + a*r.sin[i]
		}
	}
}
