package main

import (
	"strings"
	"testing"
)

const resources = `
Resource usage:
 Common:
  GLOBAL:160 CONSTANT[4]:312 CONSTANT[3]:512
 Function merge:
  REG:46 STACK:0 SHARED:1024 LOCAL:0 CONSTANT[0]:656 TEXTURE:0 SURFACE:0 SAMPLER:0
 Function down_8:
  REG:122 STACK:16 SHARED:1152 LOCAL:8 CONSTANT[0]:656 TEXTURE:0 SURFACE:0 SAMPLER:0
`

const assembly = `
.text.down_8:
        /*0030*/                   PREEXIT ;
        /*0040*/              @!P0 LDG.E.NA.LTC128B.128 R32, desc[UR8][R6.64] ;
        /*0050*/                   LDG.E R96, desc[UR8][R2.64] ;
        /*0058*/                   UBLKCP.S.G [UR8], [UR6], UR10 ;
        /*0060*/                   ACQBULK ;
        /*0068*/                   UTMALDG.2D [UR8], [UR6] ;
        /*0070*/                   LDG.E.128 R4, desc[UR8][R40.64] ;
        /*0080*/                   HMMA.16816.F32.BF16 R4, R8, R12, R4 ;
        /*0088*/                   WARPGROUP.DEPBAR.LE gsb0, 0x0 ;
        /*0090*/                   STL.64 [R1], R4 ;
`

func TestTakesCodeApart(t *testing.T) {
	list, err := parseResources([]byte(resources))
	if err != nil || len(list) != 2 || list[0].Kernel != "down_8" {
		t.Fatalf("%+v, error %v", list, err)
	}
	u := list[0]
	u.look(parseAssembly([]byte(assembly))["down_8"])
	want := usage{Kernel: "down_8", Registers: 122, StaticShared: 1152, MMA: 1, MMAWaits: 1, TensorCopies: 1, EarlyLoads: 2, Waits: true, spills: 25}
	if u != want {
		t.Errorf("%+v, want %+v", u, want)
	}
	if _, err := parseResources([]byte("nothing")); err == nil {
		t.Error("nothing was taken for code")
	}
}

func TestOverBudget(t *testing.T) {
	budget := usage{Arch: "sm_90a", Weights: "bf16", Kernel: "down_8", Registers: 122, StaticShared: 1152, DynamicShared: 100, Blocks: 2, MMA: 19, TensorCopies: 1, EarlyLoads: 19, Waits: true}
	if errs := budget.over(budget); len(errs) > 0 {
		t.Errorf("what is as budgeted is over: %v", errs)
	}
	for words, change := range map[string]func(*usage){
		"spill":               func(u *usage) { u.spills = 1 },
		"123 registers":       func(u *usage) { u.Registers++ },
		"shared memory":       func(u *usage) { u.DynamicShared++ },
		"holds 1 blocks":      func(u *usage) { u.Blocks-- },
		"tensor cores":        func(u *usage) { u.MMA = 0 },
		"one after another":   func(u *usage) { u.MMAWaits++ },
		"tensor map":          func(u *usage) { u.TensorCopies = 0 },
		"18 loads":            func(u *usage) { u.EarlyLoads-- },
		"the kernel in front": func(u *usage) { u.Waits = false },
	} {
		u := budget
		change(&u)
		if errs := u.over(budget); len(errs) != 1 || !strings.Contains(errs[0].Error(), words) {
			t.Errorf("%v, want one with %q", errs, words)
		}
	}
}

func TestBlocks(t *testing.T) {
	for _, c := range []struct {
		u       usage
		threads int
		arch    string
		want    int
	}{
		{usage{Registers: 128}, 256, "sm_90a", 2},                                            // by registers
		{usage{Registers: 32}, 1024, "sm_90a", 2},                                            // by threads
		{usage{Registers: 32}, 512, "sm_86", 3},                                              // by threads of that family
		{usage{Registers: 64, StaticShared: 1152, DynamicShared: 70000}, 256, "sm_90a", 3},   // by shared memory
		{usage{Registers: 64, StaticShared: 1152, DynamicShared: 150000}, 256, "sm_120a", 0}, // not at all
	} {
		if got := blocks(c.u, c.threads, c.arch); got != c.want {
			t.Errorf("%+v of %d threads on %s: %d blocks, want %d", c.u, c.threads, c.arch, got, c.want)
		}
	}
}

// FuzzParse: whatever a disassembler says, a kernel fits some whole number of times or not at all.
func FuzzParse(f *testing.F) {
	f.Add([]byte(" Function merge:\n  REG:47 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:936"), []byte(".text.merge:\n /*0000*/ LDC R1, c[0x0][0x28] ;\n /*0010*/ @P0 LDG.E.128 R4, [R2] ;\n /*0020*/ ACQBULK ;"))
	f.Add([]byte("Function a:\nFunction b:\nREG:1 STACK:1 SHARED:1 LOCAL:1"), []byte(""))
	f.Fuzz(func(t *testing.T, resources, assembly []byte) {
		list, err := parseResources(resources)
		if err != nil {
			return
		}
		opcodes := parseAssembly(assembly)
		for _, u := range list {
			u.look(opcodes[u.Kernel])
			if n := blocks(u, 128, "sm_90a"); n < 0 || n > 32 {
				t.Errorf("%+v: %d blocks", u, n)
			}
		}
	})
}
