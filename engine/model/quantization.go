package model

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
)

// Quantization says how a checkpoint's weights were quantised: what config.json holds as
// quantization_config, written by `paceline model quantize`. A quantised matrix "X.weight" is
// stored as two tensors, "X.weight" of type I8 (W8) or U8 (W4) and "X.weight_scale" of type
// F32 or F16; Checkpoint.Tensor gives them as one. Which matrices get which type is
// StoredType's to say.
type Quantization struct {
	Weights      string `json:"weights"`       // "w8" or "w4"
	GroupSize    int    `json:"group_size"`    // GroupColumns
	Head         string `json:"head"`          // "w8": of the embedding and the head
	Algorithm    string `json:"algorithm"`     // "rtn", "search" or "gptq"
	SourceDigest string `json:"source_digest"` // Checkpoint.Digest of what was quantised
}

// What quantization_config says of itself.
const (
	quantizationKey     = "quantization_config"
	quantizationMethod  = "paceline"
	quantizationVersion = 1
)

// fields is the quantization_config that reads as q.
func (q Quantization) fields() map[string]any {
	return map[string]any{
		"quant_method": quantizationMethod, "version": quantizationVersion, "weights": q.Weights,
		"group_size": q.GroupSize, "head": q.Head, "algorithm": q.Algorithm, "source_digest": q.SourceDigest,
	}
}

// withQuantization adds q to a config.json, whose other keys keep their values.
func withQuantization(config []byte, q Quantization) ([]byte, error) {
	o, err := parseObject(config)
	if err != nil {
		return nil, invalidf("%w", err)
	}
	if o[quantizationKey], err = json.Marshal(q.fields()); err != nil {
		return nil, err
	}
	data, err := json.MarshalIndent(o, "", "  ")
	if err != nil {
		return nil, err
	}
	if _, err := parseConfig(data); err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}

// readQuantization reads quantization_config, or gives nil where there is none.
func readQuantization(o object) (*Quantization, error) {
	if !o.has(quantizationKey) {
		return nil, nil
	}
	q, err := parseObject(o[quantizationKey])
	if err != nil {
		return nil, invalidf("%s: %w", quantizationKey, err)
	}
	out, err := parseQuantization(q)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", quantizationKey, err)
	}
	return out, nil
}

func parseQuantization(o object) (*Quantization, error) {
	method, _, err := o.text("quant_method")
	if err != nil {
		return nil, invalidf("%w", err)
	}
	if method != quantizationMethod {
		return nil, unsupportedf("the weights are quantised by the method %.40q; supported: %q, and weights in bfloat16, float16 or float32: get the model unquantised, then quantise it with `paceline model quantize`", method, quantizationMethod)
	}
	version, _, err := o.integer("version", 1, 1<<20)
	if err != nil {
		return nil, invalidf("%w", err)
	}
	if version != quantizationVersion {
		return nil, unsupportedf("version %d of the format; supported: %d: take a newer paceline, or quantise the model again with this one", version, quantizationVersion)
	}
	q := Quantization{}
	for _, f := range []struct {
		key string
		to  *string
		of  []string
	}{
		{"weights", &q.Weights, []string{"w8", "w4"}},
		{"head", &q.Head, []string{"w8"}},
		{"algorithm", &q.Algorithm, []string{"rtn", "search", "gptq"}},
	} {
		if *f.to, _, err = o.text(f.key); err != nil {
			return nil, invalidf("%w", err)
		}
		if !slices.Contains(f.of, *f.to) {
			return nil, unsupportedf("%s is %.40q; supported: %q", f.key, *f.to, f.of)
		}
	}
	if q.GroupSize, _, err = o.integer("group_size", 1, 1<<20); err != nil {
		return nil, invalidf("%w", err)
	}
	if q.GroupSize != GroupColumns {
		return nil, unsupportedf("group_size is %d; supported: %d", q.GroupSize, GroupColumns)
	}
	if q.SourceDigest, _, err = o.text("source_digest"); err != nil {
		return nil, invalidf("%w", err)
	}
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(q.SourceDigest) {
		return nil, invalidf("source_digest is %.80q, want a SHA-256 as 64 hex digits", q.SourceDigest)
	}
	for _, key := range sortedKeys(o) {
		if _, ok := q.fields()[key]; !ok {
			return nil, invalidf("unknown key %.40q", key)
		}
	}
	return &q, nil
}

// quantised is the type that the checkpoint's format gives to a tensor; "" leaves it as it is.
func (c *Checkpoint) quantised(name string) DType {
	if c.Quantization == nil {
		return ""
	}
	return StoredType(c.Quantization.Weights, name)
}

// checkPacked holds a quantised matrix and its scales against what the config wants, and
// joins them.
func (c *Checkpoint) checkPacked(want Expected, d DType) error {
	p := c.tensors[want.Name]
	data, scale := d.stored(want.Shape[0], want.Shape[1])
	if err := p.expect(data); err != nil {
		return err
	}
	s, ok := c.tensors[want.Name+scaleSuffix]
	if !ok {
		return fmt.Errorf("%s: %w", p.shard.name, invalidf("tensor %q is quantised, but its scales %q are missing", want.Name, want.Name+scaleSuffix))
	}
	if err := s.expect(scale); err != nil {
		return err
	}
	p.dtype, p.shape, p.scales = d, want.Shape, &s
	c.tensors[want.Name] = p
	return nil
}

// expect holds a stored tensor of a quantised model against its type and shape.
func (p place) expect(want entry) error {
	if p.entry.dtype != want.dtype || !slices.Equal(p.entry.shape, want.shape) {
		return fmt.Errorf("%s: %w", p.shard.name, invalidf("tensor %q: %s and %s want %s of shape %v, found %s of shape %v",
			p.entry.name, configFile, quantizationKey, want.dtype, want.shape, p.entry.dtype, p.entry.shape))
	}
	return nil
}
