package sample

import (
	"math"
	"sort"
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

// naiveBits is Philox4x32-10 written a second time, round by round from the paper.
func naiveBits(seed, position uint64, id int) uint32 {
	ctr := [4]uint32{uint32(id / 4), uint32(position & 0xffffffff), uint32(position >> 32), 0}
	key := [2]uint32{uint32(seed & 0xffffffff), uint32(seed >> 32)}
	for round := 0; round < 10; round++ {
		if round > 0 {
			key[0] += 0x9E3779B9
			key[1] += 0xBB67AE85
		}
		a, b := uint64(ctr[0])*0xD2511F53, uint64(ctr[2])*0xCD9E8D57
		ctr = [4]uint32{
			uint32(b>>32) ^ ctr[1] ^ key[0], uint32(b),
			uint32(a>>32) ^ ctr[3] ^ key[1], uint32(a),
		}
	}
	return ctr[id%4]
}

// naiveToken sorts everything, uses math.Log and math.Exp and skips nothing. It may
// differ from the definition only where two scores or the nucleus' boundary agree to about
// 1e-9, which no fixed case of these tests meets.
func naiveToken(logits []float32, p backend.Sampling) int32 {
	type entry struct {
		id int
		z  float64
	}
	var es []entry
	for i, l := range logits {
		z := float64(l)
		if math.IsNaN(z) {
			z = math.Inf(-1)
		}
		es = append(es, entry{i, z})
	}
	sort.SliceStable(es, func(a, b int) bool { return es[a].z > es[b].z })
	if p.Temperature == 0 {
		return int32(es[0].id)
	}
	for i := range es {
		es[i].z /= float64(p.Temperature)
	}
	if p.TopK > 0 && p.TopK < len(es) {
		es = es[:p.TopK]
	}
	if p.TopP > 0 && p.TopP < 1 {
		var total, sum float64
		for _, e := range es {
			total += math.Exp(e.z - es[0].z)
		}
		for i, e := range es {
			if sum += math.Exp(e.z - es[0].z); sum >= float64(p.TopP)*total {
				es = es[:i+1]
				break
			}
		}
	}
	best, id := math.Inf(-1), es[0].id
	for _, e := range es {
		u := (float64(naiveBits(p.Seed, p.Position, e.id)) + 0.5) / (1 << 32)
		if v := e.z - math.Log(-math.Log(u)); v > best {
			best, id = v, e.id
		}
	}
	return int32(id)
}

func TestAgreesWithANaiveImplementation(t *testing.T) {
	for _, row := range goldenRows() {
		if row.Vocab > 10_000 && testing.Short() {
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			logits := row.logits()
			var s Sampler
			n := uint64(200)
			if row.Vocab > 10_000 {
				n = 3
			}
			for p := range n {
				want := naiveToken(logits, row.sampling(p))
				if got := s.Token(logits, row.sampling(p)); got != want {
					t.Fatalf("position %d: got id %d, want %d", p, got, want)
				}
			}
		})
	}
}

// TestAgreesOnTies gives rows with many equal logits, where only the order by id
// says what top-k and top-p keep.
func TestAgreesOnTies(t *testing.T) {
	var s Sampler
	for n := 1; n <= 40; n++ {
		logits := make([]float32, n)
		for i := range logits {
			logits[i] = float32(Bits(99, uint64(n), int32(i))%3) - 1
		}
		for k := 0; k <= n; k++ {
			for _, topP := range []float32{0, 0.1, 0.37, 0.77} {
				p := backend.Sampling{Temperature: 1.5, TopK: k, TopP: topP, Seed: uint64(n), Position: uint64(k)}
				if got, want := s.Token(logits, p), naiveToken(logits, p); got != want {
					t.Fatalf("%d logits, %+v: got id %d, want %d", n, p, got, want)
				}
			}
		}
	}
}
