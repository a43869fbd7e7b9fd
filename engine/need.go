package engine

import (
	"errors"
	"fmt"
	"slices"

	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/room"
)

// ErrMemory is wrapped by the error of Open for a model that this process can't have the
// memory for. It comes before any of it is filled.
var ErrMemory = room.ErrMemory

// ErrOptions is wrapped by errors of Open about options that don't suit the model: the
// caller's to change, and not the machine's fault.
var ErrOptions = errors.New("the options don't suit the model")

// badOptions is an ErrOptions in the words of its cause.
type badOptions struct{ error }

func (b badOptions) Unwrap() []error { return []error{b.error, ErrOptions} }

// checkRoom refuses a model that available bytes (below 0: not known) can't hold, and
// options that ask for what the model doesn't have.
func checkRoom(c *model.Checkpoint, o Options, available int64) error {
	if !slices.Contains([]string{"", "cpu", "ref"}, o.Backend) {
		return nil // not in this process's memory
	}
	page := pageBytes(c, o)
	plan, err := planKV(c.Config, o, page)
	if err != nil {
		return badOptions{err}
	}
	if err := room.Check(weightBytes(c.Inspect(), o), int64(plan.pages)*page, available); err != nil {
		return fmt.Errorf("open model %s: %w", c.Dir, err)
	}
	return nil
}

// weightBytes is what the backend's copy of the weights takes at least; padding and scales
// come on top. The checkpoint's own bytes are mapped from its files, and don't count.
func weightBytes(in model.Inspection, o Options) int64 {
	switch {
	case o.Backend == "ref": // whatever is asked for, it keeps float32
		return 4 * in.Parameters
	case o.Weights == "w8":
		return in.Parameters
	case o.Weights == "w4":
		return in.Parameters / 2
	case in.Quantization == nil && in.DType != "bfloat16":
		return 4 * in.Parameters
	}
	return in.Bytes
}
