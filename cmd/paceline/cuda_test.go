//go:build native

package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/cuda/simt/machine"
)

// TestCUDA: on the emulator, generate tells the story that the CPU tells, and no speed.
func TestCUDA(t *testing.T) {
	kept := machine.Emulate(t, "../../engine/model/robotstories")
	args := []string{"generate", "--greedy", "-n", "16"}
	onCPU := paceline(t, args...)
	onCPU.expect(t, exitOK, "tok/s")
	args = append(args, "--backend", "cuda")
	o := paceline(t, args...)
	o.expect(t, exitOK, "an emulator has no speed", "SIMT host emulator")
	story, _, _ := strings.Cut(onCPU.stdout, "\n\n")
	if !strings.HasPrefix(o.stdout, story) || len(story) < 20 {
		t.Errorf("told %q, the CPU told %q", o.stdout, story)
	}
	if strings.Contains(o.stdout+o.stderr, "tok/s") || strings.Contains(o.stdout+o.stderr, " ms") {
		t.Errorf("a speed is shown:\n%s%s", o.stdout, o.stderr)
	}
	var out map[string]any
	o = paceline(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(o.stdout), &out); err != nil || out["emulated"] != true || out["device"] != "SIMT host emulator" {
		t.Errorf("%v: %s", err, o.stdout)
	}
	for _, speed := range []string{"ttft_ms", "decode_tok_per_s", "prefill_tok_per_s"} {
		if out[speed] != nil {
			t.Errorf("%s is %v on an emulator", speed, out[speed])
		}
	}

	paceline(t, append(args, "--device", "7")...).expect(t, exitRequest, `no device is called "7"`, "0 (SIMT host emulator, GPU-")
	paceline(t, append(args, "--compute", "f32")...).expect(t, exitRequest, "multiplies bf16; leave it out")
	paceline(t, append(args, "--threads", "2")...).expect(t, exitRequest, "computes on its device")
	paceline(t, append(args, "--weights", "w5")...).expect(t, exitRequest, "w8, w4")

	if err := os.Truncate(kept, 1000); err != nil {
		t.Fatal(err)
	}
	paceline(t, args...).expect(t, exitRequest, "nothing is built for the emulator")
	if _, err := os.Stat(kept); err == nil {
		t.Error("the damaged file is still there")
	}
}

// TestCUDAFaults: what goes wrong with a device is the machine's fault, said in words.
func TestCUDAFaults(t *testing.T) {
	machine.Emulate(t, "../../engine/model/robotstories")
	for _, c := range []struct {
		name, value string
		code        int
		says        string
	}{
		{"SIMT_FAULT", "merge:9=719", exitMachine, "a kernel failed; the device's context is lost"},
		{"SIMT_FAIL", "cuGraphLaunch:3=214", exitMachine, "ECC"},
		{"SIMT_FAIL", "cuDevicePrimaryCtxRetain:1=46", exitRequest, "another process has the device"},
		{"SIMT_FAIL", "cuMemAlloc:2=2", exitMachine, "for KV pages on device 0"},
		{"SIMT_FAIL", "cuGraphInstantiateWithFlags:1=2", exitOK, "40 tokens"}, // kernel by kernel, then
		{"SIMT_MEM_MB", "200", exitMachine, "leaves no room for a KV cache"},
		{"SIMT_CC", "75", exitRequest, "compute capability 7.5: the kernels multiply bf16"},
		{"SIMT_NODEVICE", "1", exitRequest, "the driver sees no device"},
		{"SIMT_DRIVER", "11080", exitRequest, "CUDA 11.8: too old"},
		{"CUDA_LIB", "/nonexistent/libcuda.so.1", exitRequest, "no NVIDIA driver"},
	} {
		t.Run(c.name+"="+strings.ReplaceAll(c.value, "/", "_"), func(t *testing.T) {
			t.Setenv(c.name, c.value)
			paceline(t, "generate", "--backend", "cuda", "--greedy", "-n", "40").expect(t, c.code, c.says)
		})
	}
}

func TestModelSpeed(t *testing.T) {
	paceline(t, "doctor", "--model-speed").expect(t, exitOK, "MODELLED, not measured", "146 launches", "H200")
	paceline(t, "doctor", "--model-speed", "--json").expect(t, exitRequest, "give it alone")
}

// TestRunOnGPU: a suite on a GPU needs one that can be looked at; a machine without is told so, and it's no regression.
func TestRunOnGPU(t *testing.T) {
	if _, err := os.Stat("/dev/nvidia0"); err == nil {
		t.Skip("skipped: this machine has a GPU, where the suite would run")
	}
	data := t.TempDir()
	paceline(t, "run", quick(t), "--target", "engine-cuda", "--device", "0", "--data", data).expect(t, exitMachine, "libnvidia-ml.so.1", "no NVIDIA driver", "--target engine-cuda --device 0")
	paceline(t, "run", quick(t), "--device", "0", "--data", data).expect(t, exitRequest, "--target engine-cuda")
	paceline(t, "run", quick(t), "--target", "engine-cude", "--data", data).expect(t, exitRequest, `did you mean "engine-cuda"?`)
}
