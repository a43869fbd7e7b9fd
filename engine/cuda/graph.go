//go:build native

package cuda

import (
	"errors"
	"fmt"

	"github.com/paceline/paceline/engine/cuda/driver"
)

// graphSizes are the most tokens of the graphs there are; a step takes the smallest that holds it. A kernel takes 8
// or 32 tokens at a time, so graphs between these would not be faster.
func graphSizes() []int { return []int{8, 32, 64, 128, 256} }

// graphs are built when they are first needed.
type graphs struct {
	exec [2][8]*driver.Exec // without and with a second pass, by size
	made int
	full bool // the device has no memory for more: steps go kernel by kernel
}

// graphFor gives the graph for a step of so many tokens, each of which may have one head, without whole units. It
// is nil where the step has to go kernel by kernel.
func (e *engine) graphFor(tokens, heads int, f filled) (*driver.Exec, error) {
	if f.whole || f.kept || heads > tokens {
		return nil, nil
	}
	for i, size := range graphSizes() {
		if tokens > size || size > keptRows && f.second {
			continue
		}
		at := &e.graphs.exec[bit(f.second)][i]
		if *at == nil {
			if e.graphs.full {
				return nil, nil
			}
			x, err := e.buildGraph(size, f.second)
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

func (e *engine) buildGraph(size int, second bool) (_ *driver.Exec, err error) {
	g, err := e.ctx.NewGraph()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.Destroy()) }()
	c := &chain{graph: g, pdl: e.pdl}
	x := extent{tokens: size, units: 1 << 20, merges: size, split: true}
	if err := e.layersTo(c, x); err != nil {
		return nil, err
	}
	if err := e.headsTo(c, 0, size, true); err != nil {
		return nil, err
	}
	if second {
		if err := e.secondTo(c, 0, size, true); err != nil {
			return nil, err
		}
	}
	return g.Instantiate()
}

func (g *graphs) close() (err error) {
	for i := range g.exec {
		for j, x := range g.exec[i] {
			if x != nil {
				err = errors.Join(err, x.Destroy())
				g.exec[i][j] = nil
			}
		}
	}
	return err
}
