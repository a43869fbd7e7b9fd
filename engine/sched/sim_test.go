package sched

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// TestSimulation runs random traces of jobs through core on a backend that objects to every
// wrong page, with a virtual clock, and holds each against what must always be true. A trace is
// all in its seed, which a failure prints. PACELINE_DEEP runs 100,000.
func TestSimulation(t *testing.T) {
	traces := uint64(2_000)
	if os.Getenv("PACELINE_DEEP") != "" {
		traces = 100_000
	}
	if testing.Short() {
		traces = 200
	}
	var next atomic.Uint64
	var seen coverage
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := next.Add(1); seed <= traces && !t.Failed(); seed = next.Add(1) {
				if err := seen.trace(seed); err != nil {
					t.Errorf("trace %d: %v", seed, err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%d traces: %v", traces, seen.counts)
	for _, what := range []string{"jobs", "steps", "hits", "copied", "evictions", "preemptions", "recomputed", "cancelled", "errors", "faults", "stops", "scores", "logits", "drafted", "accepted", "overtaken", "no kv", "ahead", "in vain"} {
		if seen.counts[what] == 0 && !t.Failed() {
			t.Errorf("no trace had any %s: they show nothing of it", what)
		}
	}
}

// coverage counts what traces met.
type coverage struct {
	mu     sync.Mutex
	counts map[string]uint64
}

func (c *coverage) trace(seed uint64) (err error) {
	s := newSim(seed)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	s.run()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]uint64{}
	}
	for what, n := range s.counts {
		c.counts[what] += n
	}
	return nil
}

// sim is one trace.
type sim struct {
	rng    *rand.Rand
	clock  simClock
	back   *simBackend
	core   *core
	jobs   []*simJob // in the order of their arrival
	errors bool      // the backend has some
	broken error     // the backend's last one, for good
	began  time.Time
	starts uint64 // of sequences, before the last plan
	counts map[string]uint64
}

// simJob is a job, when it comes, and what becomes of it. It is its own Sink.
type simJob struct {
	sim      *sim
	seq      *seq
	arrives  time.Time
	cancels  time.Time // zero: never
	cancel   context.CancelFunc
	stopAt   int
	ids      []int32
	want     []int32
	told     int // positions whose logits came
	done     int
	result   Result
	gone     bool // its context has ended
	queued   int  // jobs of its owner and priority that waited when it came
	overtook map[string]int
}

func newSim(seed uint64) *sim {
	s := &sim{rng: rand.New(rand.NewPCG(seed, 99)), counts: map[string]uint64{}}
	s.clock.now = time.Unix(1_000_000, 0)
	s.began = s.clock.now
	pages := 2 + s.rng.IntN(14)
	rows := 1 + s.rng.IntN(8)
	s.back = &simBackend{
		info: backend.Info{
			MaxInFlight: 1 + s.rng.IntN(2), MaxRows: rows, MaxTokens: rows + s.rng.IntN(150),
			MaxContext: pages * backend.PageTokens, VocabSize: simVocab, MaxDraft: 8,
		},
		pages: make([]simPage, pages), used: make([]int, pages),
		owners: s.owners, during: s.during, decodes: s.decodes,
	}
	s.back.late = s.rng.IntN(2) == 0
	s.errors = s.rng.IntN(8) == 0
	o := Options{MixedTokens: 1 + s.rng.IntN(60), Now: func() time.Time { return s.clock.now }}
	switch s.rng.IntN(4) {
	case 0:
		o.CachedPages = -1
	case 1:
		o.CachedPages = 1 + s.rng.IntN(pages)
	}
	if s.rng.IntN(3) == 0 {
		o.Speculate = 1 + s.rng.IntN(12)
	}
	s.core = newCore(s.back, o)
	at := s.clock.now
	for range 1 + s.rng.IntN(14) {
		if s.rng.IntN(3) == 0 {
			at = at.Add(time.Duration(s.rng.IntN(3000)) * time.Microsecond)
		}
		s.jobs = append(s.jobs, s.newJob(at))
	}
	return s
}

// newJob is a random job. Prompts begin with one of few texts, so that the prefix cache has something.
func (s *sim) newJob(at time.Time) *simJob {
	rng := s.rng
	j := &simJob{sim: s, arrives: at, overtook: map[string]int{}}
	job := Job{Priority: rng.IntN(3) / 2 * (1 + rng.IntN(2)), Owner: string(rune('a' + rng.IntN(3))), NoCache: rng.IntN(6) == 0, NoKV: rng.IntN(12) == 0, Sink: j}
	room := len(s.back.pages) * backend.PageTokens
	n := 1 + rng.IntN(min(room-1, 260))
	shared, kind := rng.IntN(n+1), int32(rng.IntN(3))
	if rng.IntN(4) == 0 { // whole pages that others have too
		n = min(max(n/backend.PageTokens, 1)*backend.PageTokens, room-1)
		shared = n
	}
	for i := range n {
		id := int32(i*7+i/backend.PageTokens) * (kind + 1) % simVocab
		if i >= shared {
			id = int32(rng.IntN(simVocab))
		}
		job.Prompt = append(job.Prompt, id)
	}
	job.MaxTokens = 1 + rng.IntN(min(room-n, 90))
	job.Sampling.Seed = uint64(rng.IntN(3))
	switch rng.IntN(8) {
	case 0:
		job.MaxTokens = 0
		s.counts["scores"]++
		if rng.IntN(3) == 0 {
			s.counts["logits"]++
			job.Logits = j.logits
		}
	case 1:
		j.stopAt = 1 + rng.IntN(job.MaxTokens)
	case 2:
		j.cancels = at.Add(time.Duration(rng.IntN(4000)) * time.Microsecond)
	}
	if job.NoKV {
		s.counts["no kv"]++
	}
	if err := check(&job, s.back.info, len(s.back.pages)); err != nil {
		panic(err)
	}
	h := s.back.of(job.Prompt)
	for i := range job.MaxTokens {
		p := job.Sampling
		p.Position = uint64(n + i)
		j.want = append(j.want, s.back.next(h, p))
		h = s.back.after(h, j.want[i])
	}
	ctx, cancel := context.WithCancel(context.Background())
	j.cancel = func() { j.gone = true; cancel() }
	j.seq = newSeq(ctx, job, at)
	return j
}

func (j *simJob) Token(id int32, _ time.Time, last bool) bool {
	j.ids = append(j.ids, id)
	n := len(j.ids)
	if j.gone || j.done > 0 || n > len(j.want) || id != j.want[n-1] || last != (n == len(j.want)) {
		panic(fmt.Sprintf("token %d of %d is %d (last: %v), want %v; cancelled %v, done %d times", n, len(j.want), id, last, j.want, j.gone, j.done))
	}
	return n == j.stopAt
}

func (j *simJob) logits(i int, l []float32) {
	if j.told++; i != j.told-1 || j.gone || j.done > 0 || !slices.Equal(l, j.sim.back.logits(j.sim.back.of(j.seq.Prompt[:i+1]))) {
		panic(fmt.Sprintf("logits of position %d, %d told before; cancelled %v, done %d times", i, j.told-1, j.gone, j.done))
	}
}

func (j *simJob) Done(r Result) { j.done++; j.result = r }

// owners is how many running sequences have the page.
func (s *sim) owners(id backend.PageID) (n int) {
	for _, q := range s.core.running {
		if slices.Contains(q.table.Pages(), id) {
			n++
		}
	}
	return n
}

func (s *sim) decodes() (rows, mixed int) {
	for _, q := range s.core.rows {
		if q.decodes() && q.start <= s.starts { // who starts again with one token is a prompt yet
			rows++
		}
	}
	return rows, s.core.limits.MixedTokens
}

// during is a step's time, in which clients may leave and the device break.
func (s *sim) during(tokens int) error {
	s.clock.pass(time.Duration(20+2*tokens) * time.Microsecond)
	s.leave()
	if s.errors && s.rng.IntN(30) == 0 {
		s.counts["errors"]++
		if s.rng.IntN(8) == 0 {
			s.counts["faults"]++
			s.broken = backend.ErrFault
			return fmt.Errorf("gone: %w", s.broken)
		}
		return errors.New("a step went wrong")
	}
	return nil
}

// leave cancels the jobs whose time has come.
func (s *sim) leave() {
	for _, j := range s.jobs {
		if !j.cancels.IsZero() && !j.cancels.After(s.clock.now) && !j.gone {
			j.cancel()
		}
	}
}

// run drives core as Loop does.
func (s *sim) run() {
	arrived, steps, limit := 0, 0, s.limit()
	for {
		s.leave()
		for ; arrived < len(s.jobs) && !s.jobs[arrived].arrives.After(s.clock.now); arrived++ {
			s.arrive(s.jobs[:arrived], s.jobs[arrived])
		}
		s.core.sweep(true)
		s.checkGone(arrived)
		if !s.plan() {
			if len(s.core.waiting.seqs) > 0 || len(s.core.running) > 0 {
				panic("jobs wait and nothing runs")
			}
			if arrived == len(s.jobs) {
				break
			}
			s.clock.now = s.jobs[arrived].arrives
			s.core.rest()
			continue
		}
		if steps++; steps > limit {
			panic(fmt.Sprintf("not at the end after %d steps", steps))
		}
		if err := s.core.step(); err != nil {
			s.core.fail(err)
			if s.broken != nil {
				break
			}
		}
		s.checkBooks()
	}
	s.counts["jobs"] += uint64(len(s.jobs))
	s.counts["steps"] += uint64(steps)
	s.checkEnd(arrived)
}

// arrive submits a job that comes after others.
func (s *sim) arrive(before []*simJob, j *simJob) {
	for _, o := range before {
		if o.done == 0 && o.seq.start == 0 && !o.gone && o.seq.Priority == j.seq.Priority && o.seq.Owner == j.seq.Owner {
			j.queued++
		}
	}
	s.core.meter.change(func(k *Counters) { k.Jobs++; k.Waiting++ })
	s.core.submit([]*seq{j.seq})
}

// limit is a bound on the steps of a trace. In each step the first running sequence gets at least
// one token nearer to its end, and is computed anew only where one of a higher priority has come
// and taken its place: once for each job at most.
func (s *sim) limit() int {
	all, most := 0, 0
	for _, j := range s.jobs {
		n := len(j.seq.Prompt) + j.seq.MaxTokens
		if j.seq.NoKV {
			n *= max(j.seq.MaxTokens, 1)
		}
		all, most = all+n, max(most, n)
	}
	return all + len(s.jobs)*most
}

// plan checks who starts and who gives way.
func (s *sim) plan() bool {
	before := slices.Clone(s.core.running)
	started := s.core.starts
	s.starts = started
	can := s.core.plan()
	var lowest *seq
	for _, q := range s.core.running {
		if q.start > started && (lowest == nil || rank(lowest, q) < 0) {
			lowest = q
		}
	}
	if w := s.core.waiting.first(); lowest != nil && w != nil && w.Priority > lowest.Priority {
		panic(fmt.Sprintf("priority %d has started and %d waits", lowest.Priority, w.Priority))
	}
	gaveWay := false
	for i, q := range before {
		switch {
		case q.table == nil || q.start > started:
			gaveWay = true
			if w := s.core.waiting.first(); i == 0 && !slices.ContainsFunc(s.core.running, func(r *seq) bool { return r.Priority > q.Priority }) && (w == nil || w.Priority <= q.Priority) {
				panic("the first gave way to no higher priority")
			}
		case gaveWay:
			panic("one gave way that wasn't the last")
		}
	}
	for _, a := range s.jobs {
		if a.seq.start <= started || a.seq.result.Preemptions > 0 || a.seq.table == nil {
			continue
		}
		for _, b := range s.jobs { // a starts for the first time; b waits still, and came before it
			if b.seq.came > 0 && b.seq.came < a.seq.came && b.seq.start == 0 && b.done == 0 && b.seq.Priority == a.seq.Priority {
				s.counts["overtaken"]++
				if b.overtook[a.seq.Owner]++; b.overtook[a.seq.Owner] > b.queued || a.seq.Owner == b.seq.Owner {
					panic(fmt.Sprintf("a job of owner %s with %d before it was overtaken by %v", b.seq.Owner, b.queued, b.overtook))
				}
			}
		}
	}
	return can
}

// checkGone: who has left is told so before the next step, and has no memory.
func (s *sim) checkGone(arrived int) {
	for _, j := range s.jobs[:arrived] {
		if j.gone && (j.done != 1 || slices.Contains(s.core.running, j.seq) || slices.Contains(s.core.waiting.seqs, j.seq)) {
			panic("a job goes on after it was cancelled")
		}
	}
}

// checkBooks: pages neither leak nor are counted twice.
func (s *sim) checkBooks() {
	held := map[backend.PageID]bool{}
	for _, q := range s.core.running {
		for _, id := range q.table.Pages() {
			held[id] = true
		}
	}
	u := s.core.pool.Usage()
	if u.Used != len(held) || s.core.pool.Available() != u.Total-len(held) || u.Cached > u.Total-len(held) || u.Peak < u.Used {
		panic(fmt.Sprintf("%+v and %d available, running sequences hold %d", u, s.core.pool.Available(), len(held)))
	}
	c := s.core.meter.read()
	if c.Running != len(s.core.running) || c.Waiting != len(s.core.waiting.seqs) {
		panic(fmt.Sprintf("%d running and %d waiting counted, there are %d and %d", c.Running, c.Waiting, len(s.core.running), len(s.core.waiting.seqs)))
	}
}

// checkEnd: every job that came ended once and as it should, and the counters say so.
func (s *sim) checkEnd(arrived int) {
	var want Counters
	whole := true
	for _, j := range s.jobs[:arrived] {
		s.checkJob(j)
		r := j.result
		want.Jobs++
		want.OutputTokens += uint64(len(j.ids))
		want.CachedTokens += uint64(r.CachedTokens)
		want.Preemptions += uint64(r.Preemptions)
		want.AcceptedTokens += uint64(r.Accepted)
		want.DraftedTokens += uint64(r.Drafted)
		want.PromptTokens += uint64(len(j.seq.Prompt) - r.CachedTokens)
		switch r.Reason {
		case ReasonCancel:
			want.Cancelled++
			s.counts["cancelled"]++
			whole = false
		case ReasonError:
			whole = false
		case ReasonStop:
			s.counts["stops"]++
		}
	}
	got := s.core.meter.read()
	u := s.core.pool.Usage()
	s.counts["hits"] += u.HitTokens
	s.counts["ahead"] += got.Ahead
	s.counts["in vain"] += got.VainTokens
	s.counts["copied"] += s.back.copied
	s.counts["evictions"] += u.EvictedTokens
	s.counts["preemptions"] += got.Preemptions
	s.counts["recomputed"] += got.RecomputedTokens
	if u.Used != 0 || s.core.pool.Available() != u.Total || u.HitTokens > u.QueriedTokens {
		panic(fmt.Sprintf("pages at the end: %+v", u))
	}
	if !whole { // who was cut off has computed less of its prompt
		want.PromptTokens = got.PromptTokens
		want.DraftedTokens = got.DraftedTokens
	}
	s.counts["drafted"] += got.DraftedTokens
	s.counts["accepted"] += got.AcceptedTokens
	want.Steps, want.RecomputedTokens, want.Phases, want.Ahead, want.VainTokens = got.Steps, got.RecomputedTokens, got.Phases, got.Ahead, got.VainTokens
	if got != want {
		panic(fmt.Sprintf("counters %+v, want %+v", got, want))
	}
	if p := got.Phases; s.broken == nil && p.Plan+p.Launch+p.Collect+p.Deliver+p.Idle != s.clock.now.Sub(s.began) {
		panic(fmt.Sprintf("phases %+v don't add up to %v", p, s.clock.now.Sub(s.began)))
	}
}

func (s *sim) checkJob(j *simJob) {
	r, n := j.result, len(j.ids)
	wrong := func(what string) { panic(fmt.Sprintf("%s: %+v of %+v", what, r, j.seq.Job)) }
	switch {
	case j.done != 1:
		wrong(fmt.Sprintf("ended %d times", j.done))
	case r.OutputTokens != n:
		wrong(fmt.Sprintf("%d tokens handed out", n))
	case r.CachedTokens >= len(j.seq.Prompt) || r.CachedTokens > 0 && (j.seq.NoCache || j.seq.NoKV || j.seq.MaxTokens == 0):
		wrong("cached tokens")
	case r.Waited < 0 || r.Waited > r.End.Sub(r.Queued) || r.Preemptions == 0 && !r.PrefillStart.IsZero() && r.Waited > r.PrefillStart.Sub(r.Queued):
		wrong("waiting time")
	}
	switch r.Reason {
	case ReasonLength:
		if n != j.seq.MaxTokens {
			wrong("not the whole length")
		}
	case ReasonStop:
		if n != j.stopAt {
			wrong("stopped elsewhere")
		}
	case ReasonCancel:
		if !j.gone {
			wrong("cancelled by nobody")
		}
	case ReasonError:
		if !s.errors {
			wrong("an error of nobody")
		}
	case ReasonScored:
		if j.seq.Logits != nil && j.told != len(j.seq.Prompt) {
			wrong("logits are missing")
		}
		sum, h := 0.0, uint64(0)
		for i, id := range j.seq.Prompt {
			if i > 0 {
				sum += sample.LogProb(s.back.logits(h), id)
			}
			h = s.back.after(h, id)
		}
		if math.Abs(sum-r.SumLogProb) > 1e-3 || !slices.Equal(r.Logits, s.back.logits(h)) {
			wrong(fmt.Sprintf("score, want %v", sum))
		}
	}
}
