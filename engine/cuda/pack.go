//go:build native

package cuda

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/model"
)

// source gives the rows of a matrix as its packed form has them: row r of row tile tile. A row has an element for each
// packed column; what it leaves alone is zero.
type source func(tile, r int, to *row) error

// row is one row of a matrix, in one of the formats.
type row struct {
	bits   []uint16  // bf16
	ints   []int8    // of W8 and W4
	scales []float32 // of W8 one, of W4 one for each group of columns
}

func newRow(f kernels.Format, k int) *row {
	switch f {
	case kernels.W8:
		return &row{ints: make([]int8, k), scales: make([]float32, 1)}
	case kernels.W4:
		return &row{ints: make([]int8, k), scales: make([]float32, (k+model.GroupColumns-1)/model.GroupColumns)}
	}
	return &row{bits: make([]uint16, k)}
}

func (r *row) clear() {
	clear(r.bits)
	clear(r.ints)
	clear(r.scales)
}

// pack writes a matrix of tiles row tiles and k columns to data, and its scales to scale, as kernels/format.h
// describes.
func pack(f kernels.Format, data, scale []byte, tiles, k int, from source) error {
	workers := min(runtime.GOMAXPROCS(0), tiles)
	errs := make([]error, workers)
	var wait sync.WaitGroup
	size, scales := f.Chunks(k)*kernels.ChunkBytes, f.ScaleBytes(k)
	for w := range workers {
		wait.Go(func() {
			to := newRow(f, k)
			for tile := w; tile < tiles; tile += workers {
				for r := range kernels.Tile {
					to.clear()
					if errs[w] = from(tile, r, to); errs[w] != nil {
						return
					}
					scatter(f, data[tile*size:][:size], r, to)
					scatterScales(f, scale[tile*scales:][:scales], r, to.scales)
				}
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// scatter writes row r of a row tile to its places.
func scatter(f kernels.Format, to []byte, r int, from *row) {
	upper := r / 8
	for tile := range max(len(from.bits), len(from.ints)) / kernels.Tile {
		for q := range 4 {
			at := tile/f.Tiles()*kernels.ChunkBytes + (r%8*4+q)*16
			c := tile*kernels.Tile + 4*q
			switch f {
			case kernels.BF16:
				b := from.bits[c : c+4]
				binary.LittleEndian.PutUint32(to[at+4*upper:], uint32(b[0])|uint32(b[1])<<16)
				binary.LittleEndian.PutUint32(to[at+8+4*upper:], uint32(b[2])|uint32(b[3])<<16)
			case kernels.W8:
				at += tile % 2 * 8
				for i, v := range from.ints[c : c+4] {
					to[at+i/2*4+upper+i%2*2] = signAndSize(v)
				}
			case kernels.W4:
				at += tile % 4 * 4
				for i, v := range from.ints[c : c+4] {
					// Four bits each: a0.lo, a1.lo, a2.lo, a3.lo, a0.hi, …; register 2·(i/2)+upper, half i%2.
					place := 2*(i/2) + upper + 4*(i%2)
					to[at+place/2] |= byte(v+8) << (place % 2 * 4)
				}
			}
		}
	}
}

// signAndSize is a byte with a sign and seven bits of size.
func signAndSize(v int8) byte {
	if v < 0 {
		return 0x80 | byte(-v)
	}
	return byte(v)
}

func scatterScales(f kernels.Format, to []byte, r int, scales []float32) {
	switch f {
	case kernels.W8:
		binary.LittleEndian.PutUint32(to[4*r:], math.Float32bits(scales[0]))
	case kernels.W4:
		for g, s := range scales {
			binary.LittleEndian.PutUint16(to[(g*8+r%8)*4+r/8*2:], half(s))
		}
	}
}

// half is the binary16 of a number that is one.
func half(v float32) uint16 {
	b := math.Float32bits(v)
	sign, exponent, fraction := uint16(b>>16&0x8000), int(b>>23&255)-127, b&0x7fffff
	switch {
	case b&0x7fffffff == 0:
		return sign
	case exponent < -14:
		return sign | uint16((fraction|0x800000)>>(-1-exponent))
	}
	return sign | uint16(exponent+15)<<10 | uint16(fraction>>13)
}

// bf16 rounds to nearest, ties to even; v is finite.
func bf16(v float32) uint16 {
	b := math.Float32bits(v)
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// matrix reads rows of a tensor of two dimensions.
type matrix struct {
	tensor     model.Tensor
	rows, cols int
}

// row writes row i to the first columns of to; rows there aren't are left alone.
func (m matrix) row(i int, to *row) error {
	if i < 0 || i >= m.rows {
		return nil
	}
	switch m.tensor.DType {
	case model.W8:
		for j, b := range m.tensor.Data[i*m.cols:][:m.cols] {
			to.ints[j] = int8(b)
		}
		to.scales[0] = math.Float32frombits(binary.LittleEndian.Uint32(m.tensor.Scales[4*i:]))
		return nil
	case model.W4:
		return m.nibbles(i, to)
	}
	size := m.tensor.DType.Size()
	data := m.tensor.Data[i*m.cols*size:][:m.cols*size]
	if m.tensor.DType == model.BF16 {
		for j := range m.cols {
			v := binary.LittleEndian.Uint16(data[2*j:])
			if v&0x7f80 == 0x7f80 {
				return fmt.Errorf("tensor %q: an element of row %d is infinite or not a number: the file is damaged; fetch it again", m.tensor.Name, i)
			}
			to.bits[j] = v
		}
		return nil
	}
	wide := make([]float32, m.cols)
	one := model.Tensor{Name: m.tensor.Name, DType: m.tensor.DType, Shape: []int{1, m.cols}, Data: data}
	if err := one.Float32(wide); err != nil {
		return err
	}
	for j, v := range wide {
		to.bits[j] = bf16(v)
	}
	return nil
}

// nibbles is row of W4.
func (m matrix) nibbles(i int, to *row) error {
	bytes := (m.cols + 1) / 2
	for j := range m.cols {
		to.ints[j] = int8(m.tensor.Data[i*bytes+j/2]>>(j%2*4)&15) - 8
	}
	groups := (m.cols + model.GroupColumns - 1) / model.GroupColumns
	scales := model.Tensor{Name: m.tensor.Name + " (scales)", DType: model.F16, Shape: []int{groups}, Data: m.tensor.Scales[2*i*groups:][:2*groups]}
	return scales.Float32(to.scales[:groups])
}

// element is which element of a head has place i of its padded form, −1 for none.
func element(s kernels.Shape, i int) int {
	upper, at := i/s.Half(), i%s.Half()
	if at >= s.HeadDim/2 {
		return -1
	}
	return upper*s.HeadDim/2 + at
}

// headRow is which row of a projection of heads has row r of a tile of it, −1 for none: a tile has eight elements
// of a lower half and the eight that rope turns them with.
func headRow(s kernels.Shape, tile, r int) int {
	per := s.HeadWidth() / kernels.Tile
	e := element(s, r/8*s.Half()+tile%per*8+r%8)
	if e < 0 {
		return -1
	}
	return tile/per*s.HeadDim + e
}
