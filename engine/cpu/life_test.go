//go:build native

package cpu

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/backend"
)

// status is a number of /proc/self/status.
func status(t *testing.T, field string) int {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s in /proc/self/status", field)
	return 0
}

// TestCloseFreesAll opens and closes often: neither threads nor memory may stay.
func TestCloseFreesAll(t *testing.T) {
	c := shapes()["even"]
	m := checkpoint(t, c)
	threads, kib, each := 0, 0, 0
	for i := range 24 {
		b, err := Open(m, Options{})
		if err != nil {
			t.Fatal(err)
		}
		step(t, b, backend.Row{Tokens: []int32{1, 2, 3}, Pages: []backend.PageID{0}, WantLogits: true})
		mem := b.Memory()
		if mem.Weights <= 0 || mem.KV != int64(b.Pages().Count())*b.Pages().BytesPerPage() || mem.Activation <= 0 {
			t.Fatalf("memory %+v, %d pages of %d bytes", mem, b.Pages().Count(), b.Pages().BytesPerPage())
		}
		each = int(mem.Total() / 1024)
		for range 2 {
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if b.Memory().Total() != 0 {
			t.Fatalf("memory after Close: %+v", b.Memory())
		}
		if err := b.Launch(&backend.Batch{Rows: []backend.Row{{Tokens: []int32{1}, Pages: []backend.PageID{0}}}}); err == nil {
			t.Fatal("launch after Close: no error")
		}
		if i == 3 { // the runtime and the allocator have settled
			threads, kib = status(t, "Threads"), status(t, "VmRSS")
		}
	}
	// The Go runtime may start a thread of its own; 20 engines would leave 20.
	if got := status(t, "Threads"); got > threads+4 {
		t.Errorf("%d threads after 20 more engines, %d before", got, threads)
	}
	if got := status(t, "VmRSS"); got > kib+5*each {
		t.Errorf("%d KiB resident after 20 more engines of %d KiB, %d before", got, each, kib)
	}
}

func TestOpenErrors(t *testing.T) {
	m := checkpoint(t, shapes()["even"])
	for name, tt := range map[string]struct {
		o           Options
		unavailable bool
		want        string
	}{
		"isa":     {Options{ISA: "sse9"}, true, Available()[0]},
		"compute": {Options{Compute: "f16"}, false, "f32 or bf16"},
		"context": {Options{MaxContext: 513}, false, "512"},
		"threads": {Options{Threads: 10000}, false, "cores"},
		"pages":   {Options{Pages: -1}, false, "pages"},
	} {
		b, err := Open(m, tt.o)
		if err == nil {
			b.Close()
			t.Errorf("%s: no error", name)
			continue
		}
		if errors.Is(err, backend.ErrUnavailable) != tt.unavailable || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %q, want %q in it, unavailable: %v", name, err, tt.want, tt.unavailable)
		}
	}
	t.Setenv(envISA, "scalar")
	if got := opened(t, m, Options{}).Info().ISA; got != "scalar" {
		t.Errorf("%s=scalar gives %q", envISA, got)
	}
	t.Setenv(envISA, "none")
	if _, err := Open(m, Options{}); !errors.Is(err, backend.ErrUnavailable) || !strings.Contains(err.Error(), envISA) {
		t.Errorf("%s=none: error %v, want it to be named", envISA, err)
	}
}

func TestLaunchErrors(t *testing.T) {
	b := opened(t, checkpoint(t, shapes()["even"]), Options{Pages: 4, MaxContext: 200})
	row := func(edit func(*backend.Row)) []backend.Row {
		r := backend.Row{Tokens: []int32{1, 2}, Start: 64, Pages: []backend.PageID{0, 1}}
		edit(&r)
		return []backend.Row{r}
	}
	many := make([]backend.Row, maxRows+1)
	for i := range many {
		many[i] = backend.Row{Tokens: []int32{1}, Pages: []backend.PageID{0}}
	}
	for name, rows := range map[string][]backend.Row{
		"no rows":         {},
		"too many rows":   many,
		"no tokens":       row(func(r *backend.Row) { r.Tokens = nil }),
		"chained":         row(func(r *backend.Row) { r.Tokens, r.Chained = nil, true }),
		"id too high":     row(func(r *backend.Row) { r.Tokens = []int32{512} }),
		"id negative":     row(func(r *backend.Row) { r.Tokens = []int32{-1} }),
		"start negative":  row(func(r *backend.Row) { r.Start = -1 }),
		"over context":    row(func(r *backend.Row) { r.Start, r.Pages = 199, []backend.PageID{0, 1, 2, 3} }),
		"page missing":    row(func(r *backend.Row) { r.Pages = r.Pages[:1] }),
		"page too high":   row(func(r *backend.Row) { r.Pages = []backend.PageID{0, 4} }),
		"page negative":   row(func(r *backend.Row) { r.Pages = []backend.PageID{-1, 0} }),
		"page twice":      row(func(r *backend.Row) { r.Pages = []backend.PageID{1, 1} }),
		"bad temperature": row(func(r *backend.Row) { r.Sample = &backend.Sampling{Temperature: -1} }),
		"shared and written": append(row(func(*backend.Row) {}),
			backend.Row{Tokens: []int32{1}, Pages: []backend.PageID{1}}),
	} {
		if err := b.Launch(&backend.Batch{Rows: rows}); err == nil {
			t.Errorf("%s: no error", name)
		} else if errors.Is(err, backend.ErrFault) {
			t.Errorf("%s: %v is called a fault", name, err)
		}
	}
	good := &backend.Batch{Rows: row(func(*backend.Row) {})}
	if err := b.Collect(good); err == nil {
		t.Error("collect before launch: no error")
	}
	if err := b.Launch(good); err != nil {
		t.Fatal(err)
	}
	if err := b.Launch(good); err == nil {
		t.Error("a second launch in flight: no error")
	}
	if err := b.Close(); err == nil {
		t.Error("close in flight: no error")
	}
	if err := b.Collect(good); err != nil {
		t.Error(err)
	}
}

// TestManyThreads runs more threads than a test machine may have cores, which
// Options refuse, so that barriers meet held-up threads.
func TestManyThreads(t *testing.T) {
	c := shapes()["group"]
	m := checkpoint(t, c)
	ids := prompt(60, c.VocabSize)
	table := pageList(len(ids), 0, 1)
	want := chunked(t, opened(t, m, Options{Threads: 1}), ids, table, 60)
	e, err := openOn(m, Options{Threads: 5}, 5)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	e.solo = 0
	for range 20 {
		sameBits(t, "five threads", chunked(t, e, ids, table, 9), want)
	}
}

// TestReader: it reads what it says, at some rate, and gives its memory back.
func TestReader(t *testing.T) {
	before := status(t, "VmSize")
	r, err := NewReader(8<<20+5000, 2)
	if err != nil {
		t.Fatal(err)
	}
	if r.bytes > 8<<20+5000 || r.bytes%(2*4096) != 0 || r.bytes < 8<<20 {
		t.Errorf("%d bytes", r.bytes)
	}
	if rate := r.Rate(); !(rate > 0) {
		t.Errorf("rate %v", rate)
	}
	r.Close()
	if after := status(t, "VmSize"); after > before+4<<10 {
		t.Errorf("%d KiB of address space, %d before", after, before)
	}
}
