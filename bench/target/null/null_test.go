package null

import (
	"testing"

	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/bench/target/targettest"
)

func TestConformance(t *testing.T) {
	targettest.Run(t, targettest.Config{
		Open: func(*testing.T) target.Target { return New() },
		Text: "hello",
	})
}
