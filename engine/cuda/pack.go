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

// tileBytes is the size of a packed tile: 16 rows of 16 columns in bf16.
const tileBytes = kernels.Tile * kernels.Tile * 2

// rows writes row r of row tile tile to a zeroed row of bf16 numbers.
type rows func(tile, r int, row []uint16) error

// pack writes a matrix of tiles row tiles and k columns to dst, in the order that kernels/linear.h
// describes: of each tile, lane l has 16 bytes, columns 4q, 4q+1 of rows l/4 and l/4+8, then columns
// 4q+2, 4q+3 of both, with q = l%4.
func pack(dst []byte, tiles, k int, from rows) error {
	workers := min(runtime.GOMAXPROCS(0), tiles)
	errs := make([]error, workers)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			row := make([]uint16, k)
			for tile := w; tile < tiles; tile += workers {
				for r := range kernels.Tile {
					clear(row)
					if errs[w] = from(tile, r, row); errs[w] != nil {
						return
					}
					scatter(dst[tile*k/kernels.Tile*tileBytes:], r, row)
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
func scatter(dst []byte, r int, row []uint16) {
	base := r % 8 * 64
	if r >= 8 {
		base += 4
	}
	for c := 0; c < len(row); c += 4 {
		at := base + c/kernels.Tile*tileBytes + c%kernels.Tile/4*16
		binary.LittleEndian.PutUint32(dst[at:], uint32(row[c])|uint32(row[c+1])<<16)
		binary.LittleEndian.PutUint32(dst[at+8:], uint32(row[c+2])|uint32(row[c+3])<<16)
	}
}

// matrix reads rows of a tensor of two dimensions as bf16.
type matrix struct {
	tensor     model.Tensor
	rows, cols int
}

func newMatrix(c *model.Checkpoint, name string) (matrix, error) {
	t, err := c.Tensor(name)
	if err != nil {
		return matrix{}, err
	}
	return matrix{t, t.Shape[0], t.Shape[1]}, nil
}

// row writes row i to dst, which has at least as many elements; rows there aren't are zero.
func (m matrix) row(i int, dst []uint16) error {
	if i < 0 || i >= m.rows {
		return nil
	}
	size := m.tensor.DType.Size()
	data := m.tensor.Data[i*m.cols*size:][:m.cols*size]
	if m.tensor.DType == model.BF16 {
		for j := range m.cols {
			v := binary.LittleEndian.Uint16(data[2*j:])
			if v&0x7f80 == 0x7f80 {
				return fmt.Errorf("tensor %q: an element of row %d is infinite or not a number: the file is damaged; fetch it again", m.tensor.Name, i)
			}
			dst[j] = v
		}
		return nil
	}
	wide := make([]float32, m.cols)
	one := model.Tensor{Name: m.tensor.Name, DType: m.tensor.DType, Shape: []int{1, m.cols}, Data: data}
	if err := one.Float32(wide); err != nil {
		return err
	}
	for j, v := range wide {
		dst[j] = bf16(v)
	}
	return nil
}

// bf16 rounds to nearest, ties to even; v is finite.
func bf16(v float32) uint16 {
	b := math.Float32bits(v)
	return uint16((b + 0x7fff + b>>16&1) >> 16)
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
