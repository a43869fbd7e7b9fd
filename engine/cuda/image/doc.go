// Package image finds or makes what a device loads: the kernels, compiled for a model's shape.
//
// In this order: what was compiled before and kept on disk, NVRTC where it is found, and last the PTX that this
// program carries, which the driver compiles. engine/cuda/kernels holds the sources, engine/cuda/driver the compiler;
// engine/cuda loads what comes of it. build/kernels makes the files that a release or the repository holds.
package image
