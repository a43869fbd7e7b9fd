//go:build !native

package token

import (
	"errors"
	"testing"
)

func TestOpenWithoutTheLibrarySaysWhatToDo(t *testing.T) {
	_, err := Open("testdata/bytelevel")
	if !errors.Is(err, ErrNoEngine) || err.Error() != "this build has no engine: use the native build" {
		t.Errorf("got error %v, want %v", err, ErrNoEngine)
	}
}
