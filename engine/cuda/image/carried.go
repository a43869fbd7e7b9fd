package image

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

// PTX that this program carries: text that any newer driver compiles for any newer device.
//
//go:embed ptx
var ptx embed.FS

// Manifest says what lies in the folder ptx, and from which sources it was made.
type Manifest struct {
	Sources  string  `json:"sources"`  // kernels.Digest
	Compiler string  `json:"compiler"` // that made the PTX
	Version  string  `json:"version"`  // of PTX, lowered to what old drivers read
	Files    []Entry `json:"files"`
}

// Entry is a file.
type Entry struct {
	Name    string   `json:"name"`
	Model   string   `json:"model"`   // whose shape it has
	Arch    string   `json:"arch"`    // "compute_80": for devices of 8.0 and up
	Defines []string `json:"defines"` // of the shape
	SHA256  string   `json:"sha256"`  // of the text
}

// Carried reads the manifest.
func Carried() (Manifest, error) {
	var m Manifest
	data, err := ptx.ReadFile("ptx/manifest.json")
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return m, fmt.Errorf("read the list of carried kernels: %w", err)
	}
	return m, nil
}

// Text is the PTX of an entry.
func (e Entry) Text() ([]byte, error) {
	data, err := ptx.ReadFile("ptx/" + e.Name)
	if err != nil {
		return nil, err
	}
	text, err := unpack(data)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", e.Name, err)
	}
	return text, nil
}

// carried is the PTX for a shape that a device can run, the newest architecture's; nil for none. PTX that was made of other
// sources than this program's isn't taken.
func carried(s kernels.Shape, d driver.DeviceInfo) []byte {
	m, err := Carried()
	if err != nil || m.Sources != kernels.Digest() {
		return nil
	}
	best, have := Entry{}, 0
	for _, e := range m.Files {
		var arch int
		if _, err := fmt.Sscanf(strings.TrimPrefix(e.Arch, "compute_"), "%d", &arch); err != nil {
			continue
		}
		if arch <= 10*d.Major+d.Minor && arch > have && slices.Equal(e.Defines, s.Defines()) {
			best, have = e, arch
		}
	}
	if have == 0 {
		return nil
	}
	text, err := best.Text()
	if err != nil {
		return nil
	}
	return text
}
