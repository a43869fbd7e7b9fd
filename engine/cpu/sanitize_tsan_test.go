//go:build native && tsan

package cpu

// seen is what the thread sanitizer says of each plant.
var seen = map[string]string{"race": "ThreadSanitizer: data race"}
