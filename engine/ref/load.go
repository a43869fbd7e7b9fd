package ref

import (
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/quant"
)

// loader converts tensors and keeps the first error.
type loader struct {
	from   *model.Checkpoint
	format string // what matrices are rounded to first; empty: nothing
	err    error
}

func (l *loader) tensor(name string) (data []float32, shape []int) {
	if l.err != nil {
		return nil, []int{0, 0}
	}
	t, err := quant.Load(l.from, name, l.format)
	if err != nil {
		l.err = err
		return nil, []int{0, 0}
	}
	data = make([]float32, t.Len())
	l.err = t.Float32(data)
	return data, t.Shape
}

func (l *loader) vector(name string) []float32 {
	data, _ := l.tensor(name)
	return data
}

func (l *loader) matrix(name string) matrix {
	data, shape := l.tensor(name)
	return matrix{outputs: shape[0], inputs: shape[1], data: data}
}

// loadNetwork reads all weights, rounded to the format if there is one. The checkpoint has
// checked names and shapes.
func loadNetwork(c *model.Checkpoint, format string) (*network, error) {
	l := &loader{from: c, format: format}
	n := &network{config: c.Config, embedding: l.matrix("model.embed_tokens.weight"), norm: l.vector("model.norm.weight")}
	for i := range c.Config.Layers {
		matrix := func(name string) matrix { return l.matrix(model.LayerTensor(i, name)) }
		vector := func(name string) []float32 { return l.vector(model.LayerTensor(i, name)) }
		n.layers = append(n.layers, layer{
			attentionNorm: vector("input_layernorm.weight"),
			q:             matrix("self_attn.q_proj.weight"),
			k:             matrix("self_attn.k_proj.weight"),
			v:             matrix("self_attn.v_proj.weight"),
			qBias:         vector("self_attn.q_proj.bias"),
			kBias:         vector("self_attn.k_proj.bias"),
			vBias:         vector("self_attn.v_proj.bias"),
			o:             matrix("self_attn.o_proj.weight"),
			mlpNorm:       vector("post_attention_layernorm.weight"),
			gate:          matrix("mlp.gate_proj.weight"),
			up:            matrix("mlp.up_proj.weight"),
			down:          matrix("mlp.down_proj.weight"),
		})
	}
	if n.head = n.embedding; !c.Config.TieEmbeddings {
		n.head = l.matrix("lm_head.weight")
	}
	return n, l.err
}

// bytes is the memory of the weights.
func (n *network) bytes() int64 {
	count := int64(0)
	for _, t := range n.config.Tensors() {
		count += int64(model.Tensor{Shape: t.Shape}.Len())
	}
	return 4 * count
}

// scratch is the working memory of one step: room for maxTokens positions.
type scratch struct {
	hidden, normed, added []float64 // hidden size a position
	query, mixed          []float64 // query width a position
	key, value            []float64 // KV width a position
	gate, up              []float64 // intermediate size a position
	row                   []float64 // one row of any matrix
	weights               []float64 // attention of one head to each position
	logits                []float64
	rotation              rotation
	elements              int
}

func newScratch(c model.Config, context int) *scratch {
	s := &scratch{rotation: newRotation(c.RopeTheta, c.HeadDim)}
	room := func(n int) []float64 {
		s.elements += n
		return make([]float64, n)
	}
	tokens := min(maxTokens, context)
	s.hidden, s.normed, s.added = room(tokens*c.HiddenSize), room(tokens*c.HiddenSize), room(tokens*c.HiddenSize)
	s.query, s.mixed = room(tokens*c.QueryWidth()), room(tokens*c.QueryWidth())
	s.key, s.value = room(tokens*c.KVWidth()), room(tokens*c.KVWidth())
	s.gate, s.up = room(tokens*c.IntermediateSize), room(tokens*c.IntermediateSize)
	s.row = room(max(c.HiddenSize, c.IntermediateSize, c.QueryWidth()))
	s.weights = room(context)
	s.logits = room(c.VocabSize)
	return s
}

func (s *scratch) bytes() int64 { return 8 * int64(s.elements) }
