//go:build native && amd64

package cpu

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestNoSpills compiles the tiles that prefill spends its time in, as cgo does, and
// looks for vector registers stored on the stack: a sum that lives there costs a
// third of the speed, and whether it does hangs on details of the source.
func TestNoSpills(t *testing.T) {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "gcc"
	}
	if _, err := exec.LookPath(cc); err != nil {
		t.Skipf("skipped: %v", err)
	}
	onStack := regexp.MustCompile(`v\w+\s+%[yz]mm\d+, -?\w*\(%r[bs]p`)
	for _, tt := range []struct {
		file  string
		tiles []string
	}{
		{"isa_avx2.c", []string{"tile_MUL_F32_1_6", "tile_MUL_BF16_1_6"}},
		{"isa_avx512bf16.c", []string{"tile_MUL_F32_2_12", "tile_MUL_BF16_2_12", "tile_MUL_DOT_2_12"}},
	} {
		code, err := exec.Command(cc, "-std=c11", "-O2", "-O3", "-S", "-o", "-", tt.file).Output()
		if err != nil {
			t.Fatalf("compile %s: %v", tt.file, err)
		}
		for _, name := range tt.tiles {
			_, body, found := strings.Cut(string(code), "\n"+name+":\n")
			body, _, ended := strings.Cut(body, ".size\t"+name)
			if !found || !ended {
				t.Fatalf("%s: no function %s in the assembly", tt.file, name)
			}
			if strings.Count(body, "vfmadd")+strings.Count(body, "vdpbf16ps") < 12 {
				t.Errorf("%s: the tile isn't unrolled", name)
			}
			if lines := onStack.FindAllString(body, -1); len(lines) > 0 {
				t.Errorf("%s: %d vector stores to the stack, the first is %q", name, len(lines), lines[0])
			}
		}
	}
}
