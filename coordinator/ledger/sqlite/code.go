package sqlite

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// maxDocBytes bounds a document once it is decompressed.
const maxDocBytes = 64 << 20

// pack encodes a document as JSON, compressed.
func pack(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return compress(b)
}

func compress(b []byte) ([]byte, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	defer enc.Close()
	return enc.EncodeAll(b, nil), nil
}

// decompress is compress's inverse.
func decompress(b []byte) ([]byte, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxDocBytes))
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	defer dec.Close()
	out, err := dec.DecodeAll(b, nil)
	if err != nil {
		return nil, fmt.Errorf("decompress: %w", err)
	}
	return out, nil
}

// unpack is pack's inverse.
func unpack(b []byte, v any) error {
	doc, err := decompress(b)
	if err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	if err := json.Unmarshal(doc, v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}

// text encodes a small value as JSON.
func text(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode %T: %w", v, err)
	}
	return string(b), nil
}

// ns is a time as it is stored: 0 for the zero time.
func ns(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// at is ns's inverse.
func at(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// where collects conditions of a query with their arguments.
type where struct {
	conds []string
	args  []any
}

func (w *where) add(cond string, args ...any) {
	w.conds = append(w.conds, cond)
	w.args = append(w.args, args...)
}

// eq adds a condition unless v is empty.
func (w *where) eq(column, v string) {
	if v != "" {
		w.add(column+" = ?", v)
	}
}

// in adds a condition unless vs is empty.
func in[S ~string](w *where, column string, vs []S) {
	if len(vs) == 0 {
		return
	}
	for _, v := range vs {
		w.args = append(w.args, string(v))
	}
	w.conds = append(w.conds, column+" IN (?"+strings.Repeat(", ?", len(vs)-1)+")")
}

func (w *where) String() string {
	if len(w.conds) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conds, " AND ")
}

// bounded is n within 1..most, or the default for 0 and below.
func bounded(n, def, most int) int {
	if n <= 0 {
		return def
	}
	return min(n, most)
}
