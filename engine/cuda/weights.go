//go:build native

package cuda

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/quant"
)

// layer is where the weights of a layer lie.
type layer struct {
	normIn, normPost, bias    kernels.Ptr // float32
	qkv, output, gateUp, down kernels.Matrix
}

// weights is where they all lie, in one allocation.
type weights struct {
	layers      []layer
	norm        kernels.Ptr
	embed, head kernels.Matrix // the same where they are tied
	rope        kernels.Ptr
}

// piece is one array of the weights, or two where the second is the scales of the first: sizes, and how they are made.
type piece struct {
	at   [2]*kernels.Ptr
	size [2]int64 // bytes; the second may be 0
	make func(data, scale []byte) error
}

// loader plans the pieces of a checkpoint's weights.
type loader struct {
	c      *model.Checkpoint
	format string // to quantise to while loading, or ""
	s      kernels.Shape
	pieces []piece
}

// align keeps arrays on lines of the caches, as loads of 16 bytes and asynchronous copies need.
const align = 256

func aligned(n int64) int64 { return (n + align - 1) / align * align }

// bytes is the size of all pieces.
func (l *loader) bytes() (n int64) {
	for _, p := range l.pieces {
		n += aligned(p.size[0]) + aligned(p.size[1])
	}
	return n
}

// load makes each piece and hands it to write, at its address from base on.
func (l *loader) load(base kernels.Ptr, write func(to kernels.Ptr, data []byte) error) error {
	var buffer []byte
	for _, p := range l.pieces {
		first := aligned(p.size[0])
		if n := first + p.size[1]; int64(cap(buffer)) < n {
			buffer = make([]byte, n)
		}
		data := buffer[:first+p.size[1]]
		clear(data)
		if err := p.make(data[:p.size[0]], data[first:]); err != nil {
			return err
		}
		if err := write(base, data); err != nil {
			return err
		}
		*p.at[0] = base
		base += kernels.Ptr(first)
		if p.size[1] > 0 {
			*p.at[1] = base
		}
		base += kernels.Ptr(aligned(p.size[1]))
	}
	return nil
}

// plan lists what the model needs, for a context of so many positions.
func (l *loader) plan(w *weights, context int) {
	c, s := l.c.Config, l.s
	w.layers = make([]layer, c.Layers)
	for i := range w.layers {
		to, name := &w.layers[i], func(n string) string { return model.LayerTensor(i, n) }
		l.vector(&to.normIn, name("input_layernorm.weight"))
		l.vector(&to.normPost, name("post_attention_layernorm.weight"))
		projections := []string{name("self_attn.q_proj"), name("self_attn.k_proj"), name("self_attn.v_proj")}
		l.bias(&to.bias, projections)
		l.matrix(&to.qkv, s.QKVTiles(), s.HiddenWidth(), func() (source, error) { return l.heads(projections) })
		l.matrix(&to.output, s.HiddenTiles(), s.QueryWidth(), func() (source, error) { return l.output(name("self_attn.o_proj.weight")) })
		l.matrix(&to.gateUp, s.GateTiles(), s.HiddenWidth(), func() (source, error) {
			return l.gateUp(name("mlp.gate_proj.weight"), name("mlp.up_proj.weight"))
		})
		l.matrix(&to.down, s.HiddenTiles(), s.Inner(), func() (source, error) { return l.plain(name("mlp.down_proj.weight")) })
	}
	l.vector(&w.norm, "model.norm.weight")
	l.headMatrix(&w.embed, "model.embed_tokens.weight")
	if !c.TieEmbeddings {
		l.headMatrix(&w.head, "lm_head.weight")
	}
	l.array(&w.rope, int64(context)*int64(s.Half())*8, func(dst []byte) error {
		fillRope(dst, s, c.RopeTheta)
		return nil
	})
}

// array is a piece without scales.
func (l *loader) array(at *kernels.Ptr, size int64, fill func(dst []byte) error) {
	l.pieces = append(l.pieces, piece{[2]*kernels.Ptr{at}, [2]int64{size}, func(data, _ []byte) error { return fill(data) }})
}

// matrix is one of the layers', headMatrix the embedding or the head.
func (l *loader) matrix(at *kernels.Matrix, tiles, k int, from func() (source, error)) {
	l.packed(l.s.Weights, at, tiles, k, from)
}

func (l *loader) headMatrix(at *kernels.Matrix, name string) {
	l.packed(l.s.HeadWeights, at, l.s.VocabTiles(), l.s.HiddenWidth(), func() (source, error) { return l.plain(name) })
}

func (l *loader) packed(f kernels.Format, at *kernels.Matrix, tiles, k int, from func() (source, error)) {
	sizes := [2]int64{int64(tiles) * int64(f.Chunks(k)) * kernels.ChunkBytes, int64(tiles) * int64(f.ScaleBytes(k))}
	l.pieces = append(l.pieces, piece{[2]*kernels.Ptr{&at.Data, &at.Scale}, sizes, func(data, scale []byte) error {
		s, err := from()
		if err != nil {
			return err
		}
		return pack(f, data, scale, tiles, k, s)
	}})
}

// open is a matrix of the checkpoint, as it is to be held.
func (l *loader) open(name string) (matrix, error) {
	t, err := quant.Load(l.c, name, l.format)
	if err != nil {
		return matrix{}, err
	}
	return matrix{t, t.Shape[0], t.Shape[1]}, nil
}

// vector is a norm's weights in float32, zero in the padding.
func (l *loader) vector(at *kernels.Ptr, name string) {
	l.array(at, int64(l.s.HiddenWidth())*4, func(dst []byte) error {
		v, err := l.floats(name)
		for i, f := range v {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(f))
		}
		return err
	})
}

func (l *loader) floats(name string) ([]float32, error) {
	t, err := l.c.Tensor(name)
	if err != nil {
		return nil, err
	}
	v := make([]float32, t.Len())
	return v, t.Float32(v)
}

// bias is that of the projections in the order of the packed matrix's rows; a checkpoint may have none.
func (l *loader) bias(at *kernels.Ptr, projections []string) {
	l.array(at, int64(l.s.QKVTiles())*kernels.Tile*4, func(dst []byte) error {
		tile := 0
		for i, name := range projections {
			tiles := l.tilesOf(i)
			if l.c.Has(name + ".bias") {
				v, err := l.floats(name + ".bias")
				if err != nil {
					return err
				}
				for t := range tiles {
					for r := range kernels.Tile {
						if from := headRow(l.s, t, r); from >= 0 {
							binary.LittleEndian.PutUint32(dst[4*((tile+t)*kernels.Tile+r):], math.Float32bits(v[from]))
						}
					}
				}
			}
			tile += tiles
		}
		return nil
	})
}

// tilesOf is the row tiles of the queries (0), of the keys (1) or of the values (2).
func (l *loader) tilesOf(projection int) int {
	heads := l.s.Heads
	if projection > 0 {
		heads = l.s.KVHeads
	}
	return heads * l.s.HeadWidth() / kernels.Tile
}

func (l *loader) heads(projections []string) (source, error) {
	var parts []matrix
	for _, name := range projections {
		m, err := l.open(name + ".weight")
		if err != nil {
			return nil, err
		}
		parts = append(parts, m)
	}
	return func(tile, r int, to *row) error {
		i := 0
		for tile >= l.tilesOf(i) {
			tile -= l.tilesOf(i)
			i++
		}
		return parts[i].row(headRow(l.s, tile, r), to)
	}, nil
}

func (l *loader) plain(name string) (source, error) {
	m, err := l.open(name)
	return func(tile, r int, to *row) error { return m.row(tile*kernels.Tile+r, to) }, err
}

func (l *loader) gateUp(gate, up string) (source, error) {
	g, err := l.open(gate)
	if err != nil {
		return nil, err
	}
	u, err := l.open(up)
	return func(tile, r int, to *row) error {
		if r < 8 {
			return g.row(tile*8+r, to)
		}
		return u.row(tile*8+r-8, to)
	}, err
}

// output is the matrix whose columns are the elements of heads, in their padded order.
func (l *loader) output(name string) (source, error) {
	m, err := l.open(name)
	if err != nil {
		return nil, err
	}
	width, f := l.s.HeadWidth(), l.s.Weights
	if f == kernels.W4 && !l.s.GroupsHold() {
		return nil, fmt.Errorf("%s in w4: heads of %d elements are padded to %d, which the groups of %d columns that share a scale don't survive; take w8", name, l.s.HeadDim, width, model.GroupColumns)
	}
	return func(tile, r int, to *row) error {
		plain := newRow(f, m.cols)
		if err := m.row(tile*kernels.Tile+r, plain); err != nil {
			return err
		}
		copy(to.scales, plain.scales)
		for i := range l.s.QueryWidth() {
			e := element(l.s, i%width)
			if e < 0 {
				continue
			}
			if e += i / width * l.s.HeadDim; f == kernels.BF16 {
				to.bits[i] = plain.bits[e]
			} else {
				to.ints[i] = plain.ints[e]
			}
		}
		return nil
	}, nil
}

// fillRope writes (cos, sin) of position·theta^(−2i/dim) for every position and pair i, from float64: a
// float32 angle is off by 1e-3 at position 32,768. Padding turns by nothing.
func fillRope(dst []byte, s kernels.Shape, theta float64) {
	row := s.Half() * 8
	for i := range s.Half() {
		frequency := 0.0
		if i < s.HeadDim/2 {
			frequency = math.Pow(theta, -2*float64(i)/float64(s.HeadDim))
		}
		for p := range len(dst) / row {
			sin, cos := math.Sincos(float64(p) * frequency)
			binary.LittleEndian.PutUint32(dst[p*row+8*i:], math.Float32bits(float32(cos)))
			binary.LittleEndian.PutUint32(dst[p*row+8*i+4:], math.Float32bits(float32(sin)))
		}
	}
}
