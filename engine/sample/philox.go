package sample

// Constants of Philox4x32 (Salmon et al., SC 2011, table 2).
const (
	philoxM0 = 0xD2511F53
	philoxM1 = 0xCD9E8D57
	philoxW0 = 0x9E3779B9
	philoxW1 = 0xBB67AE85
)

// Philox is Philox4x32-10: a bijection of the 128-bit counter for each 64-bit key,
// whose four output words are independent random words for all practical purposes.
func Philox(c0, c1, c2, c3, k0, k1 uint32) [4]uint32 {
	for range 10 {
		p0 := uint64(philoxM0) * uint64(c0)
		p1 := uint64(philoxM1) * uint64(c2)
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += philoxW0
		k1 += philoxW1
	}
	return [4]uint32{c0, c1, c2, c3}
}

// block is the random words of ids 4·b … 4·b+3 at a position of a request.
func block(seed, position uint64, b uint32) [4]uint32 {
	return Philox(b, uint32(position), uint32(position>>32), 0, uint32(seed), uint32(seed>>32))
}

// Bits is the 32 random bits of one id: r[i] of the package's definition.
func Bits(seed, position uint64, id int32) uint32 {
	return block(seed, position, uint32(id)>>2)[id&3]
}
