package model

// Inspection is what `paceline model inspect` shows of a checkpoint.
type Inspection struct {
	Dir          string `json:"dir"`
	Architecture string `json:"architecture"`
	Dialect      string `json:"dialect"` // of config.json
	DType        string `json:"dtype"`   // of the embedding, as stored; or the format: "w8", "w4"
	Synthetic    bool   `json:"synthetic"`
	Config       Config `json:"config"`

	Quantization *Quantization `json:"quantization,omitempty"` // nil: the weights aren't quantised

	Parameters int64   `json:"parameters"`      // a tied head counts once
	Bits       float64 `json:"bits_per_weight"` // of the tensors, scales included
	Bytes      int64   `json:"bytes"`           // of the tensors
	Parts      []Part  `json:"parts"`           // in the order of Config.Tensors
	Files      []File  `json:"files"`           // safetensors, by name
	KVElements int64   `json:"kv_elements"`     // numbers the KV cache holds for one token
	KVBytes16  int64   `json:"kv_bytes_16"`     // bytes a token in a cache of 16-bit numbers
	KVBytes32  int64   `json:"kv_bytes_32"`     // bytes a token in a cache of 32-bit numbers
	StepBytes  int64   `json:"step_bytes"`      // weights read to decode one token, scales included: all but an untied embedding
	StepFlops  int64   `json:"step_flops"`      // of the matrix products for one token, attention not counted
	Context    int     `json:"max_context"`     // tokens
	KVContext  int64   `json:"kv_context"`      // bytes of a 16-bit cache for one sequence of Context tokens
}

// Part is one kind of tensors.
type Part struct {
	Name       string `json:"name"` // "embedding", "attention", "mlp", "norm", "head"
	Tensors    int    `json:"tensors"`
	Parameters int64  `json:"parameters"`
	Bytes      int64  `json:"bytes"`
}

// File is one safetensors file.
type File struct {
	Name    string `json:"name"`
	Bytes   int64  `json:"bytes"`
	Tensors int    `json:"tensors"`
}

// Inspect sums the checkpoint up without reading weights.
func (c *Checkpoint) Inspect() Inspection {
	in := Inspection{
		Dir: c.Dir, Architecture: c.Config.Architecture, Dialect: c.Dialect, DType: c.Config.DType,
		Synthetic: c.Synthetic, Config: c.Config, Quantization: c.Quantization,
		KVElements: c.Config.KVElementsPerToken(), Context: c.Config.MaxPositions,
	}
	in.KVBytes16, in.KVBytes32 = 2*in.KVElements, 4*in.KVElements
	in.KVContext = in.KVBytes16 * int64(in.Context)
	index := map[string]int{}
	for _, want := range c.Config.Tensors() {
		p, ok := c.tensors[want.Name]
		if !ok { // closed
			continue
		}
		i, ok := index[want.Part]
		if !ok {
			i = len(in.Parts)
			index[want.Part] = i
			in.Parts = append(in.Parts, Part{Name: want.Part})
		}
		bytes := p.bytes()
		count := int64(Tensor{Shape: want.Shape}.Len())
		part := &in.Parts[i]
		part.Tensors++
		part.Parameters += count
		part.Bytes += bytes
		in.Parameters += count
		in.Bytes += bytes
		if want.Part != "embedding" || c.Config.TieEmbeddings {
			in.StepBytes += bytes
			if len(want.Shape) == 2 {
				in.StepFlops += 2 * count
			}
		}
	}
	if in.Parameters > 0 {
		in.Bits = 8 * float64(in.Bytes) / float64(in.Parameters)
	}
	for _, s := range c.shards {
		in.Files = append(in.Files, File{Name: s.name, Bytes: s.size, Tensors: len(s.entries)})
	}
	return in
}
