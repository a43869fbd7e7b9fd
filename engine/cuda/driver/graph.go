package driver

import (
	"fmt"
	"unsafe"
)

// Graph is work that is described once and launched often.
type Graph struct {
	c *Context
	h uintptr
}

// Node is a piece of a graph's work.
type Node struct{ h uintptr }

// NewGraph makes an empty graph.
func (c *Context) NewGraph() (*Graph, error) {
	if err := c.d.call(cuGraphCreate, c.s.out(0), 0); err != nil {
		return nil, within(err, "make a graph")
	}
	g := &Graph{c, c.s.pointer(0)}
	c.own(g.h, "a graph")
	return g, nil
}

// maxAfter is how many nodes a node may come after.
const maxAfter = 16

// AddKernel adds a kernel, whose only parameter is *p, which is copied, after other nodes. With cfg.PDL it may
// begin before those have ended, where the driver knows such edges (CUDA 12.3); else after them.
func AddKernel[P any](g *Graph, f Func, cfg Config, p *P, after ...Node) (Node, error) {
	err := setParams(g.c.s, p)
	if err == nil && len(after) > maxAfter {
		err = fmt.Errorf("after %d nodes: want at most %d", len(after), maxAfter)
	}
	if err == nil && cfg.Cooperative {
		err = fmt.Errorf("a cooperative kernel: graphs take plain ones")
	}
	if err == nil {
		err = g.add(f, cfg, after)
	}
	if err != nil {
		return Node{}, within(err, "add kernel %q to a graph", f.name)
	}
	return Node{h: g.c.s.pointer(0)}, nil
}

func (g *Graph) add(f Func, cfg Config, after []Node) error {
	m := g.c.s
	before := (*[maxAfter]uintptr)(unsafe.Pointer(&m.page[scratchEdges]))
	edges := (*[maxAfter]edgeData)(unsafe.Pointer(&m.page[scratchEdges+8*maxAfter]))
	for i, n := range after {
		before[i] = n.h
		edges[i] = edgeData{}
		if cfg.PDL {
			edges[i] = edgeData{fromPort: portOverlaps, kind: edgeOverlaps}
		}
	}
	node := (*nodeParams)(unsafe.Pointer(&m.page[scratchNode]))
	*node = nodeParams{kind: nodeKernel}
	node.kernel = kernelNode{function: f.h, grid: cfg.Grid, block: cfg.Block, shared: cfg.Shared, params: m.at(scratchPointers)}
	if g.c.d.calls[cuGraphAddNode] != 0 {
		return g.c.d.call(cuGraphAddNode, m.out(0), g.h, m.at(scratchEdges), m.at(scratchEdges+8*maxAfter), uintptr(len(after)), m.at(scratchNode))
	}
	kernel := m.at(scratchNode + int(unsafe.Offsetof(node.kernel)))
	return g.c.d.call(cuGraphAddKernelNode, m.out(0), g.h, m.at(scratchEdges), uintptr(len(after)), kernel)
}

// Nodes is how many nodes the graph has.
func (g *Graph) Nodes() (int, error) {
	if err := g.c.d.call(cuGraphGetNodes, g.h, 0, g.c.s.out(0)); err != nil {
		return 0, within(err, "count the nodes of a graph")
	}
	return int(g.c.s.uint64(0)), nil
}

// Destroy frees the description; what was instantiated from it stays.
func (g *Graph) Destroy() error {
	if err := g.c.d.call(cuGraphDestroy, g.h); err != nil {
		return within(err, "free a graph")
	}
	g.c.disown(g.h)
	return nil
}

// Exec is a graph ready to be launched.
type Exec struct {
	c     *Context
	h     uintptr
	nodes int
}

// Instantiate makes the graph ready.
func (g *Graph) Instantiate() (*Exec, error) {
	n, err := g.Nodes()
	if err != nil {
		return nil, err
	}
	if err := g.c.d.call(cuGraphInstantiate, g.c.s.out(0), g.h, 0); err != nil {
		return nil, within(err, "make a graph of %d nodes ready", n)
	}
	x := &Exec{g.c, g.c.s.pointer(0), n}
	g.c.own(x.h, fmt.Sprintf("a graph of %d nodes, made ready", n))
	return x, nil
}

// Nodes is how many nodes it has.
func (x *Exec) Nodes() int { return x.nodes }

// Upload brings the graph to the device before its first launch.
func (x *Exec) Upload(s Stream) error {
	return succeeded(x.c.d.call(cuGraphUpload, x.h, s.h), "upload a graph")
}

// Launch gives the graph to a stream. It allocates nothing.
func (x *Exec) Launch(s Stream) error {
	return succeeded(x.c.d.call(cuGraphLaunch, x.h, s.h), "launch a graph")
}

// Destroy frees it.
func (x *Exec) Destroy() error {
	if err := x.c.d.call(cuGraphExecDestroy, x.h); err != nil {
		return within(err, "free a graph")
	}
	x.c.disown(x.h)
	return nil
}
