//go:build native

package cpu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoSpills compiles the kernels as cgo does and looks at the loops of their
// products: a sum that is stored on the stack in every round costs a third of the
// speed, and whether it is hangs on details of the source. Every function named
// tile_… is held to that; the table says which of them prefill spends its time in,
// and how many multiplications their loops must be unrolled to.
func TestNoSpills(t *testing.T) {
	for _, tt := range []struct {
		arch, file string
		tiles      map[string]int
	}{
		{"amd64", "isa_avx2.c", map[string]int{"tile_MUL_F32_1_6": 24, "tile_MUL_BF16_1_6": 24}},
		{"amd64", "isa_avx512.c", map[string]int{"tile_MUL_W8_2_6": 24, "tile_MUL_W4_2_6": 48}},
		{"amd64", "isa_avx512bf16.c", map[string]int{
			"tile_MUL_F32_2_12": 48, "tile_MUL_BF16_2_12": 48, "tile_MUL_DOT_2_12": 24, "tile_MUL_S8_2_12": 96, "tile_MUL_W8_2_12": 24, "tile_MUL_W4_2_12": 48,
		}},
		{"amd64", "isa_amx.c", map[string]int{"tile_MUL_CHUNK_1_7": 14}},
		{"arm64", "isa_neon.c", map[string]int{"tile_MUL_F32_1_5": 40, "tile_MUL_BF16_1_5": 40, "tile_MUL_W8_1_3": 24}},
		{"arm64", "isa_neondot.c", map[string]int{"tile_MUL_W8_1_3": 12, "tile_MUL_W4_1_3": 24}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			a := architectures()[tt.arch]
			functions := disassemble(t, a, tt.file)
			for name, code := range functions {
				if strings.HasPrefix(name, "tile_") {
					for _, line := range a.spills(code) {
						t.Errorf("%s: a vector is stored on the stack in a loop: %q", name, line)
					}
				}
			}
			for name, want := range tt.tiles {
				if got := a.unrolled(functions[name]); got < want {
					t.Errorf("%s: its largest loop has %d multiplications, want %d", name, got, want)
				}
			}
		})
	}
}

// planted is a tile of more sums than any machine has registers, one that reaches
// the stack by another register, and one that is sound.
const planted = `
typedef float vf __attribute__((vector_size(16)));
void use(vf *, int);
#define TILE(name, n) \
void name(const vf *w, const float *a, vf *c, int k) \
{ \
	vf s[n]; \
	_Pragma("GCC unroll 64") \
	for (int j = 0; j < n; j++) \
		s[j] = c[j]; \
	for (; k > 0; k--, w += n, a++) \
		_Pragma("GCC unroll 64") \
		for (int j = 0; j < n; j++) \
			s[j] += w[j] * *a; \
	_Pragma("GCC unroll 64") \
	for (int j = 0; j < n; j++) \
		c[j] = s[j]; \
}
TILE(tile_sound, 4)
TILE(tile_large, 48)
void tile_indexed(const vf *w, const float *a, vf *c, int k)
{
	vf s[64];
	use(s, 0);
	for (int i = 0; i < k; i++)
		s[i & 63] += w[i] * a[i];
	use(s, 1);
}
`

// TestSpillsAreSeen: the check finds what it is there for, on each architecture.
func TestSpillsAreSeen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "planted.c")
	if err := os.WriteFile(file, []byte(planted), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, a := range architectures() {
		t.Run(name, func(t *testing.T) {
			functions := disassemble(t, a, file)
			if n, spills := a.unrolled(functions["tile_sound"]), a.spills(functions["tile_sound"]); n != 4 || len(spills) > 0 {
				t.Errorf("a sound tile: %d multiplications, want 4, and stores %q", n, spills)
			}
			for _, bad := range []string{"tile_large", "tile_indexed"} {
				if len(a.spills(functions[bad])) == 0 {
					t.Errorf("%s: no store on the stack was found", bad)
				}
			}
			if n := a.unrolled(functions["tile_none"]); n != 0 {
				t.Errorf("a function that isn't there has a loop of %d multiplications", n)
			}
		})
	}
}
