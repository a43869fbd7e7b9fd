package harness

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// TestCachesAreProven: what a cell says of the prefix cache is held against what the
// subject counted.
func TestCachesAreProven(t *testing.T) {
	shared := func(c *spec.Cell) {
		c.Request.Cache, c.Data = "shared", spec.Data{Type: "synthetic", ISL: 80, Tail: 16}
	}
	for _, c := range []struct {
		name    string
		cell    func(*spec.Cell)
		cached  int
		known   bool
		invalid []string
		warned  []string
	}{
		{name: "cold and cold", known: true},
		{name: "cold and warm", cached: 1, known: true, invalid: []string{"cache"}},
		{name: "cold, and nobody tells"},
		{name: "warm and warm", cell: shared, cached: 64, known: true},
		{name: "warm and cold", cell: shared, known: true, invalid: []string{"cache"}},
		{name: "warm, and nobody tells", cell: shared, warned: []string{"cache"}},
		{name: "left as they are", cell: func(c *spec.Cell) { c.Request.Cache = "shared" }, known: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := steady()
				f.change = func(_ int, _ *target.Request, reply *target.Reply, _ func(target.Event)) error {
					reply.Cached, reply.CachedKnown = c.cached, c.known
					return nil
				}
				round := mustRun(t, f, Deps{}, cellOf(c.cell))
				for _, trial := range round.Cells[0].Trials {
					if got := codes(trial.Reasons, false); !slices.Equal(got, c.invalid) {
						t.Errorf("reasons %+v, want %v", trial.Reasons, c.invalid)
					}
					got := slices.DeleteFunc(codes(trial.Reasons, true), func(s string) bool { return s == "samples" })
					if !slices.Equal(got, c.warned) {
						t.Errorf("warnings %v, want %v", got, c.warned)
					}
				}
			})
		})
	}
}

// templated puts a system prompt of five tokens before what is said.
type templated struct{ letters }

func (templated) Prompt(_, user string) (string, error) { return "<s>be kind</s><u>" + user, nil }

// TestHeadOfATemplate: a server may find the beginning of its template in the cache,
// and not a token more.
func TestHeadOfATemplate(t *testing.T) {
	chat := func(s *spec.Cell) { s.Request.API = "chat" }
	for _, c := range []struct {
		name   string
		cell   func(*spec.Cell)
		tok    target.Tokenizer
		traits target.Traits
		want   int
	}{
		{"no template", nil, templated{}, target.Traits{}, 0},
		{"an engine that can be told", chat, templated{}, target.Traits{HonoursNoCache: true}, 0},
		{"a server", chat, templated{}, target.Traits{}, 5},
		{"a server whose tokens can't be counted", chat, nil, target.Traits{}, headUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			cell := cellOf(c.cell)
			got := headOf(cell, c.tok, c.traits)
			if got != c.want {
				t.Fatalf("got %d, want %d", got, c.want)
			}
			at := func(cached int) []string {
				w := Window{Own: []result.Sample{{Index: 3, PromptTokens: 500, CachedTokens: cached, CachedKnown: true}}}
				return codes(judgeCache(cell, w, got), false)
			}
			if in, out := at(c.want), at(c.want+1); len(in) != 0 || !slices.Equal(out, []string{"cache"}) {
				t.Errorf("%d cached tokens give %v, one more %v", c.want, in, out)
			}
		})
	}
}

// TestSharedPrefixes: prompts are alike up to their tail, and the next round's too.
func TestSharedPrefixes(t *testing.T) {
	cell := cellOf(func(s *spec.Cell) { s.Request.Cache, s.Data = "shared", spec.Data{Type: "synthetic", ISL: 40, Tail: 8} })
	for name, traits := range map[string]target.Traits{"ids": {TakesIDs: true, HonoursNoCache: true}, "text": {}} {
		t.Run(name, func(t *testing.T) {
			p, err := newPrompts(cell, wordTokenizer{}, traits, "n", nil)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			var first []int32
			for phase := range 2 {
				for i := range 5 {
					r, err := p.request(phase, i)
					if err != nil {
						t.Fatal(err)
					}
					ids := r.IDs
					if ids == nil {
						ids, _ = wordTokenizer{}.Encode(r.Text)
					}
					if first == nil {
						first = ids
					}
					if len(ids) != 40 || !reflect.DeepEqual(ids[:32], first[:32]) || r.NoCache {
						t.Fatalf("request %d of phase %d: %d ids, no cache %v; want 40 with the first 32 shared", i, phase, len(ids), r.NoCache)
					}
					seen[fmt.Sprint(ids[32:])] = true
				}
			}
			if len(seen) != 10 {
				t.Errorf("10 prompts have %d tails", len(seen))
			}
		})
	}
}

// picky joins the last two words of a text, of every other one, into a token.
type picky struct{ wordTokenizer }

func (picky) Encode(text string) ([]int32, error) {
	ids, err := wordTokenizer{}.Encode(text)
	if n := len(ids); n > 1 && (ids[n-1]+ids[n-2])%2 == 0 {
		ids = append(ids[:n-2], 99)
	}
	return ids, err
}

// TestSharedPrefixesStayShared: a text that doesn't keep its length when it is tokenised
// again is passed over, and what the prompts share stays the same.
func TestSharedPrefixesStayShared(t *testing.T) {
	cell := cellOf(func(s *spec.Cell) { s.Request.Cache, s.Data = "shared", spec.Data{Type: "synthetic", ISL: 40, Tail: 8} })
	p, err := newPrompts(cell, picky{}, target.Traits{}, "n", nil)
	if err != nil {
		t.Fatal(err)
	}
	heads, tails := map[string]bool{}, map[string]bool{}
	for i := range 40 {
		r, err := p.request(1, i)
		if err != nil {
			t.Fatal(err)
		}
		ids, _ := picky{}.Encode(r.Text)
		if len(ids) != 40 {
			t.Fatalf("request %d has %d tokens", i, len(ids))
		}
		heads[fmt.Sprint(ids[:32])], tails[fmt.Sprint(ids[32:])] = true, true
	}
	if len(heads) != 1 || len(tails) < 39 {
		t.Errorf("40 prompts have %d beginnings and %d ends", len(heads), len(tails))
	}
}

// TestVariantsHaveAStartOfTheirOwn: one after the other, after the subject itself, with
// their own cells, identity and first request.
func TestVariantsHaveAStartOfTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cell := func(name, variant string) spec.Cell {
			return cellOf(func(c *spec.Cell) { c.Workload, c.Variant, c.Digest = name, variant, name })
		}
		var opened []string
		var open *fake
		d := Deps{Open: func(_ context.Context, o Order) (Opened, error) {
			if open != nil && !open.closed {
				t.Error("two subjects are open at a time")
			}
			text := o.Subject.Target + ":"
			for _, c := range o.Cells {
				text += " " + c.Workload
			}
			opened = append(opened, text)
			open = steady()
			open.dtype = o.Subject.Target
			return Opened{Target: open, Tokenizer: wordTokenizer{}}, nil
		}}
		cells := []spec.Cell{cell("first", "fast"), cell("plain", ""), cell("second", "fast"), cell("third", "small")}
		round, err := RunRound(t.Context(), Order{
			Run: "r", Attempt: "a", Index: 1, Cells: cells, Subject: result.Subject{Target: "base"}, Spawned: time.Now().Add(-time.Second),
		}, d)
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"base: plain", "fast: first second", "small: third"}; !slices.Equal(opened, want) {
			t.Errorf("opened %q, want %q", opened, want)
		}
		if round.Subject.DType != "base" {
			t.Errorf("the round's subject is %+v", round.Subject)
		}
		for i, want := range []struct{ workload, target string }{{"first", "fast"}, {"plain", ""}, {"second", "fast"}, {"third", "small"}} {
			c := round.Cells[i]
			if c.Workload != want.workload || c.Target != want.target || c.DType != want.target || !c.Valid {
				t.Errorf("cell %d: %s of %q, precision %q, valid %v; want %+v", i, c.Workload, c.Target, c.DType, c.Valid, want)
			}
			_, loaded := find(c.Values, "load_time")
			_, resident := find(c.Values, "mem_peak_process")
			if own := want.target == ""; loaded != own || resident != own {
				t.Errorf("%s: load time %v, resident memory %v: they are the first subject's alone", c.Workload, loaded, resident)
			}
			if _, ok := find(c.Values, "ttft_first_request"); ok != (c.Workload != "second") {
				t.Errorf("%s has a first request: %v", c.Workload, ok)
			}
		}
		a := result.KeyOf(&round, result.Subject{Target: "base"}, &round.Cells[0], "output_rate")
		b := result.KeyOf(&round, result.Subject{Target: "base"}, &round.Cells[1], "output_rate")
		if a.Target != "fast" || a.DType != "fast" || b.Target != "base" || b.DType != "base" {
			t.Errorf("keys %+v and %+v", a, b)
		}
	})
}

// TestNoKVNeedsATarget: one that can't compute without its cache isn't measured with it.
func TestNoKVNeedsATarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cell := cellOf(func(c *spec.Cell) { c.Request.NoKV = true })
		_, err := runFake(t, steady(), Deps{}, cell)
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "workload w has kv_cache: off") {
			t.Errorf("got %v", err)
		}
		f := steady()
		f.noKV = true
		mustRun(t, f, Deps{}, cell)
		for _, r := range f.requests {
			if !r.NoKV {
				t.Fatal("a request was sent with a KV cache")
			}
		}
	})
}

func TestWarmColdRatio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		isl := func(n string) map[string]string { return map[string]string{"isl": n} }
		cell := func(workload, cache, n string) spec.Cell {
			return cellOf(func(c *spec.Cell) {
				c.Workload, c.Request.Cache, c.Point, c.Digest = workload, cache, isl(n), workload+n
				c.Data = spec.Data{Type: "synthetic", ISL: 80}
				if cache == "shared" {
					c.Speedups = []spec.Speedup{{Metric: "output_rate", Over: "cold"}, {Metric: "ttft.p50", Over: "cold"}}
				}
			})
		}
		f := steady() // 25 ms to the first token, whatever is asked
		f.change = func(_ int, r *target.Request, reply *target.Reply, _ func(target.Event)) error {
			reply.CachedKnown = true
			if !r.NoCache {
				reply.Cached = 64
			}
			return nil
		}
		f.prefillOf = func(r target.Request) time.Duration {
			if r.NoCache {
				return 40 * time.Millisecond
			}
			return 10 * time.Millisecond
		}
		round := mustRun(t, f, Deps{}, cell("cold", "bust", "1"), cell("cold", "bust", "2"), cell("warm", "shared", "1"), cell("warm", "shared", "2"))
		for _, c := range round.Cells {
			want(t, c.Workload, c.Values, map[metric.ID]*float64{"warm_cold_ratio": map[string]*float64{"warm": new(0.25)}[c.Workload]})
		}
	})
}

// TestARepeatedTrialIsWarmToo: trials that the machine spoilt are run again with prompts
// of their own, whose beginning the cache has to be sent first.
func TestARepeatedTrialIsWarmToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := steady()
		seen := map[string]bool{}
		f.change = func(_ int, r *target.Request, reply *target.Reply, _ func(target.Event)) error {
			prefix := fmt.Sprint(r.IDs[:64])
			reply.CachedKnown = true
			if seen[prefix] {
				reply.Cached = 64
			}
			seen[prefix] = true
			return nil
		}
		d := Deps{Clock: hiccup{until: time.Now().Add(600 * time.Millisecond)}}
		c := mustRun(t, f, d, cellOf(func(c *spec.Cell) {
			c.Request.Cache, c.Data = "shared", spec.Data{Type: "synthetic", ISL: 80, Tail: 16}
		})).Cells[0]
		for i, trial := range c.Trials {
			if slices.Contains(codes(trial.Reasons, false), "cache") {
				t.Errorf("trial %d: %+v", i+1, trial.Reasons)
			}
		}
		if len(c.Trials) != 3 || !c.Valid || len(seen) != 2 { // the cell has one, its repetition another
			t.Errorf("%d trials, valid %v, %d beginnings", len(c.Trials), c.Valid, len(seen))
		}
	})
}
