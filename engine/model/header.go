package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"
)

// Limits of a safetensors file. The format itself allows headers of 100 MB; real
// ones are far smaller, and parsing a hostile one costs seconds, so the limit is
// lower: the header of a model with 100,000 tensors still fits.
const (
	MaxHeaderBytes = 16 << 20 // length of the JSON header
	MaxTensors     = 100_000  // of one checkpoint
	MaxRank        = 8        // dimensions of one tensor
	maxNameBytes   = 1024
)

// entry is one tensor as a header describes it, with its bytes at
// [begin, end) after the header.
type entry struct {
	name       string
	dtype      DType
	shape      []int
	begin, end int64
}

// headerLength checks the first eight bytes of a file of size bytes and returns
// the length of the JSON that follows them.
func headerLength(prefix []byte, size int64) (int64, error) {
	if size < 8 || len(prefix) < 8 {
		return 0, invalidf("the file has %d bytes, want at least 8: it is truncated or no safetensors file", size)
	}
	n := binary.LittleEndian.Uint64(prefix)
	if n > MaxHeaderBytes {
		return 0, invalidf("the header claims %d bytes, the limit is %d: no safetensors file, or a hostile one", n, MaxHeaderBytes)
	}
	if int64(n) > size-8 {
		return 0, invalidf("the header claims %d bytes, the file has %d after its length: the file is truncated", n, size-8)
	}
	return int64(n), nil
}

// parseHeader reads the JSON header of a safetensors file whose data part is
// dataBytes long. The entries come in the order of their bytes, which they
// cover without overlap and without gap.
func parseHeader(header []byte, dataBytes int64) ([]entry, error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, invalidf("the header doesn't start with '{'")
	}
	if !utf8.Valid(header) {
		return nil, invalidf("the header is not UTF-8")
	}
	p := headerParser{dec: json.NewDecoder(bytes.NewReader(header))}
	p.dec.UseNumber()
	if err := p.parse(); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if !errors.Is(err, ErrInvalid) {
			err = invalidf("header, byte %d: %w", p.dec.InputOffset(), err)
		}
		return nil, err
	}
	if rest := bytes.TrimRight(header[p.dec.InputOffset():], " "); len(rest) > 0 {
		return nil, invalidf("the header has %d bytes after its JSON, want spaces only", len(rest))
	}
	for i := range p.entries {
		if err := p.entries[i].check(dataBytes); err != nil {
			return nil, err
		}
	}
	return p.entries, checkCover(p.entries, dataBytes)
}

// headerParser reads the one shape that a header may have, so depth needs no
// other limit: {name: {dtype, shape: […], data_offsets: [b, e]}}.
type headerParser struct {
	dec     *json.Decoder
	entries []entry
}

func (p *headerParser) parse() error {
	seen := map[string]bool{}
	return p.object(func(name string) error {
		switch {
		case seen[name]:
			return invalidf("header: the name %q appears twice", name)
		case len(name) > maxNameBytes:
			return invalidf("header: a name of %d bytes, the limit is %d", len(name), maxNameBytes)
		case len(p.entries) == MaxTensors:
			return invalidf("header: more than %d tensors", MaxTensors)
		}
		seen[name] = true
		if name == "__metadata__" {
			return p.metadata()
		}
		return p.entry(name)
	})
}

// metadata reads {string: string} and drops it: nothing here depends on it.
func (p *headerParser) metadata() error {
	seen := map[string]bool{}
	return p.object(func(key string) error {
		if seen[key] {
			return invalidf("header: the metadata key %q appears twice", key)
		}
		seen[key] = true
		token, err := p.dec.Token()
		if err != nil {
			return err
		}
		if _, ok := token.(string); !ok {
			return invalidf("header: metadata %q is %v, want a string", key, token)
		}
		return nil
	})
}

func (p *headerParser) entry(name string) error {
	e := entry{name: name}
	var offsets []int
	seen := map[string]bool{}
	err := p.object(func(key string) (err error) {
		if seen[key] {
			return invalidf("header: tensor %q: the key %q appears twice", name, key)
		}
		seen[key] = true
		switch key {
		case "dtype":
			token, err := p.dec.Token()
			if err != nil {
				return err
			}
			text, ok := token.(string)
			if !ok {
				return invalidf("header: tensor %q: dtype is %v, want a string", name, token)
			}
			e.dtype = DType(text)
		case "shape":
			e.shape, err = p.integers(name, key, MaxRank)
		case "data_offsets":
			offsets, err = p.integers(name, key, 2)
		default:
			err = invalidf("header: tensor %q: unknown key %q", name, key)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, key := range []string{"dtype", "shape", "data_offsets"} {
		if !seen[key] {
			return invalidf("header: tensor %q has no %s", name, key)
		}
	}
	if len(offsets) != 2 {
		return invalidf("header: tensor %q: data_offsets has %d numbers, want 2", name, len(offsets))
	}
	e.begin, e.end = int64(offsets[0]), int64(offsets[1])
	p.entries = append(p.entries, e)
	return nil
}

// object reads '{', calls member after each key, and reads '}'.
func (p *headerParser) object(member func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	for p.dec.More() {
		key, err := p.dec.Token()
		if err != nil {
			return err
		}
		if err := member(key.(string)); err != nil { // a JSON object's keys are strings
			return err
		}
	}
	return p.delim('}')
}

// integers reads an array of at most limit integers ≥ 0.
func (p *headerParser) integers(name, key string, limit int) ([]int, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	list := []int{}
	for p.dec.More() {
		if len(list) == limit {
			return nil, invalidf("header: tensor %q: %s has more than %d numbers", name, key, limit)
		}
		token, err := p.dec.Token()
		if err != nil {
			return nil, err
		}
		number, ok := token.(json.Number)
		if !ok {
			return nil, invalidf("header: tensor %q: %s holds %v, want integers", name, key, token)
		}
		n, err := strconv.ParseUint(number.String(), 10, strconv.IntSize-1)
		if err != nil {
			return nil, invalidf("header: tensor %q: %s holds %.40s, want integers from 0 to %d", name, key, number, math.MaxInt)
		}
		list = append(list, int(n))
	}
	return list, p.delim(']')
}

func (p *headerParser) delim(want json.Delim) error {
	token, err := p.dec.Token()
	if err != nil {
		return err
	}
	if token != want {
		return invalidf("header, byte %d: found %.40v, want %v", p.dec.InputOffset(), token, want)
	}
	return nil
}

// check holds the entry's type, shape and bytes against each other.
func (e *entry) check(dataBytes int64) error {
	size := e.dtype.Size()
	if size == 0 {
		return invalidf("tensor %q: unknown type %.40q", e.name, string(e.dtype))
	}
	want := int64(size)
	for _, d := range e.shape {
		if d != 0 && want > math.MaxInt64/int64(d) {
			return invalidf("tensor %q: shape %v overflows", e.name, e.shape)
		}
		want *= int64(d)
	}
	if e.begin > e.end || e.end > dataBytes {
		return invalidf("tensor %q: bytes %d to %d, but the file holds bytes 0 to %d after its header: it is truncated or damaged", e.name, e.begin, e.end, dataBytes)
	}
	if found := e.end - e.begin; found != want {
		return invalidf("tensor %q: shape %v of %s needs %d bytes, found %d", e.name, e.shape, e.dtype, want, found)
	}
	return nil
}

// checkCover sorts the entries by their bytes and makes sure that they cover
// [0, dataBytes) once.
func checkCover(entries []entry, dataBytes int64) error {
	slices.SortStableFunc(entries, func(a, b entry) int {
		switch {
		case a.begin != b.begin:
			return int(min(max(a.begin-b.begin, -1), 1))
		default: // an empty tensor lies before the one that starts where it does
			return int(min(max(a.end-b.end, -1), 1))
		}
	})
	at := int64(0)
	for _, e := range entries {
		if e.begin < at {
			return invalidf("tensor %q starts at byte %d, inside the tensor before it, which ends at %d", e.name, e.begin, at)
		}
		if e.begin > at {
			return invalidf("tensor %q starts at byte %d, which leaves a hole after byte %d", e.name, e.begin, at)
		}
		at = e.end
	}
	if at != dataBytes {
		return invalidf("%d bytes follow the last tensor, want none", dataBytes-at)
	}
	return nil
}
