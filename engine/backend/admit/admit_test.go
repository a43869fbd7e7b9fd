package admit

import (
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

func limits() backend.Info {
	return backend.Info{MaxInFlight: 1, MaxRows: 256, MaxTokens: 512, MaxContext: 300, MaxDraft: 4, VocabSize: 512}
}

func row(change func(*backend.Row)) []backend.Row {
	r := backend.Row{Tokens: []int32{1, 2}, Pages: []backend.PageID{0}}
	change(&r)
	return []backend.Row{r}
}

func TestRefuses(t *testing.T) {
	d := New(limits(), 8)
	for _, c := range []struct {
		name string
		rows []backend.Row
		want string
	}{
		{"no rows", nil, "0 rows"},
		{"no tokens", row(func(r *backend.Row) { r.Tokens = nil }), "row 0: 0 tokens"},
		{"chained", row(func(r *backend.Row) { r.Tokens, r.Chained = nil, true }), "chained"},
		{"token above the vocabulary", row(func(r *backend.Row) { r.Tokens[1] = 512 }), "token 1 has id 512"},
		{"negative token", row(func(r *backend.Row) { r.Tokens[0] = -1 }), "token 0 has id -1"},
		{"negative start", row(func(r *backend.Row) { r.Start = -1 }), "from position -1"},
		{"beyond the context", row(func(r *backend.Row) { r.Start = 299; r.Pages = []backend.PageID{0, 1, 2, 3, 4} }), "the context has 300 positions"},
		{"a page too few", row(func(r *backend.Row) { r.Start = 63 }), "want 2"},
		{"unknown page", row(func(r *backend.Row) { r.Pages[0] = 8 }), "is 8: want 0 to 7"},
		{"the same page twice", row(func(r *backend.Row) { r.Start = 63; r.Pages = []backend.PageID{1, 1} }), "used 2 times"},
		{"a bad temperature", row(func(r *backend.Row) { r.Sample = &backend.Sampling{Temperature: -1} }), "temperature"},
		{"all drafts", row(func(r *backend.Row) { r.Sample, r.Draft = &backend.Sampling{}, 2 }), "2 of 2 tokens are drafts"},
		{"too many drafts", row(func(r *backend.Row) { r.Tokens, r.Sample, r.Draft = make([]int32, 9), &backend.Sampling{}, 5 }), "want 0 to 4"},
		{"drafts and no draw", row(func(r *backend.Row) { r.Draft = 1 }), "no token is to be drawn"},
		{"two rows write one page", []backend.Row{
			{Tokens: []int32{1}, Pages: []backend.PageID{1}}, {Tokens: []int32{2}, Pages: []backend.PageID{1}},
		}, "used 2 times"},
		{"one row writes what another reads", []backend.Row{
			{Tokens: []int32{1}, Start: 64, Pages: []backend.PageID{1, 2}}, {Tokens: []int32{2}, Pages: []backend.PageID{1}},
		}, "row 1 writes page 1"},
		{"too many tokens", []backend.Row{
			{Tokens: make([]int32, 300), Pages: []backend.PageID{0, 1, 2, 3, 4}},
			{Tokens: make([]int32, 192), Pages: []backend.PageID{5, 6, 7}},
			{Tokens: make([]int32, 21), Pages: []backend.PageID{5}},
		}, "513 tokens"},
		{"too many rows", make([]backend.Row, 257), "257 rows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := d.Check(&backend.Batch{Rows: c.rows}, nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
		})
	}
	if err := d.Check(nil, nil); err == nil {
		t.Error("no batch at all was let in")
	}
	// What was refused leaves nothing behind.
	if err := d.Check(&backend.Batch{Rows: row(func(*backend.Row) {})}, nil); err != nil {
		t.Error(err)
	}
}

func TestChained(t *testing.T) {
	i := limits()
	i.MaxInFlight = 2
	d := New(i, 8)
	draws := &backend.Batch{Rows: []backend.Row{
		{Tokens: []int32{1}, Pages: []backend.PageID{0}},
		{Tokens: []int32{1}, Pages: []backend.PageID{1}, Sample: &backend.Sampling{}},
	}}
	chained := func(to int) *backend.Batch {
		return &backend.Batch{Rows: []backend.Row{{Chained: true, ChainRow: to, Start: 1, Pages: []backend.PageID{1}, Sample: &backend.Sampling{}}}}
	}
	if err := d.Check(chained(1), draws); err != nil {
		t.Error(err)
	}
	for _, to := range []int{-1, 0, 2} {
		if err := d.Check(chained(to), draws); err == nil {
			t.Errorf("a row chained to row %d was let in, which draws nothing", to)
		}
	}
	if err := d.Check(chained(1), nil); err == nil {
		t.Error("a chained row was let in with no batch in flight")
	}
	more := chained(1)
	more.Rows[0].Tokens = []int32{4}
	if err := d.Check(more, draws); err == nil {
		t.Error("a chained row with a token of its own was let in")
	}
}

func TestAllocations(t *testing.T) {
	d := New(limits(), 8)
	b := &backend.Batch{Rows: row(func(r *backend.Row) { r.Sample = &backend.Sampling{Temperature: 1} })}
	if n := testing.AllocsPerRun(100, func() {
		if err := d.Check(b, nil); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations to check a good batch, want none", n)
	}
}
