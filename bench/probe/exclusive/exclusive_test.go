package exclusive

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/bench/probe/health"
)

func gpu(i int, change ...func(*health.GPU)) health.GPU {
	g := health.GPU{Index: i, Model: "NVIDIA H100", UUID: "GPU-" + string(rune('a'+i)), Utilisation: new(0.0)}
	for _, c := range change {
		c(&g)
	}
	return g
}

func used(g *health.GPU)    { g.Processes = []int{4711, 4712} }
func busy(g *health.GPU)    { g.Utilisation = new(0.6) }
func divided(g *health.GPU) { g.MIG = true }

func TestTake(t *testing.T) {
	for name, c := range map[string]struct {
		gpus    []health.GPU
		want    string
		locked  string // by somebody else
		index   int
		wrong   string
		isTaken bool
	}{
		"the first":                 {gpus: []health.GPU{gpu(0), gpu(1)}},
		"the first that is unused":  {gpus: []health.GPU{gpu(0, used), gpu(1, busy), gpu(2)}, index: 2},
		"past a locked one":         {gpus: []health.GPU{gpu(0), gpu(1)}, locked: "GPU-a", index: 1},
		"by index":                  {gpus: []health.GPU{gpu(0), gpu(1)}, want: "1", index: 1},
		"by UUID":                   {gpus: []health.GPU{gpu(0), gpu(1)}, want: "gpu-b", index: 1},
		"no GPU":                    {wrong: "the driver shows none"},
		"no such":                   {gpus: []health.GPU{gpu(0)}, want: "3", wrong: "this machine has 0 (NVIDIA H100, GPU-a)"},
		"a part":                    {gpus: []health.GPU{gpu(0)}, want: "MIG-1", wrong: "whole one"},
		"divided":                   {gpus: []health.GPU{gpu(0, divided)}, wrong: "-i 0 -mig 0"},
		"in use":                    {gpus: []health.GPU{gpu(0, used), gpu(1)}, want: "0", wrong: "processes 4711, 4712", isTaken: true},
		"used by who can't be seen": {gpus: []health.GPU{gpu(0, busy)}, wrong: "60 %", isTaken: true},
		"locked":                    {gpus: []health.GPU{gpu(0), gpu(1, used)}, locked: "GPU-a", wrong: "another measurement (process ", isTaken: true},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if c.locked != "" {
				free, err := Lock(folder, c.locked)
				if err != nil {
					t.Fatal(err)
				}
				defer free()
			}
			g, release, err := Take(c.gpus, c.want, folder)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || errors.Is(err, ErrTaken) != c.isTaken {
					t.Fatalf("error %v, want one with %q (in use: %v)", err, c.wrong, c.isTaken)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if g.Index != c.index {
				t.Errorf("took GPU %d, want %d", g.Index, c.index)
			}
			if _, err := Lock(folder, g.UUID); !errors.Is(err, ErrTaken) {
				t.Errorf("a second one got the lock: %v", err)
			}
			release()
			again, err := Lock(folder, g.UUID)
			if err != nil {
				t.Fatalf("after its release: %v", err)
			}
			again()
		})
	}
}

// TestLockEndsWithItsProcess: who is killed holds nothing.
func TestLockEndsWithItsProcess(t *testing.T) {
	if folder := os.Getenv("EXCLUSIVE_FOLDER"); folder != "" {
		if _, err := Lock(folder, "GPU-a"); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("locked\n")
		select {}
	}
	folder := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^TestLockEndsWithItsProcess$", "-test.timeout=60s")
	child.Env = append(os.Environ(), "EXCLUSIVE_FOLDER="+folder)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(folder, "GPU-a"); !errors.Is(err, ErrTaken) {
		t.Errorf("beside a process that holds it: %v", err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	free, err := Lock(folder, "GPU-a")
	if err != nil {
		t.Fatalf("after its holder was killed: %v", err)
	}
	free()
}

func TestForeign(t *testing.T) {
	for name, c := range map[string]struct{ opened, later, want []int }{
		"named":             {[]int{7}, []int{7}, []int{}},
		"named, and others": {[]int{7, 8}, []int{7, 8, 9}, []int{8, 9}},
		"another namespace": {[]int{90}, []int{90, 91}, []int{91}},
		"nobody shows":      {nil, []int{91}, []int{91}},
	} {
		if got := OwnOf(c.opened, 7).Foreign(c.later); !slices.Equal(got, c.want) {
			t.Errorf("%s: foreign %v, want %v", name, got, c.want)
		}
	}
}
