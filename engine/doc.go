// Package engine is the inference engine that Paceline's agents embed: it opens
// a model on a backend and turns requests into streams of tokens, each with the
// engine's own instants.
//
// It is a facade: engine/sched orders the work, engine/kv owns the cache,
// engine/sample draws tokens, engine/token turns text to ids and back, and
// engine/ref, engine/cpu and engine/cuda compute. Nothing below it imports it, and
// it knows nothing of benchmarks: bench/target/engine is the one that asks it.
package engine
