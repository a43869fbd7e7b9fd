package model

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

const (
	embeddingName = "model.embed_tokens.weight"
	headName      = "lm_head.weight"
)

// LayerTensor is the full name of a tensor of layer n (from 0), for example of
// "mlp.up_proj.weight".
func LayerTensor(n int, name string) string {
	return "model.layers." + strconv.Itoa(n) + "." + name
}

// Bounds of what a config may claim, far above real models. They keep every
// product of sizes inside 64 bits and stop absurd allocations.
const (
	maxWidth     = 1 << 17
	maxVocab     = 1 << 22
	maxLayers    = 1 << 9
	maxPositions = 1 << 24
)

// parsed is config.json as read, before it is held against the tensors.
type parsed struct {
	Config
	dialect   string
	tieStated bool // the file says whether the head is tied
	synthetic bool
	quant     *Quantization // nil: the weights aren't quantised
}

// CheckConfig says whether the engine could run a model with this config.json, before
// its weights are here. The error wraps ErrInvalid or ErrUnsupported.
func CheckConfig(data []byte) error {
	if _, err := parseConfig(data); err != nil {
		return fmt.Errorf("%s: %w", configFile, err)
	}
	return nil
}

// parseConfig reads config.json in either dialect.
func parseConfig(data []byte) (parsed, error) {
	o, err := parseObject(data)
	if err != nil {
		return parsed{}, invalidf("%w", err)
	}
	if err := checkArchitecture(o); err != nil {
		return parsed{}, err
	}
	p := parsed{Config: Config{Architecture: architectureQwen2, BOS: -1}}
	if p.quant, err = readQuantization(o); err != nil {
		return parsed{}, err
	}
	for _, step := range []func(object) error{p.readSizes, p.readRope, p.readDType, p.readRest} {
		if err := step(o); err != nil {
			return parsed{}, invalidf("%w", err)
		}
	}
	return p, checkFeatures(o, p.Layers)
}

// checkArchitecture comes first: other architectures lack keys that it implies.
func checkArchitecture(o object) error {
	names, err := o.texts("architectures")
	if err != nil {
		return invalidf("%w", err)
	}
	kind, stated, err := o.text("model_type")
	if err != nil {
		return invalidf("%w", err)
	}
	switch {
	case len(names) == 0 && !stated:
		return invalidf("it names neither architectures nor model_type: no config of a model")
	case len(names) > 0 && !slices.Contains(names, architectureQwen2):
		return unsupportedf("unknown architecture %.80q; supported: %s (Qwen2, Qwen2.5)", names, architectureQwen2)
	case stated && kind != "qwen2":
		return unsupportedf("unknown model_type %.80q; supported: \"qwen2\" (Qwen2, Qwen2.5)", kind)
	}
	return nil
}

func (p *parsed) readSizes(o object) error {
	for _, f := range []struct {
		key string
		to  *int
		max int
	}{
		{"vocab_size", &p.VocabSize, maxVocab},
		{"hidden_size", &p.HiddenSize, maxWidth},
		{"intermediate_size", &p.IntermediateSize, maxWidth},
		{"num_hidden_layers", &p.Layers, maxLayers},
		{"num_attention_heads", &p.Heads, 1 << 12},
		{"max_position_embeddings", &p.MaxPositions, maxPositions},
	} {
		n, ok, err := o.integer(f.key, 1, f.max)
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%s is missing", f.key)
		}
		*f.to = n
	}
	n, ok, err := o.integer("num_key_value_heads", 1, p.Heads)
	if err != nil {
		return err
	}
	if p.KVHeads = n; !ok {
		p.KVHeads = p.Heads
	}
	if p.Heads%p.KVHeads != 0 {
		return fmt.Errorf("num_attention_heads %d isn't a multiple of num_key_value_heads %d", p.Heads, p.KVHeads)
	}
	if n, ok, err = o.integer("head_dim", 1, 1<<10); err != nil {
		return err
	}
	if p.HeadDim = n; !ok {
		if p.HiddenSize%p.Heads != 0 {
			return fmt.Errorf("hidden_size %d isn't a multiple of num_attention_heads %d", p.HiddenSize, p.Heads)
		}
		p.HeadDim = p.HiddenSize / p.Heads
	}
	if p.HeadDim%2 != 0 {
		return fmt.Errorf("the head size is %d, want an even number: rotary embedding turns pairs", p.HeadDim)
	}
	if p.QueryWidth() > maxWidth {
		return fmt.Errorf("%d heads of %d elements: more than %d together", p.Heads, p.HeadDim, maxWidth)
	}
	return nil
}

// readRope finds the base of the rotary embedding in either place. A file with
// both must not contradict itself.
func (p *parsed) readRope(o object) error {
	theta, top, err := o.number("rope_theta")
	if err != nil {
		return err
	}
	p.dialect = DialectHub
	if o.has("rope_parameters") {
		p.dialect = DialectV5
		rope, err := parseObject(o["rope_parameters"])
		if err != nil {
			return fmt.Errorf("rope_parameters: %w", err)
		}
		inner, ok, err := rope.number("rope_theta")
		if err != nil {
			return fmt.Errorf("rope_parameters: %w", err)
		}
		if ok && top && inner != theta {
			return fmt.Errorf("rope_theta is %v at the top and %v in rope_parameters", theta, inner)
		}
		if ok {
			theta, top = inner, true
		}
	}
	if !top {
		theta = 10000 // the default of the architecture in transformers
	}
	if !(theta > 1) || math.IsInf(theta, 0) {
		return fmt.Errorf("rope_theta is %v, want a finite number above 1", theta)
	}
	p.RopeTheta = theta
	return nil
}

func (p *parsed) readDType(o object) error {
	old, stated, err := o.text("torch_dtype")
	if err != nil {
		return err
	}
	name, newer, err := o.text("dtype")
	if err != nil {
		return err
	}
	if stated && newer && old != name {
		return fmt.Errorf("torch_dtype is %q and dtype is %q", old, name)
	}
	if !newer {
		name = old
	} else if !stated && !o.has("rope_theta") {
		p.dialect = DialectV5
	}
	switch name {
	case "", "bfloat16", "float16", "float32": // empty: the tensors say it
		p.DType = name
		return nil
	}
	return fmt.Errorf("the element type is %.40q, want bfloat16, float16 or float32", name)
}

func (p *parsed) readRest(o object) error {
	eps, ok, err := o.number("rms_norm_eps")
	if err != nil {
		return err
	}
	if !ok {
		eps = 1e-6 // the default of the architecture in transformers
	}
	if eps <= 0 || eps > 1 {
		return fmt.Errorf("rms_norm_eps is %v, want a number above 0 and at most 1", eps)
	}
	p.RMSNormEps = eps
	if p.TieEmbeddings, p.tieStated, err = o.boolean("tie_word_embeddings"); err != nil {
		return err
	}
	bos, err := o.ids("bos_token_id", p.VocabSize)
	if err != nil {
		return err
	}
	if len(bos) == 1 {
		p.BOS = bos[0]
	}
	if p.EOS, err = o.ids("eos_token_id", p.VocabSize); err != nil {
		return err
	}
	p.synthetic, _, err = o.boolean("paceline_synthetic")
	return err
}

// checkFeatures refuses what a config may ask for and this engine doesn't
// compute: ignoring it would give wrong tokens at full speed.
func checkFeatures(o object, layers int) error {
	if act, ok, err := o.text("hidden_act"); err != nil {
		return invalidf("%w", err)
	} else if ok && act != "silu" {
		return unsupportedf("hidden_act %.40q; supported: \"silu\"", act)
	}
	if sliding, _, err := o.boolean("use_sliding_window"); err != nil {
		return invalidf("%w", err)
	} else if sliding {
		return unsupportedf("use_sliding_window is true; supported: full attention")
	}
	kinds, err := o.texts("layer_types")
	if err != nil {
		return invalidf("%w", err)
	}
	if kinds != nil && len(kinds) != layers {
		return invalidf("layer_types has %d entries for %d layers", len(kinds), layers)
	}
	for i, kind := range kinds {
		if kind != "full_attention" {
			return unsupportedf("layer_types[%d] is %.40q; supported: \"full_attention\"", i, kind)
		}
	}
	for _, key := range []string{"rope_scaling", "rope_parameters"} {
		if !o.has(key) {
			continue
		}
		rope, err := parseObject(o[key])
		if err != nil {
			return invalidf("%s: %w", key, err)
		}
		for _, name := range []string{"rope_type", "type"} {
			if kind, ok, err := rope.text(name); err != nil {
				return invalidf("%s: %w", key, err)
			} else if ok && kind != "default" {
				return unsupportedf("%s asks for %.40q; supported: \"default\"", key, kind)
			}
		}
		if v, ok, err := rope.number("partial_rotary_factor"); err != nil {
			return invalidf("%s: %w", key, err)
		} else if ok && v != 1 {
			return unsupportedf("%s has partial_rotary_factor %v; supported: 1", key, v)
		}
	}
	return nil
}
