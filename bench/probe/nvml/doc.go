// Package nvml reads NVIDIA's GPUs through the driver's own management library:
// identity, memory, utilisation, clocks, power, temperature, throttling, ECC errors
// and the processes that compute.
//
// The library is loaded when Open is called, never linked: on a machine without a
// driver Open says so and everything else goes on. A build without the tag native
// has no NVML at all, and its Open says that.
package nvml
