package worker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/paceline/paceline/bench/harness"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/suites/spec"
)

// TestVariants: what suites may name is what a worker can open, and nothing else.
func TestVariants(t *testing.T) {
	if got, want := slices.Sorted(maps.Keys(wire.EngineVariants())), spec.Variants(); !slices.Equal(got, want) {
		t.Errorf("workers have %v, suites may name %v", got, want)
	}
	for _, name := range spec.Variants() {
		if base, _ := spec.VariantOf(name); base != wire.DriverEngine || !wire.OwnEngine(name) {
			t.Errorf("%s is a variant of %q", name, base)
		}
	}
	_, err := engineOf(nil)(t.Context(), harness.Order{Subject: result.Subject{Target: "engine-w6"}, ModelDir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), `no variant "engine-w6"`) {
		t.Errorf("a variant that isn't one: %v", err)
	}
}

// TestUnsupportedIsTheRequests: what no target of this kind can do, the suite has to leave.
func TestUnsupportedIsTheRequests(t *testing.T) {
	err := fmt.Errorf("round 1: workload w has kv_cache: off: %w", harness.ErrUnsupported)
	if got := classify(err); got.Class != wire.ClassRequest || !strings.Contains(got.Message, "kv_cache: off") {
		t.Errorf("got %+v", got)
	}
}
