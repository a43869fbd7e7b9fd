package kernels

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/paceline/paceline/engine/model"
)

// Shape is what a module is compiled for: the sizes of shape.h and what follows from them. All of
// it depends on the model only.
type Shape struct {
	Hidden, Heads, KVHeads, HeadDim, Inter, Vocab int
	Eps                                           float64

	Weights     Format // of the layers' matrices
	HeadWeights Format // of the embedding and the head

	Warps         int // of a block in matrix products
	SelectThreads int // of a block of the second pass
}

// Format is how a matrix is held; kernels/format.h says how it lies.
type Format int

// The formats.
const (
	BF16 Format = iota
	W8          // an integer of eight bits, a float32 for each row
	W4          // one of four bits, a binary16 for each row and 128 columns
)

// FormatOf is the format of that name: "bf16", "w8" or "w4".
func FormatOf(name string) (Format, bool) {
	f, ok := map[string]Format{"bf16": BF16, "w8": W8, "w4": W4}[name]
	return f, ok
}

func (f Format) String() string { return [...]string{"bf16", "w8", "w4"}[f] }

// Tiles is how many tiles a chunk of 16 bytes a lane holds.
func (f Format) Tiles() int { return 1 << f }

// Chunks is the chunks of a row tile of k columns.
func (f Format) Chunks(k int) int { return (k/Tile + f.Tiles() - 1) / f.Tiles() }

// ChunkBytes is the size of a chunk of all lanes.
const ChunkBytes = 32 * 16

// ScaleBytes is the size of the scales of a row tile of k columns.
func (f Format) ScaleBytes(k int) int {
	switch f {
	case W8:
		return Tile * 4
	case W4:
		return (k/Tile + groupTiles - 1) / groupTiles * Tile * 2
	}
	return 0
}

// groupTiles is how many tiles of a row share a scale in W4.
const groupTiles = 8

// Sizes that no define changes.
const (
	Tile       = 16
	SplitPages = 4  // pages that a block of attention takes of one sequence
	AttRows    = 16 // rows of a tile of attention
	AttThreads = 128

	GemmTiles   = 4 // row tiles of a block of a product of many rows
	GemmTokens  = 64
	GemmThreads = 128
	gemmStages  = 4

	HopperThreads = GemmThreads + 32 // of the products by warpgroups
	HopperColumns = 64               // of a stage, and of a box of activations
	hopperStages  = 4

	// WideFrom is beyond how many tokens of a step the products of many rows are worth it: with fewer they have too few
	// blocks for a device. By counts; no device has measured it.
	WideFrom = 128
	maxSlice = 19
)

// ShapeOf is the shape of a model whose matrices are held in a format. Its errors say what the kernels can't do.
func ShapeOf(c model.Config, f Format) (Shape, error) {
	s := Shape{
		Hidden: c.HiddenSize, Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, Inter: c.IntermediateSize, Vocab: c.VocabSize,
		Eps: c.RMSNormEps, Weights: f, HeadWeights: min(f, W8), Warps: 8, SelectThreads: 1024,
	}
	if c.Heads/c.KVHeads > AttRows {
		return s, fmt.Errorf("%d query heads for each KV head: the kernels take %d at most", c.Heads/c.KVHeads, AttRows)
	}
	if c.HeadDim > 128 {
		return s, fmt.Errorf("heads of %d elements: the kernels take 128 at most", c.HeadDim)
	}
	// A warp has at least three tiles of a row of the narrower matrices; else it waits for others only.
	for s.Warps > 2 && s.HiddenWidth()/Tile < 3*s.Warps {
		s.Warps /= 2
	}
	if c.VocabSize < 32768 {
		s.SelectThreads = 128
	}
	return s, nil
}

func padTo(n, to int) int { return (n + to - 1) / to * to }

// HiddenWidth is the padded width of the residual stream.
func (s Shape) HiddenWidth() int { return padTo(s.Hidden, Tile) }

// Half is the padded elements of half a head; HeadWidth of a head.
func (s Shape) Half() int      { return padTo(s.HeadDim/2, 8) }
func (s Shape) HeadWidth() int { return 2 * s.Half() }

// QueryWidth is the padded width of all query heads.
func (s Shape) QueryWidth() int { return s.Heads * s.HeadWidth() }

// Group is the query heads that share a KV head.
func (s Shape) Group() int { return s.Heads / s.KVHeads }

// GroupsHold says that columns of the output matrix that share a scale in W4 still do where heads are padded: they
// aren't, or not moved to other groups.
func (s Shape) GroupsHold() bool { return s.HeadWidth() == s.HeadDim }

// TileTokens is how many tokens of a sequence share a tile of attention.
func (s Shape) TileTokens() int { return AttRows / s.Group() }

// Inner is the padded width of the MLP.
func (s Shape) Inner() int { return padTo(s.Inter, Tile) }

// Row tiles of the packed matrices.
func (s Shape) QKVTiles() int    { return (s.Heads + 2*s.KVHeads) * s.HeadWidth() / Tile }
func (s Shape) HiddenTiles() int { return s.HiddenWidth() / Tile }
func (s Shape) GateTiles() int   { return s.Inner() / 8 }
func (s Shape) VocabTiles() int  { return padTo(s.Vocab, Tile) / Tile }

// slice is the chunks of a row that one warp adds up.
func (s Shape) slice(f Format, k, splits int) int {
	return (f.Chunks(k) + splits*s.Warps - 1) / (splits * s.Warps)
}

// DownSplits is over how many blocks the sums of the MLP's last matrix are spread.
func (s Shape) DownSplits() int { return (s.slice(BF16, s.Inner(), 1) + maxSlice - 1) / maxSlice }

// KVSide is the elements of the keys (or the values) of a page in one layer.
func (s Shape) KVSide() int { return s.KVHeads * 64 * s.HeadWidth() }

// PartFloats is the numbers of a part of attention that waits for its merge.
func (s Shape) PartFloats() int { return AttRows * (s.HeadWidth() + 2) }

// Threads of a block in matrix products.
func (s Shape) Threads() int { return 32 * s.Warps }

func rowStride(k int) int { return k + (16-k%64+64)%64 }

// SharedHidden is the dynamic shared memory, in bytes, of the kernels that read the residual stream for
// so many rows.
func (s Shape) SharedHidden(rows int) int {
	return rows*rowStride(s.HiddenWidth())*2 + s.reduceBytes(rows)
}

// SharedQuery is that of the product with attention's output, SharedDown that of the MLP's last one.
func (s Shape) SharedQuery(rows int) int { return s.sharedProject(s.QueryWidth(), 1, rows) }
func (s Shape) SharedDown(rows int) int  { return s.sharedProject(s.Inner(), s.DownSplits(), rows) }

func (s Shape) sharedProject(k, splits, rows int) int {
	return rows*rowStride(s.Warps*s.slice(s.Weights, k, splits)*s.Weights.Tiles()*Tile)*2 + s.reduceBytes(rows)
}

// SharedHead is that of the vocabulary's product.
func (s Shape) SharedHead(rows int) int {
	return rows*rowStride(s.HiddenWidth())*2 + rows*HeadBytes + s.Warps*rows*BestBytes
}

// SharedGemm is that of the products of many rows.
func (s Shape) SharedGemm() int {
	columns := 32
	if s.Weights == W4 {
		columns = 64
	}
	return gemmStages * GemmTokens * (columns + 16) * 2
}

// SharedHopper is that of the products of many rows by warpgroups: stages of activations and weights, at a multiple
// of 1,024.
func (s Shape) SharedHopper() int {
	weights := GemmTiles * HopperColumns / Tile / s.Weights.Tiles() * ChunkBytes
	return hopperStages*(GemmTokens*HopperColumns*2+weights) + 1024
}

func (s Shape) reduceBytes(rows int) int { return s.Warps * rows / 8 * 32 * 16 }

// Defines are the compiler's -D options, without the -D.
func (s Shape) Defines() []string {
	d := func(name string, v int) string { return name + "=" + strconv.Itoa(v) }
	return []string{
		d("HIDDEN", s.Hidden), d("HEADS", s.Heads), d("KV_HEADS", s.KVHeads), d("HEAD_DIM", s.HeadDim), d("INTER", s.Inter), d("VOCAB", s.Vocab),
		"EPS=" + strconv.FormatFloat(s.Eps, 'e', -1, 64), d("WARPS", s.Warps), d("SELECT_THREADS", s.SelectThreads),
		d("WEIGHTS", int(s.Weights)), d("HEAD_WEIGHTS", int(s.HeadWeights)),
	}
}

// Launch is the dynamic shared memory, in bytes, and the threads of a block with which a kernel is launched.
func (s Shape) Launch(kernel string) (shared, threads int) {
	rows := 8
	if strings.HasSuffix(kernel, "_32") {
		rows = 32
	}
	if strings.HasPrefix(kernel, "hopper_") {
		return s.SharedHopper(), HopperThreads
	}
	if strings.HasPrefix(kernel, "gemm_") {
		return s.SharedGemm(), GemmThreads
	}
	switch strings.TrimSuffix(strings.TrimSuffix(kernel, "_32"), "_8") {
	case "norm_qkv", "norm_gate":
		return s.SharedHidden(rows), s.Threads()
	case "output":
		return s.SharedQuery(rows), s.Threads()
	case "down":
		return s.SharedDown(rows), s.Threads()
	case "head":
		return s.SharedHead(rows), s.Threads()
	case "normalise":
		return 0, s.Threads()
	case "select_rows":
		return 0, s.SelectThreads
	}
	return 0, AttThreads
}
