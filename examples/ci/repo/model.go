package main

import (
	"hash/fnv"
	"math"
	"math/rand"
	"strings"
)

// The network's size. Each token costs passes × layers products of a width × width
// matrix with a vector.
const (
	width  = 256
	layers = 4
	passes = 7
)

const words = `a small robot named Pip lived in the old lighthouse by the sea and every night it
lit the lamp for ships that nobody had seen in years until one morning bright sail came
over water captain waved laughed with joy then sang softly about stars rain copper
wheels quiet friends home again`

// model is a recurrent network with random weights from a fixed seed: what it says
// makes little sense, but the same sense every time.
type model struct {
	vocab  []string
	embed  [][]float32
	layers [layers][]float32 // row by row
}

func newModel() *model {
	r := rand.New(rand.NewSource(1))
	m := &model{vocab: strings.Fields(words)}
	for range m.vocab {
		m.embed = append(m.embed, random(r, width, 1))
	}
	for i := range m.layers {
		m.layers[i] = random(r, width*width, 1.4/math.Sqrt(width))
	}
	return m
}

func random(r *rand.Rand, n int, scale float64) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64() * scale)
	}
	return v
}

// story is what the network remembers of a text.
type story struct {
	m           *model
	state, next []float32
	word        int // the last one
}

func (m *model) begin(prompt string) *story {
	h := fnv.New32a()
	h.Write([]byte(prompt))
	return &story{m: m, state: make([]float32, width), next: make([]float32, width), word: int(h.Sum32() % uint32(len(m.vocab)))}
}

// tell gives the next word.
func (s *story) tell() string {
	in := s.m.embed[s.word]
	for p := 0; p < passes; p++ {
		for _, w := range s.m.layers {
			s.step(w, in)
		}
	}
	best, score := 0, float32(math.Inf(-1))
	for i, e := range s.m.embed {
		if x := dot(e, s.state); x > score && i != s.word {
			best, score = i, x
		}
	}
	s.word = best
	return s.m.vocab[best]
}

// step makes the state tanh(w·state + in).
func (s *story) step(w, in []float32) {
	for i := range s.next {
		s.next[i] = float32(math.Tanh(float64(dot(w[i*width:(i+1)*width], s.state) + in[i])))
	}
	s.state, s.next = s.next, s.state
}

func dot(a, b []float32) float32 {
	var sum float32
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}
