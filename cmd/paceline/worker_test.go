//go:build native

package main

import (
	"os"
	"testing"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/worker/workertest"
)

func olderWorker(t *testing.T) string { return workertest.Protocol1(t) }

// order is a round of the quick suite on the shipped model.
func order(t *testing.T) wire.RoundOrder {
	t.Helper()
	suite, err := os.ReadFile(quick(t))
	if err != nil {
		t.Fatal(err)
	}
	return wire.RoundOrder{
		Run: "r1", Attempt: "r1-a1", Round: 3, Suite: string(suite), ModelDir: shipped(t),
		Subject: result.Subject{Target: "engine", Build: "self", Model: "robot-stories"},
	}
}

func TestWorkerConformance(t *testing.T) {
	workertest.Run(t, workertest.Config{Args: []string{self(t), "worker"}, Order: order(t)})
}

// TestServerWorkerConformance holds the same worker to the suite while it drives
// a server.
func TestServerWorkerConformance(t *testing.T) {
	o := order(t)
	o.ModelDir = ""
	o.Target = &wire.Target{Driver: wire.DriverOpenAI, Launch: &wire.Launch{Args: []string{self(t), "test-server", "{port}", "good"}}}
	workertest.Run(t, workertest.Config{Args: []string{self(t), "worker"}, Order: o})
}

func TestOlderWorkerConformance(t *testing.T) {
	workertest.Run(t, workertest.Config{Args: []string{olderWorker(t), "worker"}, Order: order(t)})
}
