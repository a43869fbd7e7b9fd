package goldentest

import (
	"math"

	"github.com/paceline/paceline/engine/model"
)

// OneLayer computes the logits of a model with one layer after chosen positions of a long
// sequence. There keys and values follow from token and position alone, so that it costs a
// pass over the sequence for each chosen position, where a backend must compute all of
// them. It is written from the formulas in float64, shares nothing with a backend, and is
// as slow as it is plain.
type OneLayer struct {
	config model.Config
	w      map[string][]float64
	// Angle of a rotary pair with this frequency at a position, in radians; the product in
	// float64 unless a test puts in a worse one.
	Angle func(position int, frequency float64) float64
}

// NewOneLayer reads the weights of c.
func NewOneLayer(c *model.Checkpoint) (*OneLayer, error) {
	o := &OneLayer{config: c.Config, w: map[string][]float64{}, Angle: func(p int, f float64) float64 { return float64(p) * f }}
	for _, x := range c.Config.Tensors() {
		t, err := c.Tensor(x.Name)
		if err != nil {
			return nil, err
		}
		values := make([]float32, t.Len())
		if err := t.Float32(values); err != nil {
			return nil, err
		}
		wide := make([]float64, len(values))
		for i, v := range values {
			wide[i] = float64(v)
		}
		o.w[x.Name] = wide
	}
	return o, nil
}

// Logits are those after each of the positions of ids.
func (o *OneLayer) Logits(ids []int32, positions []int) [][]float64 {
	c := o.config
	keys, values := make([][]float64, len(ids)), make([][]float64, len(ids))
	for p, id := range ids {
		x := o.norm(o.embedding(id), "input_layernorm")
		keys[p], values[p] = o.linear(x, "self_attn.k_proj"), o.linear(x, "self_attn.v_proj")
		o.turn(keys[p], p)
	}
	var out [][]float64
	for _, p := range positions {
		x := o.embedding(ids[p])
		query := o.linear(o.norm(x, "input_layernorm"), "self_attn.q_proj")
		o.turn(query, p)
		mixed := make([]float64, len(query))
		for h := range c.Heads {
			kv, q := h/(c.Heads/c.KVHeads)*c.HeadDim, h*c.HeadDim
			weights, sum := make([]float64, p+1), 0.0
			for i := range weights {
				score := 0.0
				for d := range c.HeadDim {
					score += query[q+d] * keys[i][kv+d]
				}
				weights[i] = math.Exp(score / math.Sqrt(float64(c.HeadDim))) // scores stay far below overflow
				sum += weights[i]
			}
			for i, w := range weights {
				for d := range c.HeadDim {
					mixed[q+d] += w / sum * values[i][kv+d]
				}
			}
		}
		x = add(x, o.linear(mixed, "self_attn.o_proj"))
		y := o.norm(x, "post_attention_layernorm")
		gate, up := o.linear(y, "mlp.gate_proj"), o.linear(y, "mlp.up_proj")
		for i, g := range gate {
			gate[i] = g / (1 + math.Exp(-g)) * up[i]
		}
		x = add(x, o.linear(gate, "mlp.down_proj"))
		head := o.w["lm_head.weight"]
		if c.TieEmbeddings {
			head = o.w["model.embed_tokens.weight"]
		}
		out = append(out, multiply(head, rms(x, o.w["model.norm.weight"], c.RMSNormEps), nil))
	}
	return out
}

func (o *OneLayer) embedding(id int32) []float64 {
	n := o.config.HiddenSize
	return o.w["model.embed_tokens.weight"][int(id)*n : (int(id)+1)*n]
}

func (o *OneLayer) norm(x []float64, name string) []float64 {
	return rms(x, o.w[model.LayerTensor(0, name+".weight")], o.config.RMSNormEps)
}

func (o *OneLayer) linear(x []float64, name string) []float64 {
	return multiply(o.w[model.LayerTensor(0, name+".weight")], x, o.w[model.LayerTensor(0, name+".bias")])
}

// turn rotates each head of x: element i and i + d/2 by the angle of frequency theta^(-2i/d).
func (o *OneLayer) turn(x []float64, position int) {
	half := o.config.HeadDim / 2
	for i := range half {
		sin, cos := math.Sincos(o.Angle(position, math.Pow(o.config.RopeTheta, -float64(i)/float64(half))))
		for at := i; at < len(x); at += 2 * half {
			a, b := x[at], x[at+half]
			x[at], x[at+half] = a*cos-b*sin, b*cos+a*sin
		}
	}
}

// multiply is w·x + bias, the bias nil for none.
func multiply(w, x, bias []float64) []float64 {
	y := make([]float64, len(w)/len(x))
	copy(y, bias)
	for i := range y {
		for j, v := range x {
			y[i] += w[i*len(x)+j] * v
		}
	}
	return y
}

func rms(x, weight []float64, eps float64) []float64 {
	squares := 0.0
	for _, v := range x {
		squares += v * v
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = v / math.Sqrt(squares/float64(len(x))+eps) * weight[i]
	}
	return y
}

func add(x, y []float64) []float64 {
	z := make([]float64, len(x))
	for i := range x {
		z[i] = x[i] + y[i]
	}
	return z
}
