package worker

import (
	"errors"
	"strings"
	"testing"

	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/suites/spec"
)

func TestContext(t *testing.T) {
	cell := func(kind string, isl, tokens int) (c spec.Cell) {
		c.Workload, c.Data.Type, c.Data.ISL, c.Request.MaxTokens = "long", kind, isl, tokens
		return c
	}
	short, long := cell("prompt", 0, 128), cell("synthetic", 4000, 100)
	for _, c := range []struct {
		cells   []spec.Cell
		want    int // contextOf
		context int // of the model
		fits    bool
	}{
		{[]spec.Cell{short}, 1152, 1024, true},
		{[]spec.Cell{short}, 1152, 128, true},
		{[]spec.Cell{short}, 1152, 127, false},
		{[]spec.Cell{short, long}, 4100, 4099, true},
		{[]spec.Cell{short, long}, 4100, 4098, false},
		{[]spec.Cell{cell("dataset", 0, 8), short}, 0, 1024, true},
	} {
		if got := contextOf(c.cells); got != c.want {
			t.Errorf("contextOf(%+v) = %d, want %d", c.cells, got, c.want)
		}
		err := fits(c.cells, c.context)
		if (err == nil) != c.fits {
			t.Errorf("fits(%+v, %d) = %v", c.cells, c.context, err)
		}
		var we *wire.Error
		if err != nil && (!errors.As(err, &we) || we.Class != wire.ClassRequest || !strings.Contains(err.Error(), "workload long")) {
			t.Errorf("%v is not the request's to mend, or doesn't name the workload", err)
		}
	}
}
