//go:build native

package cuda

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/image"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/model"
)

// Open brings the checkpoint's weights to a device and makes everything ready; the checkpoint may be closed
// afterwards. Its errors wrap backend.ErrUnavailable where there is no driver or no such device, ErrMemory where the
// device has too little, and say what to do. The caller must Close the backend.
func Open(c *model.Checkpoint, o Options) (backend.Backend, error) {
	e, err := openDevice(c, o)
	switch {
	case err == nil:
		return e, nil
	case errors.Is(err, driver.ErrNoDriver), errors.Is(err, driver.ErrNoDevice), errors.Is(err, driver.ErrImage), errors.Is(err, driver.ErrBusy):
		err = fmt.Errorf("%w: %w", backend.ErrUnavailable, err)
	case errors.Is(err, driver.ErrOutOfMemory):
		err = fmt.Errorf("%w: %w", ErrMemory, err)
	}
	return nil, fmt.Errorf("open the cuda backend: %w", err)
}

func openDevice(c *model.Checkpoint, o Options) (*engine, error) {
	started := time.Now()
	if os.Getenv("PACELINE_CUDA_WARPGROUPS") == "1" {
		o.Warpgroups = true
	}
	d, err := driver.Open("")
	if err != nil {
		return nil, err
	}
	info, err := d.Find(o.Device)
	if err != nil {
		return nil, err
	}
	loader := image.Loader{NVRTC: o.NVRTC, Emulated: d.Emulated()}
	var notes []string
	if loader.Store, err = image.DefaultStore(); err != nil {
		notes = append(notes, err.Error()) // nothing is kept, then
	}
	took := time.Since(started)
	e, err := open(c, o, d, info.Index, func(s kernels.Shape, i driver.DeviceInfo) ([]byte, string, error) {
		f, err := loader.Load(s, i)
		notes = append(notes, f.Notes...)
		return f.Code, f.From, err
	})
	if err != nil {
		return nil, err
	}
	e.cold.Stages = append([]backend.Stage{{Name: "driver", Took: took}}, e.cold.Stages...)
	e.cold.Notes = notes
	return e, nil
}
