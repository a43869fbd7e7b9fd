package harness

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/load"
	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/suites/spec"
)

// fake is a target with exact timing under a virtual clock: the first token after
// prefill, then one every step.
type fake struct {
	prefill, step time.Duration
	queue         time.Duration // before prefill
	change        func(n int, r *target.Request, reply *target.Reply, emit func(target.Event)) error
	wrong         func(ids []int32, n int) bool // Verify says no
	noCache       bool
	noKV          bool
	dtype         string
	prefillOf     func(target.Request) time.Duration // in place of queue and prefill

	mu       sync.Mutex
	requests []target.Request
	closed   bool
}

func (f *fake) Traits() target.Traits {
	return target.Traits{HonoursNoCache: f.noCache, TakesIDs: true, TurnsKVOff: f.noKV}
}

func (f *fake) Identity(context.Context) (result.Identity, error) {
	return result.Identity{Build: "fake", Engine: "fake", DType: cmp.Or(f.dtype, "none")}, nil
}

func (f *fake) Usage(context.Context) (target.Usage, error) {
	return target.Usage{Weights: new(int64(1000)), PeakAlloc: new(int64(1500)), KVBytesPerToken: new(12.5), ProcessRSSPeak: new(int64(9000))}, nil
}

func (f *fake) Close() error {
	f.closed = true
	return nil
}

func (f *fake) Verify(_ context.Context, _ target.Request, ids []int32, n int) (bool, error) {
	return f.wrong == nil || !f.wrong(ids, n), nil
}

func (f *fake) Do(ctx context.Context, r target.Request, sink func(target.Event)) (target.Reply, error) {
	f.mu.Lock()
	n := len(f.requests)
	f.requests = append(f.requests, r)
	f.mu.Unlock()
	clock := load.System{}
	now := time.Now()
	reply := target.Reply{Written: now, EngineQueued: now, EnginePrefillStart: now.Add(f.queue), Finish: "length", DoneSeen: true}
	reply.Prompt = max(len(strings.Fields(r.Text)), len(r.IDs))
	var text strings.Builder
	emit := func(e target.Event) {
		text.WriteString(e.Text)
		sink(e)
	}
	var err error
	due := now.Add(f.queue + f.prefill)
	if f.prefillOf != nil {
		due = now.Add(f.prefillOf(r))
	}
	for i := range r.MaxTokens {
		if err = clock.Sleep(ctx, due); err != nil {
			reply.Finish = "cancel"
			break
		}
		if i == 0 {
			reply.FirstByte, reply.EnginePrefillEnd = time.Now(), time.Now()
		}
		reply.IDs = append(reply.IDs, int32(i))
		emit(target.Event{At: time.Now(), Text: word(int32(i)), Tokens: 1})
		due = due.Add(f.step)
	}
	reply.End, reply.EngineEnd = time.Now(), time.Now()
	reply.Text = text.String()
	reply.Tokens = result.Counts{Engine: new(len(reply.IDs)), Usage: new(len(reply.IDs))}
	if ctx.Err() != nil {
		reply.AfterCancel = new(0)
	}
	if f.change != nil && err == nil {
		err = f.change(n, &r, &reply, emit)
	}
	return reply, err
}

// word is the text of an id.
func word(id int32) string { return fmt.Sprintf("w%d ", id) }

// Ids that the fake's tokenizer decodes, but never gives.
const (
	twoWords = 150_000 // the text of ids 11 and 12
	endToken = 150_001 // no text
)

// wordTokenizer is a tokenizer that splits at spaces.
type wordTokenizer struct{}

func (wordTokenizer) Encode(text string) ([]int32, error) {
	ids := []int32{}
	for _, f := range strings.Fields(text) {
		var id int32
		if _, err := fmt.Sscanf(f, "w%d", &id); err != nil {
			id = 100_000 + int32(len(f))
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (wordTokenizer) Decode(ids []int32) (string, error) {
	var b strings.Builder
	for _, id := range ids {
		if id < 0 {
			return "", errors.New("negative id")
		}
		switch id {
		case twoWords:
			b.WriteString(word(11) + word(12))
		case endToken:
		default:
			b.WriteString(word(id))
		}
	}
	return b.String(), nil
}

func (wordTokenizer) Prompt(_, user string) (string, error) { return "user: " + user, nil }
func (wordTokenizer) VocabSize() int                        { return 200_000 }

// cellOf is a cell with strict limits and no warm-up to speak of.
func cellOf(change func(*spec.Cell)) spec.Cell {
	c := spec.Cell{
		Digest: "0123456789abcdef0123456789abcdef", Workload: "w", Target: "fake",
		Request:  spec.Request{API: "completion", Stream: true, MaxTokens: 11, IgnoreEOS: true, TopP: 1, Cache: "bust"},
		Data:     spec.Data{Type: "prompt", Prompts: []string{"one two three four"}},
		Load:     spec.Load{Type: "sequential"},
		Warmup:   spec.Warmup{Mode: "requests", Requests: 1},
		Trials:   spec.Trials{Count: 2},
		Window:   spec.Window{MinRequests: 4, Max: time.Minute},
		Validity: spec.Validity{MaxClientLagP99: time.Millisecond, MaxClientCPU: 0.7, MaxSteal: 0.05, NoiseFloor: 3},
		Seed:     42,
	}
	if change != nil {
		change(&c)
	}
	return c
}

func runFake(t *testing.T, f *fake, d Deps, cells ...spec.Cell) (result.Round, error) {
	t.Helper()
	d.Open = func(context.Context, Order) (Opened, error) {
		return Opened{Target: f, Tokenizer: wordTokenizer{}}, nil
	}
	round, err := RunRound(t.Context(), Order{Run: "r", Attempt: "a", Index: 1, Cells: cells}, d)
	if !f.closed {
		t.Error("the target was not closed")
	}
	return round, err
}

func mustRun(t *testing.T, f *fake, d Deps, cells ...spec.Cell) result.Round {
	t.Helper()
	round, err := runFake(t, f, d, cells...)
	if err != nil {
		t.Fatal(err)
	}
	return round
}

// want compares values; nil: absent.
func want(t *testing.T, name string, values []result.Value, wants map[metric.ID]*float64) {
	t.Helper()
	for id, w := range wants {
		got, ok := find(values, id)
		switch {
		case w == nil && ok:
			t.Errorf("%s: %s = %v, want it absent", name, id, got)
		case w != nil && !ok:
			t.Errorf("%s: %s is absent, want %v", name, id, *w)
		case w != nil && !near(got, *w):
			t.Errorf("%s: %s = %v, want %v", name, id, got, *w)
		}
	}
}

// near allows for the rounding of a few float64 operations, no more.
func near(a, b float64) bool { return a == b || max(a-b, b-a) <= 1e-12*max(a, -a, b, -b) }

func codes(reasons []result.Reason, warn bool) []string {
	var list []string
	for _, r := range reasons {
		if r.Warn == warn {
			list = append(list, r.Code)
		}
	}
	slices.Sort(list)
	return list
}
