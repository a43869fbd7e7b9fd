//go:build native

package engine

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cuda/simt/machine"
)

// TestFault: a device that is lost in the middle fails the requests from then on, and the target says why.
func TestFault(t *testing.T) {
	if os.Getenv("FAULT_CHILD") == "" { // the emulator reads its settings when its library is opened, once a process
		machine.Emulate(t, dir)
		child := exec.Command(os.Args[0], "-test.run=^TestFault$", "-test.v")
		child.Env = append(os.Environ(), "FAULT_CHILD=1", "SIMT_FAULT=merge:40=214")
		if out, err := child.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	eng, err := engine.Open(t.Context(), engine.Options{ModelDir: dir, Backend: "cuda", ContextHint: 128})
	if err != nil {
		t.Fatal(err)
	}
	one := &Target{eng: eng}
	defer one.Close()
	ask := func() error {
		_, err := one.Do(t.Context(), target.Request{IDs: []int32{3, 5, 9}, MaxTokens: 4, IgnoreEOS: true}, func(target.Event) {})
		return err
	}
	if err := ask(); err != nil || one.Fault() != nil {
		t.Fatalf("before: %v, fault %v", err, one.Fault())
	}
	for err == nil {
		err = ask()
	}
	first := one.Fault()
	if !errors.Is(err, backend.ErrFault) || first == nil {
		t.Fatalf("lost: %v, fault %v", err, first)
	}
	if err := ask(); !errors.Is(err, backend.ErrFault) || one.Fault() != first {
		t.Errorf("afterwards: %v, fault %v", err, one.Fault())
	}
}
