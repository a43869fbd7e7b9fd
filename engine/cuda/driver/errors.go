package driver

import (
	"errors"
	"fmt"
)

// Classes of errors, for errors.Is.
var (
	ErrNoDriver    = errors.New("no NVIDIA driver")
	ErrNoDevice    = errors.New("no such NVIDIA device")
	ErrOutOfMemory = errors.New("out of device memory")
	ErrImage       = errors.New("code that this device can't run")
	ErrBusy        = errors.New("the device is taken")
	ErrLost        = errors.New("the device is lost to this process")
)

// Error is a call of the driver that failed.
type Error struct {
	Call    string // "cuMemAlloc_v2"
	Name    string // "CUDA_ERROR_OUT_OF_MEMORY"
	Code    int
	Context string // what was being done, with what; may be empty
	Detail  string // what the driver or the compiler says besides; may be empty
}

// advice is a code's class and what to do about it, in words.
type advice struct {
	class error
	words string
}

// adviceFor knows the codes that users meet.
func adviceFor(code int) advice {
	switch code {
	case 2:
		return advice{ErrOutOfMemory, "the device has too little free memory; see who uses it (nvidia-smi), take fewer KV pages or a smaller model"}
	case 3, 4:
		return advice{ErrNoDriver, "the driver isn't initialised, or is shutting down; start again"}
	case 34, 35, 36:
		return advice{ErrNoDriver, "the driver is a stub or too old for this program; install NVIDIA's driver 525 or newer"}
	case 46:
		return advice{ErrBusy, "another process has the device for itself, or its compute mode lets nobody in; end that process, or set the mode to default (nvidia-smi -c 0)"}
	case 100:
		return advice{ErrNoDevice, "the driver sees no device; look at nvidia-smi and at CUDA_VISIBLE_DEVICES"}
	case 101:
		return advice{ErrNoDevice, "there is no device of that number; look at nvidia-smi -L"}
	case 200, 209, 218, 220, 221, 222, 223, 300:
		return advice{ErrImage, "the code is damaged, or made for another device or a newer driver; clear the cache of compiled kernels, or update the driver"}
	case 201:
		return advice{nil, "no context is current on this thread: the caller has to Bind first"}
	case 214:
		return advice{ErrLost, "an error of the device's memory (ECC) that can't be corrected; this process can't go on, reset the device if it comes again (nvidia-smi -q -d ECC)"}
	case 700, 702, 714, 715, 716, 717, 718, 719, 721:
		return advice{ErrLost, "a kernel failed; the device's context is lost, this process has to start again"}
	case 226, 709, 710, 810, 999:
		return advice{ErrLost, "the device failed or was reset while it was used; look at the kernel log for Xid messages, and start again"}
	case 802:
		return advice{ErrBusy, "the system isn't ready yet: on machines with NVSwitch the fabric manager has to run"}
	case 803, 804:
		return advice{ErrNoDriver, "the driver's library and its kernel module don't match; restart the machine after an update of the driver"}
	}
	return advice{}
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s: %s (%d)", e.Call, e.Name, e.Code)
	if e.Context != "" {
		s = e.Context + ": " + s
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	if a := adviceFor(e.Code); a.words != "" {
		s += ": " + a.words
	}
	return s
}

// Is says whether the error belongs to a class.
func (e *Error) Is(target error) bool {
	class := adviceFor(e.Code).class
	return class != nil && target == class
}
