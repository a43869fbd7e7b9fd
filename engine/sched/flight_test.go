package sched

import (
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
)

// TestAhead: a step goes off before the one before it is collected where nothing is to be decided, and never
// else; what comes out is the same.
func TestAhead(t *testing.T) {
	job := func(n, out int, salt int32) Job {
		return Job{Prompt: prompt(n, salt), MaxTokens: out, Sampling: backend.Sampling{Temperature: 1, Seed: uint64(salt)}}
	}
	for _, c := range []struct {
		name   string
		flight int // MaxInFlight
		o      Options
		jobs   []Job
		ahead  uint64
	}{
		{"one job, but for its first step and its last", 2, Options{}, []Job{job(5, 10, 1)}, 9},
		{"one batch at a time", 1, Options{}, []Job{job(5, 10, 1)}, 0},
		{"two, of which one ends", 2, Options{}, []Job{job(5, 10, 1), job(5, 4, 2)}, 9},
		{"not while a prompt is computed", 2, Options{}, []Job{job(130, 3, 1)}, 2},
		{"not with guesses", 2, Options{Speculate: 4}, []Job{job(5, 10, 1)}, 0},
		{"not where tokens are replaced", 2, Options{Hooks: Hooks{Token: func(id int32, _ backend.Sampling) int32 { return id }}}, []Job{job(5, 10, 1)}, 0},
		{"not while somebody waits and a place will be free", 2, Options{MaxRows: 2}, []Job{job(5, 4, 1), job(5, 4, 2), job(5, 4, 3)}, 3 + 3},
		{"with a queue that nobody can leave", 2, Options{MaxRows: 1}, []Job{job(5, 6, 1), job(5, 1, 2)}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDrive(t, 16, c.o)
			d.fake.info.MaxInFlight, d.core.inFlight = c.flight, c.flight
			var got []*record
			for _, j := range c.jobs {
				got = append(got, d.submit(j))
			}
			d.all()
			for i, r := range got {
				if want := generate(c.jobs[i]); !slices.Equal(r.ids, want) {
					t.Errorf("job %d: %v, want %v", i, r.ids, want)
				}
			}
			k := d.core.meter.read()
			if k.Ahead != c.ahead || k.VainTokens != 0 {
				t.Errorf("%d of %d steps ahead, %d tokens in vain; want %d", k.Ahead, k.Steps, k.VainTokens, c.ahead)
			}
			for _, f := range d.core.flights {
				if slices.ContainsFunc(f.rows[:cap(f.rows)], func(q *seq) bool { return q != nil }) {
					t.Error("a flight holds on to a job that has ended")
				}
			}
		})
	}
}

// TestAheadNeeds: what only the host can say of the next token keeps the step back.
func TestAheadNeeds(t *testing.T) {
	for name, change := range map[string]func(*Job){
		"edits":        func(j *Job) { j.Editor = sample.NewEditor(sample.Penalties{Repetition: 1.2}, j.Prompt, nil, 0) },
		"likely ids":   func(j *Job) { j.TopLogProbs, j.LogProbs = 2, func(float32, []backend.Likely) {} },
		"no KV":        func(j *Job) { j.NoKV, j.NoCache = true, true },
		"just scoring": func(j *Job) { j.MaxTokens = 0 },
	} {
		d := newDrive(t, 16, Options{})
		d.fake.info.MaxInFlight, d.core.inFlight = 2, 2
		j := Job{Prompt: prompt(5, 1), MaxTokens: 8}
		change(&j)
		d.submit(j)
		d.all()
		if k := d.core.meter.read(); k.Ahead != 0 {
			t.Errorf("%s: %d steps ahead", name, k.Ahead)
		}
	}
}

// TestInVain: a job that its sink ends has one more row in flight, which nobody sees, and whose pages are free.
func TestInVain(t *testing.T) {
	d := newDrive(t, 16, Options{})
	d.fake.info.MaxInFlight, d.core.inFlight = 2, 2
	j := Job{Prompt: prompt(60, 1), MaxTokens: 50}
	r := d.submit(j)
	r.stopAt = 7
	d.all()
	if k := d.core.meter.read(); k.VainTokens != 1 || k.OutputTokens != 7 || len(d.core.flying) != 0 {
		t.Errorf("%+v, %d in flight", k, len(d.core.flying))
	}
	if !slices.Equal(r.ids, generate(j)[:7]) || r.result.Reason != ReasonStop {
		t.Errorf("%v, %+v", r.ids, r.result)
	}
}

// TestAheadLetsNewIn: who comes while a step is in flight starts after it, not after the jobs that run.
func TestAheadLetsNewIn(t *testing.T) {
	d := newDrive(t, 16, Options{})
	d.fake.info.MaxInFlight, d.core.inFlight = 2, 2
	d.submit(Job{Prompt: prompt(5, 1), MaxTokens: 100})
	d.steps(3)
	late := d.submit(Job{Prompt: prompt(5, 2), MaxTokens: 5})
	d.steps(2)
	if len(late.ids) != 1 {
		t.Errorf("%d tokens two steps after it came, want 1", len(late.ids))
	}
	d.all()
}

// TestAheadBreaks: a device that is lost with two steps in flight ends every job once.
func TestAheadBreaks(t *testing.T) {
	d := newDrive(t, 16, Options{})
	d.fake.info.MaxInFlight, d.core.inFlight = 2, 2
	d.fake.before = func(step int) error {
		if step >= 3 {
			return backend.ErrFault
		}
		return nil
	}
	r := d.submit(Job{Prompt: prompt(5, 1), MaxTokens: 100})
	d.all()
	if r.result.Reason != ReasonError || len(r.ids) != 3 || len(d.core.flying) != 0 || len(d.fake.flying) != 0 {
		t.Errorf("%+v after %d tokens, %d in flight", r.result, len(r.ids), len(d.core.flying))
	}
}
