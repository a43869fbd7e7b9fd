package host

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/probetest"
	"github.com/paceline/paceline/bench/result"
)

const cpuinfo = `processor	: 0
model name	: AMD EPYC  9004 (test)
flags		: fpu sse2 fma hypervisor f16c avx2 avx512f avx512_bf16 avx512bw

processor	: 1
model name	: another
flags		: fpu
`

func machine() fstest.MapFS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	return fstest.MapFS{
		"proc/stat":                     file("cpu  10 20 30 400 5 6 7 22 9 9\ncpu0 1 1 1 1 1 1 1 1 0 0\n"),
		"proc/cpuinfo":                  file(cpuinfo),
		"proc/meminfo":                  file("MemTotal:        2048 kB\nMemFree: 1 kB\n"),
		"proc/loadavg":                  file("1.25 1.00 0.50 1/100 4242\n"),
		"proc/self/status":              file("Name:\tx\nVmHWM:\t    12 kB\n"),
		"proc/self/cgroup":              file("0::/a/b\n"),
		"sys/fs/cgroup/a/cpu.max":       file("50000 100000\n"),
		"proc/sys/kernel/osrelease":     file("6.1.0\n"),
		"etc/os-release":                file("NAME=x\nPRETTY_NAME=\"Test 1\"\n"),
		"etc/machine-id":                file("0123456789abcdef\n"),
		"sys/class/dmi/id/sys_vendor":   file("QEMU\n"),
		"sys/class/dmi/id/product_name": file("Standard PC\n"),
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor":              file("performance\n"),
		"sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count":  file("3\n"),
		"sys/devices/system/cpu/cpu11/thermal_throttle/core_throttle_count": file("4\n"),
		"sys/devices/system/cpu/cpu0/cache/index3/size":                     file("65536K\n"),
	}
}

func TestDescribe(t *testing.T) {
	var env result.Environment
	if err := New(machine()).Describe(t.Context(), &env); err != nil {
		t.Fatal(err)
	}
	want := result.Hardware{CPUModel: "AMD EPYC 9004 (test)", Cores: 1, ISA: "avx2+fma+f16c+avx512f+avx512bw+avx512_bf16", Governor: "performance"}
	if env.Hardware != want {
		t.Errorf("hardware\n got %+v\nwant %+v", env.Hardware, want)
	}
	if env.Virtual != "vm QEMU Standard PC" || env.OS != "Test 1" || env.Kernel != "6.1.0" || env.MemoryBytes != 2<<20 || env.Load1 != 1.25 {
		t.Errorf("environment %+v", env)
	}
	if len(env.MachineID) != 32 || strings.Contains(env.MachineID, "0123456789abcdef") {
		t.Errorf("machine id %q, want 32 digits that don't show the machine's own", env.MachineID)
	}
}

func TestSample(t *testing.T) {
	s := New(machine())
	r, err := s.Sample(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := probe.CPUTimes{Total: 500, Idle: 405, Steal: 22, Throttled: 7}
	if r.CPU == nil || *r.CPU != want {
		t.Errorf("CPU times %+v, want %+v", r.CPU, want)
	}
	if n, err := s.RSSPeak(0); err != nil || n != 12<<10 {
		t.Errorf("peak %d (%v), want %d", n, err, 12<<10)
	}
	if _, err := s.RSSPeak(99); err == nil {
		t.Error("a process that isn't there has a peak")
	}
}

func TestThrottleCountsAreReadOnceASecond(t *testing.T) {
	fsys := machine()
	s := New(fsys)
	now := time.Unix(1000, 0)
	s.now = func() time.Time { return now }
	read := func() uint64 {
		r, err := s.Sample(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r.CPU.Throttled
	}
	first := read()
	fsys["sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"].Data = []byte("30\n")
	now = now.Add(900 * time.Millisecond)
	if got := read(); got != first {
		t.Errorf("after 0.9 s %d, want the %d of before", got, first)
	}
	now = now.Add(100 * time.Millisecond)
	if got := read(); got != 34 {
		t.Errorf("after a second %d, want 34", got)
	}
}

func BenchmarkSample(b *testing.B) {
	s := Open()
	for b.Loop() {
		if _, err := s.Sample(b.Context()); err != nil {
			b.Skip(err)
		}
	}
}

func TestMachineWithoutProc(t *testing.T) {
	s := New(fstest.MapFS{})
	if _, err := s.Sample(t.Context()); !errors.Is(err, probe.ErrAbsent) {
		t.Errorf("error %v, want ErrAbsent", err)
	}
	var env result.Environment
	if err := s.Describe(t.Context(), &env); !errors.Is(err, probe.ErrAbsent) || env.Hardware.Cores < 1 || env.MachineID == "" {
		t.Errorf("environment %+v, error %v; want cores, an id and ErrAbsent", env, err)
	}
}

func TestStatRefusesNonsense(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"empty", ""},
		{"another file", "MemTotal: 12 kB"},
		{"too short", "cpu 1 2 3"},
		{"negative", "cpu 1 -2 3 4 5"},
		{"overflow", "cpu 9223372036854775807 9223372036854775807 9223372036854775807 1 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := parseStat([]byte(c.text)); err == nil {
				t.Errorf("%q gave %+v", c.text, got)
			}
		})
	}
}

func TestBufferIsBeyondTheCache(t *testing.T) {
	if got := New(machine()).bufferBytes(); got != 128<<20 {
		t.Errorf("buffer of %d MiB for a cache of 64 MiB, want 128", got>>20)
	}
	if got := New(fstest.MapFS{}).bufferBytes(); got != minBuffer {
		t.Errorf("buffer of %d bytes for an unknown cache, want %d", got, minBuffer)
	}
}

func TestLoopsDoTheirWork(t *testing.T) {
	b := make([]uint64, 1003)
	var want uint64
	for i := range b {
		b[i] = uint64(i) * 0x9e3779b97f4a7c15
		want += b[i]
	}
	for _, n := range []int{0, 1, 7, 31, 1003} {
		want = 0
		for _, w := range b[:n] {
			want += w
		}
		if got := sum(b[:n]); got != want {
			t.Errorf("sum of %d words %x, want %x", n, got, want)
		}
	}
	v1, f1 := fma(1000)
	v2, f2 := fma(2000)
	if f1 <= 0 || f2 != 2*f1 {
		t.Errorf("1000 rounds are %v operations, 2000 are %v", f1, f2)
	}
	if math.IsNaN(float64(v1)) || math.IsInf(float64(v1), 0) || v1 == 0 || v1 == v2 {
		t.Errorf("values %v and %v: want finite ones that depend on the rounds", v1, v2)
	}
}

func TestProbeOfThisMachine(t *testing.T) {
	got := Open().Probe(t.Context(), "before")
	if len(got) != 2 {
		t.Fatalf("%d readings, want 2", len(got))
	}
	for _, p := range got {
		if !(p.Value > 0) || math.IsInf(p.Value, 0) || p.When != "before" || p.At.IsZero() || !strings.HasSuffix(p.Kind, kindSuffix) {
			t.Errorf("reading %+v", p)
		}
		t.Logf("%s %.1f %s", p.Kind, p.Value, p.Unit)
	}
}

func FuzzStat(f *testing.F) {
	f.Add([]byte("cpu  10 20 30 400 5 6 7 22 9 9\n"))
	f.Add([]byte("cpu 1 2 3 4"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parseStat(b); err == nil && (c.Idle > c.Total || c.Steal > c.Total) {
			t.Errorf("%q: parts over the total: %+v", b, c)
		}
	})
}

func FuzzSmallFiles(f *testing.F) {
	f.Add([]byte(cpuinfo))
	f.Add([]byte("max 100000"))
	f.Add([]byte("50000 100000"))
	f.Add([]byte("MemTotal: 12 kB"))
	f.Add([]byte("0.5 1 2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		parseCPUInfo(b)
		if n, ok := parseCPUMax(b); ok && n < 1 {
			t.Errorf("%q is a quota of %d cores", b, n)
		}
		if n, ok := fieldKiB(b, "MemTotal"); ok && n < 0 {
			t.Errorf("%q is %d bytes", b, n)
		}
		if n, ok := parseSize(string(b)); ok && n < 0 {
			t.Errorf("%q is %d bytes", b, n)
		}
		if v := parseLoad(b); v < 0 || math.IsNaN(v) {
			t.Errorf("%q is a load of %v", b, v)
		}
	})
}

func TestParsersOfFacts(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{{"0-3,8,10-11", 7}, {"0", 1}, {"", 0}, {"3-1", 0}, {"0-99999999", 0}, {"a", 0}, {"-1", 0}} {
		if got := parseCPUList(c.text); got != c.want {
			t.Errorf("CPUs of %q: %d, want %d", c.text, got, c.want)
		}
	}
	pid, p, ok := parseProcess([]byte("12 (a) b (c\x1b) S 1 2 3 4 5 6 7 8 9 10 100 20 0 0 20 0 1 0 777 0"))
	if !ok || pid != 12 || p.Ticks != 120 || p.Started != 777 || p.Name != "a) b (c?" {
		t.Errorf("process %d %+v, %v", pid, p, ok)
	}
	if q, ok := parseQuota([]byte("150000 100000")); !ok || q != 1.5 {
		t.Errorf("quota %v, %v; want 1.5", q, ok)
	}
	if _, ok := parseQuota([]byte("max 100000")); ok {
		t.Error("no limit is a quota")
	}
}

// TestThisMachineIsObserved reads the real files.
func TestThisMachineIsObserved(t *testing.T) {
	s := Open()
	h := s.Facts()
	if h.CPUModel == "" || h.Cores() <= 0 || h.MemoryBytes <= 0 || h.AvailableBytes == nil || len(h.Load) != 3 {
		t.Errorf("facts %+v", h)
	}
	c, err := s.Counters()
	if err != nil || c.CPUs < 1 || c.Total == 0 || c.Self != os.Getpid() || c.Processes[c.Self].Name == "" {
		t.Errorf("counters of process %d, %d CPUs, total %d: %v", c.Self, c.CPUs, c.Total, err)
	}
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	if d := Disk(filepath.Join(dir, "not", "yet")); d.Path != dir || d.FreeBytes <= 0 || d.Problem != "" {
		t.Errorf("disk %+v, want room at %s", d, dir)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		if d := Disk(path); d.Problem == "" {
			t.Errorf("%s: %+v, want a problem", path, d)
		}
	}
}

func FuzzFacts(f *testing.F) {
	f.Add([]byte("some avg10=1.23 avg60=0.00 avg300=0.00 total=1\n"))
	f.Add([]byte("1.25 1.00 0.50 1/100 4242\n"))
	f.Add([]byte("0-3,8"))
	f.Add([]byte("always [madvise] never"))
	f.Add([]byte("3500000"))
	f.Add([]byte("150000 100000"))
	f.Add([]byte("pswpin 12\npswpout 3\n"))
	f.Add([]byte("12 (a) b) S 1 2 3 4 5 6 7 8 9 10 100 20 0 0 20 0 1 0 777 0"))
	f.Add([]byte("cpu  1 2 3 4 5\ncpu0 1\ncpu1 1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v, ok := parsePressure(b); ok && !(v >= 0 && v <= 1) {
			t.Errorf("%q is a share of %v", b, v)
		}
		for _, v := range parseLoads(b) {
			if !(v >= 0) {
				t.Errorf("%q is a load of %v", b, v)
			}
		}
		if n := parseCPUList(string(b)); n < 0 || n > maxCPUs {
			t.Errorf("%q is %d CPUs", b, n)
		}
		if s := parseChoice(string(b)); strings.Contains(s, "]") {
			t.Errorf("%q chooses %q", b, s)
		}
		if n, ok := parseKHz(string(b)); ok && n < 1 {
			t.Errorf("%q is %d MHz", b, n)
		}
		if q, ok := parseQuota(b); ok && !(q > 0 && !math.IsInf(q, 0)) {
			t.Errorf("%q is a quota of %v cores", b, q)
		}
		parseCount(b, "pswpin")
		statusField(b, "Cpus_allowed_list")
		if n := countCPUs(b); n > len(b) {
			t.Errorf("%q has %d CPUs", b, n)
		}
		if pid, p, ok := parseProcess(b); ok && (pid <= 0 || strings.ContainsAny(p.Name, "\x1b\n\r")) {
			t.Errorf("%q is process %d %q", b, pid, p.Name)
		}
	})
}

func TestConformance(t *testing.T) {
	probetest.Run(t, func(*testing.T) probe.Sampler { return New(machine()) })
}
