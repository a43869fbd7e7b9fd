package model

import (
	"fmt"
)

// parseGeneration reads generation_config.json. Its token ids, where it has any,
// replace those of c.
func parseGeneration(data []byte, c *Config) (Generation, error) {
	var g Generation
	o, err := parseObject(data)
	if err != nil {
		return g, invalidf("%w", err)
	}
	eos, err := o.ids("eos_token_id", c.VocabSize)
	if err != nil {
		return g, invalidf("%w", err)
	}
	if eos != nil {
		c.EOS = eos
	}
	bos, err := o.ids("bos_token_id", c.VocabSize)
	if err != nil {
		return g, invalidf("%w", err)
	}
	if len(bos) == 1 {
		c.BOS = bos[0]
	}
	if g.DoSample, _, err = o.boolean("do_sample"); err != nil {
		return g, invalidf("%w", err)
	}
	if g.Temperature, _, err = o.number("temperature"); err == nil && g.Temperature < 0 {
		err = fmt.Errorf("temperature is %v, want at least 0", g.Temperature)
	}
	if err != nil {
		return g, invalidf("%w", err)
	}
	if g.TopP, _, err = o.number("top_p"); err == nil && (g.TopP < 0 || g.TopP > 1) {
		err = fmt.Errorf("top_p is %v, want a number from 0 to 1", g.TopP)
	}
	if err != nil {
		return g, invalidf("%w", err)
	}
	if g.TopK, _, err = o.integer("top_k", 0, 1<<24); err != nil {
		return g, invalidf("%w", err)
	}
	return g, nil
}

// parseIndex reads the weight_map of model.safetensors.index.json: which shard
// holds which tensor.
func parseIndex(data []byte) (map[string]string, error) {
	o, err := parseObject(data)
	if err != nil {
		return nil, invalidf("%w", err)
	}
	if !o.has("weight_map") {
		return nil, invalidf("weight_map is missing")
	}
	names, err := parseObject(o["weight_map"])
	if err != nil {
		return nil, invalidf("weight_map: %w", err)
	}
	if len(names) > MaxTensors {
		return nil, invalidf("weight_map has %d tensors, the limit is %d", len(names), MaxTensors)
	}
	shards := make(map[string]string, len(names))
	for name := range names {
		shard, ok, err := names.text(name)
		if err != nil || !ok {
			return nil, invalidf("weight_map: the shard of %q isn't a string", name)
		}
		shards[name] = shard
	}
	return shards, nil
}
