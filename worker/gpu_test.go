package worker

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/paceline/paceline/bench/harness"
	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/probe/health"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/internal/wire"
)

// machineError is the error, which must be this machine's.
func machineError(t *testing.T, err error, want string) {
	t.Helper()
	var we *wire.Error
	if !errors.As(err, &we) || we.Class != wire.ClassMachine || !strings.Contains(we.Message, want) {
		t.Errorf("error %v, want the machine's with %q", err, want)
	}
}

func TestTakeDevice(t *testing.T) { synctest.Test(t, testTakeDevice) }

func testTakeDevice(t *testing.T) {
	gpus := []health.GPU{{Index: 0, Model: "NVIDIA H100", UUID: "GPU-a", Processes: []int{4711}}, {Index: 1, Model: "NVIDIA H100", UUID: "GPU-b"}}
	look := func(context.Context) ([]health.GPU, error) { return slices.Clone(gpus), nil }
	locks := t.TempDir()
	d, err := takeDevice(t.Context(), "", locks, look)
	if err != nil {
		t.Fatal(err)
	}
	if d.id() != "GPU-b" {
		t.Errorf("took %s, want the one that nobody uses", d.id())
	}
	_, err = takeDevice(t.Context(), "1", locks, look)
	machineError(t, err, "another measurement")
	_, err = takeDevice(t.Context(), "0", locks, look)
	machineError(t, err, "processes 4711")

	gpus[1].Processes = []int{os.Getpid()}
	if err := d.opened(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := d.foreign()([]int{os.Getpid(), 4712}); !slices.Equal(got, []int{4712}) {
		t.Errorf("foreign are %v", got)
	}
	env := result.Environment{
		Hardware: result.Hardware{CPUModel: "a CPU", Cores: 8},
		GPUs:     []result.GPU{{Index: 1, UUID: "GPU-b", Model: "NVIDIA H100", Driver: "570.86.15", MemoryBytes: 80 << 30, PowerLimitW: 700}},
	}
	if err := d.class(&env); err != nil {
		t.Fatal(err)
	}
	if want := (result.Hardware{GPUModel: "NVIDIA H100", GPUCount: 1, GPUMemory: 80 << 30, GPUPower: "700 W", DriverMajor: 570}); env.Hardware != want {
		t.Errorf("class %+v, want %+v", env.Hardware, want)
	}
	gpus[1].Processes = nil
	d.close()
	again, err := takeDevice(t.Context(), "GPU-b", locks, look)
	if err != nil {
		t.Fatalf("after it was let go: %v", err)
	}
	again.close()

	// Who has just left shows for a moment.
	looks := 0
	leaving := func(context.Context) ([]health.GPU, error) {
		if looks++; looks < 4 {
			return []health.GPU{{UUID: "GPU-c", Utilisation: new(0.9)}, {UUID: "GPU-d", Index: 1}}, nil
		}
		return []health.GPU{{UUID: "GPU-c", Utilisation: new(0.0)}, {UUID: "GPU-d", Index: 1}}, nil
	}
	after, err := takeDevice(t.Context(), "", locks, leaving)
	if err != nil || looks != 4 || after.id() != "GPU-c" {
		t.Fatalf("%d looks, error %v", looks, err)
	}
	after.close()
	// Who stays makes room on another GPU.
	looks = -1000
	if after, err = takeDevice(t.Context(), "", locks, leaving); err != nil || after.id() != "GPU-d" {
		t.Fatalf("beside one that stays busy: %v", err)
	}
	after.close()

	_, err = takeDevice(t.Context(), "", locks, func(context.Context) ([]health.GPU, error) { return nil, probe.ErrAbsent })
	machineError(t, err, "libnvidia-ml.so.1")
}

// TestNoDevice: a subject on the CPU takes none.
func TestNoDevice(t *testing.T) {
	for _, target := range []string{"", "engine", "engine-w8"} {
		d, err := deviceOf(t.Context(), &wire.RoundOrder{Subject: result.Subject{Target: target}})
		if d != nil || err != nil || d.foreign() != nil || d.id() != "" || d.opened(t.Context()) != nil || d.class(nil) != nil {
			t.Errorf("target %q: device %v, error %v", target, d, err)
		}
		d.close()
	}
	d, err := deviceOf(t.Context(), &wire.RoundOrder{Subject: result.Subject{Target: "server"}, Target: &wire.Target{Driver: wire.DriverOpenAI}})
	if d != nil || err != nil {
		t.Errorf("a server: device %v, error %v", d, err)
	}
	// A workload's variant never moves a round to another device.
	_, err = engineOf(nil, nil, nil)(t.Context(), harness.Order{Subject: result.Subject{Target: "engine-cuda"}, ModelDir: t.TempDir()})
	var we *wire.Error
	if !errors.As(err, &we) || we.Class != wire.ClassRequest {
		t.Errorf("a variant on a GPU in a round on the CPU: %v", err)
	}
}

// TestFaultsAreTheMachines: a device that was lost is no regression of the build's.
func TestFaultsAreTheMachines(t *testing.T) {
	for _, err := range []error{backend.ErrFault, backend.ErrUnavailable} {
		machineError(t, classify(errors.Join(errors.New("open"), err)), err.Error())
	}
}
