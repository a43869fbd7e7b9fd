package harness

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
)

func TestTokenTruthAndStreams(t *testing.T) {
	type change = func(n int, r *target.Request, reply *target.Reply, emit func(target.Event)) error
	// Every second request is touched: two of the four of each trial.
	second := func(f func(reply *target.Reply, emit func(target.Event))) change {
		return func(n int, _ *target.Request, reply *target.Reply, emit func(target.Event)) error {
			if n%2 == 0 {
				f(reply, emit)
			}
			return nil
		}
	}
	for _, c := range []struct {
		name              string
		change            change
		wrong             func(ids []int32, n int) bool
		agreement, stream float64
	}{
		{"a correct engine", nil, nil, 1, 1},
		{"usage is one off", second(func(r *target.Reply, _ func(target.Event)) { *r.Tokens.Usage++ }), nil, 0.5, 1},
		{"usage says more than was streamed, consistently", second(func(r *target.Reply, _ func(target.Event)) {
			*r.Tokens.Usage++
			*r.Tokens.Engine++
		}), nil, 0.5, 1},
		{"an id that isn't in the text", second(func(r *target.Reply, _ func(target.Event)) { r.IDs[3] = 77 }), nil, 0.5, 1},
		{"tokens that the model would not give", nil, func(ids []int32, n int) bool { return true }, 0, 1},
		{
			// The ids spell the text in another way than the tokenizer: honest.
			"a spelling that the tokenizer would not choose", func(_ int, _ *target.Request, r *target.Reply, emit func(target.Event)) error {
				emit(target.Event{At: r.End, Text: "w11 w12 "})
				r.Text += "w11 w12 "
				r.IDs = append(r.IDs, twoWords)
				*r.Tokens.Engine, *r.Tokens.Usage = len(r.IDs), len(r.IDs)
				return nil
			}, nil, 1, 1,
		},
		{"a piece that is not UTF-8", second(func(r *target.Reply, emit func(target.Event)) {
			emit(target.Event{At: r.End, Text: "\xe2\x82"})
			r.Text += "\xe2\x82"
		}), nil, 0.5, 0.5}, // and it is no id's text
		{"a text that isn't its pieces", second(func(r *target.Reply, _ func(target.Event)) { r.Text = strings.ToUpper(r.Text) }), nil, 1, 0.5},
		{"no usage", second(func(r *target.Reply, _ func(target.Event)) { r.Tokens.Usage = nil }), nil, 1, 0.5},
		{"the target knows best", second(func(r *target.Reply, _ func(target.Event)) { r.Broken = "a chunk was no JSON" }), nil, 1, 0.5},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := steady()
				f.change, f.wrong = c.change, c.wrong
				cell := cellOf(nil)
				cell.Request.IgnoreEOS = false
				round := mustRun(t, f, Deps{}, cell)
				want(t, c.name, round.Cells[0].Values, map[metric.ID]*float64{
					"token_agreement": &c.agreement, "stream_integrity": &c.stream,
				})
				if !round.Valid {
					t.Errorf("the round is invalid: %+v", round.Cells[0].Trials[0].Reasons)
				}
			})
		})
	}
}

func TestRetokenise(t *testing.T) {
	w := func(ids ...int32) string {
		s, err := wordTokenizer{}.Decode(ids)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range []struct {
		name     string
		ids      []int32
		text     string
		finish   string
		count    *int
		disagree bool
	}{
		{"canonical", []int32{1, 2, 3}, w(1, 2, 3), "length", new(3), false},
		{"an end token has no text", []int32{1, 2, endToken}, w(1, 2), "stop", new(3), false},
		{"another spelling", []int32{1, twoWords}, w(1, 11, 12), "length", nil, false},
		{"another text", []int32{1, 2, 3}, w(1, 2, 4), "length", new(3), true},
		{"a text with more", []int32{1, 2}, w(1, 2, 3), "length", new(3), true},
		{"ids that don't decode", []int32{1, -1}, w(1), "length", nil, true},
		{"a server without ids", nil, w(1, 2, 3), "length", new(3), false},
		{"a server without ids, stopped", nil, w(1, 2, 3), "stop", new(4), false},
		{"nothing", []int32{}, "", "stop", new(0), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, disagreement := retokenise(wordTokenizer{}, &target.Reply{IDs: c.ids, Text: c.text, Finish: c.finish})
			if (n == nil) != (c.count == nil) || n != nil && *n != *c.count {
				t.Errorf("count %v, want %v", deref(n), deref(c.count))
			}
			if (disagreement != "") != c.disagree || c.disagree && !isTokenTruth(disagreement) {
				t.Errorf("disagreement %q, want one: %v", disagreement, c.disagree)
			}
		})
	}
}

func deref(n *int) any {
	if n == nil {
		return "unknown"
	}
	return *n
}

func TestAgreementNeedsTwoCounts(t *testing.T) {
	for _, c := range []struct {
		name   string
		counts result.Counts
		broken string
		known  int
		ok     bool
	}{
		{"none", result.Counts{}, "", 0, true},
		{"one", result.Counts{Usage: new(3)}, "", 1, true},
		{"two alike", result.Counts{Usage: new(3), Retokenised: new(3)}, "", 2, true},
		{"third differs", result.Counts{Engine: new(3), Usage: new(3), Retokenised: new(4)}, "", 3, false},
		{"counts agree, tokens don't", result.Counts{Engine: new(3), Usage: new(3)}, truthDecodes, 2, false},
		{"a broken stream is not a matter of tokens", result.Counts{Engine: new(3), Usage: new(3)}, brokenEnd, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			known, ok := agreement(&result.Sample{Tokens: c.counts, Broken: c.broken})
			if known != c.known || ok != c.ok {
				t.Errorf("%d known, agree %v; want %d and %v", known, ok, c.known, c.ok)
			}
		})
	}
	// One known count says nothing: no value.
	values, _ := Values(Window{Nanos: 1e9, Own: []result.Sample{{Admitted: 1, Scheduled: 1, End: 5, Events: []int64{3}, Tokens: result.Counts{Usage: new(1)}}}})
	if slices.ContainsFunc(values, func(v result.Value) bool { return v.Metric == "token_agreement" }) {
		t.Error("one count agreed with itself")
	}
}
