//go:build !(linux || darwin)

package model

import "math"

// freeBytes knows nothing here: a full disk shows when it is written to.
func freeBytes(string) (int64, error) { return math.MaxInt64, nil }
