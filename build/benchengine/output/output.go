// Package output reads what the measured programs print: one figure of one run each.
//
// It is pure. Whatever a program prints instead of what it should is an error that quotes the
// beginning of it, never a figure.
package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"github.com/paceline/paceline/build/benchengine/plan"
)

// Reading is what one run of a program gave.
type Reading struct {
	Value         float64 // in the unit of the task's kind
	BytesPerToken float64 // of weights read to decode one token; 0: the program doesn't say
	NeededBytes   float64 // weights and KV; 0: the program doesn't say
	Note          string  // what the program says of itself: version, format, kernels
}

// ErrUnsupported is wrapped by the error of a program that says that it can't do the task.
// More runs would say the same.
var ErrUnsupported = errors.New("can't be measured here")

// Read reads the standard output of a program that did task t.
func Read(t plan.Task, out []byte) (Reading, error) {
	read := map[plan.Program]func(plan.Task, []byte) (Reading, error){
		plan.Engine: engine, plan.Candle: rates, plan.Transformers: rates,
	}[t.Program]
	switch {
	case t.Program == plan.LlamaCpp && t.Kind == plan.Streams:
		read = llamaBatched
	case t.Program == plan.LlamaCpp:
		read = llamaBench
	case read == nil:
		return Reading{}, fmt.Errorf("no program is called %q", t.Program)
	}
	r, err := read(t, out)
	if err == nil && !(r.Value > 0 && r.Value <= math.MaxFloat64) {
		err = fmt.Errorf("it gives the value %v, which can't be", r.Value)
	}
	if err != nil && !errors.Is(err, ErrUnsupported) {
		err = fmt.Errorf("read what %s printed: %w", t, err)
	}
	if err != nil {
		return Reading{}, err
	}
	return r, nil
}

// quote is the beginning of what was printed.
func quote(out []byte) string {
	const most = 120
	out = bytes.TrimSpace(out)
	if len(out) == 0 {
		return "nothing"
	}
	if len(out) > most {
		return fmt.Sprintf("%q…", out[:most])
	}
	return fmt.Sprintf("%q", out)
}

// decode reads all of out as JSON.
func decode(out []byte, into any) error {
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%w in %s", err, quote(out))
	}
	return nil
}

// lastLine is the last line that isn't empty: libraries print above it.
func lastLine(out []byte) []byte {
	out = bytes.TrimSpace(out)
	return out[bytes.LastIndexByte(out, '\n')+1:]
}
