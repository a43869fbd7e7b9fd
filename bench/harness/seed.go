package harness

import (
	"crypto/sha256"
	"encoding/binary"
)

// child derives a component's seed, so that one more random consumer never moves
// another's numbers.
func child(seed uint64, component string, numbers ...int) uint64 {
	b := binary.LittleEndian.AppendUint64(nil, seed)
	b = append(b, component...)
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(append(b, 0), uint64(n))
	}
	sum := sha256.Sum256(b)
	return binary.LittleEndian.Uint64(sum[:8])
}
