//go:build !(linux || darwin)

package model

import "math"

// FreeBytes knows nothing here: a full disk shows when it is written to.
func FreeBytes(string) (int64, error) { return math.MaxInt64, nil }
