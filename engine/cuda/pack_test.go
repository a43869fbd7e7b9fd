//go:build native

package cuda

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/paceline/paceline/engine/cuda/kernels"
)

// TestPack unpacks, by the words of kernels/format.h, what was packed.
func TestPack(t *testing.T) {
	const tiles, k = 3, 5 * kernels.Tile
	value := func(tile, r, c int) int { return (tile*131+r*17+c*7)%15 - 7 }
	for _, f := range []kernels.Format{kernels.BF16, kernels.W8, kernels.W4} {
		data := make([]byte, tiles*f.Chunks(k)*kernels.ChunkBytes)
		scale := make([]byte, tiles*f.ScaleBytes(k))
		err := pack(f, data, scale, tiles, k, func(tile, r int, to *row) error {
			for c := range k {
				if f == kernels.BF16 {
					to.bits[c] = bf16(float32(value(tile, r, c)))
				} else {
					to.ints[c] = int8(value(tile, r, c))
				}
			}
			for g := range to.scales {
				to.scales[g] = float32(tile+1) + float32(r)/16
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for tile := range tiles {
			for r := range kernels.Tile {
				for c := range k {
					if got := unpack(f, data, tile, r, c, k); got != float32(value(tile, r, c)) {
						t.Fatalf("%s: tile %d, row %d, column %d is %v, want %d", f, tile, r, c, got, value(tile, r, c))
					}
				}
				want := float32(tile+1) + float32(r)/16
				switch at := scale[tile*f.ScaleBytes(k):]; f {
				case kernels.W8:
					if got := math.Float32frombits(binary.LittleEndian.Uint32(at[4*r:])); got != want {
						t.Errorf("w8: scale of row %d is %v, want %v", r, got, want)
					}
				case kernels.W4:
					if got := binary.LittleEndian.Uint16(at[r%8*4+r/8*2:]); got != half(want) {
						t.Errorf("w4: scale of row %d is %04x, want %04x", r, got, half(want))
					}
				}
			}
		}
	}
}

// unpack reads one element as a kernel's lane does: register 2·(second pair)+(upper rows), low or high half.
func unpack(f kernels.Format, data []byte, tile, r, c, k int) float32 {
	chunk := data[(tile*f.Chunks(k)+c/kernels.Tile/f.Tiles())*kernels.ChunkBytes:]
	lane := chunk[(r%8*4+c%16/4)*16:][:16]
	upper, second, high, within := r/8, c/2%2, c%2, c/kernels.Tile%f.Tiles()
	switch f {
	case kernels.W8:
		b := lane[within*8+second*4+upper+2*high]
		v := float32(b & 0x7f)
		if b&0x80 != 0 {
			v = -v
		}
		return v
	case kernels.W4:
		word := binary.LittleEndian.Uint32(lane[within*4:])
		return float32(int(word>>(4*(2*second+upper)+16*high)&15) - 8)
	}
	return math.Float32frombits(uint32(binary.LittleEndian.Uint16(lane[4*(2*second+upper)+2*high:])) << 16)
}

func TestHalf(t *testing.T) {
	for v, want := range map[float32]uint16{0: 0, 1: 0x3c00, -2: 0xc000, 65504: 0x7bff, 6.103515625e-05: 0x0400, 5.9604644775390625e-08: 1, 0.333251953125: 0x3555, 6.097555160522461e-05: 0x03ff} {
		if got := half(v); got != want {
			t.Errorf("%v: %04x, want %04x", v, got, want)
		}
	}
}

// TestHeadRows: each row of a projection stands once, and with the row that rope turns it with.
func TestHeadRows(t *testing.T) {
	for _, dim := range []int{10, 16, 64, 96, 128} {
		s := kernels.Shape{Heads: 3, KVHeads: 1, HeadDim: dim}
		seen := map[int]int{}
		for tile := range s.Heads * s.HeadWidth() / kernels.Tile {
			for r := range 8 {
				lo, hi := headRow(s, tile, r), headRow(s, tile, r+8)
				if (lo < 0) != (hi < 0) || lo >= 0 && hi != lo+dim/2 {
					t.Errorf("heads of %d: rows %d and %d of tile %d are %d and %d", dim, r, r+8, tile, lo, hi)
				}
				if lo >= 0 {
					seen[lo]++
					seen[hi]++
				}
			}
		}
		if len(seen) != s.Heads*dim {
			t.Errorf("heads of %d: %d rows, want %d", dim, len(seen), s.Heads*dim)
		}
	}
}
