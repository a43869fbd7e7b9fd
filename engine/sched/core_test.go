package sched

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/backend"
)

// drive is a core on a fake backend that a test steps by itself.
type drive struct {
	t    *testing.T
	fake *fake
	core *core
}

func newDrive(t *testing.T, pages int, o Options) *drive {
	f := newFake(pages)
	return &drive{t: t, fake: f, core: newCore(f, o)}
}

func (d *drive) submit(j Job) *record {
	d.t.Helper()
	if err := check(&j, d.fake.info, len(d.fake.pages)); err != nil {
		d.t.Fatal(err)
	}
	r := newRecord()
	j.Sink = r
	d.core.meter.change(func(k *Counters) { k.Jobs++; k.Waiting++ })
	d.core.submit([]*seq{newSeq(context.Background(), j, d.core.now())})
	return r
}

// steps goes n steps, or to where nothing can run if there are fewer.
func (d *drive) steps(n int) {
	d.t.Helper()
	for ; n > 0 && d.core.plan(); n-- {
		if err := d.core.step(); err != nil {
			d.core.fail(err)
		}
	}
}

// all goes on until every job has ended.
func (d *drive) all() {
	d.t.Helper()
	d.steps(1 << 20)
	if n := len(d.core.running) + len(d.core.waiting.seqs); n > 0 {
		d.t.Fatalf("%d jobs have not ended and nothing can run", n)
	}
	if u := d.core.pool.Usage(); u.Used != 0 {
		d.t.Errorf("%d pages still used", u.Used)
	}
}

// prompt is n ids that depend on salt.
func prompt(n int, salt int32) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = (int32(i)*5 + salt) % fakeVocab
	}
	return ids
}

func (d *drive) same(r *record, j Job) {
	d.t.Helper()
	if want := generate(j); !slices.Equal(r.ids, want) {
		d.t.Errorf("got %v, want %v", r.ids, want)
	}
}

// TestRepeatedPrompt: what was computed once is not computed again, but for the last token.
func TestRepeatedPrompt(t *testing.T) {
	for _, c := range []struct{ prompt, output, cached int }{
		{63, 1, 0}, {64, 1, 63}, {65, 1, 64}, {128, 1, 127}, {129, 1, 128}, {130, 5, 128}, {150, 90, 149},
	} {
		d := newDrive(t, 16, Options{})
		j := Job{Prompt: prompt(c.prompt, 1), MaxTokens: c.output, Sampling: backend.Sampling{Temperature: 1, Seed: 4}}
		for i, want := range []int{0, c.cached, c.cached} {
			r := d.submit(j)
			d.all()
			d.same(r, j)
			if r.result.CachedTokens != want {
				t.Errorf("%d ids, time %d: %d cached, want %d", c.prompt, i, r.result.CachedTokens, want)
			}
		}
		if k := d.core.meter.read(); k.CachedTokens != uint64(2*c.cached) || k.PromptTokens != uint64(3*c.prompt-2*c.cached) {
			t.Errorf("%d ids: counters %+v", c.prompt, k)
		}
	}
}

// TestConversation: the answer is part of the next prompt, and needn't be computed again.
func TestConversation(t *testing.T) {
	d := newDrive(t, 16, Options{})
	first := Job{Prompt: prompt(50, 1), MaxTokens: 90}
	r := d.submit(first)
	d.all()
	second := Job{Prompt: append(append(prompt(50, 1), r.ids...), 7, 8, 9), MaxTokens: 3}
	r = d.submit(second)
	d.all()
	d.same(r, second)
	if r.result.CachedTokens != 128 {
		t.Errorf("%d of 143 tokens cached, want 128", r.result.CachedTokens)
	}
}

// TestBurst: of prompts that begin alike and come at once, the beginning is computed once, but for
// what shares a step.
func TestBurst(t *testing.T) {
	d := newDrive(t, 40, Options{})
	var jobs []Job
	var records []*record
	for i := range int32(6) {
		jobs = append(jobs, Job{Prompt: append(prompt(300, 1), i), MaxTokens: 4})
		records = append(records, d.submit(jobs[i]))
	}
	d.all()
	for i, r := range records {
		d.same(r, jobs[i])
	}
	if k := d.core.meter.read(); k.PromptTokens > 301+5*(45+2*64) || k.PromptTokens+k.CachedTokens != 6*301 {
		t.Errorf("%d prompt tokens computed and %d cached of 6·301", k.PromptTokens, k.CachedTokens)
	}
}

func TestNoCache(t *testing.T) {
	j := Job{Prompt: prompt(200, 1), MaxTokens: 3}
	without := j
	without.NoCache = true
	score := Job{Prompt: j.Prompt}
	for _, c := range []struct {
		name   string
		o      Options
		jobs   []Job
		cached []int // of each job
		pages  int   // kept in the end
	}{
		{"it doesn't fill", Options{}, []Job{without, j}, []int{0, 0}, 3},
		{"it doesn't read", Options{}, []Job{j, without}, []int{0, 0}, 3},
		{"scoring does neither", Options{}, []Job{score, j, score}, []int{0, 0, 0}, 3},
		{"the cache is off", Options{CachedPages: -1}, []Job{j, j}, []int{0, 0}, 0},
		{"the cache is small", Options{CachedPages: 2}, []Job{j, j}, []int{0, 128}, 2},
		{"the cache is used", Options{}, []Job{j, j}, []int{0, 192}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDrive(t, 16, c.o)
			for i, j := range c.jobs {
				r := d.submit(j)
				d.all()
				if r.result.CachedTokens != c.cached[i] {
					t.Errorf("job %d: %d tokens cached, want %d", i, r.result.CachedTokens, c.cached[i])
				}
			}
			if got := d.core.pool.Usage().Cached; got != c.pages {
				t.Errorf("%d pages kept, want %d", got, c.pages)
			}
		})
	}
}

// TestAFailedStepLeavesNothing: what a broken step wrote is not found by later jobs.
func TestAFailedStepLeavesNothing(t *testing.T) {
	d := newDrive(t, 16, Options{})
	d.fake.before = func(step int) error {
		if step > 1 {
			return nil
		}
		d.fake.before = nil
		return errors.New("the device went away")
	}
	j := Job{Prompt: prompt(200, 1), MaxTokens: 3}
	failed := d.submit(j)
	d.all()
	if failed.result.Reason != ReasonError {
		t.Fatalf("%+v, want an error", failed.result)
	}
	for id := range d.fake.pages { // nor does the backend say what they hold
		d.fake.pages[id] = [backend.PageTokens]int32{1, 2, 3}
	}
	r := d.submit(j)
	d.all()
	d.same(r, j)
	if r.result.CachedTokens != 0 {
		t.Errorf("%d tokens cached of a step that failed", r.result.CachedTokens)
	}
}

// TestPreemption: two that grow beyond the memory take turns, and nobody is told anything twice.
func TestPreemption(t *testing.T) {
	d := newDrive(t, 6, Options{})
	a := Job{Prompt: prompt(60, 1), MaxTokens: 250, Sampling: backend.Sampling{Temperature: 1, Seed: 1}}
	b := Job{Prompt: prompt(60, 2), MaxTokens: 250, Sampling: backend.Sampling{Temperature: 1, Seed: 2}}
	first, second := d.submit(a), d.submit(b)
	d.all()
	d.same(first, a)
	d.same(second, b)
	if first.result.Preemptions != 0 || second.result.Preemptions == 0 {
		t.Errorf("preempted %d and %d times, want only the second", first.result.Preemptions, second.result.Preemptions)
	}
	k := d.core.meter.read()
	if k.Preemptions != uint64(second.result.Preemptions) || k.OutputTokens != 500 || k.PromptTokens != 120 {
		t.Errorf("counters %+v", k)
	}
	if !slices.IsSortedFunc(second.at, time.Time.Compare) || second.result.Waited <= 0 {
		t.Errorf("instants out of order, or %v waited", second.result.Waited)
	}
}

// TestPriority: a job of a higher priority takes place or memory from a lower one at once, which goes
// on later; an equal one doesn't.
func TestPriority(t *testing.T) {
	for _, c := range []struct {
		name     string
		rows     int
		priority int
		takes    bool
	}{
		{"the place of a lower one", 1, 1, true},
		{"the memory of a lower one", 8, 1, true},
		{"not the place of an equal one", 1, 0, false},
		{"not the memory of an equal one", 8, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDrive(t, 5, Options{MaxRows: c.rows})
			low := Job{Prompt: prompt(200, 1), MaxTokens: 50}
			l := d.submit(low)
			d.steps(10)
			high := Job{Prompt: prompt(200, 3), MaxTokens: 9, Priority: c.priority}
			h := d.submit(high)
			tokens := len(l.ids)
			d.steps(8)
			if (len(h.ids) > 0) != c.takes || (len(l.ids) == tokens) != c.takes {
				t.Errorf("after 8 steps the new job has %d tokens, and the old one %d more", len(h.ids), len(l.ids)-tokens)
			}
			d.all()
			d.same(l, low)
			d.same(h, high)
			if want := map[bool]int{true: 1}[c.takes]; l.result.Preemptions != want {
				t.Errorf("preempted %d times, want %d", l.result.Preemptions, want)
			}
		})
	}
}

func TestNoKV(t *testing.T) {
	d := newDrive(t, 16, Options{})
	j := Job{Prompt: prompt(100, 1), MaxTokens: 40, Sampling: backend.Sampling{Temperature: 1, Seed: 3}, NoKV: true}
	r := d.submit(j)
	d.all()
	d.same(r, j)
	// Each token but the first costs all that precede it once more.
	if k := d.core.meter.read(); k.PromptTokens != 100 || k.RecomputedTokens != 39*100+38*39/2 {
		t.Errorf("counters %+v", k)
	}
}

func TestOneRow(t *testing.T) {
	d := newDrive(t, 16, Options{MaxRows: 1})
	for i := range int32(3) {
		d.submit(Job{Prompt: prompt(10, i), MaxTokens: 5})
	}
	d.all()
	for i, step := range d.fake.steps {
		if len(step) != 1 {
			t.Errorf("step %d has %d rows", i, len(step))
		}
	}
}

// TestAThousandAtOnce: on a small cache they wait, in order, and all end; a single job of another
// owner isn't behind them.
func TestAThousandAtOnce(t *testing.T) {
	d := newDrive(t, 5, Options{})
	var ended []int
	submit := func(i int, owner string) {
		r := d.submit(Job{Prompt: prompt(1+i%130, int32(i)), MaxTokens: 1 + i%7, Owner: owner})
		r.onToken = func(n int) {
			if n == 1+i%7 {
				ended = append(ended, i)
			}
		}
	}
	for i := range 1000 {
		submit(i, "many")
	}
	d.steps(3)
	submit(1000, "one")
	d.all()
	if len(ended) != 1001 {
		t.Fatalf("%d ended", len(ended))
	}
	if at := slices.Index(ended, 1000); at > 20 {
		t.Errorf("the other owner's only job ended after %d others", at)
	}
	for at, i := range ended { // five pages hold five sequences at most
		if i < 1000 && (i > at+10 || i < at-10) {
			t.Fatalf("job %d ended at place %d", i, at)
		}
	}
}

// TestCancelInPrefill: a long prompt ends between two of its chunks, and its pages are free in the
// next step.
func TestCancelInPrefill(t *testing.T) {
	d := newDrive(t, 16, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	r := newRecord()
	d.core.meter.change(func(k *Counters) { k.Waiting++ })
	d.core.submit([]*seq{newSeq(ctx, Job{Prompt: prompt(900, 1), MaxTokens: 5, Sink: r}, d.core.now())})
	other := Job{Prompt: prompt(9, 3), MaxTokens: 30}
	o := d.submit(other)
	d.steps(3)
	cancel()
	d.core.sweep(false)
	select {
	case <-r.done:
	default:
		t.Fatal("it goes on")
	}
	if res := r.result; res.Reason != ReasonCancel || !res.PrefillEnd.IsZero() || res.Chunks == 0 {
		t.Errorf("%+v, want a cancel in prefill", res)
	}
	if got := d.core.pool.Usage().Used; got > 1 {
		t.Errorf("%d pages are used, want the other job's", got)
	}
	d.all()
	d.same(o, other)
}

// TestCancelledBeforeItCame: no step is spent on it.
func TestCancelledBeforeItCame(t *testing.T) {
	d := newDrive(t, 16, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := newRecord()
	d.core.meter.change(func(k *Counters) { k.Waiting++ })
	d.core.submit([]*seq{newSeq(ctx, Job{Prompt: prompt(9, 1), Sink: r}, d.core.now())})
	d.all()
	if r.result.Reason != ReasonCancel || len(d.fake.steps) > 0 {
		t.Errorf("%+v after %d steps, want a cancel after none", r.result, len(d.fake.steps))
	}
}

// TestNothingIsAllocatedPerToken counts what the loop's steps allocate while eight sequences
// generate, pages fill and texts enter the prefix cache.
func TestNothingIsAllocatedPerToken(t *testing.T) {
	b := newQuiet(64)
	c := newCore(b, Options{})
	for i := range int32(8) {
		c.submit([]*seq{newSeq(context.Background(), Job{Prompt: prompt(20, i), MaxTokens: 400, Sink: quietSink{}}, c.now())})
	}
	step := func() {
		c.sweep(false)
		if !c.plan() {
			t.Fatal("nothing runs")
		}
		if err := c.step(); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if n := testing.AllocsPerRun(300, step); n != 0 {
		t.Errorf("%v allocations for a step of 8 tokens, want none", n)
	}
	if u := c.pool.Usage(); u.Used < 8*4 {
		t.Errorf("%+v: no page was filled", u)
	}
}

// BenchmarkStep is the loop's own work for one step of decoding.
func BenchmarkStep(b *testing.B) {
	for _, rows := range []int{1, 8, 64} {
		b.Run(strconv.Itoa(rows), func(b *testing.B) {
			q := newQuiet(rows * 128)
			q.info.MaxRows, q.info.MaxTokens, q.out = rows, 512, make([]backend.RowOut, rows)
			c := newCore(q, Options{})
			b.ReportAllocs()
			for b.Loop() {
				if len(c.running) == 0 {
					for i := range int32(rows) {
						c.submit([]*seq{newSeq(context.Background(), Job{Prompt: prompt(20, i), MaxTokens: 8000, NoCache: true, Sink: quietSink{}}, c.now())})
					}
				}
				if !c.plan() || c.step() != nil {
					b.Fatal("nothing runs")
				}
			}
		})
	}
}

// quiet is a backend that computes nothing and allocates nothing.
type quiet struct {
	*fake
	out []backend.RowOut
}

func newQuiet(pages int) *quiet { return &quiet{fake: newFake(pages), out: make([]backend.RowOut, 8)} }

func (q *quiet) Launch(*backend.Batch) error { return nil }

func (q *quiet) Collect(b *backend.Batch) error {
	b.Out = q.out[:len(b.Rows)]
	return nil
}

type quietSink struct{}

func (quietSink) Token(int32, time.Time, bool) bool { return false }
func (quietSink) Done(Result)                       {}
