//go:build native

package cuda

import (
	"math"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

// chain is where a step's kernels go, in order: to a stream at once, or to a graph.
type chain struct {
	stream driver.Stream
	graph  *driver.Graph // nil: to the stream
	last   []driver.Node // of the graph
	count  int
	pdl    bool // each kernel may begin while the one before ends
}

// add puts a kernel at the end of a chain.
func add[P any](c *chain, ctx *driver.Context, f driver.Func, grid [3]uint32, threads int, shared uint32, p *P) error {
	cfg := driver.Config{Grid: grid, Block: [3]uint32{uint32(threads), 1, 1}, Shared: shared, PDL: c.pdl && c.count > 0}
	c.count++
	if c.graph == nil {
		return driver.Launch(ctx, f, c.stream, cfg, p)
	}
	n, err := driver.AddKernel(c.graph, f, cfg, p, c.last...)
	c.last = []driver.Node{n}
	return err
}

func grid(x int, yz ...int) [3]uint32 {
	g := [3]uint32{uint32(max(x, 1)), 1, 1}
	for i, n := range yz {
		g[i+1] = uint32(max(n, 1))
	}
	return g
}

// layers puts everything before the heads in the chain.
func (e *engine) layersTo(c *chain, x extent) error {
	begin := kernels.BeginParams{
		Host: e.hostLists, Device: e.lists, Table: e.weights.embed, Drawn: e.drawnPtr, X: e.at(e.act.x), Number: e.at(e.act.number),
	}
	if err := add(c, e.ctx, e.kernels.begin, grid(x.tokens), 128, 0, &begin); err != nil {
		return err
	}
	for i := range e.weights.layers {
		if err := e.layerTo(c, x, i); err != nil {
			return err
		}
	}
	return nil
}

// layerTo is one layer: six kernels, and two more for many tokens; one more where some rows are long and others short.
func (e *engine) layerTo(c *chain, x extent, i int) error {
	set, s, w := e.wideSet(), e.shape, &e.weights.layers[i]
	k := e.kv + kernels.Ptr(4*i*s.KVSide())
	v := k + kernels.Ptr(2*s.KVSide())
	page := uint64(pageElements(s, len(e.weights.layers)))

	qkv := kernels.QKVParams{
		Step: e.lists, X: e.at(e.act.x), Norm: w.normIn, Matrix: w.qkv, Bias: w.bias, Rope: e.weights.rope,
		Q: e.at(e.act.q), K: k, V: v, Page: page,
		In: e.at(e.act.normed),
	}
	if err := normTo(e, c, x, w.normIn); err != nil {
		return err
	}
	if err := productTo(e, c, x, &e.kernels.qkv, set.qkv, &e.inputs.normed, s.QKVTiles(), 1, &qkv); err != nil {
		return err
	}
	att := kernels.AttentionParams{
		Step: e.lists, Q: e.at(e.act.q), K: k, V: v, Page: page, Out: e.at(e.act.attention), Part: e.at(e.act.parts),
		Scale: float32(math.Log2E / math.Sqrt(float64(s.HeadDim))),
	}
	if e.many(x) {
		att.Placed = set.placed
	}
	if x.whole {
		if err := add(c, e.ctx, e.kernels.attentionWhole, grid(min(x.units, 8*e.device.SMs)), kernels.AttThreads, 0, &att); err != nil {
			return err
		}
	}
	if x.split {
		if err := add(c, e.ctx, e.kernels.attention, grid(min(x.units, 4*e.device.SMs)), kernels.AttThreads, 0, &att); err != nil {
			return err
		}
		if err := add(c, e.ctx, e.kernels.merge, grid(min(x.merges*s.Heads, 16*e.device.SMs)), 128, 0, &att); err != nil {
			return err
		}
	}
	out := kernels.ProjectParams{Step: e.lists, In: e.at(e.act.attention), Matrix: w.output, X: e.at(e.act.x), Tokens: maxTokens}
	gate := kernels.GateParams{Step: e.lists, X: e.at(e.act.x), Norm: w.normPost, Matrix: w.gateUp, Out: e.at(e.act.inner), In: e.at(e.act.normed)}
	down := kernels.ProjectParams{
		Step: e.lists, In: e.at(e.act.inner), Matrix: w.down, X: e.at(e.act.x), Part: e.at(e.act.splits),
		Arrived: e.at(e.act.arrived) + 4*2*counters, Tokens: maxTokens,
	}
	if err := productTo(e, c, x, &e.kernels.output, set.output, &e.inputs.attention, s.HiddenTiles(), 1, &out); err != nil {
		return err
	}
	if err := normTo(e, c, x, w.normPost); err != nil {
		return err
	}
	if err := productTo(e, c, x, &e.kernels.gate, set.gate, &e.inputs.normed, s.GateTiles(), 1, &gate); err != nil {
		return err
	}
	return productTo(e, c, x, &e.kernels.down, set.down, &e.inputs.inner, s.HiddenTiles(), s.DownSplits(), &down)
}

// many says that a step takes the products of many rows.
func (e *engine) many(x extent) bool { return x.tokens > e.wideFrom }

// wideSet is what multiplies many rows.
func (e *engine) wideSet() *wide {
	if e.warpgroups {
		return &e.kernels.hopper
	}
	return &e.kernels.wide
}

// productTo puts a product in the chain: few for few tokens, a block a row tile, and else many, which by warpgroups reads in.
func productTo[P any](e *engine, c *chain, x extent, few *product, many driver.Func, in *driver.TensorMap, tiles, splits int, p *P) error {
	if !e.many(x) {
		f, groups, shared := few.of(x.tokens)
		return add(c, e.ctx, f, grid(tiles, groups, splits), e.shape.Threads(), shared, p)
	}
	rows, groups := (tiles+kernels.GemmTiles-1)/kernels.GemmTiles, (x.tokens+kernels.GemmTokens-1)/kernels.GemmTokens
	blocks, shared := grid(rows, groups, splits), e.wideSet().shared
	if e.warpgroups {
		return add(c, e.ctx, many, blocks, kernels.HopperThreads, shared, &kernels.HopperParams[P]{In: *in, P: *p})
	}
	return add(c, e.ctx, many, blocks, kernels.GemmThreads, shared, p)
}

// normTo puts what the products of many rows read in the chain; those of few norm for themselves.
func normTo(e *engine, c *chain, x extent, weights kernels.Ptr) error {
	if !e.many(x) {
		return nil
	}
	p := kernels.NormParams{Step: e.lists, X: e.at(e.act.x), Norm: weights, Out: e.at(e.act.normed), Placed: e.wideSet().placed}
	return add(c, e.ctx, e.kernels.norm, grid((x.tokens+e.shape.Warps-1)/e.shape.Warps), e.shape.Threads(), 0, &p)
}

// headsTo puts the heads from from on, at most so many, in the chain, and their second pass.
func (e *engine) headsTo(c *chain, from, most int, last bool) error {
	f, groups, shared := e.kernels.head.of(most)
	blocks := e.act.headBlocks
	switch {
	case most == 0:
		blocks = 1 // it only says that the step is done
	case groups > 1:
		// All groups run at the same time, and go through the vocabulary side by side: one brings a weight from
		// memory, and the others find it in the second-level cache.
		blocks = max(1, min(blocks, e.device.SMs/groups))
	}
	p := kernels.HeadParams{
		Step: e.lists, X: e.at(e.act.x), Norm: e.weights.norm, Matrix: e.weights.head, Logits: e.at(e.act.logits), Best: e.at(e.act.best),
		Arrived: e.at(e.act.arrived), Drawn: e.drawnPtr, Out: e.outPtr, Number: e.at(e.act.number), DoneAt: doneAt,
		From: uint32(from), Most: uint32(most), Last: bit(last),
	}
	return add(c, e.ctx, f, grid(blocks, groups), e.shape.Threads(), shared, &p)
}

// secondTo puts the second pass over the same heads in the chain.
func (e *engine) secondTo(c *chain, from, most int, last bool) error {
	p := kernels.SelectParams{
		Step: e.lists, Logits: e.at(e.act.logits), Drawn: e.drawnPtr, Out: e.outPtr,
		Arrived: e.at(e.act.arrived) + 4*counters, Number: e.at(e.act.number), From: uint32(from), Most: uint32(most), Last: bit(last),
	}
	return add(c, e.ctx, e.kernels.second, grid(min(most, e.device.SMs)), e.shape.SelectThreads, 0, &p)
}

func bit(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}

// extent is for how much a chain is built: a graph's for the most that it may be launched with.
type extent struct {
	tokens, units, merges int
	split, whole          bool
}
