package baseline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/gate"
)

// What a baseline file is called inside.
const (
	FileSchema = 1
	FileKind   = "paceline.baseline"
)

// Limits of a baseline file. It travels with a submission, so it is kept small.
const (
	MaxFileBytes = 8 << 20
	MaxFileRuns  = 1000
)

// Errors that callers of ReadFile test for.
var (
	// ErrNotFile: it is no baseline file, or one that was cut off or changed.
	ErrNotFile = errors.New("not a whole baseline file")
	// ErrFileVersion: it was written in another version of the format.
	ErrFileVersion = errors.New("baseline file of another version")
)

// File is a level outside of a ledger: the runs of a branch with the rounds that make it.
type File struct {
	Schema   int       `json:"schema"`            // 1
	Kind     string    `json:"kind"`              // "paceline.baseline"
	Project  string    `json:"project,omitempty"` // of every run
	Branch   string    `json:"branch"`            // of every run
	Suite    string    `json:"suite"`             // of every run
	Exported time.Time `json:"exported"`
	Program  string    `json:"program"` // version that wrote it
	Runs     []FileRun `json:"runs"`    // oldest first
}

// FileRun is a run that is part of the level.
type FileRun struct {
	Document result.Document `json:"document"` // the run with its rounds; no samples
	State    State           `json:"state"`    // joined
	Verdict  gate.Kind       `json:"verdict"`  // of the run; fail where somebody accepted it
}

// ReadFile reads a baseline file of at most MaxFileBytes. It is strict: an unknown
// field could change what the rest means, and a run that doesn't belong to the file's
// branch and suite would bend a level. The error wraps ErrNotFile or ErrFileVersion,
// unless r failed.
func ReadFile(r io.Reader) (*File, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxFileBytes {
		return nil, fmt.Errorf("%w: it is over %d MiB", ErrNotFile, MaxFileBytes>>20)
	}
	if err := readHead(b); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	var f File
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFile, err)
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	return &f, nil
}

// readHead says what the file is, before its fields are held against those of this
// version.
func readHead(b []byte) error {
	var head struct {
		Schema *int   `json:"schema"`
		Kind   string `json:"kind"`
	}
	switch err := json.Unmarshal(b, &head); {
	case err != nil:
		return fmt.Errorf("%w: %w: it may be cut off: export it again", ErrNotFile, err)
	case head.Kind != FileKind:
		return fmt.Errorf("%w: its kind is %.40q, want %q: write one with `paceline baseline export`", ErrNotFile, head.Kind, FileKind)
	case head.Schema == nil:
		return fmt.Errorf("%w: it has no schema version", ErrNotFile)
	case *head.Schema != FileSchema:
		return fmt.Errorf("%w: version %d, this program reads %d: use the paceline that wrote it, or export it again with this one", ErrFileVersion, *head.Schema, FileSchema)
	}
	return nil
}

// WriteFile writes a baseline file, one run a line. It refuses what ReadFile would.
func WriteFile(w io.Writer, f *File) error {
	head := *f
	head.Schema, head.Kind, head.Runs = FileSchema, FileKind, nil
	whole := head
	if whole.Runs = f.Runs; whole.Runs == nil {
		whole.Runs = []FileRun{}
	}
	if err := whole.check(); err != nil {
		return fmt.Errorf("write a baseline file: %w", err)
	}
	b, err := json.Marshal(head)
	if err != nil {
		return fmt.Errorf("write a baseline file: %w", err)
	}
	var out bytes.Buffer
	out.Write(bytes.TrimSuffix(b, []byte("null}")))
	out.WriteString("[")
	for i := range f.Runs {
		if b, err = json.Marshal(&f.Runs[i]); err != nil {
			return fmt.Errorf("write run %s into a baseline file: %w", f.Runs[i].Document.Run.ID, err)
		}
		if i > 0 {
			out.WriteString(",")
		}
		out.WriteString("\n")
		out.Write(b)
	}
	out.WriteString("\n]}\n")
	if out.Len() > MaxFileBytes {
		return fmt.Errorf("write a baseline file: %d runs make %d bytes, more than the %d MiB that are read: name one suite with --suite", len(f.Runs), out.Len(), MaxFileBytes>>20)
	}
	_, err = w.Write(out.Bytes())
	return err
}

// check says what contradicts itself.
func (f *File) check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: %w", ErrNotFile, fmt.Errorf(format, args...))
	}
	switch {
	case f.Branch == "" || f.Suite == "":
		return wrong("it names no branch or no suite")
	case f.Exported.IsZero():
		return wrong("it doesn't say when it was exported")
	case f.Runs == nil:
		return wrong("it has no list of runs")
	case len(f.Runs) > MaxFileRuns:
		return wrong("it has %d runs, at most %d are read", len(f.Runs), MaxFileRuns)
	}
	runs, rounds := map[string]bool{}, map[string]bool{}
	for i := range f.Runs {
		x := &f.Runs[i]
		run := &x.Document.Run
		if err := f.belongs(x); err != nil {
			return wrong("run %d (%.40s): %w", i+1, run.ID, err)
		}
		if runs[run.ID] {
			return wrong("run %.40s is in it twice", run.ID)
		}
		runs[run.ID] = true
		if i > 0 && run.Created.Before(f.Runs[i-1].Document.Run.Created) {
			return wrong("run %.40s is older than the one before it", run.ID)
		}
		for _, r := range x.Document.Rounds {
			if r.ID == "" || rounds[r.ID] {
				return wrong("run %.40s: round %d has no id, or one that another round has", run.ID, r.Index)
			}
			rounds[r.ID] = true
		}
	}
	return nil
}

// belongs says why a run can't be part of the file's level.
func (f *File) belongs(x *FileRun) error {
	d := &x.Document
	if d.Schema != result.SchemaVersion {
		return fmt.Errorf("it is a result of version %d, this program reads %d", d.Schema, result.SchemaVersion)
	}
	if err := d.Validate(); err != nil {
		return err
	}
	for _, c := range []struct{ what, got, want string }{
		{"branch", d.Run.Branch, f.Branch},
		{"suite", d.Run.Suite, f.Suite},
		{"project", d.Run.Project, f.Project},
		{"lane", string(d.Run.Lane), string(f.Runs[0].Document.Run.Lane)},
	} {
		if c.got != c.want {
			return fmt.Errorf("its %s is %.40q, that of the file %.40q", c.what, c.got, c.want)
		}
	}
	switch {
	case d.Run.Lane == result.LaneCandidate:
		return errors.New("it is a candidate, which is never part of a level")
	case x.State != Joined:
		return fmt.Errorf("its state is %.20q: only what has joined is part of a level", x.State)
	case !slices.Contains([]gate.Kind{gate.Pass, gate.Warn, gate.Fail, gate.NoBaseline, gate.NotComparable}, x.Verdict):
		return fmt.Errorf("a run with verdict %.20q is never part of a level", x.Verdict)
	case d.Verdict != nil:
		return errors.New("it carries a report: a baseline file has rounds only")
	case len(d.Rounds) == 0:
		return errors.New("it has no rounds")
	}
	for _, r := range d.Rounds {
		switch {
		case r.Index < 1:
			return fmt.Errorf("a round has the index %d, want 1 or more", r.Index)
		case len(r.Subject.Faults) > 0:
			return fmt.Errorf("round %d has planted faults (%.60s): never part of a level", r.Index, strings.Join(r.Subject.Faults, ", "))
		case r.Ended.Year() < 2000 || r.Ended.Before(r.Started):
			return fmt.Errorf("round %d doesn't say when it ended, or did so before it began", r.Index)
		case r.AttemptID == "":
			return fmt.Errorf("round %d doesn't say which attempt it belongs to", r.Index)
		}
	}
	return nil
}

// Records gives the level's rounds by series: the digest of result.KeyOf's key. A
// round's place in the order of the branch is its run's in the file, then its index.
// Its time is its end, on the clock of the machine that measured.
func (f *File) Records() map[string][]Record {
	out := map[string][]Record{}
	f.Each(func(key result.Key, r Record) {
		digest := key.Digest()
		out[digest] = append(out[digest], r)
	})
	return out
}

// Each calls do with every value of the file, in order, with the key of its series.
func (f *File) Each(do func(key result.Key, r Record)) {
	for i := range f.Runs {
		x := &f.Runs[i]
		run := &x.Document.Run
		for j := range x.Document.Rounds {
			r := &x.Document.Rounds[j]
			for k := range r.Cells {
				c := &r.Cells[k]
				seen := map[metric.ID]bool{}
				for _, v := range c.Values {
					if seen[v.Metric] {
						continue
					}
					seen[v.Metric] = true
					do(result.KeyOf(r, run.Subject, c, v.Metric), Record{
						RunID: run.ID, RoundID: r.ID, Machine: r.Environment.MachineID, Branch: run.Branch, Lane: run.Lane, Decided: x.Verdict,
						Valid: r.Valid && c.Valid, State: x.State, At: r.Ended, CommitTime: run.CommitTime, Value: v.Value,
					})
				}
			}
		}
	}
}

// Probes are the machine probe's readings in the file's valid rounds on a machine,
// oldest first: a machine whose own history is short is told by them whether it is
// its usual self. device is a GPU's UUID, or empty for the CPU.
func (f *File) Probes(machine, device, kind string) []float64 {
	var out []float64
	for _, r := range f.Runs {
		for _, x := range r.Document.Rounds {
			if !x.Valid || x.Environment.MachineID != machine {
				continue
			}
			for _, p := range x.Probes {
				if p.Device == device && p.Kind == kind {
					out = append(out, p.Value)
				}
			}
		}
	}
	return out
}
