// Package driver speaks to NVIDIA's driver and to NVRTC, its compiler: libraries opened at run time, without cgo
// and without a toolkit when Paceline is built.
//
// It knows the C interface and nothing of models: names, structures, errors in words, and what was allocated
// and not freed. engine/cuda/image chooses what is loaded, engine/cuda what is launched.
//
// All calls of a Context belong to one OS thread at a time, which Bind takes over. Out-parameters and launch
// structures lie in memory of their own and never in Go's: a goroutine's stack may move during a call, and C would
// write to where it was.
package driver
