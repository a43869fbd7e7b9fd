package ref

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/sample"
)

// difference is the greatest one between elements.
func difference(t *testing.T, got []float32, want []float64) float64 {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	worst := 0.0
	for i := range got {
		d := math.Abs(float64(got[i]) - want[i])
		if math.IsNaN(d) {
			t.Fatalf("value %d is %v, want %v", i, got[i], want[i])
		}
		worst = max(worst, d)
	}
	return worst
}

func TestBlocksGiveTheSameNumbers(t *testing.T) {
	b := openTiny(t)
	ids, pages := someTokens(150), []backend.PageID{5, 0, 9}
	want := inBlocks(t, b, ids, len(ids), pages)
	for _, size := range []int{1, 7, 16, 64, 149} {
		if got := inBlocks(t, b, ids, size, pages); !slices.Equal(got, want) {
			t.Errorf("blocks of %d give other logits", size)
		}
	}
}

func TestRowsDontMeet(t *testing.T) {
	b := openTiny(t)
	first, second := someTokens(100), someTokens(90)[20:]
	onePages, twoPages := []backend.PageID{0, 1}, []backend.PageID{2, 3}
	wantFirst := inBlocks(t, b, first, 100, onePages)
	wantSecond := inBlocks(t, b, second, 70, []backend.PageID{4, 5})
	// Fed together, one by a long chunk and one by short ones.
	out := step(t, b,
		backend.Row{Tokens: first[:99], Pages: onePages},
		backend.Row{Tokens: second[:30], Pages: twoPages})
	if out[0].Logits != nil || out[0].LogProbs != nil || out[0].Token != -1 {
		t.Errorf("a row that asks for nothing got %+v", out[0])
	}
	out = step(t, b,
		backend.Row{Tokens: second[30:], Start: 30, Pages: twoPages, WantLogits: true},
		backend.Row{Tokens: first[99:], Start: 99, Pages: onePages, WantLogits: true})
	if !slices.Equal(out[0].Logits, wantSecond) || !slices.Equal(out[1].Logits, wantFirst) {
		t.Error("two sequences in one batch give other logits than each alone")
	}
}

func TestSharedPrefix(t *testing.T) {
	b := openTiny(t)
	ids := someTokens(100)
	want := inBlocks(t, b, ids, 100, []backend.PageID{0, 1})
	// Two rows read page 0 together; the second page's first 20 positions are copied.
	if err := b.Pages().Copy(7, 1, 20); err != nil {
		t.Fatal(err)
	}
	out := step(t, b,
		backend.Row{Tokens: ids[84:], Start: 84, Pages: []backend.PageID{0, 7}, WantLogits: true},
		backend.Row{Tokens: ids[64:], Start: 64, Pages: []backend.PageID{0, 8}, WantLogits: true})
	for i := range out {
		if !slices.Equal(out[i].Logits, want) {
			t.Errorf("row %d, which takes its beginning from other pages, gives other logits", i)
		}
	}
	if err := b.Pages().Copy(9, 1, 10); err != nil {
		t.Fatal(err)
	}
	out = step(t, b, backend.Row{Tokens: ids[84:], Start: 84, Pages: []backend.PageID{0, 9}, WantLogits: true})
	if slices.Equal(out[0].Logits, want) {
		t.Error("copying 10 of 20 positions gives the logits of all 20")
	}
}

func TestCopyRefusals(t *testing.T) {
	pages := openTiny(t).Pages()
	for _, c := range []struct {
		dst, src backend.PageID
		tokens   int
	}{{0, 0, 1}, {-1, 0, 1}, {0, -1, 1}, {0, backend.PageID(pages.Count()), 1}, {backend.PageID(pages.Count()), 0, 1}, {0, 1, 0}, {0, 1, 65}} {
		if err := pages.Copy(c.dst, c.src, c.tokens); err == nil {
			t.Errorf("Copy(%d, %d, %d): got no error", c.dst, c.src, c.tokens)
		}
	}
}

// TestLogProbsAreThoseOfLogits compares the two ways to the same numbers.
func TestLogProbsAreThoseOfLogits(t *testing.T) {
	b := openTiny(t)
	ids := someTokens(12)
	pages := []backend.PageID{0}
	got := step(t, b, backend.Row{Tokens: ids, Pages: pages, WantAllLogProbs: true})[0].LogProbs
	if len(got) != len(ids)-1 {
		t.Fatalf("%d log-probabilities for %d tokens", len(got), len(ids))
	}
	for i := range got {
		logits := step(t, b, backend.Row{Tokens: ids[i : i+1], Start: i, Pages: pages, WantLogits: true})[0].Logits
		if want := sample.LogProb(logits, ids[i+1]); math.Abs(float64(got[i])-want) > 1e-5 {
			t.Errorf("token %d: log-probability %v, want %v from the logits", i+1, got[i], want)
		}
	}
}

func TestSampling(t *testing.T) {
	b := openTiny(t)
	ids := someTokens(9)
	for _, p := range []backend.Sampling{{}, {Temperature: 0.7, TopP: 0.9, Seed: 5, Position: 9}, {Temperature: 1, TopK: 3, Seed: 6, Position: 9}} {
		out := step(t, b, backend.Row{Tokens: ids, Pages: []backend.PageID{0}, Sample: &p, WantLogits: true})[0]
		if want := sample.Token(out.Logits, p); out.Token != want {
			t.Errorf("%+v: token %d, want %d from the logits", p, out.Token, want)
		}
	}
}

func TestLaunchAndCollectAlternate(t *testing.T) {
	b := openTiny(t)
	one := &backend.Batch{Rows: []backend.Row{{Tokens: []int32{1}, Pages: []backend.PageID{0}}}}
	two := &backend.Batch{Rows: []backend.Row{{Tokens: []int32{1}, Pages: []backend.PageID{1}}}}
	if err := b.Collect(one); err == nil {
		t.Error("collecting what wasn't launched: got no error")
	}
	if err := b.Launch(one); err != nil {
		t.Fatal(err)
	}
	if err := b.Launch(two); err == nil {
		t.Error("a second batch in flight: got no error")
	}
	if err := b.Collect(two); err == nil {
		t.Error("collecting the wrong batch: got no error")
	}
	if err := b.Collect(one); err != nil {
		t.Error(err)
	}
	if err := b.Collect(one); err == nil {
		t.Error("collecting twice: got no error")
	}
}

func TestOpenOptions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tiny")
	c := tiny(t)
	b := open(t, dir, c, Options{})
	info, memory := b.Info(), b.Memory()
	if info.Name != "ref" || info.Compute != "f64" || info.MaxContext != 1024 || info.VocabSize != 512 || info.MaxInFlight != 1 {
		t.Errorf("got %+v", info)
	}
	// 64 pages of 64 positions, 2 layers, keys and values of 2 heads of 64, 8 bytes each.
	if got, want := memory.KV, int64(64*64*2*2*2*64*8); got != want || b.Pages().BytesPerPage() != want/64 || b.Pages().Count() != 64 {
		t.Errorf("%d bytes in %d pages of %d, want %d in 64", got, b.Pages().Count(), b.Pages().BytesPerPage(), want)
	}
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if in := m.Inspect(); memory.Weights != 4*in.Parameters {
		t.Errorf("%d bytes of weights, want 4 for each of %d", memory.Weights, in.Parameters)
	}
	for _, o := range []Options{{MaxContext: 1025}, {MaxContext: -1}, {Pages: -1}} {
		if _, err := Open(m, o); err == nil {
			t.Errorf("%+v: got no error", o)
		}
	}
}
