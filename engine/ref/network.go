package ref

import (
	"math"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
)

// network is the model: Qwen2 as in transformers' modeling_qwen2.py.
type network struct {
	config    model.Config
	embedding matrix // [vocabulary, hidden]
	layers    []layer
	norm      []float32
	head      matrix // the embedding where it is tied

	// see, if not nil, is shown what each matrix multiplies (see Observe).
	see func(name string, inputs []float64)
}

type layer struct {
	attentionNorm  []float32
	q, k, v        matrix
	qBias          []float32
	kBias, vBias   []float32
	o              matrix
	mlpNorm        []float32
	gate, up, down matrix
}

// forward feeds the tokens of row, writes their keys and values to the cache,
// and returns the hidden state after the last layer, before the final norm, of
// each of them. The result lies in s until the next call.
func (n *network) forward(row *backend.Row, kv *cache, s *scratch) []float64 {
	c := n.config
	count := len(row.Tokens)
	hidden := s.hidden[:count*c.HiddenSize]
	for i, id := range row.Tokens {
		n.embedding.row(hidden[i*c.HiddenSize:(i+1)*c.HiddenSize], int(id))
	}
	for l := range n.layers {
		n.attention(l, row, hidden, kv, s)
		n.mlp(l, hidden, s)
	}
	return hidden
}

// attention adds the layer's attention to hidden: grouped queries, causal,
// rotary positions.
func (n *network) attention(l int, row *backend.Row, hidden []float64, kv *cache, s *scratch) {
	c, w := n.config, &n.layers[l]
	count := len(row.Tokens)
	normed := s.normed[:len(hidden)]
	rmsNorm(normed, hidden, w.attentionNorm, c.RMSNormEps)
	n.show(l, "self_attn.q_proj.weight", normed)

	query := s.query[:count*c.QueryWidth()]
	w.q.apply(query, normed, w.qBias, s)
	key, value := s.key[:count*c.KVWidth()], s.value[:count*c.KVWidth()]
	w.k.apply(key, normed, w.kBias, s)
	w.v.apply(value, normed, w.vBias, s)
	for i := range count {
		position := row.Start + i
		s.rotation.set(position)
		s.rotation.turn(query[i*c.QueryWidth() : (i+1)*c.QueryWidth()])
		s.rotation.turn(key[i*c.KVWidth() : (i+1)*c.KVWidth()])
		copy(kv.key(row.Pages, l, position), key[i*c.KVWidth():])
		copy(kv.value(row.Pages, l, position), value[i*c.KVWidth():])
	}

	mixed := s.mixed[:len(query)]
	for i := range count {
		for h := range c.Heads {
			at := i*c.QueryWidth() + h*c.HeadDim
			n.attend(l, h, row.Start+i, query[at:at+c.HeadDim], mixed[at:at+c.HeadDim], row.Pages, kv, s)
		}
	}
	n.show(l, "self_attn.o_proj.weight", mixed)
	added := s.added[:len(hidden)]
	w.o.apply(added, mixed, nil, s)
	for i, v := range added {
		hidden[i] += v
	}
}

// attend is softmax(q·K / √d)·V of query head h at one position, over all
// positions up to it. Neighbouring query heads share one key/value head.
func (n *network) attend(l, h, position int, query, mixed []float64, table []backend.PageID, kv *cache, s *scratch) {
	c := n.config
	at := h / (c.Heads / c.KVHeads) * c.HeadDim
	weights := s.weights[:position+1]
	scale := 1 / math.Sqrt(float64(c.HeadDim))
	for p := range weights {
		weights[p] = scale * dot(query, kv.key(table, l, p)[at:at+c.HeadDim])
	}
	softmax(weights)
	clear(mixed)
	for p, weight := range weights {
		for i, v := range kv.value(table, l, p)[at : at+c.HeadDim] {
			mixed[i] += weight * v
		}
	}
}

// mlp adds down(silu(gate(x))·up(x)) to hidden.
func (n *network) mlp(l int, hidden []float64, s *scratch) {
	c, w := n.config, &n.layers[l]
	count := len(hidden) / c.HiddenSize
	normed := s.normed[:len(hidden)]
	rmsNorm(normed, hidden, w.mlpNorm, c.RMSNormEps)
	n.show(l, "mlp.gate_proj.weight", normed)
	gate, up := s.gate[:count*c.IntermediateSize], s.up[:count*c.IntermediateSize]
	w.gate.apply(gate, normed, nil, s)
	w.up.apply(up, normed, nil, s)
	for i, g := range gate {
		gate[i] = g / (1 + math.Exp(-g)) * up[i]
	}
	n.show(l, "mlp.down_proj.weight", gate)
	added := s.added[:len(hidden)]
	w.down.apply(added, gate, nil, s)
	for i, v := range added {
		hidden[i] += v
	}
}

// logits are the final norm and the head, for the hidden state of one position.
func (n *network) logits(logits, hidden []float64, s *scratch) {
	normed := s.normed[:len(hidden)]
	rmsNorm(normed, hidden, n.norm, n.config.RMSNormEps)
	n.head.apply(logits, normed, nil, s)
}
