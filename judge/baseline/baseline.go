// Package baseline decides which rounds are the level that candidates are compared
// with: which join it, which wait for somebody to accept them, and which of those
// that have joined a comparison reads.
//
// It is pure and keeps nothing: a ledger stores what Joins says and gives the rounds
// back as Records. What a level means for a candidate is judge/gate's.
package baseline

import (
	"slices"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/gate"
)

// Rounds is how many rounds of a level count.
const Rounds = 10

// State says how a round relates to the level of its branch.
type State string

// States.
const (
	None    State = "none"    // undecided, a candidate's, faulty or invalid: never part of a level
	Joined  State = "joined"  // part of the level
	Pending State = "pending" // of a failing base branch, until somebody accepts it
	Former  State = "former"  // part of a level that an acceptance ended
)

// Record is one round's value of one series, with all that decides whether it belongs
// to a level.
type Record struct {
	RunID      string      `json:"run"`
	RoundID    string      `json:"round"`
	Machine    string      `json:"machine"`
	Branch     string      `json:"branch"`
	Lane       result.Lane `json:"lane"`
	Decided    gate.Kind   `json:"decided,omitempty"` // the run's verdict; empty: it has none yet
	Faults     bool        `json:"faults,omitempty"`  // planted defects
	Valid      bool        `json:"valid"`
	State      State       `json:"state,omitempty"` // as stored; empty: what Joins says
	At         time.Time   `json:"at"`              // when it was stored: the order of a branch
	CommitTime time.Time   `json:"commit_time,omitzero"`
	Value      float64     `json:"value"` // in the metric's unit
}

// Joins says what a decided run's rounds are to the level of their branch. Only the
// base branch (or the branch "local" of a folder without git) has a level; planted
// faults keep a run out of it, whatever its verdict, and so does a build that can't be
// told to be the commit that the run claims (Unknown).
//
// A run with nothing to compare with joins: it is how a level begins. That the exit
// code may be another one, because a baseline was required, doesn't matter here.
func Joins(lane result.Lane, faults, unknown bool, verdict gate.Kind) State {
	if lane != result.LaneBase && lane != result.LaneLocal || faults || unknown && lane == result.LaneBase {
		return None
	}
	switch verdict {
	case gate.Pass, gate.Warn, gate.NoBaseline, gate.NotComparable:
		return Joined
	case gate.Fail:
		// The branch stays red against the old level while its rounds are kept.
		return Pending
	}
	return None
}

// Unknown says that nothing was observed by which a subject could be told from
// another one (no digest, no version, no revision), or that it was built from a changed
// work tree: it may be anything, whatever commit the run claims. Without git nothing is
// claimed, and such rounds are as good as any.
func Unknown(id result.Identity) bool {
	said := id.Build != "" && id.Build != "(unknown)"
	return id.Modified || !said && id.BinaryHash == "" && id.Revision == ""
}

// state is the record's stored state, or what Joins says of it.
func (r Record) state() State {
	if !r.Valid || r.Faults {
		return None
	}
	if r.State != "" {
		return r.State
	}
	return Joins(r.Lane, r.Faults, false, r.Decided) // what is unknown has a stored state
}

// Query says for whom a level is read.
type Query struct {
	Branch string // whose level
	Run    string // the run that is judged: never compared with itself
	// AsOf reads the level as it was: rounds stored before it. Zero: all. A candidate
	// reads it as of its merge base, since what came later says nothing of the change.
	AsOf time.Time
}

// Level gives the rounds of a level, oldest first: of those of the branch that have
// joined, one a run and machine, the last ten.
//
// Of a run and machine it is the first valid round: later ones exist only where it
// looked bad, so that taking them, or a mean with them, would bend the level.
func Level(records []Record, q Query) []Record {
	return read(records, q, Joined)
}

// Waiting gives the rounds that an acceptance would make the level, oldest first, in
// the same way.
func Waiting(records []Record, q Query) []Record {
	return read(records, q, Pending)
}

func read(records []Record, q Query, want State) []Record {
	in := make([]Record, 0, len(records))
	for _, r := range records {
		if r.Branch == q.Branch && r.RunID != q.Run && r.state() == want && (q.AsOf.IsZero() || r.At.Before(q.AsOf)) {
			in = append(in, r)
		}
	}
	slices.SortStableFunc(in, func(a, b Record) int { return a.At.Compare(b.At) })
	return last(onePerStart(in))
}

// Pinned gives the level of a named release: the valid rounds of its runs, one a run
// and machine. Planted faults are never part of a level, pinned or not.
func Pinned(records []Record, runs []string) []Record {
	in := make([]Record, 0, len(records))
	for _, r := range records {
		if slices.Contains(runs, r.RunID) && r.Valid && !r.Faults {
			in = append(in, r)
		}
	}
	slices.SortStableFunc(in, func(a, b Record) int { return a.At.Compare(b.At) })
	return last(onePerStart(in))
}

// onePerStart keeps the first of every run and machine.
func onePerStart(records []Record) []Record {
	seen := map[[2]string]bool{}
	return slices.DeleteFunc(records, func(r Record) bool {
		at := [2]string{r.RunID, r.Machine}
		again := seen[at]
		seen[at] = true
		return again
	})
}

func last(records []Record) []Record { return records[max(0, len(records)-Rounds):] }

// Accept gives the states after somebody accepted what is pending on a branch: the
// pending rounds are the level, and what was it is former. Where nothing is pending
// nothing changes, and ok is false.
func Accept(records []Record, branch string) (after []Record, ok bool) {
	after = slices.Clone(records)
	for _, r := range after {
		ok = ok || r.Branch == branch && r.state() == Pending
	}
	if !ok {
		return after, false
	}
	for i, r := range after {
		if r.Branch != branch {
			continue
		}
		switch r.state() {
		case Pending:
			after[i].State = Joined
		case Joined:
			after[i].State = Former
		}
	}
	return after, true
}

// Gate is the level as judge/gate takes it. name is the branch, or "pinned" with the
// release's name; pooled is gate.Baseline's.
func Gate(name string, level []Record, pooled float64) gate.Baseline {
	b := gate.Baseline{Name: name, Pooled: pooled}
	for _, r := range level {
		b.Values, b.Runs = append(b.Values, r.Value), append(b.Runs, r.RunID)
	}
	return b
}
