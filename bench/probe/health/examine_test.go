package health_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/health"
	"github.com/paceline/paceline/bench/probe/host"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// tree reads the files of a machine, put together in the forms that kernels write:
// a line about it, then files after lines of the form
// "-- path --". Files below later/ replace their namesakes in the second reading.
func tree(t *testing.T, path string) (now, later fstest.MapFS) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	now, later = fstest.MapFS{}, fstest.MapFS{}
	name := ""
	for l := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(l, "-- "); ok {
			name = strings.TrimSuffix(rest, " --\n")
			now[name] = &fstest.MapFile{}
			continue
		}
		if name != "" {
			now[name].Data = append(now[name].Data, l...)
		}
	}
	for name, f := range now {
		if _, ok := later[name]; !ok {
			later[name] = f
		}
		if rest, ok := strings.CutPrefix(name, "later/"); ok {
			later[rest] = f
			delete(now, name)
		}
	}
	return now, later
}

// observe reads the machine twice, two seconds apart.
func observe(t *testing.T, path string) health.Host {
	t.Helper()
	now, later := tree(t, path)
	h := host.New(now).Facts()
	a, errA := host.New(now).Counters()
	b, errB := host.New(later).Counters()
	if errA == nil && errB == nil {
		b.At = a.At.Add(2 * time.Second)
		h.Activity = health.Between(a, b)
	}
	return h
}

// TestMachines holds what is read and found of each machine against
// its golden file.
func TestMachines(t *testing.T) {
	trees, err := filepath.Glob("testdata/*.tree")
	if err != nil || len(trees) < 5 {
		t.Fatalf("%d trees, %v", len(trees), err)
	}
	for _, path := range trees {
		t.Run(filepath.Base(path), func(t *testing.T) {
			h := observe(t, path)
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetIndent("", "  ")
			enc.SetEscapeHTML(false)
			err := enc.Encode(struct {
				Host     health.Host      `json:"host"`
				Findings []health.Finding `json:"findings"`
			}{h, health.Examine(&h, nil)})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(path, ".tree")+".json", b.Bytes())
		})
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// severities gives the findings that aren't ok, by id.
func severities(fs []health.Finding) map[string]health.Severity {
	out := map[string]health.Severity{}
	for _, f := range fs {
		if f.Severity != health.OK {
			out[f.ID] = f.Severity
		}
	}
	return out
}

func TestWhatMattersOnEachMachine(t *testing.T) {
	for name, want := range map[string]map[string]health.Severity{
		"laptop": {
			"governor": health.Disturbs, "preference": health.Disturbs, "battery": health.Disturbs, "profile": health.Disturbs,
			"clocksource": health.Disturbs, "swap": health.Disturbs, "thermal": health.Disturbs, "pressure.memory": health.Disturbs, "processes": health.Disturbs,
			"load": health.Note, "pressure.io": health.Note, "memory": health.Note, "turbo": health.Note, "ceiling": health.Note, "smt": health.Note, "hugepages": health.Note,
		},
		"quiet": {},
		"container": {
			"governor": health.Disturbs, "quota": health.Disturbs, "memory": health.Disturbs, "processes": health.Disturbs, "load": health.Disturbs, "pressure.cpu": health.Disturbs,
			"turbo": health.Note, "smt": health.Note, "numa": health.Note, "cpuset": health.Note, "container": health.Note,
		},
		"vm":    {"steal": health.Disturbs, "processes": health.Note, "load": health.Note, "virtual": health.Note},
		"empty": {},
	} {
		t.Run(name, func(t *testing.T) {
			h := observe(t, filepath.Join("testdata", name+".tree"))
			if d := cmp.Diff(want, severities(health.Examine(&h, nil))); d != "" {
				t.Errorf("findings (-want +got):\n%s", d)
			}
		})
	}
}

// TestFindingsSayWhatToDo: whatever isn't fine has a reason and something to do.
func TestFindingsSayWhatToDo(t *testing.T) {
	hosts := map[string]health.Host{"no disk": {Disk: &health.Disk{Path: "/x", Problem: "read-only file system"}}, "full disk": {Disk: &health.Disk{Path: "/x", FreeBytes: 1}}}
	trees, err := filepath.Glob("testdata/*.tree")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range trees {
		hosts[path] = observe(t, path)
	}
	for name, h := range hosts {
		fs := health.Examine(&h, []health.GPU{troubled(), {Index: 1}})
		for i, f := range fs {
			if f.ID == "" || f.What == "" || f.Severity != health.OK && (f.Why == "" || f.Do == "") {
				t.Errorf("%s: %+v", name, f)
			}
			if i > 0 && health.Worst(fs[i:]) == fs[i-1].Severity && fs[i].Severity != fs[i-1].Severity {
				t.Errorf("%s: %s is not in order", name, f.ID)
			}
		}
		if strings.Contains(name, "disk") && health.Worst(fs) != health.Blocks {
			t.Errorf("%s: worst is %s", name, health.Worst(fs))
		}
	}
}

func troubled() health.GPU {
	return health.GPU{
		Index: 3, UUID: "GPU-3", Persistence: new(false), SMClockMHz: new(1200), MaxClockMHz: new(1980), AppClockMHz: new(1500), AppDefaultMHz: new(1755),
		PowerLimitW: new(500.0), PowerDefaultW: new(700.0), TemperatureC: new(83), Throttle: []string{probe.ThrottleHWThermal, probe.ThrottleSWPowerCap},
		ECCErrors: new(uint64(2)), Processes: []int{7, 8}, MIG: true,
	}
}

func TestGPU(t *testing.T) {
	calm := health.GPU{
		UUID: "GPU-0", Persistence: new(true), SMClockMHz: new(1980), MaxClockMHz: new(1980), PowerLimitW: new(700.0), PowerDefaultW: new(700.0),
		TemperatureC: new(35), ECCErrors: new(uint64(0)), Utilisation: new(0.0),
	}
	hidden := calm
	hidden.Utilisation = new(0.5)
	capped := calm
	capped.Throttle = []string{probe.ThrottleSWPowerCap}
	for _, c := range []struct {
		name string
		gpu  health.GPU
		want map[string]health.Severity
	}{
		{"calm", calm, map[string]health.Severity{"gpu.clocks": health.Note}},
		{"tells nothing", health.GPU{}, map[string]health.Severity{"gpu.clocks": health.Note}},
		{"used from outside the container", hidden, map[string]health.Severity{"gpu.clocks": health.Note, "gpu.processes": health.Disturbs}},
		{"at its power limit", capped, map[string]health.Severity{"gpu.clocks": health.Note, "gpu.throttle": health.Note}},
		{"troubled", troubled(), map[string]health.Severity{
			"gpu.ecc": health.Disturbs, "gpu.processes": health.Disturbs, "gpu.throttle": health.Disturbs, "gpu.temperature": health.Disturbs,
			"gpu.persistence": health.Disturbs, "gpu.clocks": health.Note, "gpu.power": health.Note, "gpu.mig": health.Note,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := health.Examine(&health.Host{}, []health.GPU{c.gpu})
			if d := cmp.Diff(c.want, severities(fs)); d != "" {
				t.Errorf("findings (-want +got):\n%s", d)
			}
			if c.gpu.Utilisation == nil && len(c.gpu.Processes) == 0 && len(fs) != 1 {
				t.Errorf("%d findings of a GPU that tells nothing: %+v", len(fs), fs)
			}
			for _, f := range fs {
				if f.Device != c.gpu.UUID || strings.Contains(f.Command, "-i N") {
					t.Errorf("finding %+v", f)
				}
			}
		})
	}
	i := slices.IndexFunc(health.Examine(&health.Host{}, []health.GPU{troubled()}), func(f health.Finding) bool { return f.Command == "sudo nvidia-smi -i 3 -pm 1" })
	if i < 0 {
		t.Error("no command turns persistence mode on for GPU 3")
	}
}

func TestBetweenUnknown(t *testing.T) {
	seen := health.Counters{CPUs: 2, Total: 100, Idle: 50, Steal: 5, Swapped: new(uint64(9))}
	for _, c := range []struct {
		name string
		a, b health.Counters
	}{
		{"no time passed", seen, seen},
		{"counters went back", health.Counters{CPUs: 2, Total: 50, Idle: 60, Swapped: new(uint64(10))}, seen},
		{"nothing was read", health.Counters{}, health.Counters{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			act := health.Between(c.a, c.b)
			if act.BusyCores != nil || act.Steal != nil || len(act.Busiest) > 0 || act.Swapped != nil && *act.Swapped != 0 {
				t.Errorf("activity %+v, want nothing known", act)
			}
		})
	}
}
