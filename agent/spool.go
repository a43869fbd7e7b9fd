package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/paceline/paceline/internal/wire"
)

// spool keeps one attempt's batches on disk until the coordinator has them. Each
// batch is a file of its own, written beside its name and renamed, so that a crash
// leaves whole batches only; a receipt empties the file but keeps its name, because
// the attempt's end states the sums of all bodies.
//
//	<dir>/order.json             the attempt
//	<dir>/<stream>-<seq>.batch   sha256 of the body in hexadecimal, records, a line break, the body
type spool struct {
	dir   string
	order wire.Order

	mu      sync.Mutex // guards what follows
	last    map[string]uint64
	sums    map[string][][32]byte
	pending []batchFile // in order of writing
	records map[string]int
}

type batchFile struct {
	stream  string
	seq     uint64
	records int
}

// newSpool makes the folder of a new attempt.
func newSpool(root string, o wire.Order) (*spool, error) {
	s := emptySpool(filepath.Join(root, o.Attempt), o)
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the spool of attempt %s: %w", o.Attempt, err)
	}
	b, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("spool attempt %s: %w", o.Attempt, err)
	}
	if err := writeSynced(filepath.Join(s.dir, "order.json"), b); err != nil {
		return nil, fmt.Errorf("spool attempt %s: %w", o.Attempt, err)
	}
	return s, nil
}

func emptySpool(dir string, o wire.Order) *spool {
	return &spool{dir: dir, order: o, last: map[string]uint64{}, sums: map[string][][32]byte{}, records: map[string]int{}}
}

// openSpools finds what an earlier life of this agent left behind. A folder that
// can't be read is given as an error and left alone.
func openSpools(root string) (found []*spool, problems []error) {
	dirs, err := os.ReadDir(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, []error{fmt.Errorf("read the spool: %w", err)}
	}
	for _, d := range dirs {
		s, err := openSpool(filepath.Join(root, d.Name()))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		found = append(found, s)
	}
	return found, problems
}

func openSpool(dir string) (*spool, error) {
	b, err := os.ReadFile(filepath.Join(dir, "order.json"))
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	var o wire.Order
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, fmt.Errorf("read the spool %s: %w", dir, err)
	}
	s := emptySpool(dir, o)
	names, err := filepath.Glob(filepath.Join(dir, "*.batch"))
	if err != nil {
		return nil, fmt.Errorf("read the spool %s: %w", dir, err)
	}
	slices.Sort(names) // zero-padded numbers: in order of stream, then of writing
	for _, name := range names {
		stream, num, ok := strings.Cut(strings.TrimSuffix(filepath.Base(name), ".batch"), "-")
		seq, err := strconv.ParseUint(num, 10, 64)
		if !ok || err != nil || seq != s.last[stream]+1 {
			return nil, fmt.Errorf("read the spool: %s is not the batch that follows %d", name, s.last[stream])
		}
		sum, records, body, err := readBatch(name)
		if err != nil {
			return nil, err
		}
		s.last[stream] = seq
		s.sums[stream] = append(s.sums[stream], sum)
		s.records[stream] += records
		if len(body) > 0 {
			s.pending = append(s.pending, batchFile{stream, seq, records})
		}
	}
	return s, nil
}

// add writes records as the next batches of a stream, each within the wire's limit.
func (s *spool) add(stream string, records []json.RawMessage) error {
	if len(records) == 0 {
		return nil
	}
	body, err := wire.EncodeBody(records)
	if err != nil {
		return err
	}
	if len(body) > wire.MaxBatchBytes {
		if len(records) == 1 {
			return fmt.Errorf("spool %s: one record has %d bytes compressed, over the limit of %d", stream, len(body), wire.MaxBatchBytes)
		}
		half := len(records) / 2
		if err := s.add(stream, records[:half]); err != nil {
			return err
		}
		return s.add(stream, records[half:])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seq := s.last[stream] + 1
	sum := sha256.Sum256(body)
	file := append(fmt.Appendf(nil, "%x %d\n", sum, len(records)), body...)
	if err := writeSynced(s.path(stream, seq), file); err != nil {
		return fmt.Errorf("spool batch %d of %s: %w: free some space; what is stored stays valid", seq, stream, err)
	}
	s.last[stream] = seq
	s.sums[stream] = append(s.sums[stream], sum)
	s.records[stream] += len(records)
	s.pending = append(s.pending, batchFile{stream, seq, len(records)})
	return nil
}

// next is the oldest batch that isn't acknowledged; nil if there is none.
func (s *spool) next() (*wire.BatchRequest, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) == 0 {
		return nil, nil //nolint:nilnil // "nothing waits" is no error
	}
	f := s.pending[0]
	_, _, body, err := readBatch(s.path(f.stream, f.seq))
	if err != nil {
		return nil, err
	}
	return &wire.BatchRequest{Attempt: s.order.Attempt, Stream: f.stream, Seq: f.seq, Records: f.records, Body: body}, nil
}

// acknowledge forgets the bodies of a stream up to its high-water mark.
func (s *spool) acknowledge(stream string, highWater uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	s.pending = slices.DeleteFunc(s.pending, func(f batchFile) bool {
		if f.stream != stream || f.seq > highWater || err != nil {
			return false
		}
		// Cutting a file short needs no space, so that a full disk can be trimmed.
		head := fmt.Appendf(nil, "%x %d\n", s.sums[f.stream][f.seq-1], f.records)
		err = os.Truncate(s.path(f.stream, f.seq), int64(len(head)))
		return err == nil
	})
	if err != nil {
		return fmt.Errorf("trim the spool: %w", err)
	}
	return nil
}

// end is the message that closes the attempt.
func (s *spool) end(outcome string, problem *wire.Error) wire.EndRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make(map[string]uint64, len(s.last))
	for stream, n := range s.last {
		counts[stream] = n
	}
	return wire.EndRequest{Attempt: s.order.Attempt, Outcome: outcome, Counts: counts, Digest: wire.Digest(s.sums), Problem: problem}
}

// remove deletes the attempt's folder.
func (s *spool) remove() error {
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove the spool of attempt %s: %w", s.order.Attempt, err)
	}
	return nil
}

func (s *spool) path(stream string, seq uint64) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s-%08d.batch", stream, seq))
}

func readBatch(name string) (sum [32]byte, records int, body []byte, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return sum, 0, nil, fmt.Errorf("read the spool: %w", err)
	}
	head, body, _ := bytes.Cut(b, []byte("\n"))
	var hexSum []byte
	if _, err := fmt.Sscanf(string(head), "%x %d", &hexSum, &records); err != nil || len(hexSum) != len(sum) {
		return sum, 0, nil, fmt.Errorf("read the spool: %s has no head", name)
	}
	copy(sum[:], hexSum)
	if len(body) > 0 && sha256.Sum256(body) != sum {
		return sum, 0, nil, fmt.Errorf("read the spool: the body of %s is not what was written", name)
	}
	return sum, records, body, nil
}

// writeSynced writes a file so that after a crash it is there whole or not at all.
func writeSynced(name string, b []byte) error {
	f, err := os.OpenFile(name+".tmp", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(name+".tmp", name)
	}
	if err != nil {
		_ = os.Remove(name + ".tmp")
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// has says whether every missing batch, named by its stream's first Seq, is still
// here to be sent; they are then sent again.
func (s *spool) has(missing map[string]uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for stream, from := range missing {
		if !slices.ContainsFunc(s.pending, func(f batchFile) bool { return f.stream == stream && f.seq == from }) {
			return false
		}
	}
	return true
}
