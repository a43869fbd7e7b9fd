//go:build native

package engine_test

import (
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/cuda/simt/machine"
)

// TestTwoInFlight: on a device the next step is launched before the one before it is collected, and the
// tokens are those of a request that is alone.
func TestTwoInFlight(t *testing.T) {
	const dir = "model/robotstories"
	machine.Emulate(t, dir)
	e, err := engine.Open(t.Context(), engine.Options{ModelDir: dir, Backend: "cuda", ContextHint: 256})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const tokens = 12
	submit := func(first int32) *engine.Stream {
		q := engine.Request{Prompt: []int32{first, 5, 9}, MaxTokens: tokens, IgnoreEOS: true}
		q.Sampling.Temperature, q.Sampling.Seed = 1, uint64(first)
		st, err := e.Submit(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	ids := func(s *engine.Stream) (out []int32) {
		for ev := range s.Events() {
			if ev.Token >= 0 {
				out = append(out, ev.Token)
			}
		}
		return out
	}
	alone := ids(submit(3))
	if len(alone) != tokens {
		t.Fatalf("%d tokens, want %d", len(alone), tokens)
	}
	if k := e.Stats(); k.StepsAhead != tokens-1 || k.VainTokens != 0 {
		t.Errorf("%d of %d steps ahead, %d tokens in vain", k.StepsAhead, k.Steps, k.VainTokens)
	}
	a, b := submit(3), submit(4)
	ids(b)
	if got := ids(a); !slices.Equal(got, alone) {
		t.Errorf("beside another request: %v, alone %v", got, alone)
	}
}

// TestTwoDevices: engines on two devices of a host compute at the same time, each on its own.
func TestTwoDevices(t *testing.T) {
	const dir = "model/robotstories"
	if os.Getenv("TWO_DEVICES") == "" { // how many there are is read when the driver's library is opened, once a process
		machine.Emulate(t, dir)
		child := exec.Command(os.Args[0], "-test.run=^TestTwoDevices$")
		child.Env = append(os.Environ(), "TWO_DEVICES=1", "SIMT_DEVICES=2")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	var streams []*engine.Stream
	for _, device := range []string{"0", "1"} {
		e, err := engine.Open(t.Context(), engine.Options{ModelDir: dir, Backend: "cuda", Device: device, ContextHint: 128})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		for range 2 {
			st, err := e.Submit(t.Context(), engine.Request{Prompt: []int32{3, 5, 9}, MaxTokens: 9, IgnoreEOS: true})
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, st)
		}
	}
	var first []int32
	for i, st := range streams {
		var ids []int32
		for ev := range st.Events() {
			if ev.Token >= 0 {
				ids = append(ids, ev.Token)
			}
		}
		if first == nil {
			first = ids
		}
		if len(ids) != 9 || !slices.Equal(ids, first) {
			t.Errorf("stream %d: %v, the first %v", i, ids, first)
		}
	}
}
