package result

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// Limits of reading.
const (
	maxDocumentBytes = 256 << 20
	maxSampleBytes   = 16 << 20 // one line
)

// ErrVersion is wrapped by the error of reading a file of another schema version.
var ErrVersion = errors.New("other schema version")

// SamplesPath is the file of samples that lies beside a result file:
// "x.json" → "x.samples.jsonl".
func SamplesPath(path string) string {
	return strings.TrimSuffix(path, filepath.Ext(path)) + ".samples.jsonl"
}

// Write writes the document to path, and the samples beside it where there are any.
// Each file appears whole or not at all; where the disk is full, what stood at path
// before is still there.
func Write(path string, doc *Document, samples []Sample) error {
	doc.Schema = SchemaVersion
	if err := doc.check(); err != nil {
		return fmt.Errorf("write result %s: %w", path, err)
	}
	if len(samples) > 0 {
		err := replace(SamplesPath(path), func(w io.Writer) error {
			enc := json.NewEncoder(w)
			for i := range samples {
				if err := enc.Encode(&samples[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("write samples of result: %w", err)
		}
	}
	err := replace(path, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(doc)
	})
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// replace writes a file beside path, then puts it in its place.
func replace(path string, write func(io.Writer) error) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name())
		}
	}()
	buf := bufio.NewWriterSize(tmp, 1<<16)
	err = write(buf)
	if err == nil {
		err = buf.Flush()
	}
	if err == nil {
		err = tmp.Sync()
	}
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	return err
}

// Read reads a result file. A file of another version gives ErrVersion; unknown
// fields are errors, since a field that isn't understood could change what the
// rest means.
func Read(path string) (*Document, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	defer f.Close()
	doc, err := Decode(f)
	if err != nil {
		return nil, fmt.Errorf("read result %s: %w", path, err)
	}
	return doc, nil
}

// Decode reads a document of at most 256 MiB.
func Decode(r io.Reader) (*Document, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxDocumentBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxDocumentBytes {
		return nil, fmt.Errorf("larger than %d bytes", maxDocumentBytes)
	}
	var head struct {
		Schema *int `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("not a result file: %w", err)
	}
	if head.Schema == nil {
		return nil, errors.New("not a result file: it has no schema version")
	}
	if *head.Schema != SchemaVersion {
		return nil, fmt.Errorf("%w: version %d, this program reads %d: use the version of paceline that wrote it, or a newer one", ErrVersion, *head.Schema, SchemaVersion)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var doc Document
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	if err := doc.check(); err != nil {
		return nil, err
	}
	return &doc, nil
}

// ReadSamples calls f with each sample of a file of samples, until f fails.
func ReadSamples(r io.Reader, f func(*Sample) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 1<<16), maxSampleBytes)
	for n := 1; lines.Scan(); n++ {
		dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		dec.DisallowUnknownFields()
		var s Sample
		if err := dec.Decode(&s); err != nil {
			return fmt.Errorf("read sample on line %d: %w", n, err)
		}
		if err := f(&s); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read samples: %w", err)
	}
	return nil
}

// Validate says what contradicts itself in the document, whose schema version the
// caller knows. Reading and writing a file do it by themselves.
func (d *Document) Validate() error { return d.check() }

// check says what contradicts itself in the document.
func (d *Document) check() error {
	if d.Run.ID == "" || d.Run.Suite == "" {
		return errors.New("the run has no id or no suite")
	}
	switch d.Run.Lane {
	case LaneBase, LaneCandidate, LaneLocal:
	default:
		return fmt.Errorf("lane %q is none of base, candidate, local", d.Run.Lane)
	}
	for _, r := range d.Rounds {
		if r.RunID != d.Run.ID {
			return fmt.Errorf("round %d belongs to run %q, the file is of run %q", r.Index, r.RunID, d.Run.ID)
		}
		for _, c := range r.Cells {
			for _, v := range c.Values {
				if err := v.check(); err != nil {
					return fmt.Errorf("round %d, workload %s: %w", r.Index, c.Workload, err)
				}
			}
			for _, t := range c.Trials {
				for _, v := range t.Values {
					if err := v.check(); err != nil {
						return fmt.Errorf("round %d, workload %s, trial %d: %w", r.Index, c.Workload, t.Index, err)
					}
				}
			}
		}
	}
	return nil
}

func (v Value) check() error {
	if _, ok := v.Metric.Def(); !ok {
		return fmt.Errorf("metric %q is not in the table", v.Metric)
	}
	if math.IsNaN(v.Value) || math.IsInf(v.Value, 0) {
		return fmt.Errorf("metric %s is %g: a value that can't be known is left out", v.Metric, v.Value)
	}
	return nil
}
