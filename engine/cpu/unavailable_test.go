//go:build !native

package cpu

import (
	"errors"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

func TestUnavailable(t *testing.T) {
	b, err := Open(nil, Options{})
	if b != nil || !errors.Is(err, backend.ErrUnavailable) || !strings.Contains(err.Error(), "this build has no engine: use the native build") {
		t.Errorf("got %v, %v", b, err)
	}
	if names := Available(); len(names) != 0 {
		t.Errorf("kernel sets %v in a build without kernels", names)
	}
}
