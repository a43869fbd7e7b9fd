package model

// Config is a model's architecture, after either dialect of config.json was read.
// One from Open is valid and agrees with the tensors.
type Config struct {
	Architecture     string  `json:"architecture"`      // "Qwen2ForCausalLM"
	VocabSize        int     `json:"vocab_size"`        // rows of the embedding
	HiddenSize       int     `json:"hidden_size"`       // width of the residual stream
	IntermediateSize int     `json:"intermediate_size"` // width of the gated MLP
	Layers           int     `json:"layers"`            // transformer blocks
	Heads            int     `json:"heads"`             // query heads
	KVHeads          int     `json:"kv_heads"`          // key/value heads; divides Heads
	HeadDim          int     `json:"head_dim"`          // size of one head, in elements; even
	MaxPositions     int     `json:"max_positions"`     // context length in tokens
	RopeTheta        float64 `json:"rope_theta"`        // base of the rotary embedding
	RMSNormEps       float64 `json:"rms_norm_eps"`      // added to the mean square
	TieEmbeddings    bool    `json:"tie_embeddings"`    // the head is the embedding
	DType            string  `json:"dtype"`             // of the embedding, as stored: "bfloat16", "float32", "float16"; or the format: "w8", "w4"
	BOS              int32   `json:"bos"`               // -1 where the config names none
	EOS              []int32 `json:"eos"`               // from generation_config.json, else config.json; may be empty
}

// Generation is what generation_config.json recommends for sampling. Zero values
// mean that it says nothing.
type Generation struct {
	DoSample    bool    `json:"do_sample"`
	Temperature float64 `json:"temperature"` // ≥ 0
	TopK        int     `json:"top_k"`       // ≥ 0
	TopP        float64 `json:"top_p"`       // in [0, 1]
}

// The dialects of config.json.
const (
	DialectHub = "hub" // top-level rope_theta and torch_dtype, as the hub's files have
	DialectV5  = "v5"  // rope_parameters and dtype, as transformers ≥ 5 writes
)

// architectureQwen2 is the one architecture that this engine computes.
const architectureQwen2 = "Qwen2ForCausalLM"

// QueryWidth is the elements of all query heads of one position.
func (c Config) QueryWidth() int { return c.Heads * c.HeadDim }

// KVWidth is the elements of all keys (or all values) of one position in one layer.
func (c Config) KVWidth() int { return c.KVHeads * c.HeadDim }

// KVElementsPerToken is how many numbers the KV cache holds for one position,
// keys and values of all layers together.
func (c Config) KVElementsPerToken() int64 {
	return 2 * int64(c.Layers) * int64(c.KVWidth())
}

// Expected is a tensor that a checkpoint must have.
type Expected struct {
	Name  string
	Shape []int
	Part  string // what it is part of: "embedding", "attention", "mlp", "norm", "head"
}

// Tensors lists the tensors of the architecture in the order of computation. A
// matrix has shape [outputs, inputs].
func (c Config) Tensors() []Expected {
	hidden, inner, query, kv := c.HiddenSize, c.IntermediateSize, c.QueryWidth(), c.KVWidth()
	list := []Expected{{"model.embed_tokens.weight", []int{c.VocabSize, hidden}, "embedding"}}
	for layer := range c.Layers {
		for _, t := range []Expected{
			{"input_layernorm.weight", []int{hidden}, "norm"},
			{"self_attn.q_proj.weight", []int{query, hidden}, "attention"},
			{"self_attn.q_proj.bias", []int{query}, "attention"},
			{"self_attn.k_proj.weight", []int{kv, hidden}, "attention"},
			{"self_attn.k_proj.bias", []int{kv}, "attention"},
			{"self_attn.v_proj.weight", []int{kv, hidden}, "attention"},
			{"self_attn.v_proj.bias", []int{kv}, "attention"},
			{"self_attn.o_proj.weight", []int{hidden, query}, "attention"},
			{"post_attention_layernorm.weight", []int{hidden}, "norm"},
			{"mlp.gate_proj.weight", []int{inner, hidden}, "mlp"},
			{"mlp.up_proj.weight", []int{inner, hidden}, "mlp"},
			{"mlp.down_proj.weight", []int{hidden, inner}, "mlp"},
		} {
			t.Name = LayerTensor(layer, t.Name)
			list = append(list, t)
		}
	}
	list = append(list, Expected{"model.norm.weight", []int{hidden}, "norm"})
	if !c.TieEmbeddings {
		list = append(list, Expected{headName, []int{c.VocabSize, hidden}, "head"})
	}
	return list
}
