// Package harness turns cells into results: it starts the subject, warms it up,
// runs the trials of every cell, cuts them into windows, checks that each trial may
// be believed, and computes the metrics of bench/metric from the samples.
//
// RunRound is one start of the subject. What is sent when is bench/load's, who
// answers bench/target's, what the machine says bench/probe's; what the figures mean
// is judge's. Values computes every metric of a trial from its samples alone, so
// that a stored result can be computed again.
package harness
