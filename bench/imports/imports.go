// Package imports reads measurements that were written to a file, by this program or
// another, into the shape of a result.
//
// What a file is is told by its contents, never by its name. Reading is strict: a line
// that isn't understood is an error with its number, because a value that is left out
// silently could be the one that got worse. What the values mean is judge's.
package imports

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
)

// MaxBytes bounds a file.
const MaxBytes = 256 << 20

// Format is what a file is.
type Format string

// Formats.
const (
	Unknown  Format = ""
	Result   Format = "result file"             // of `paceline run --out`
	Baseline Format = "baseline file"           // of `paceline baseline export`; judge/baseline reads it
	GoBench  Format = "Go benchmark text"       // of `go test -bench`
	CSV      Format = "CSV of values"           // name,value[,unit,direction,round]
	JSON     Format = "JSON of values"          // objects with the same keys
	goEvents Format = "output of go test -json" // recognised to say what to do
)

// Document is a file in the shape of a result. A file that isn't ours has a run with
// one suite name (Suite), and a round for every repetition of its values.
type Document struct {
	result.Document
	Format Format
	Name   string // of the file, for people
	// Defs are the metrics that are not in the metric table.
	Defs map[Series]Def
	// Shown are values that are no level to hold another against unless somebody asks for it: tails of a single run, and
	// what another tool measures and we don't.
	Shown map[Series]bool
	// From are the fields that values of another tool came from, as it names them.
	From map[Series]string
	// Failed is what the file itself says went wrong with the measurement.
	Failed []string
}

// Suite is the suite name of measurements that no suite describes.
const Suite = "check"

// Series is a metric of a cell.
type Series struct {
	Cell   string // digest
	Metric metric.ID
}

// Def is what a file says of a metric that is not in the table.
type Def struct {
	Unit   string
	Better metric.Direction // Neutral: the file doesn't say
}

// Foreign says whether the file is not ours.
func (d *Document) Foreign() bool { return d.Format != Result }

// ErrFormat is wrapped by errors that say that a file is nothing that is known.
var ErrFormat = errors.New("not a file of measurements")

// Read reads the contents of a file. name is for messages. Baseline files are
// recognised and refused: they are no result.
func Read(name string, b []byte) (*Document, error) {
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("read %s: it is over %d MiB", name, MaxBytes>>20)
	}
	var doc *Document
	var err error
	format := Recognise(b)
	switch format {
	case Result:
		var d *result.Document
		if d, err = result.Decode(bytes.NewReader(b)); err == nil {
			doc = &Document{Document: *d}
		}
	case GoBench:
		doc, err = readGo(name, text(b))
	case CSV:
		doc, err = readCSV(name, text(b))
	case JSON:
		doc, err = readJSON(name, text(b))
	case VLLM, AIPerf, GuideLLM, InferencePerf, LLMPerf, TRTLLM, LlamaBench:
		doc, err = readPeer(format, name, text(b))
	case Baseline:
		err = fmt.Errorf("%w: it is a baseline, a level to compare with: give it to --baseline", ErrFormat)
	case goEvents:
		err = fmt.Errorf("%w: it is the %s: run go test without -json and keep its text", ErrFormat, format)
	default:
		err = unknown(b)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	doc.Format, doc.Name = format, name
	return doc, nil
}

// text is the file without a byte order mark.
func text(b []byte) []byte { return bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")) }

// unknown says what is wrong with a file that is nothing that is known.
func unknown(b []byte) error {
	switch trimmed := bytes.TrimSpace(text(b)); {
	case len(trimmed) == 0:
		return fmt.Errorf("%w: it is empty", ErrFormat)
	case trimmed[0] == '{' || trimmed[0] == '[':
		return fmt.Errorf("%w: its JSON is neither a result file nor values with a name, nor a result of %s", ErrFormat, peers)
	case goHeader(trimmed):
		return fmt.Errorf("%w: it is the output of go test without any benchmark: did go test run with -bench?", ErrFormat)
	}
	return fmt.Errorf("%w: known are result files of paceline run --out, go test -bench text, CSV or JSON with name, value, unit and direction, and results of %s", ErrFormat, peers)
}
