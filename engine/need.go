package engine

import (
	"fmt"

	"github.com/paceline/paceline/engine/cpu"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/room"
)

// ErrMemory is wrapped by the error of Open for a model that this process can't have the
// memory for. It comes before any of it is filled.
var ErrMemory = room.ErrMemory

// checkRoom refuses a model that available bytes (below 0: not known) can't hold.
func checkRoom(c *model.Checkpoint, o Options, available int64) error {
	if err := room.Check(weightBytes(c.Inspect(), o), kvBytes(c.Config, o), available); err != nil {
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

// kvBytes is what the KV pages take, 0 where the options are wrong, which whoever makes the
// pages reports.
func kvBytes(c model.Config, o Options) int64 {
	page := cpu.PageBytes(c, cpu.DefaultKV(o.Compute))
	plan, err := planKV(c, o, 4)
	if o.Backend == "ref" {
		page = 2 * cpu.PageBytes(c, "f32")
		plan, err = planKV(c, o, 8)
	}
	if err != nil {
		return 0
	}
	return int64(plan.pages) * page
}
