package image

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

// options of the compiler besides shape and architecture. No product is fused with a sum unless a kernel says
// so: sums have one order, and one rounding.
func options() []string { return []string{"-std=c++17", "-fmad=false"} }

// Emulator is the architecture of the emulator of tests, whose code nothing here makes.
const Emulator = "simt"

// ArchOf is the architecture that code for a device is made for: with the instructions of its own family only,
// where it has any.
func ArchOf(d driver.DeviceInfo, emulated bool) string {
	switch {
	case emulated:
		return Emulator
	case d.Major >= 9:
		return fmt.Sprintf("sm_%d%da", d.Major, d.Minor)
	}
	return fmt.Sprintf("sm_%d%d", d.Major, d.Minor)
}

// Key names code for a shape and an architecture: another source, another option, another key.
func Key(s kernels.Shape, arch string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%s\n", kernels.Digest(), strings.Join(s.Defines(), " "), strings.Join(options(), " "), arch)
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// Compile compiles the kernels for an architecture: "sm_90a" gives a cubin, "compute_90" PTX.
func Compile(n *driver.NVRTC, s kernels.Shape, arch string) ([]byte, error) {
	p := driver.Program{Name: "kernels.cu", Headers: map[string]string{}, Options: append(options(), "--gpu-architecture="+arch)}
	for _, d := range s.Defines() {
		p.Options = append(p.Options, "-D"+d)
	}
	for name, text := range kernels.Files() {
		p.Headers[name] = string(text)
	}
	for _, name := range kernels.Units() {
		p.Source += fmt.Sprintf("#include %q\n", name)
	}
	r, err := n.Compile(p)
	return r.Code, err
}

// CompilerName is part of the names of files that a compiler made.
func CompilerName(n *driver.NVRTC) string {
	major, minor := n.Version()
	return fmt.Sprintf("nvrtc-%d.%d", major, minor)
}
