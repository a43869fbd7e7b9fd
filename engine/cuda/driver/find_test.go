package driver

import (
	"errors"
	"strings"
	"testing"
)

// FuzzFind: a name is one device's, or an error that lists them all.
func FuzzFind(f *testing.F) {
	list := []DeviceInfo{
		{Index: 0, Name: "a", UUID: "GPU-11112222-0000", PCI: "0000:01:00.0"},
		{Index: 1, Name: "b", UUID: "GPU-1111ffff-0000", PCI: "0000:02:00.0"},
		{Index: 2, Name: "c", UUID: "MIG-33334444-0000", PCI: "0000:02:00.0"},
	}
	for _, name := range []string{"", "0", "2", "3", "-1", "GPU-1111", "gpu-1111f", "MIG-3", "0000:01:00.0", "0000:02:00.0", "9999999999999999999999"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := find(list, name)
		if err != nil {
			if !errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), "2 (c, MIG-33334444-0000)") {
				t.Errorf("%q: %v", name, err)
			}
			return
		}
		if got != list[got.Index] {
			t.Errorf("%q: %+v", name, got)
		}
	})
}
