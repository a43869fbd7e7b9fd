package agent

import (
	"fmt"
	"slices"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/wire"
)

// environment is the machine's as this agent's own program saw it, whatever build the worker is. Which GPUs the subject
// had, only the worker knows; what they are like, this agent has read itself.
func environment(seen, told result.Environment) (result.Environment, error) {
	if told.Hardware.GPUCount == 0 {
		return seen, nil
	}
	var used []result.GPU
	for _, g := range told.GPUs {
		i := slices.IndexFunc(seen.GPUs, func(s result.GPU) bool { return s.UUID == g.UUID })
		if i < 0 {
			return seen, &wire.Error{Class: wire.ClassMachine, Message: fmt.Sprintf("the round was measured on GPU %s (%s), which this agent doesn't see: is it out of order?", g.UUID, g.Model)}
		}
		used = append(used, seen.GPUs[i])
	}
	seen.GPUs = used
	if err := probe.GPUClass(&seen.Hardware, used); err != nil {
		return seen, &wire.Error{Class: wire.ClassMachine, Message: err.Error()}
	}
	return seen, nil
}
