// Package room says whether a model fits into the memory that this process can still have,
// before any of it is filled: a process that finds out by filling it is killed without a
// word, and often others with it.
package room

import (
	"errors"
	"fmt"
)

// ErrMemory is wrapped by the error of a model that doesn't fit.
var ErrMemory = errors.New("not enough memory")

// Check compares what a model's weights and KV cache will take at least with what is
// available, all in bytes; available below 0 isn't known, and then all fits. The error says
// which of the two is too much, and what to do.
func Check(weights, kv, available int64) error {
	switch {
	case available < 0 || weights <= available && kv <= available-weights:
		return nil
	case weights > available:
		return fmt.Errorf("%w: the weights take %s, this process can have %s more: take a smaller model or fewer bits a weight, or give it more memory",
			ErrMemory, size(weights), size(available))
	}
	return fmt.Errorf("%w: the weights take %s and the KV cache %s, this process can have %s more: ask for a shorter context or a smaller KV cache, or give it more memory",
		ErrMemory, size(weights), size(kv), size(available))
}

// size is for people: whole MB, GB with a digit.
func size(bytes int64) string {
	if bytes < 10e9 {
		return fmt.Sprintf("%d MB", (bytes+5e5)/1e6)
	}
	return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
}
