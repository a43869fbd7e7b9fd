package harness

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

func TestRoundsSendTheSameRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := steady(), steady()
		cell := cellOf(func(c *spec.Cell) { c.Data = spec.Data{Type: "synthetic", ISL: 40} })
		mustRun(t, a, Deps{}, cell)
		mustRun(t, b, Deps{}, cell)
		if !reflect.DeepEqual(a.requests, b.requests) {
			t.Error("two rounds of one cell sent different requests")
		}
		seen := map[string]bool{}
		seeds := map[uint64]bool{}
		for _, r := range a.requests {
			if len(r.IDs) != 40 || r.Text != "" || !r.NoCache {
				t.Errorf("request %s has %d ids and text %q, want 40 ids and no cache", r.ID, len(r.IDs), r.Text)
			}
			seen[fmt.Sprint(r.IDs)], seeds[r.Seed] = true, true
		}
		if len(seen) != len(a.requests) || len(seeds) != len(a.requests) {
			t.Errorf("%d requests have %d prompts and %d seeds: warm-up, trials and requests must differ", len(a.requests), len(seen), len(seeds))
		}
		cell.Seed++
		c := steady()
		mustRun(t, c, Deps{}, cell)
		if reflect.DeepEqual(a.requests, c.requests) {
			t.Error("another seed sent the same requests")
		}
	})
}

// letters counts groups of four letters, so that the marker's tokens depend on its
// letters: a doubled letter makes one token more.
type letters struct{ wordTokenizer }

func (letters) Encode(text string) ([]int32, error) {
	ids := []int32{}
	for i := range len(text) {
		if i%4 == 0 || text[i] == text[i-1] {
			ids = append(ids, int32(text[i]))
		}
	}
	return ids, nil
}

func TestMarkerBustsTheCacheAndKeepsTheLength(t *testing.T) {
	cell := cellOf(nil)
	make := func(nonce string) []string {
		p, err := newPrompts(cell, letters{}, target.Traits{}, nonce, nil)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for phase := range 3 {
			for i := range 40 {
				r, err := p.request(phase, i)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, r.Text)
			}
		}
		return texts
	}
	first := make("run/1")
	wantTokens, _ := letters{}.Encode(first[0])
	heads := map[string]bool{}
	for _, text := range append(first, make("run/2")...) {
		ids, _ := letters{}.Encode(text)
		if len(ids) != len(wantTokens) || !strings.HasSuffix(text, "] one two three four") {
			t.Errorf("%q has %d tokens, want %d and the prompt at its end", text, len(ids), len(wantTokens))
		}
		heads[text[:8]] = true
	}
	if len(heads) != 2*len(first) {
		t.Errorf("%d prompts have %d beginnings", 2*len(first), len(heads))
	}
}

func TestCachePolicies(t *testing.T) {
	for _, c := range []struct {
		name   string
		cache  string
		traits target.Traits
		data   spec.Data
		same   bool // all prompts alike
		plain  bool // the prompt is sent as it is
	}{
		{"bust where the target can be told", "bust", target.Traits{HonoursNoCache: true}, spec.Data{Type: "prompt", Prompts: []string{"p q"}}, true, true},
		{"bust where it can't", "bust", target.Traits{}, spec.Data{Type: "prompt", Prompts: []string{"p q"}}, false, false},
		{"shared", "shared", target.Traits{}, spec.Data{Type: "prompt", Prompts: []string{"p q"}}, true, true},
		{"shared synthetic", "shared", target.Traits{TakesIDs: true}, spec.Data{Type: "synthetic", ISL: 9}, true, false},
		{"synthetic as text", "bust", target.Traits{}, spec.Data{Type: "synthetic", ISL: 9}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cell := cellOf(func(s *spec.Cell) { s.Request.Cache, s.Data = c.cache, c.data })
			p, err := newPrompts(cell, wordTokenizer{}, c.traits, "n", nil)
			if err != nil {
				t.Fatal(err)
			}
			a, errA := p.request(1, 0)
			b, errB := p.request(1, 1)
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			same := a.Text == b.Text && reflect.DeepEqual(a.IDs, b.IDs)
			if same != c.same || (a.Text == "p q") != c.plain || a.NoCache != (c.cache == "bust") {
				t.Errorf("prompts %q %v and %q %v, no cache %v", a.Text, a.IDs, b.Text, b.IDs, a.NoCache)
			}
			if c.data.ISL > 0 {
				if n, _ := p.tok.Encode(a.Text); len(a.IDs) != 9 && len(n) != 9 {
					t.Errorf("%d ids, text of %d tokens, want 9", len(a.IDs), len(n))
				}
			}
		})
	}
}

func TestDataSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cell := cellOf(func(c *spec.Cell) { c.Data = spec.Data{Type: "dataset", Dataset: "d", Digest: "x"} })
		f := steady()
		d := Deps{Dataset: func(name, digest string) ([]string, error) { return []string{name + " " + digest, "second"}, nil }}
		mustRun(t, f, d, cell)
		if f.requests[0].Text != "d x" || f.requests[3].Text != "second" {
			t.Errorf("prompts %q and %q", f.requests[0].Text, f.requests[3].Text)
		}
		d.Dataset = func(string, string) ([]string, error) { return nil, errors.New("digest differs") }
		if _, err := runFake(t, steady(), d, cell); err == nil || !strings.Contains(err.Error(), "digest differs") {
			t.Errorf("error %v", err)
		}
	})
}

func TestEventsAllocateNothing(t *testing.T) {
	const tokens = 4096
	base := time.Now()
	x := newExchange(load.System{}, base, target.Request{MaxTokens: tokens}, load.Ticket{}, &load.Meter{})
	_, x.cancel = context.WithCancel(t.Context())
	e := target.Event{At: base.Add(time.Millisecond), Text: "piece ", Tokens: 1}
	if got := testing.AllocsPerRun(tokens-2, func() { x.event(e) }); got != 0 {
		t.Errorf("%v allocations an event, want none", got)
	}
}

func TestShareIsEven(t *testing.T) {
	for _, rate := range []float64{0, 0.1, 0.25, 1.0 / 3, 0.5, 1} {
		n := 0
		for i := range 300 {
			if share(i, rate) {
				n++
			}
		}
		if wantN := int(300*rate + 1e-6); n != wantN {
			t.Errorf("%v of 300 are %d, want %d", rate, n, wantN)
		}
	}
}
