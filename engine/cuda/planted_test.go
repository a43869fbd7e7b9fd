//go:build native

package cuda

import (
	"bytes"
	"math"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/cuda/simt"
	"github.com/paceline/paceline/engine/goldentest"
)

// plantedDefect names, in the process that a test starts for itself, the defect to plant.
const plantedDefect = "PACELINE_TEST_DEFECT"

// defect is what a hand may do to the kernels, and the words in which the emulator names it.
type defect struct {
	name, file, from, to, words string
	wide                        bool // in the products of many rows
	warpgroups                  bool // in those by warpgroups
	split                       bool // in sums over blocks
}

func defects() []defect {
	const kept = "st_u4(red + ((l.warp * (ROWS / 8) + n) * 32 + l.lane) * 4, v);\n    }\n"
	return []defect{
		{name: "ring without a barrier", file: "gemm.h", from: "        __syncthreads(); // the step's", to: "        // the step's", words: "race on shared", wide: true},
		{name: "copies not waited for", file: "gemm.h", from: "wait<GEMM_STAGES - 2>();", to: "wait<GEMM_STAGES - 1>();", words: "asynchronous copies", wide: true},
		{name: "rows that nobody wrote", file: "norm.cu", from: "if (row < (int)p.step.counts->tokens) ", words: "which nobody wrote", wide: true},
		{name: "a stage filled too early", file: "hopper.h", from: "if (s >= HOP_STAGES) mbar_wait", to: "if (s < 0) mbar_wait", words: "mbarrier: more arrivals than its count of 2", warpgroups: true, split: true},
		{name: "a stage read too early", file: "hopper.h", from: "    mbar_wait(&bars.full[s % HOP_STAGES], s / HOP_STAGES & 1);\n", words: "which nobody wrote", warpgroups: true},
		{name: "a stage given back too early", file: "hopper.h", from: "        wgmma_wait<0>();\n", words: "products that nobody waited for", warpgroups: true},
		{name: "activations before the wait", file: "hopper.h", from: "for (int s = 0; s < early; s++) hop_weights<Slice, K>(ring, bars, m, at, s);", to: "for (int s = 0; s < early; s++) hop_weights<Slice, K>(ring, bars, m, at, s), hop_input<Slice>(ring, bars, in, at, s);", words: "kernel hopper_", warpgroups: true},
		{name: "copies at a block's end", file: "hopper.h", from: "mbar_arrive(&bars.full[s]), mbar_wait(&bars.full[s], 0);", to: "mbar_arrive(&bars.full[s]);", words: "bulk copies to its block under way", warpgroups: true},
		{name: "sums without a barrier", file: "linear.h", from: kept + "    __syncthreads();", to: kept, words: "kernel norm_qkv_32"},
		{name: "last block without order", file: "project.cu", from: "atom_add_acq_rel(arrived, 1)", to: "atom_add_release(arrived, 1)", words: "nothing orders the two blocks", split: true},
		{name: "a read before the wait", file: "qkv.cu", from: "    pdl_wait();\n    int count", to: "    int count", words: "kernel norm_qkv_32"},
		{name: "parts without a barrier", file: "attention.cu", from: "    __syncthreads();\n    if (w == 0) {", to: "    if (w == 0) {", words: "kernel attention block"},
	}
}

// TestPlantedInKernels: each defect in the engine's own kernels is found and named, for PACELINE_DEEP=1. A failed kernel
// ends its process's use of the device, so each has one of its own.
func TestPlantedInKernels(t *testing.T) {
	name := os.Getenv(plantedDefect)
	if os.Getenv("PACELINE_DEEP") == "" && name == "" {
		return
	}
	if os.Getenv("CUDA_LIB") != "" && name == "" {
		t.Skip("skipped: a device doesn't say what a defect did")
	}
	for _, x := range defects() {
		if name == "" {
			t.Run(strings.ReplaceAll(x.name, " ", "_"), func(t *testing.T) {
				cmd := exec.Command(os.Args[0], "-test.run=^TestPlantedInKernels$")
				cmd.Env = append(os.Environ(), plantedDefect+"="+x.name, "SIMT_LAZY=1") // a kernel may begin early
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
			continue
		}
		if x.name != name {
			continue
		}
		files := kernels.Files()
		if bytes.Count(files[x.file], []byte(x.from)) == 0 {
			t.Fatalf("%s has no %q: plant it elsewhere", x.file, x.from)
		}
		files[x.file] = bytes.Replace(files[x.file], []byte(x.from), []byte(x.to), 1)
		if err := withDefect(t, x, files); err == nil || !strings.Contains(err.Error(), x.words) {
			t.Errorf("got %v\nwant %q", err, x.words)
		}
	}
}

// withDefect computes a long prompt and a token after it.
func withDefect(t *testing.T, x defect, files map[string][]byte) error {
	c := narrow()
	if x.split {
		c.HiddenSize, c.IntermediateSize, c.Layers = 416, 2600, 1
	}
	m, d := synth(t, c), device(t)
	e, err := open(m, Options{Pages: 24}, d, 0, func(s kernels.Shape, _ driver.DeviceInfo) ([]byte, string, error) {
		return simt.Module(t, simt.Source{Files: files, Defines: s.Defines(), Check: true}), "the emulator", nil
	})
	if err != nil {
		return err
	}
	defer e.Close()
	if e.wideFrom = math.MaxInt; x.wide || x.warpgroups {
		e.wideFrom = 0
	}
	if x.warpgroups {
		if err := e.byWarpgroups(); err != nil {
			return err
		}
	}
	ids := goldentest.Prompt(300, c.VocabSize)
	pages := []backend.PageID{3, 1, 7, 5, 2}
	for _, r := range []backend.Row{{Tokens: ids[:289], Pages: pages}, {Tokens: ids[289:290], Start: 289, Pages: pages, Sample: &backend.Sampling{}}} {
		b := &backend.Batch{Rows: []backend.Row{r}}
		if err := e.Launch(b); err != nil {
			return err
		}
		if err := e.Collect(b); err != nil {
			return err
		}
	}
	return nil
}
