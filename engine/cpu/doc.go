// Package cpu computes batches on the host's processors: C kernels behind one
// table of functions, chosen once by what the machine has, and a small team of
// threads that runs a whole step in one call.
//
// It implements backend.Backend for the Qwen2 family in f32 or bf16 activations.
// engine/model reads the checkpoint it packs, engine/sample draws its tokens,
// engine/ref is the slow float64 oracle it is tested against. It decides nothing
// about sequences: engine/sched builds the batches and engine/kv hands out pages.
//
// Equal inputs give equal bits. A row's numbers don't depend on what else is in
// the batch, on how its prompt was cut into chunks or on the number of threads:
// each sum has one order (kernels.h), and attention folds pages in from position 0
// (step.c). They do depend on the kernel set, within rounding.
//
// The kernels need cgo and the build tag native. Without it Open says so.
package cpu
