// Package plan says what `make bench-engine` measures and what follows from the samples: the
// table of rows with their targets, the order in which programs take turns, the statistics of
// a ratio, and whether a target is reached.
//
// It is pure: it starts nothing, reads no clock and prints nothing.
package plan
