package cuda

import (
	"encoding/binary"
	"math"

	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/model"
)

// layer is where the weights of a layer lie.
type layer struct {
	normIn, normPost, bias    kernels.Ptr // float32
	qkv, output, gateUp, down kernels.Ptr // packed bf16
}

// weights is where they all lie, in one allocation.
type weights struct {
	layers      []layer
	norm        kernels.Ptr
	embed, head kernels.Ptr // the same where they are tied
	rope        kernels.Ptr
}

// piece is one array of the weights: its size and how it is made.
type piece struct {
	at   *kernels.Ptr
	size int64
	make func(dst []byte) error
}

// loader plans the pieces of a checkpoint's weights.
type loader struct {
	c      *model.Checkpoint
	s      kernels.Shape
	pieces []piece
}

// align keeps arrays on lines of the caches, as loads of 16 bytes and asynchronous copies need.
const align = 256

func aligned(n int64) int64 { return (n + align - 1) / align * align }

// bytes is the size of all pieces.
func (l *loader) bytes() (n int64) {
	for _, p := range l.pieces {
		n += aligned(p.size)
	}
	return n
}

// load makes each piece and hands it to write, at its address from base on.
func (l *loader) load(base kernels.Ptr, write func(to kernels.Ptr, data []byte) error) error {
	var buffer []byte
	for _, p := range l.pieces {
		*p.at = base
		if int64(cap(buffer)) < p.size {
			buffer = make([]byte, p.size)
		}
		data := buffer[:p.size]
		clear(data)
		if err := p.make(data); err != nil {
			return err
		}
		if err := write(base, data); err != nil {
			return err
		}
		base += kernels.Ptr(aligned(p.size))
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
		l.matrix(&to.qkv, s.QKVTiles(), s.HiddenWidth(), func() (rows, error) { return l.heads(projections) })
		l.matrix(&to.output, s.HiddenTiles(), s.QueryWidth(), func() (rows, error) { return l.output(name("self_attn.o_proj.weight")) })
		l.matrix(&to.gateUp, s.GateTiles(), s.HiddenWidth(), func() (rows, error) {
			return l.gateUp(name("mlp.gate_proj.weight"), name("mlp.up_proj.weight"))
		})
		l.matrix(&to.down, s.HiddenTiles(), s.Inner(), func() (rows, error) { return l.plain(name("mlp.down_proj.weight")) })
	}
	l.vector(&w.norm, "model.norm.weight")
	l.matrix(&w.embed, s.VocabTiles(), s.HiddenWidth(), func() (rows, error) { return l.plain("model.embed_tokens.weight") })
	if !c.TieEmbeddings {
		l.matrix(&w.head, s.VocabTiles(), s.HiddenWidth(), func() (rows, error) { return l.plain("lm_head.weight") })
	}
	l.pieces = append(l.pieces, piece{&w.rope, int64(context) * int64(s.Half()) * 8, func(dst []byte) error {
		fillRope(dst, s, c.RopeTheta)
		return nil
	}})
}

func (l *loader) matrix(at *kernels.Ptr, tiles, k int, from func() (rows, error)) {
	l.pieces = append(l.pieces, piece{at, int64(tiles) * int64(k/kernels.Tile) * tileBytes, func(dst []byte) error {
		f, err := from()
		if err != nil {
			return err
		}
		return pack(dst, tiles, k, f)
	}})
}

// vector is a norm's weights in float32, zero in the padding.
func (l *loader) vector(at *kernels.Ptr, name string) {
	l.pieces = append(l.pieces, piece{at, int64(l.s.HiddenWidth()) * 4, func(dst []byte) error {
		v, err := l.floats(name)
		for i, f := range v {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(f))
		}
		return err
	}})
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
	l.pieces = append(l.pieces, piece{at, int64(l.s.QKVTiles()) * kernels.Tile * 4, func(dst []byte) error {
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
	}})
}

// tilesOf is the row tiles of the queries (0), of the keys (1) or of the values (2).
func (l *loader) tilesOf(projection int) int {
	heads := l.s.Heads
	if projection > 0 {
		heads = l.s.KVHeads
	}
	return heads * l.s.HeadWidth() / kernels.Tile
}

func (l *loader) heads(projections []string) (rows, error) {
	var parts []matrix
	for _, name := range projections {
		m, err := newMatrix(l.c, name+".weight")
		if err != nil {
			return nil, err
		}
		parts = append(parts, m)
	}
	return func(tile, r int, row []uint16) error {
		i := 0
		for tile >= l.tilesOf(i) {
			tile -= l.tilesOf(i)
			i++
		}
		return parts[i].row(headRow(l.s, tile, r), row)
	}, nil
}

func (l *loader) plain(name string) (rows, error) {
	m, err := newMatrix(l.c, name)
	return func(tile, r int, row []uint16) error { return m.row(tile*kernels.Tile+r, row) }, err
}

func (l *loader) gateUp(gate, up string) (rows, error) {
	g, err := newMatrix(l.c, gate)
	if err != nil {
		return nil, err
	}
	u, err := newMatrix(l.c, up)
	return func(tile, r int, row []uint16) error {
		if r < 8 {
			return g.row(tile*8+r, row)
		}
		return u.row(tile*8+r-8, row)
	}, err
}

// output is the matrix whose columns are the elements of heads, in their padded order.
func (l *loader) output(name string) (rows, error) {
	m, err := newMatrix(l.c, name)
	if err != nil {
		return nil, err
	}
	width := l.s.HeadWidth()
	return func(tile, r int, row []uint16) error {
		plain := make([]uint16, m.cols)
		if err := m.row(tile*kernels.Tile+r, plain); err != nil {
			return err
		}
		for i := range row {
			if e := element(l.s, i%width); e >= 0 {
				row[i] = plain[i/width*l.s.HeadDim+e]
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
