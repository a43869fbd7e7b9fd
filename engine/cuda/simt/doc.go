// Package simt is an emulator of NVIDIA devices for tests: a library with the driver's names that runs kernels, compiled
// as C++, on the CPU, and a checker of what they do. It is never part of a product.
//
// host/ is the device: fibres for threads, warps, barriers, tensor cores, asynchronous copies, and the checker for races,
// bounds, alignment and what nobody wrote. fake/ is the driver: memory, streams, graphs, faults that tests ask for (its settings
// are listed in fake/device.cpp). This package builds both with a C++ compiler and keeps what it built. It measures
// nothing: what runs here has no speed.
package simt
