package model

import (
	"errors"
	"fmt"
	"os"
)

// shard is one open, mapped safetensors file.
type shard struct {
	name    string
	file    *os.File
	size    int64 // when it was opened
	data    []byte
	unmap   func() error
	start   int64 // of the tensors' bytes: after the header
	entries []entry
}

// openShard reads and checks the header, then maps the file.
func openShard(d folder, name string) (_ *shard, err error) {
	f, size, err := d.open(name)
	if err != nil {
		return nil, err
	}
	s := &shard{name: name, file: f, size: size, unmap: func() error { return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	prefix := make([]byte, min(8, size))
	if _, err := f.ReadAt(prefix, 0); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	n, err := headerLength(prefix, size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	header := make([]byte, n)
	if _, err := f.ReadAt(header, 8); err != nil {
		return nil, fmt.Errorf("read the header of %s: %w", name, err)
	}
	s.start = 8 + n
	if s.entries, err = parseHeader(header, size-s.start); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if s.data, s.unmap, err = mapFile(f, size); err != nil {
		s.unmap = func() error { return nil }
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// check refuses a file that changed its size since it was opened: reading the
// mapping of a shortened file would end the process.
func (s *shard) check() error {
	info, err := s.file.Stat()
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	if info.Size() != s.size {
		return invalidf("%s has %d bytes now and had %d when it was opened: open the model again", s.name, info.Size(), s.size)
	}
	return nil
}

func (s *shard) tensor(e entry) Tensor {
	end := s.start + e.end
	return Tensor{Name: e.name, DType: e.dtype, Shape: e.shape, Data: s.data[s.start+e.begin : end : end]}
}

func (s *shard) close() error { return errors.Join(s.unmap(), s.file.Close()) }
