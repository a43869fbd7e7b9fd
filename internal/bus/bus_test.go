package bus_test

import (
	"testing"

	"github.com/paceline/paceline/internal/bus"
	"github.com/paceline/paceline/internal/bus/bustest"
)

func TestLocal(t *testing.T) {
	bustest.Run(t, func(*testing.T) bus.Bus { return bus.NewLocal() })
}

func TestEmbeddedNATS(t *testing.T) {
	bustest.Run(t, func(t *testing.T) bus.Bus {
		b, err := bus.Embedded()
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a", "a", true},
		{"a", "b", false},
		{"a.*", "a.b", true},
		{"a.*", "a", false},
		{"a.*", "a.b.c", false},
		{"a.>", "a.b.c", true},
		{"a.>", "a", false},
		{"*.b", "a.b", true},
		{">", "a", true},
	} {
		if got := bus.Match(c.pattern, c.subject); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.pattern, c.subject, got)
		}
	}
}
