//go:build native

package cuda

import (
	"errors"
	"fmt"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

// inputs are what the products by warpgroups read, as the device's copy engine knows it.
type inputs struct{ normed, attention, inner driver.TensorMap }

// errNoHopper says why a device has no products by warpgroups.
func (e *engine) errNoHopper() error {
	return fmt.Errorf("%w: products by warpgroups: %s has compute capability %d.%d, or its kernels are for several families: they take 9.0 (Hopper) and code for it alone (NVRTC, or make kernels)",
		backend.ErrUnavailable, e.device.Name, e.device.Major, e.device.Minor)
}

// byWarpgroups has products of many rows go by Hopper's own instructions from now on. Graphs that were built before keep
// what they have.
func (e *engine) byWarpgroups() error {
	if e.kernels.hopper == (wide{}) {
		return e.errNoHopper()
	}
	for _, m := range []struct {
		to    *driver.TensorMap
		at    int64
		width int
	}{
		{&e.inputs.normed, e.act.normed, e.shape.HiddenWidth()},
		{&e.inputs.attention, e.act.attention, e.shape.QueryWidth()},
		{&e.inputs.inner, e.act.inner, e.shape.Inner()},
	} {
		var err error
		at := driver.Ptr(e.at(m.at))
		*m.to, err = e.ctx.Map(driver.Rows{At: at, Rows: maxTokens, Columns: m.width, BoxRows: kernels.GemmTokens, BoxColumns: kernels.HopperColumns})
		// A box is copied whole, the rows behind a step's last token too: they hold numbers, if of nobody's.
		if err = errors.Join(err, e.ctx.Memset8Async(at, 0, int64(maxTokens*m.width*2), e.stream)); err != nil {
			return err
		}
	}
	e.warpgroups = true
	return nil
}
