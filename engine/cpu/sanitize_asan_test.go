//go:build native && asan

package cpu

// seen is what the address and undefined-behaviour sanitizers say of each plant.
var seen = map[string]string{
	"overrun":    "AddressSanitizer: use-after-poison",
	"misaligned": "misaligned address",
}
