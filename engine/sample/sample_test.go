package sample

import (
	"math"
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

// TestPhiloxKnownAnswers are the published vectors of the Random123 distribution (kat_vectors,
// philox4x32 with 10 rounds).
func TestPhiloxKnownAnswers(t *testing.T) {
	const f = 0xffffffff
	for _, c := range []struct {
		name string
		ctr  [4]uint32
		key  [2]uint32
		want [4]uint32
	}{
		{"zeros", [4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{"ones", [4]uint32{f, f, f, f}, [2]uint32{f, f}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{
			"pi",
			[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
			[2]uint32{0xa4093822, 0x299f31d0},
			[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Philox(c.ctr[0], c.ctr[1], c.ctr[2], c.ctr[3], c.key[0], c.key[1])
			if got != c.want {
				t.Errorf("got %08x, want %08x", got, c.want)
			}
		})
	}
}

func TestFloatFunctions(t *testing.T) {
	exp2 := exp2Table()
	for i, got := range exp2 {
		if want := math.Exp2(float64(i) / 64); math.Abs(got-want) > 3e-16*want {
			t.Errorf("2^(%d/64): got %v, want %v", i, got, want)
		}
	}
	for i := range int32(20_000) {
		r := Bits(5, 0, i)
		if i < 64 {
			r = uint32(1)<<(i/2) - uint32(i%2) // the ends and every power of two
		}
		u := (float64(r) + 0.5) / (1 << 32)
		if got, want := ln(u), math.Log(u); math.Abs(got-want) > 4e-16*math.Abs(want) {
			t.Fatalf("ln(%v): got %v, want %v", u, got, want)
		}
		for _, rr := range []uint32{r, ^r} {
			if g, b := Gumbel(rr), float64(lead(rr)+1)*math.Ln2; g > b || g > gumbelMax {
				t.Fatalf("Gumbel(%08x) = %v is above its bound %v", rr, g, min(b, gumbelMax))
			}
			// A rival with the same bits and the greatest logit must pass the hurdles.
			for _, zmax := range []float64{0, 30, -1e6} {
				if logit, bits := hurdles(zmax+Gumbel(rr), zmax, 1); zmax < logit || uint64(rr) < bits {
					t.Fatalf("Gumbel(%08x) at %v doesn't reach itself: %v, %08x", rr, zmax, logit, bits)
				}
			}
		}
		x := -28 * u
		if got, want := mass(&exp2, x), math.Exp(x)*massOne; math.Abs(float64(got)-want) > 1+want*2e-12 {
			t.Fatalf("mass(%v): got %v, want about %v", x, got, want)
		}
	}
}

func lead(r uint32) int {
	n := 0
	for ; r>>31 == 1; r <<= 1 {
		n++
	}
	return n
}

func TestHardRows(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	negZero := float32(math.Copysign(0, -1))
	sampled := backend.Sampling{Temperature: 1, TopP: 0.9, TopK: 3, Seed: 1}
	for _, c := range []struct {
		name   string
		logits []float32
		p      backend.Sampling
		want   int32
	}{
		{"no logits", nil, sampled, -1},
		{"greedy, lowest id of a tie", []float32{1, 3, 3, 2}, backend.Sampling{}, 1},
		{"greedy, minus zero ties with zero", []float32{negZero, 0}, backend.Sampling{}, 0},
		{"greedy passes NaN", []float32{nan, 1}, backend.Sampling{}, 1},
		{"all NaN", []float32{nan, nan}, sampled, 0},
		{"all minus infinity", []float32{-inf, -inf}, sampled, 0},
		{"NaN and minus infinity are never drawn", []float32{nan, -inf, 0, nan}, sampled, 2},
		{"infinity wins", []float32{5, inf, 5, inf}, sampled, 1},
		{"top-k of one is greedy", []float32{1, 2, 2, 0}, backend.Sampling{Temperature: 9, TopK: 1, Seed: 3}, 1},
		{"top-k of one, minus zero ties with zero", []float32{negZero, 0}, backend.Sampling{Temperature: 9, TopK: 1, Seed: 3}, 0},
		{"tiny temperature", []float32{1, 2, 0}, backend.Sampling{Temperature: 1e-45, Seed: 3}, 1},
		{"negative temperature is greedy", []float32{1, 2, 0}, backend.Sampling{Temperature: -1}, 1},
		{"NaN temperature is greedy", []float32{1, 2, 0}, backend.Sampling{Temperature: nan}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Token(c.logits, c.p); got != c.want {
				t.Errorf("got id %d, want %d", got, c.want)
			}
		})
	}
}

// TestNucleusBoundary draws often enough to see every kept id: four ids of a quarter each.
func TestNucleusBoundary(t *testing.T) {
	logits := []float32{1, 1, 1, 1}
	for _, c := range []struct {
		name string
		topP float32
		want int // ids 0..want-1 are kept
	}{
		{"far under one id", 1e-30, 1},
		{"exactly one id", 0.25, 1},
		{"just above one id", 0.2500001, 2},
		{"exactly two", 0.5, 2},
		{"three", 0.7, 3},
		{"nearly all", 0.9999999, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := map[int32]bool{}
			for p := range uint64(200) {
				seen[Token(logits, backend.Sampling{Temperature: 1, TopP: c.topP, Seed: 1, Position: p})] = true
			}
			for id := range int32(4) {
				if want := int(id) < c.want; seen[id] != want {
					t.Errorf("id %d drawn: %v, want %v", id, seen[id], want)
				}
			}
		})
	}
}

// TestDistribution compares 40,000 draws with the softmax by Pearson's chi-square. The seed is
// fixed, so the test is deterministic; the limit is the 99.9 % point for its degrees of freedom.
func TestDistribution(t *testing.T) {
	logits := []float32{0, 1, 2, -1, 0.5, 1.5, -3, 2.2, 0.1, -0.4}
	for _, c := range []struct {
		name  string
		p     backend.Sampling
		kept  []int32
		limit float64
	}{
		{"temperature 1", backend.Sampling{Temperature: 1, Seed: 11}, []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 27.88},
		{"temperature 0.7", backend.Sampling{Temperature: 0.7, Seed: 12}, []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 27.88},
		{"top-k 3", backend.Sampling{Temperature: 1, TopK: 3, Seed: 13}, []int32{2, 5, 7}, 13.82},
		// Sorted probabilities: .298 .244 .148 .090 …; the first three hold .69.
		{"top-p 0.65", backend.Sampling{Temperature: 1, TopP: 0.65, Seed: 14}, []int32{2, 5, 7}, 13.82},
	} {
		t.Run(c.name, func(t *testing.T) {
			const n = 40_000
			counts := map[int32]float64{}
			for p := range uint64(n) {
				c.p.Position = p
				counts[Token(logits, c.p)]++
			}
			var total, chi2, seen float64
			for _, id := range c.kept {
				total += math.Exp(float64(logits[id]) / float64(c.p.Temperature))
			}
			for _, id := range c.kept {
				want := n * math.Exp(float64(logits[id])/float64(c.p.Temperature)) / total
				chi2 += (counts[id] - want) * (counts[id] - want) / want
				seen += counts[id]
			}
			if seen != n {
				t.Errorf("%v draws of ids that should be cut off: %v", n-seen, counts)
			}
			if chi2 > c.limit {
				t.Errorf("chi-square %.2f over %.2f: %v", chi2, c.limit, counts)
			}
		})
	}
}

// TestSeedsAreIndependent: the pairs drawn at one position by neighbouring seeds, and by one
// seed at neighbouring positions, are spread evenly over all pairs.
func TestSeedsAreIndependent(t *testing.T) {
	logits := make([]float32, 4)
	var bySeed, byPosition [16]float64
	const n = 16_000
	for i := range uint64(n) {
		draw := func(seed, pos uint64) int32 {
			return Token(logits, backend.Sampling{Temperature: 1, Seed: seed, Position: pos})
		}
		bySeed[draw(i, 5)*4+draw(i+1, 5)]++
		byPosition[draw(3, i)*4+draw(3, i+1)]++
	}
	for name, counts := range map[string][16]float64{"seeds": bySeed, "positions": byPosition} {
		var chi2 float64
		for _, c := range counts {
			chi2 += (c - n/16) * (c - n/16) / (n / 16)
		}
		if chi2 > 37.70 { // 99.9 % point, 15 degrees of freedom
			t.Errorf("neighbouring %s: chi-square %.2f over 37.70: %v", name, chi2, counts)
		}
	}
}

func TestAllocations(t *testing.T) {
	logits := goldenToken{Vocab: 5000, LogitSeed: 1, Scale: 8}.logits()
	var s Sampler
	for _, c := range []struct {
		name string
		draw func()
	}{
		{"greedy", func() { Token(logits, backend.Sampling{}) }},
		{"plain temperature", func() { Token(logits, backend.Sampling{Temperature: 1, Seed: 1}) }},
		{"nucleus, sampler kept", func() { s.Token(logits, backend.Sampling{Temperature: 1, TopP: 0.9, TopK: 50}) }},
	} {
		c.draw()
		if got := testing.AllocsPerRun(10, c.draw); got != 0 {
			t.Errorf("%s: %v allocations a draw, want none", c.name, got)
		}
	}
}

func TestValidate(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, c := range []struct {
		name string
		p    backend.Sampling
		ok   bool
	}{
		{"greedy", backend.Sampling{}, true},
		{"usual", backend.Sampling{Temperature: 0.7, TopP: 0.9, TopK: 40}, true},
		{"top-p of one is off", backend.Sampling{Temperature: 1, TopP: 1}, true},
		{"negative temperature", backend.Sampling{Temperature: -0.1}, false},
		{"NaN temperature", backend.Sampling{Temperature: nan}, false},
		{"infinite temperature", backend.Sampling{Temperature: inf}, false},
		{"top-p above one", backend.Sampling{TopP: 1.1}, false},
		{"NaN top-p", backend.Sampling{TopP: nan}, false},
		{"negative top-k", backend.Sampling{TopK: -1}, false},
	} {
		if err := Validate(c.p); (err == nil) != c.ok {
			t.Errorf("%s: error %v, want ok %v", c.name, err, c.ok)
		}
	}
}

func TestLogProbs(t *testing.T) {
	logits := []float32{1, 2, 3}
	if got, want := LogSumExp(logits), math.Log(math.Exp(1)+math.Exp(2)+math.Exp(3)); math.Abs(got-want) > 1e-12 {
		t.Errorf("LogSumExp: got %v, want %v", got, want)
	}
	var sum float64
	for id := range int32(3) {
		sum += math.Exp(LogProb(logits, id))
	}
	if math.Abs(sum-1) > 1e-12 {
		t.Errorf("probabilities sum to %v, want 1", sum)
	}
	if got := LogProb(logits, 3); !math.IsInf(got, -1) {
		t.Errorf("log-probability of an id that isn't there: %v, want −Inf", got)
	}
	if got := LogSumExp([]float32{1000, 1000}); math.Abs(got-1000-math.Ln2) > 1e-9 {
		t.Errorf("great logits: got %v, want 1000 + ln 2", got)
	}
}

// FuzzToken feeds any bits as logits: no panic, an id that exists, the same one again, and the
// same as greedy where top-k keeps one.
func FuzzToken(f *testing.F) {
	f.Add([]byte{0, 0, 192, 127, 0, 0, 128, 127, 0, 0, 128, 255, 0, 0, 0, 128}, float32(1), 0, float32(0.9), uint64(1), uint64(2))
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, float32(0.7), 2, float32(0), uint64(0), uint64(0))
	f.Add([]byte{}, float32(0), -1, float32(math.NaN()), uint64(9), uint64(9))
	f.Fuzz(func(t *testing.T, raw []byte, temperature float32, topK int, topP float32, seed, position uint64) {
		logits := make([]float32, len(raw)/4)
		for i := range logits {
			b := raw[4*i:]
			logits[i] = math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
		}
		p := backend.Sampling{Temperature: temperature, TopK: topK, TopP: topP, Seed: seed, Position: position}
		got := Token(logits, p)
		if len(logits) == 0 {
			if got != -1 {
				t.Fatalf("id %d from no logits", got)
			}
			return
		}
		if got < 0 || int(got) >= len(logits) {
			t.Fatalf("id %d of %d logits", got, len(logits))
		}
		if again := Token(logits, p); again != got {
			t.Fatalf("drew %d, then %d", got, again)
		}
		if l := logits[got]; l != l || math.IsInf(float64(l), -1) {
			for _, o := range logits {
				if o == o && !math.IsInf(float64(o), -1) {
					t.Fatalf("drew %v although %v was there", l, o)
				}
			}
		}
		p.TopK = 1
		if one := Token(logits, p); one != Argmax(logits) {
			t.Fatalf("top-k of one gave %d, greedy gives %d", one, Argmax(logits))
		}
		if l := LogProb(logits, got); l > 0 || l != l {
			t.Fatalf("log-probability %v", l)
		}
	})
}

func BenchmarkToken(b *testing.B) {
	logits := goldenToken{Vocab: 151936, LogitSeed: 1, Scale: 16}.logits()
	for _, c := range []struct {
		name string
		p    backend.Sampling
	}{
		{"greedy", backend.Sampling{}},
		{"temperature", backend.Sampling{Temperature: 0.7}},
		{"top-p", backend.Sampling{Temperature: 0.7, TopP: 0.9}},
	} {
		b.Run(c.name, func(b *testing.B) {
			var s Sampler
			for b.Loop() {
				c.p.Position++
				s.Token(logits, c.p)
			}
		})
	}
}
