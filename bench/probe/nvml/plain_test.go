//go:build !native

package nvml

import (
	"errors"
	"testing"

	"github.com/paceline/paceline/bench/probe"
)

func TestPlainBuildSaysSo(t *testing.T) {
	s, err := Open()
	if s != nil || !errors.Is(err, probe.ErrAbsent) {
		t.Errorf("sampler %v, error %v; want none and ErrAbsent", s, err)
	}
	if gpus, err := Look(t.Context()); gpus != nil || !errors.Is(err, probe.ErrAbsent) {
		t.Errorf("GPUs %v, error %v; want none and ErrAbsent", gpus, err)
	}
}
