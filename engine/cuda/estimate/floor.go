// Package estimate says what the CUDA backend costs, by counting: bytes that a step has to read, launches, and what
// a simple model makes of them. It measures nothing; what it gives is never a result and never compared.
//
// engine/cuda's tests hold the counts against what the emulator counts.
package estimate

import "github.com/paceline/paceline/engine/cuda/kernels"

// Floor is the bytes that a step of decoding has to read, each once: what no way of computing gets around.
type Floor struct {
	Weights int64 // matrices, scales, norms, biases: all of the model but the embedding, of which a row counts for nothing
	KV      int64 // keys and values of the positions of one sequence
}

// FloorOf is the floor of a step that computes the last of so many positions; what lies in memory for padding
// counts.
func FloorOf(s kernels.Shape, layers, positions int) Floor {
	matrix := func(f kernels.Format, tiles, k int) int64 {
		return int64(tiles) * int64(f.Chunks(k)*kernels.ChunkBytes+f.ScaleBytes(k))
	}
	w := s.Weights
	layer := matrix(w, s.QKVTiles(), s.HiddenWidth()) + matrix(w, s.HiddenTiles(), s.QueryWidth()) +
		matrix(w, s.GateTiles(), s.HiddenWidth()) + matrix(w, s.HiddenTiles(), s.Inner()) +
		int64(2*s.HiddenWidth()*4+s.QKVTiles()*kernels.Tile*4)
	return Floor{
		Weights: int64(layers)*layer + matrix(s.HeadWeights, s.VocabTiles(), s.HiddenWidth()) + int64(s.HiddenWidth()*4),
		KV:      int64(layers) * int64(positions) * int64(2*s.KVHeads*s.HeadWidth()*2),
	}
}

// Launches of a step of decoding: six kernels a layer, and two more for many sequences; the begin and the head, and a
// second pass where tokens are drawn from a part of the vocabulary.
func Launches(layers, batch int, second bool) int {
	n := 6*layers + 2
	if batch > kernels.WideFrom {
		n += 2 * layers
	}
	if second {
		n++
	}
	return n
}
