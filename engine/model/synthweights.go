package model

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"sync"
)

const (
	// synthDeviation is the standard deviation of synthetic weights: what
	// transformers initialises a Qwen2 model with.
	synthDeviation = 0.02
	// chunkElements is what one step of one writer makes.
	chunkElements = 2 << 20
	synthWriters  = 2
)

// weightPlan is where everything of a synthetic safetensors file goes. Each
// element is a function of seed, tensor name and index alone, so that chunks can
// be written in any order by any number of goroutines.
type weightPlan struct {
	header []byte // with its length before it
	total  int64  // bytes of the file
	chunks []chunk
	size   int // of an element, in bytes
	table  *[1 << 16]uint16
}

type chunk struct {
	offset int64 // in the file
	first  int   // index in the tensor; a multiple of 4
	count  int
	key    uint64 // of the tensor's random stream
	ones   bool   // a norm: all elements are 1
}

func newWeightPlan(c Config, seed uint64) *weightPlan {
	p := &weightPlan{size: 2, table: normalQuantiles()}
	dtype := BF16
	if c.DType == F32.configName() {
		p.size, dtype = 4, F32
	}
	var entries []entry
	for _, t := range c.Tensors() {
		entries = append(entries, entry{name: t.Name, dtype: dtype, shape: t.Shape})
	}
	header, end := writtenHeader(entries)
	p.header, p.total = header, int64(len(header))+end
	for i, t := range c.Tensors() {
		count := Tensor{Shape: t.Shape}.Len()
		for first := 0; first < count; first += chunkElements {
			p.chunks = append(p.chunks, chunk{
				offset: int64(len(header)) + entries[i].begin + int64(first*p.size), first: first, count: min(chunkElements, count-first),
				key: streamKey(seed, t.Name), ones: t.Part == "norm",
			})
		}
	}
	return p
}

// write creates the file. Memory: one chunk a writer.
func (p *weightPlan) write(ctx context.Context, path string, progress func(done, total int64)) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(p.header); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		mu   sync.Mutex // guards next, done and the call of progress
		next int
		done = int64(len(p.header))
		wait sync.WaitGroup
	)
	take := func(finished int64) (chunk, bool) {
		mu.Lock()
		defer mu.Unlock()
		done += finished
		if progress != nil && finished > 0 {
			progress(done, p.total)
		}
		if next == len(p.chunks) || ctx.Err() != nil {
			return chunk{}, false
		}
		next++
		return p.chunks[next-1], true
	}
	for range synthWriters {
		wait.Go(func() {
			buffer := make([]byte, chunkElements*p.size)
			for c, ok := take(0); ok; {
				data := buffer[:c.count*p.size]
				p.fill(data, c)
				if _, err := f.WriteAt(data, c.offset); err != nil {
					cancel(err)
					return
				}
				c, ok = take(int64(len(data)))
			}
		})
	}
	wait.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return f.Sync()
}

// fill makes the elements of one chunk.
func (p *weightPlan) fill(data []byte, c chunk) {
	const one = 0x3f80 // 1 as bfloat16
	for i := 0; i < c.count; i += 4 {
		x := splitMix(c.key, uint64(c.first+i)/4+1)
		for j := i; j < min(i+4, c.count); j++ {
			v := p.table[uint16(x)]
			if x >>= 16; c.ones {
				v = one
			}
			if p.size == 4 {
				binary.LittleEndian.PutUint32(data[4*j:], uint32(v)<<16)
			} else {
				binary.LittleEndian.PutUint16(data[2*j:], v)
			}
		}
	}
}

// splitMix is the i-th output of a random stream, from 1. Counter-based SplitMix64 (Steele,
// Lea, Flood: Fast splittable pseudorandom number generators, 2014) needs no state.
func splitMix(key, i uint64) uint64 {
	x := key + i*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// streamKey gives each tensor a random stream of its own.
func streamKey(seed uint64, name string) uint64 {
	sum := sha256.Sum256(append(binary.LittleEndian.AppendUint64(nil, seed), name...))
	return binary.LittleEndian.Uint64(sum[:])
}

// normalQuantiles maps 16 random bits to a normal number of deviation
// synthDeviation, as bfloat16: the middles of 65,536 equally likely slices, which
// bfloat16 with its 8 bits can't tell from the continuous distribution, except
// that nothing lies beyond 4.3 deviations.
func normalQuantiles() *[1 << 16]uint16 {
	var table [1 << 16]uint16
	for i := range table {
		p := (float64(i) + 0.5) / (1 << 16)
		table[i] = bfloat16(float32(synthDeviation * math.Sqrt2 * math.Erfinv(2*p-1)))
	}
	return &table
}
