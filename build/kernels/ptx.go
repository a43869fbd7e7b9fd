package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/image"
	"github.com/paceline/paceline/engine/cuda/kernels"
)

// ptxVersion is the oldest that knows sm_90, of CUDA 11.8: the kernels use nothing newer.
const ptxVersion = "7.8"

// writePTX compiles for the oldest architecture and for Hopper, whose launches may overlap, and writes the texts
// and their manifest. What was there before goes.
func writePTX(n *driver.NVRTC, folder string) error {
	all, err := shapes()
	if err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(folder, "*.ptx.gz"))
	if err != nil {
		return err
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	m := image.Manifest{Sources: kernels.Digest(), Compiler: image.CompilerName(n), Version: ptxVersion}
	for _, name := range []string{"qwen2.5-0.5b", "robot-stories"} {
		for _, s := range all[name] {
			for _, arch := range []string{"compute_80", "compute_90"} {
				code, err := image.Compile(n, s, arch)
				if err != nil {
					return fmt.Errorf("%s in %s for %s: %w", name, s.Weights, arch, err)
				}
				text := plain(code)
				e := image.Entry{Name: fmt.Sprintf("%s-%s-%s.ptx.gz", name, s.Weights, arch), Model: name, Arch: arch, Defines: s.Defines()}
				sum := sha256.Sum256(text)
				e.SHA256 = hex.EncodeToString(sum[:])
				packed, err := image.Pack(text)
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(folder, e.Name), packed, 0o644); err != nil {
					return err
				}
				m.Files = append(m.Files, e)
				fmt.Printf("%-36s %7d bytes, %6d packed\n", e.Name, len(text), len(packed))
			}
		}
	}
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "manifest.json"), append(data, '\n'), 0o644)
}

// plain lowers the version and leaves comments and empty lines out.
func plain(code []byte) []byte {
	text := strings.TrimRight(string(code), "\x00")
	text = regexp.MustCompile(`(?m)^\.version .*$`).ReplaceAllString(text, ".version "+ptxVersion)
	lines := strings.Split(text, "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "//") || strings.TrimSpace(l) == "" })
	return []byte(strings.Join(lines, "\n") + "\n")
}
