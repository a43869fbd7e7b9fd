package worker

import (
	"fmt"
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
	known := wire.EngineVariants()
	for _, name := range spec.Variants() {
		base, _ := spec.VariantOf(name)
		if v, ok := known[name]; !ok || !wire.OwnEngine(base) || v.Backend != known[base].Backend {
			t.Errorf("%s is a variant of %q: %+v", name, base, v)
		}
	}
	for name, v := range known { // what isn't named by a workload is another device
		if !slices.Contains(spec.Variants(), name) && v != (wire.EngineVariant{Backend: v.Backend}) {
			t.Errorf("no workload may name %s: %+v", name, v)
		}
	}
	_, err := engineOf(nil, nil, nil)(t.Context(), harness.Order{Subject: result.Subject{Target: "engine-w6"}, ModelDir: t.TempDir()})
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
