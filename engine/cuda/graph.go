//go:build native

package cuda

import (
	"errors"
	"fmt"

	"github.com/paceline/paceline/engine/cuda/driver"
)

// graphKind is what the graphs of a kind can compute, for up to so many tokens each.
type graphKind struct {
	sizes []int
	whole bool // rows with many tokens too
	heads int  // at most; 0: one a token
}

// graphKinds are the kinds there are, decoding first; a step takes the smallest graph of its kind that holds it. Narrow
// products take 8 or 32 tokens at a time, so that graphs between these would not be faster. Prompts ask for few tokens
// of output; with more the step goes kernel by kernel.
func graphKinds() [2]graphKind {
	return [2]graphKind{
		{sizes: []int{8, 32, 64, 128, 256}},
		{sizes: []int{128, 256, 512, 1024, maxTokens}, whole: true, heads: manyRows},
	}
}

// most is how many heads a graph for so many tokens has.
func (k graphKind) most(tokens int) int {
	if k.heads > 0 {
		return k.heads
	}
	return tokens
}

// graphs are built when they are first needed.
type graphs struct {
	exec [2][2][8]*driver.Exec // by kind, without and with a second pass, by size
	made int
	full bool // the device has no memory for more: steps go kernel by kernel
}

// graphFor gives the graph for a step of so many tokens. It is nil where the step has to go kernel by kernel.
func (e *engine) graphFor(tokens, heads int, f filled) (*driver.Exec, error) {
	if f.kept {
		return nil, nil
	}
	kind := graphKinds()[bit(f.whole)]
	for i, size := range kind.sizes {
		most := kind.most(size)
		if tokens > size || heads > min(most, tokens) || most > keptRows && f.second {
			continue
		}
		at := &e.graphs.exec[bit(f.whole)][bit(f.second)][i]
		if *at == nil {
			if e.graphs.full {
				return nil, nil
			}
			x, err := e.buildGraph(kind, size, f.second)
			if errors.Is(err, driver.ErrOutOfMemory) {
				e.graphs.full = true
				return nil, nil
			}
			if err != nil {
				return nil, fmt.Errorf("build the graph for %d tokens: %w", size, err)
			}
			*at = x
			e.graphs.made++
		}
		return *at, nil
	}
	return nil, nil
}

func (e *engine) buildGraph(kind graphKind, size int, second bool) (_ *driver.Exec, err error) {
	g, err := e.ctx.NewGraph()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.Destroy()) }()
	c := &chain{graph: g, pdl: e.pdl}
	x := extent{tokens: size, units: 1 << 20, merges: size, split: true, whole: kind.whole}
	if err := e.layersTo(c, x); err != nil {
		return nil, err
	}
	most := kind.most(size)
	if err := e.headsTo(c, 0, most, true); err != nil {
		return nil, err
	}
	if second {
		if err := e.secondTo(c, 0, most, true); err != nil {
			return nil, err
		}
	}
	return g.Instantiate()
}

func (g *graphs) close() (err error) {
	for k := range g.exec {
		for i := range g.exec[k] {
			for j, x := range g.exec[k][i] {
				if x != nil {
					err = errors.Join(err, x.Destroy())
					g.exec[k][i][j] = nil
				}
			}
		}
	}
	return err
}
