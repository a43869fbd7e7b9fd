package model

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// writtenHeader gives each entry its bytes, one after the other in their order, and
// returns the start of the safetensors file that holds them: the header with its length
// before it. end is that of the last tensor, counted from there.
func writtenHeader(entries []entry) (header []byte, end int64) {
	type info struct {
		DType   DType    `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	var text bytes.Buffer
	text.WriteString(`{"__metadata__":{"format":"pt"}`)
	for i := range entries {
		e := &entries[i]
		e.begin = end
		end += int64(Tensor{Shape: e.shape}.Len() * e.dtype.Size())
		e.end = end
		data, err := json.Marshal(info{e.dtype, e.shape, [2]int64{e.begin, e.end}})
		if err != nil {
			panic(err) // strings and integers always marshal
		}
		fmt.Fprintf(&text, `,%q:%s`, e.name, data)
	}
	text.WriteByte('}')
	for text.Len()%8 != 0 { // the format wants the data aligned to 8 bytes
		text.WriteByte(' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(text.Len())), text.Bytes()...), end
}

// WeightsWriter writes the model.safetensors of a model in a format. Its tensors may be
// put in any order.
type WeightsWriter struct {
	file    *os.File
	places  map[string]entry // with begin and end counted from the start of the file
	missing int
}

// NewWeightsWriter creates the weights file in the folder dir for the tensors of c in the
// format "w8" or "w4": matrices as Quantization describes, others as c has them. The caller
// puts each tensor of c.Config.Tensors once, then closes it.
func NewWeightsWriter(dir string, c *Checkpoint, format string) (*WeightsWriter, error) {
	var entries []entry
	for _, want := range c.Config.Tensors() {
		d := StoredType(format, want.Name)
		if d == "" {
			p, ok := c.tensors[want.Name]
			if !ok {
				return nil, fmt.Errorf("model %s: %w", c.Dir, invalidf("no tensor %q", want.Name))
			}
			entries = append(entries, entry{name: want.Name, dtype: p.entry.dtype, shape: want.Shape})
			continue
		}
		data, scales := d.stored(want.Shape[0], want.Shape[1])
		data.name, scales.name = want.Name, want.Name+scaleSuffix
		entries = append(entries, data, scales)
	}
	// The wide types first: then every tensor is aligned to its element.
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(b.dtype.Size(), a.dtype.Size()) })
	header, end := writtenHeader(entries)
	f, err := os.OpenFile(weightsIn(dir), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, err
	}
	w := &WeightsWriter{file: f, places: map[string]entry{}, missing: len(entries)}
	for _, e := range entries {
		e.begin += int64(len(header))
		e.end += int64(len(header))
		w.places[e.name] = e
	}
	if _, err := f.Write(header); err != nil {
		return nil, w.abandon(err)
	}
	if err := f.Truncate(int64(len(header)) + end); err != nil {
		return nil, w.abandon(err)
	}
	return w, nil
}

// Put writes one tensor, with its scales where it has some.
func (w *WeightsWriter) Put(t Tensor) error {
	if err := w.put(t.Name, t.Data); err != nil {
		return err
	}
	if t.Scales == nil {
		return nil
	}
	return w.put(t.Name+scaleSuffix, t.Scales)
}

func (w *WeightsWriter) put(name string, data []byte) error {
	e, ok := w.places[name]
	if !ok {
		return fmt.Errorf("write tensor %q: it has no place, or was written before", name)
	}
	if int64(len(data)) != e.end-e.begin {
		return fmt.Errorf("write tensor %q: %d bytes, want %d", name, len(data), e.end-e.begin)
	}
	delete(w.places, name)
	w.missing--
	_, err := w.file.WriteAt(data, e.begin)
	return err
}

// Close makes sure that all is on the disk. A tensor that was never put is an error.
func (w *WeightsWriter) Close() error {
	if w.missing > 0 {
		return w.abandon(fmt.Errorf("%d tensors were never written", w.missing))
	}
	if err := w.file.Sync(); err != nil {
		return w.abandon(err)
	}
	return w.file.Close()
}

// abandon closes the file, which is no whole one, and gives err.
func (w *WeightsWriter) abandon(err error) error {
	_ = w.file.Close() // err says more
	return err
}
