// Package cuda is the engine's backend for NVIDIA GPUs: kernels of our own through the driver, with no
// toolkit and nothing installed but the driver.
//
// A step is a short chain of kernels (engine/cuda/kernels). The host writes what a step computes into a block of
// memory that the device maps, and launches a graph that never changes; tokens come back through mapped memory
// too, so nothing on the way of a token waits for a whole stream. Sums have an order that the model's shape
// fixes, so a row's numbers don't depend on what is beside it.
//
// Its neighbours: engine/sched decides what a step computes, engine/backend/admit says what can't be computed,
// engine/cuda/driver talks to the device, engine/cuda/image finds or makes the code that the device loads.
package cuda
