package simt_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/cuda/driver"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/cuda/simt"
)

// inner names, in the process that a test starts for itself, the kernel to run with its defect, or "correct" for all
// of them without: a failed kernel poisons a process, as it does on hardware.
const inner = "PACELINE_TEST_PLANTED"

// planted is a kernel of testdata/planted.cu: the words that name its defect, and how it is launched.
type planted struct {
	name    string
	words   string
	blocks  uint32 // 0: 4
	threads uint32 // 0: 32
	shared  uint32
	grid    bool // cooperative
	behind  bool // in_front, with overlap
}

func all() []planted {
	return []planted{
		{name: "barrier_missing", words: "by thread 32, with no barrier between", threads: 64},
		{name: "warp_sync_missing", words: "of the same warp, with no __syncwarp between"},
		{name: "shuffle_is_no_barrier", words: "of the same warp, with no __syncwarp between"},
		{name: "wrong_subset", words: "race on shared+0x4: read after write by thread 1, with no barrier between", threads: 96},
		{name: "write_after_arrive", words: "race on shared", threads: 64},
		{name: "bulk_not_waited_for", words: "race on shared", threads: 64},
		{name: "freed_too_early", words: "write after read by thread", threads: 64},
		{name: "copy_not_waited_for", words: "race on shared"},
		{name: "grid_barrier_without_order", words: "nothing orders the two blocks", grid: true},
		{name: "last_block_without_order", words: "nothing orders the two blocks"},
		{name: "last_block_with_half_a_fence", words: "nothing orders the two blocks"},
		{name: "read_before_the_wait", words: "kernel read_before_the_wait, launched later, has a read there before its griddepcontrol.wait, and this is a write", behind: true},
		{name: "past_the_end", words: "read of 4 bytes at"},
		{name: "far_away", words: "no allocation is there"},
		{name: "half_past_the_end", words: "write of 16 bytes runs past its allocation of 1024 bytes by 8", blocks: 1},
		{name: "outside_static", words: "outside shared memory, at shared+0x80"},
		{name: "outside_dynamic", words: "outside shared memory, at dynamic+0x80", shared: 128},
		{name: "misaligned", words: "read of 16 bytes at allocation+0x4, which isn't a multiple"},
		{name: "shared_nobody_wrote", words: "read of shared+0x14, which nobody wrote"},
		{name: "memory_nobody_wrote", words: "which nobody wrote"},
		{name: "barrier_after_the_end", words: "__syncthreads after 32 thread(s) of the block have ended", threads: 64},
		{name: "nobody_answers", words: "a wait that nobody ends"},
		{name: "nobody_comes", words: "deadlock: of 64 threads 32 have not ended, 32 wait at barrier 2", threads: 64},
		{name: "two_blocks_one_word", words: "write after write by thread 0 of block 0, and nothing orders the two blocks"},
		{name: "overwrites_what_another_reads", words: "write after read by thread"},
		{name: "arrives_too_often", words: "mbarrier: more arrivals than its count of 2"},
		{name: "copy_left_under_way", words: "asynchronous copies or products that nobody waited for"},
		{name: "bulk_left_under_way", words: "with 1 bulk copies to its block under way"},
	}
}

type params struct {
	a, b, out driver.Ptr
	n, bug    uint32
}

// bench is a device with the kernels.
type bench struct {
	t         *testing.T
	c         *driver.Context
	s         driver.Stream
	m         driver.Module
	a, b, out driver.Ptr
}

const words = 256 // of b

func newBench(t *testing.T, check bool) *bench {
	t.Helper()
	source, err := os.ReadFile("testdata/planted.cu")
	if err != nil {
		t.Fatal(err)
	}
	code := simt.Module(t, simt.Source{Files: map[string][]byte{"planted.cu": source, "dev.h": kernels.Files()["dev.h"]}, Check: check})
	d, err := driver.Open(simt.Library(t))
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	b := &bench{t: t}
	if b.c, err = d.Context(0); err != nil {
		t.Fatal(err)
	}
	var errs [5]error
	b.m, errs[0] = b.c.Load(code)
	b.s, errs[1] = b.c.NewStream()
	b.a, errs[2] = b.c.Alloc("a", 4*words)
	b.b, errs[3] = b.c.Alloc("b", 4*words)
	b.out, errs[4] = b.c.Alloc("out", 4*1024)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return b
}

// run launches a kernel and gives what it wrote, or why it failed.
func (b *bench) run(p planted, bug uint32) ([]byte, error) {
	b.t.Helper()
	in := make([]byte, 4*words)
	for i := range words {
		binary.LittleEndian.PutUint32(in[4*i:], uint32(1000+i))
	}
	f, err := b.m.Func(p.name)
	if err == nil {
		err = b.c.HtoD(b.b, in)
	}
	if err == nil { // a is written but for its end
		err = b.c.Memset32Async(b.a, 0, 8, b.s)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	blocks, threads := max(p.blocks, 1), max(p.threads, 32)
	if p.blocks == 0 {
		blocks = 4
	}
	cfg := driver.Config{Grid: [3]uint32{blocks, 1, 1}, Block: [3]uint32{threads, 1, 1}, Shared: p.shared, Cooperative: p.grid, PDL: p.behind}
	args := &params{b.a, b.b, b.out, words, bug}
	if p.behind {
		front, err := b.m.Func("in_front")
		if err != nil {
			b.t.Fatal(err)
		}
		if err := driver.Launch(b.c, front, b.s, driver.Config{Grid: cfg.Grid, Block: cfg.Block}, args); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := driver.Launch(b.c, f, b.s, cfg, args); err != nil {
		b.t.Fatal(err)
	}
	if err := b.s.Sync(); err != nil {
		return nil, err
	}
	out := make([]byte, 4*1024)
	return out, b.c.DtoH(out, b.out)
}

// again starts this test anew in a process of its own.
func again(t *testing.T, what string, settings ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()[:strings.IndexByte(t.Name()+"/", '/')]+"$")
	cmd.Env = append(append(os.Environ(), settings...), inner+"="+what)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %v: %v\n%s", what, settings, err, out)
	}
	return string(out)
}

// TestPlanted: each defect is found, and named.
func TestPlanted(t *testing.T) {
	if name := os.Getenv(inner); name != "" {
		for _, p := range all() {
			if p.name != name {
				continue
			}
			b := newBench(t, true)
			_, err := b.run(p, 1)
			if err == nil || !strings.Contains(err.Error(), p.words) || !strings.Contains(err.Error(), "kernel ") {
				t.Errorf("got %v\nwant %q", err, p.words)
			}
		}
		return
	}
	for _, p := range all() {
		// Lazy: the kernel behind is there before the one in front begins, and so may begin early.
		t.Run(p.name, func(t *testing.T) { again(t, p.name, "SIMT_LAZY=1") })
	}
}

// TestCorrect: nothing is found in the correct forms, whatever the order of lanes, warps and blocks, and the same comes out.
func TestCorrect(t *testing.T) {
	if os.Getenv(inner) != "" {
		for _, check := range []bool{true, false} {
			b := newBench(t, check)
			for _, p := range all() {
				out, err := b.run(p, 0)
				if err != nil {
					t.Fatalf("checked %v: %v", check, err)
				}
				fmt.Printf("%s %x\n", p.name, out[:16])
			}
		}
		return
	}
	first := ""
	for seed := range 6 {
		for _, lazy := range []string{"0", "1"} {
			out := again(t, "correct", fmt.Sprint("SIMT_SEED=", seed), "SIMT_LAZY="+lazy)
			out, _, _ = strings.Cut(out, "PASS")
			if first == "" {
				first = out
			}
			if out != first {
				t.Errorf("seed %d gave other results:\n%s\nthan the first:\n%s", seed, out, first)
			}
		}
	}
}

// TestMemoryWhileKernelsRun: memory comes and goes while kernels and copies of another run, and the checker keeps what it
// knows of theirs. A checker that loses it crashes, or calls what was written unwritten.
func TestMemoryWhileKernelsRun(t *testing.T) {
	if os.Getenv(inner) == "" {
		again(t, "correct")
		return
	}
	b := newBench(t, true)
	f, err := b.m.Func("barrier_missing")
	if err != nil {
		t.Fatal(err)
	}
	cfg := driver.Config{Grid: [3]uint32{2, 1, 1}, Block: [3]uint32{64, 1, 1}}
	args := &params{b.a, b.b, b.out, words, 0}
	for range 300 {
		errs := []error{
			driver.Launch(b.c, f, b.s, cfg, args),
			b.c.Memset32Async(b.out, 0, 1024, b.s),
		}
		for range 4 {
			_, err := b.c.Alloc("kept", 4*words)
			p, err2 := b.c.Pinned("for a moment", 4*words)
			errs = append(errs, err, err2, b.c.FreePinned(p))
		}
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.s.Sync(); err != nil {
		t.Fatal(err)
	}
}
