package simt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Tests compile kernels of shapes of their own. A machine that has a GPU needn't have a compiler: where the tests were
// built they run once on the emulator with CUDA_CODE_FOR naming architectures ("sm_80,sm_90a"), and leave in the folder
// CUDA_CODE what they would compile on a device.

// Architectures are those that CUDA_CODE_FOR names.
func Architectures() []string {
	if names := os.Getenv("CUDA_CODE_FOR"); names != "" {
		return strings.Split(names, ",")
	}
	return nil
}

// Leave compiles a program for each of Architectures and leaves it under its name; without any it does nothing.
func Leave(t testing.TB, name string, compile func(arch string) []byte) {
	t.Helper()
	for _, arch := range Architectures() {
		if err := os.MkdirAll(os.Getenv("CUDA_CODE"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(left(name, arch), compile(arch), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Left is what Leave left for an architecture; nil for nothing.
func Left(name, arch string) []byte {
	if os.Getenv("CUDA_CODE") == "" {
		return nil
	}
	code, err := os.ReadFile(left(name, arch))
	if err != nil {
		return nil
	}
	return code
}

func left(name, arch string) string {
	return filepath.Join(os.Getenv("CUDA_CODE"), name+"-"+arch+".cubin")
}
