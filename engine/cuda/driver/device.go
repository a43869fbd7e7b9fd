package driver

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// DeviceInfo describes a device.
type DeviceInfo struct {
	Index           int
	Name            string
	UUID            string // "GPU-…", or "MIG-…" for an instance of one, as nvidia-smi prints it
	PCI             string // bus id, "0000:1b:00.0"
	Major, Minor    int    // compute capability
	SMs             int    // multiprocessors
	MemoryBytes     int64
	MaxSharedOptin  int // bytes of shared memory that a block may ask for
	L2Bytes         int
	ClockKHz        int  // highest clock of the multiprocessors, 0 where newer drivers don't say
	BF16            bool // multiplies bf16 on tensor cores
	ProhibitsAccess bool // its compute mode lets nobody in
}

// Devices are the devices that the driver shows to this process, in its order.
func (d *Driver) Devices() ([]DeviceInfo, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if err := d.call(cuDeviceGetCount, d.scratch.out(0)); err != nil {
		return nil, within(err, "count devices")
	}
	n := int(d.scratch.int32(0))
	if n == 0 {
		return nil, fmt.Errorf("%w: the driver shows none; look at nvidia-smi and at CUDA_VISIBLE_DEVICES", ErrNoDevice)
	}
	var list []DeviceInfo
	for i := range n {
		info, err := d.describe(i)
		if err != nil {
			return nil, within(err, "describe device %d", i)
		}
		list = append(list, info)
	}
	return list, nil
}

// handle is the driver's own number of a device.
func (d *Driver) handle(index int) (uintptr, error) {
	if err := d.call(cuDeviceGet, d.scratch.out(0), uintptr(index)); err != nil {
		return 0, err
	}
	return uintptr(d.scratch.int32(0)), nil
}

func (d *Driver) describe(index int) (DeviceInfo, error) {
	info := DeviceInfo{Index: index}
	h, err := d.handle(index)
	if err != nil {
		return info, err
	}
	if err := d.call(cuDeviceGetName, d.scratch.at(scratchText), 256, h); err != nil {
		return info, err
	}
	info.Name = d.scratch.text(scratchText, 256)
	if err := d.call(cuDeviceGetUUID, d.scratch.at(scratchText), h); err != nil {
		return info, err
	}
	info.UUID = uuid(info.Name, d.scratch.page[scratchText:][:16])
	if err := d.call(cuDeviceGetPCIBusID, d.scratch.at(scratchText), 64, h); err != nil {
		return info, err
	}
	info.PCI = strings.ToLower(d.scratch.text(scratchText, 64))
	if err := d.call(cuDeviceTotalMem, d.scratch.out(0), h); err != nil {
		return info, err
	}
	info.MemoryBytes = int64(d.scratch.uint64(0))
	mode := 0
	for _, a := range []struct {
		to *int
		id uintptr
	}{
		{&info.Major, attrMajor},
		{&info.Minor, attrMinor},
		{&info.SMs, attrSMs},
		{&info.MaxSharedOptin, attrSharedOptin},
		{&info.L2Bytes, attrL2},
		{&info.ClockKHz, attrClock},
		{&mode, attrComputeMode},
	} {
		if err := d.call(cuDeviceGetAttribute, d.scratch.out(0), a.id, h); err != nil {
			return info, err
		}
		*a.to = int(d.scratch.int32(0))
	}
	info.BF16 = info.Major >= 8
	info.ProhibitsAccess = mode == computeProhibits
	return info, nil
}

// uuid is what nvidia-smi prints. Newer drivers give an instance of a divided device a UUID of its own.
func uuid(name string, b []byte) string {
	kind := "GPU"
	if strings.Contains(name, " MIG ") {
		kind = "MIG"
	}
	h := hex.EncodeToString(b)
	return fmt.Sprintf("%s-%s-%s-%s-%s-%s", kind, h[:8], h[8:12], h[12:16], h[16:20], h[20:])
}

// Find is the device that a person named: by index, by UUID or the beginning of one, by its bus id; "" is the
// first. Its errors wrap ErrNoDevice and list what there is.
func (d *Driver) Find(name string) (DeviceInfo, error) {
	list, err := d.Devices()
	if err != nil {
		return DeviceInfo{}, err
	}
	return find(list, name)
}

// find chooses among devices, of which there is one at least.
func find(list []DeviceInfo, name string) (DeviceInfo, error) {
	if name == "" {
		return list[0], nil
	}
	var found []DeviceInfo
	if i, err := strconv.Atoi(name); err == nil {
		if i >= 0 && i < len(list) {
			return list[i], nil
		}
	} else {
		lower := strings.ToLower(name)
		for _, x := range list {
			if strings.HasPrefix(strings.ToLower(x.UUID), lower) || x.PCI == lower {
				found = append(found, x)
			}
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	var have []string
	for _, x := range list {
		have = append(have, fmt.Sprintf("%d (%s, %s)", x.Index, x.Name, x.UUID))
	}
	what := "no device"
	if len(found) > 1 {
		what = "more than one device"
	}
	hint := ""
	if len(found) == 0 && strings.HasPrefix(strings.ToLower(name), "mig-") {
		hint = "; the driver shows one slice of a divided GPU: set CUDA_VISIBLE_DEVICES to the one that you mean, by its whole UUID (nvidia-smi -L)"
	}
	return DeviceInfo{}, fmt.Errorf("%w: %s is called %q; there are %s%s", ErrNoDevice, what, name, strings.Join(have, ", "), hint)
}
