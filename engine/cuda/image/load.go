package image

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

// Loader finds code. The zero value keeps nothing on disk.
type Loader struct {
	Store    Store  // where Folder is empty, nothing is kept
	NVRTC    string // the compiler's library; "": looked for
	Emulated bool   // the device is the emulator of tests

	carried fs.FS // nil: what this program carries
}

// Found is code and where it is from.
type Found struct {
	Code []byte
	// From says in a few words where the code is from: "kept (nvrtc-13.0)", "carried (nvrtc-13.0)", "compiled (nvrtc-13.0)", "PTX, compiled by the driver".
	From string
	Took time.Duration // to find or to make it; the driver's own compilation comes later
	// Notes are what went wrong on the way and didn't matter in the end, in words for a person.
	Notes []string
}

// Load gives the kernels for a shape and a device. Its errors wrap driver.ErrImage and say what to do.
func (l Loader) Load(s kernels.Shape, d driver.DeviceInfo) (f Found, err error) {
	started := time.Now()
	defer func() { f.Took = time.Since(started) }()
	arch := ArchOf(d, l.Emulated)
	key := Key(s, arch)
	if l.Store.Folder != "" {
		code, maker, err := l.Store.Get(key)
		if err != nil {
			f.Notes = append(f.Notes, err.Error())
		}
		if code != nil {
			f.Code, f.From = code, "kept ("+maker+")"
			return f, nil
		}
	}
	if l.carried == nil {
		l.carried = cubins
	}
	code, maker, err := embedded(l.carried, key)
	if err != nil {
		f.Notes = append(f.Notes, err.Error())
	}
	if code != nil {
		f.Code, f.From = code, "carried ("+maker+")"
		return f, nil
	}
	if l.Emulated {
		return f, fmt.Errorf("%w: nothing is built for the emulator of CUDA devices: its tests build what they need", driver.ErrImage)
	}
	code, maker, err = l.compile(s, arch)
	if err == nil {
		if l.Store.Folder != "" {
			if err := l.Store.Put(key, maker, code); err != nil {
				f.Notes = append(f.Notes, err.Error())
			}
		}
		f.Code, f.From = code, "compiled ("+maker+")"
		return f, nil
	}
	if !errors.Is(err, driver.ErrNoNVRTC) {
		f.Notes = append(f.Notes, err.Error())
	}
	if ptx := carried(s, d); ptx != nil {
		f.Code, f.From = ptx, "PTX, compiled by the driver"
		return f, nil
	}
	return f, fmt.Errorf("%w: kernels for this model's shape (%d wide, %d heads, weights in %s) on %s: this program carries those of Qwen2.5-0.5B and of robot-stories only, and for others it needs NVIDIA's compiler: %w",
		driver.ErrImage, s.Hidden, s.Heads, s.Weights, d.Name, err)
}

// compile compiles for an architecture that the compiler knows, else for the family's plain one.
func (l Loader) compile(s kernels.Shape, arch string) (code []byte, maker string, err error) {
	n, err := driver.OpenNVRTC(l.NVRTC)
	if err != nil {
		return nil, "", err
	}
	code, err = Compile(n, s, arch)
	return code, CompilerName(n), err
}
