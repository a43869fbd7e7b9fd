package sched

import (
	"cmp"
	"slices"
)

// queue is the waiting jobs in the order in which they are to start: by priority, then by turn,
// then as they came. A job's turn is one after that of its owner's waiting job before it, or else
// one after that of the job that started last: so the owners take turns.
//
// Say that k jobs of a job's owner wait when it comes, and that c is the turn of the job that
// started last. Its turn is then at most c+1+k. Those of another owner that come later have
// turns of c+1 and more, each its own, and those of a turn as great as its own start after it. So
// at most k of them start before it.
type queue struct {
	seqs   []*seq
	levels map[int]*level // by priority; those that have waiting jobs
	came   uint64         // jobs so far
}

// level is the turns of one priority.
type level struct {
	turn   uint64 // of the job that started last
	owners map[string]*owner
}

// owner has at least one waiting job of its level.
type owner struct {
	turn uint64 // of its last job; not below the level's, for one of its jobs is still waiting
	jobs int
}

func newQueue() queue { return queue{levels: map[int]*level{}} }

// first is the job that starts next; nil if none waits.
func (q *queue) first() *seq {
	if len(q.seqs) == 0 {
		return nil
	}
	return q.seqs[0]
}

// push takes a new job.
func (q *queue) push(s *seq) {
	l := q.levels[s.Priority]
	if l == nil {
		l = &level{owners: map[string]*owner{}}
		q.levels[s.Priority] = l
	}
	o := l.owners[s.Owner]
	if o == nil {
		o = &owner{turn: l.turn}
		l.owners[s.Owner] = o
	}
	o.turn++
	o.jobs++
	s.turn = o.turn
	q.came++
	s.came = q.came
	q.insert(s)
}

// pushBack takes a job that had started: it goes before all that haven't.
func (q *queue) pushBack(s *seq) {
	s.turn = 0
	q.insert(s)
}

func (q *queue) insert(s *seq) {
	at, _ := slices.BinarySearchFunc(q.seqs, s, before)
	q.seqs = slices.Insert(q.seqs, at, s)
}

// before is the order of the queue.
func before(a, b *seq) int {
	return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.turn, b.turn), cmp.Compare(a.came, b.came))
}

// started removes the first n jobs, which start.
func (q *queue) started(n int) {
	for _, s := range q.seqs[:n] {
		if s.turn > 0 {
			l := q.levels[s.Priority]
			l.turn = max(l.turn, s.turn)
			q.left(s)
		}
	}
	q.seqs = slices.Delete(q.seqs, 0, n)
}

// remove takes out the jobs that gone is true for. Those behind them move up.
func (q *queue) remove(gone func(*seq) bool) {
	n := len(q.seqs)
	q.seqs = slices.DeleteFunc(q.seqs, func(s *seq) bool {
		if !gone(s) {
			return false
		}
		if s.turn > 0 {
			q.left(s)
		}
		return true
	})
	if len(q.seqs) == n {
		return
	}
	for _, l := range q.levels {
		for _, o := range l.owners {
			o.turn = l.turn
		}
	}
	for _, s := range q.seqs {
		if s.turn > 0 {
			o := q.levels[s.Priority].owners[s.Owner]
			o.turn = min(s.turn, o.turn+1)
			s.turn = o.turn
		}
	}
	slices.SortFunc(q.seqs, before)
}

// left forgets an owner with its last waiting job, and a level with its last owner: nothing grows
// with the number of owners that ever came.
func (q *queue) left(s *seq) {
	l := q.levels[s.Priority]
	o := l.owners[s.Owner]
	if o.jobs--; o.jobs == 0 {
		delete(l.owners, s.Owner)
	}
	if len(l.owners) == 0 {
		delete(q.levels, s.Priority)
	}
}
