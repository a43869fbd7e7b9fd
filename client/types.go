package client

import (
	"encoding/json"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/wire"
)

// Submission asks for a run. One of Suite and SuiteName is needed.
type Submission struct {
	Suite           string            `json:"suite,omitempty"`      // YAML
	SuiteName       string            `json:"suite_name,omitempty"` // one that ships with the coordinator's program
	SuiteFile       string            `json:"suite_file,omitempty"` // for messages
	Subject         Subject           `json:"subject,omitzero"`
	Rounds          int               `json:"rounds,omitempty"` // of the first attempt; 0: the suite's
	Project         string            `json:"project,omitempty"`
	Branch          string            `json:"branch,omitempty"` // empty: local
	Commit          string            `json:"commit,omitempty"`
	Parent          string            `json:"parent,omitempty"`
	CommitTime      time.Time         `json:"commit_time,omitzero"`
	BaseRef         string            `json:"base_ref,omitempty"` // what a candidate is compared with
	Lane            result.Lane       `json:"lane,omitempty"`     // empty: local without a branch, else base
	Faults          []string          `json:"faults,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`  // a machine must have all of them
	Machine         string            `json:"machine,omitempty"` // name of the one that is to measure
	QueueForSec     float64           `json:"queue_for_sec,omitempty"`
	Repeat          string            `json:"repeat,omitempty"` // a command that repeats the run
	RequireBaseline bool              `json:"require_baseline,omitempty"`
	Inconclusive    string            `json:"inconclusive,omitempty"` // "", "pass" or "fail"

	Baseline        json.RawMessage `json:"baseline,omitempty"`      // a baseline file in place of the coordinator's level
	BaseSuite       string          `json:"base_suite,omitempty"`    // the suite at the base ref, YAML: its gates are the rules
	Ancestors       []string        `json:"ancestors,omitempty"`     // the merge base and the commits before it, newest first; at most 200
	AncestorsCut    bool            `json:"ancestors_cut,omitempty"` // there are more
	OtherRepository bool            `json:"other_repository,omitempty"`
}

// Subject is what is to be measured; empty fields are the suite's.
type Subject struct {
	Target string   `json:"target,omitempty"`
	Build  string   `json:"build,omitempty"`
	Model  string   `json:"model,omitempty"`
	Flags  []string `json:"flags,omitempty"`
}

// States of a run that are final.
const (
	StateDecided   = "decided"
	StateCancelled = "cancelled"
)

// Run is a run and where it stands.
type Run struct {
	result.Run
	Seq       int64           `json:"seq"`              // order of submission
	State     string          `json:"state"`            // open, judging, more, decided or cancelled
	Rounds    int             `json:"rounds_asked"`     // over all attempts so far
	Faults    []string        `json:"faults,omitempty"` // planted defects
	Options   json.RawMessage `json:"options,omitempty"`
	Reason    string          `json:"reason,omitempty"`  // of a cancellation
	Verdict   string          `json:"verdict,omitempty"` // of a decided run
	Exit      int             `json:"exit"`              // exit code of a decided or cancelled run
	DecidedAt time.Time       `json:"decided_at,omitzero"`
	Attempts  []Attempt       `json:"attempts,omitempty"` // absent in lists
	Cursor    int64           `json:"cursor,omitempty"`   // from where Watch goes on; absent in lists
}

// Over says whether the run's state is final.
func (r *Run) Over() bool { return r.State == StateDecided || r.State == StateCancelled }

// Attempt is a work order of a run for one machine.
type Attempt struct {
	ID         string            `json:"id"`
	Run        string            `json:"run"`
	Seq        int64             `json:"seq"`
	State      string            `json:"state"` // queued, leased, running, uploading, done, error, lost, cancelled or expired
	FirstRound int               `json:"first_round"`
	Rounds     int               `json:"rounds"`
	Device     string            `json:"device"`
	Devices    int               `json:"devices"`
	Labels     map[string]string `json:"labels,omitempty"`
	Machine    string            `json:"machine,omitempty"`
	Avoid      []string          `json:"avoid,omitempty"`
	NotBefore  time.Time         `json:"not_before,omitzero"`
	Expires    time.Time         `json:"expires,omitzero"`
	Created    time.Time         `json:"created"`
	Agent      string            `json:"agent,omitempty"`
	Leased     []string          `json:"leased,omitempty"`
	LeasedAt   time.Time         `json:"leased_at,omitzero"`
	Beat       uint64            `json:"beat"`
	EndedAt    time.Time         `json:"ended_at,omitzero"`
	Problem    *wire.Error       `json:"problem,omitempty"`
}

// RunQuery chooses runs; zero fields choose all.
type RunQuery struct {
	Project, Suite, Branch, Commit string
	Lane                           result.Lane
	States                         []string
	Cursor                         int64 // Next of the page before
	Limit                          int   // 0: 100; at most 1000
}

// RunList is a page of runs, newest first. Next is 0 on the last one.
type RunList struct {
	Runs []Run `json:"runs"`
	Next int64 `json:"next,omitempty"`
}

// Change is an event of the coordinator's log.
type Change struct {
	ID   int64           `json:"id"` // the cursor after it
	At   time.Time       `json:"at"`
	Run  string          `json:"run,omitempty"`
	Kind string          `json:"kind"` // "run.decided", "attempt.leased", "round", …
	Data json.RawMessage `json:"data,omitempty"`
}

// Series is what values with one key belong to.
type Series struct {
	Digest    string            `json:"digest"`
	Key       result.Key        `json:"key"`
	Project   string            `json:"project,omitempty"`
	Suite     string            `json:"suite"`
	Workload  string            `json:"workload"`
	Point     map[string]string `json:"point,omitempty"`
	Model     string            `json:"model"`
	Synthetic bool              `json:"synthetic,omitempty"`
	LastAt    time.Time         `json:"last_at"`
}

// SeriesQuery chooses series; zero fields choose all.
type SeriesQuery struct {
	Project, Suite, Workload, Metric, Target string
	Limit                                    int // 0: 1000; at most 10,000
}

// SeriesList is what a query of series gives; Truncated: there may be more.
type SeriesList struct {
	Series    []Series `json:"series"`
	Truncated bool     `json:"truncated,omitempty"`
}

// Value is one metric of one round.
type Value struct {
	Series     string      `json:"series"`
	At         time.Time   `json:"at"`
	Value      float64     `json:"value"`  // in the metric's unit
	Spread     float64     `json:"spread"` // half the range of its trials
	N          int         `json:"n"`      // trials
	Valid      bool        `json:"valid"`
	RoundSeq   int64       `json:"round_seq"`
	Round      string      `json:"round"`
	Run        string      `json:"run"`
	Attempt    string      `json:"attempt"`
	Machine    string      `json:"machine"`
	Project    string      `json:"project,omitempty"`
	Branch     string      `json:"branch"`
	Commit     string      `json:"commit,omitempty"`
	CommitTime time.Time   `json:"commit_time,omitzero"`
	Build      string      `json:"build,omitempty"`
	Lane       result.Lane `json:"lane"`
	Join       string      `json:"join"` // none, joined, pending or former: how it relates to the baseline
	Faults     bool        `json:"faults,omitempty"`
	Synthetic  bool        `json:"synthetic,omitempty"`
}

// ValueQuery chooses values of a series; zero fields choose all.
type ValueQuery struct {
	Branch string
	Lanes  []result.Lane
	Run    string
	From   time.Time // at or after
	To     time.Time // before
	Limit  int       // the newest so many, 0: 1000; at most 10,000
}

// ValueList is the trend of one series, oldest first; Truncated: there may be older
// ones.
type ValueList struct {
	Series    Series  `json:"series"`
	Values    []Value `json:"values"`
	Truncated bool    `json:"truncated,omitempty"`
}

// Agent is a machine that measures.
type Agent struct {
	ID       string            `json:"id"`
	Name     string            `json:"name"`
	State    string            `json:"state"` // idle, busy, lost, draining, quarantined or retired
	Reason   string            `json:"reason,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
	Devices  []string          `json:"devices,omitempty"`
	Build    string            `json:"build,omitempty"`
	Local    bool              `json:"local,omitempty"`
	Caller   bool              `json:"caller,omitempty"` // a command that measures on its own machine
	Key      string            `json:"public_key,omitempty"`
	Enrolled time.Time         `json:"enrolled"`
	LastSeen time.Time         `json:"last_seen,omitzero"`
}

// Health says whether the coordinator can work.
type Health struct {
	Ready   bool      `json:"ready"`
	Version string    `json:"version"` // of its program
	API     int       `json:"api"`     // version of its API
	Ledger  string    `json:"ledger"`  // "ok", or what is wrong
	Cursor  int64     `json:"cursor"`  // newest event
	Now     time.Time `json:"now"`     // its clock
}

// Suite is a suite that ships with the coordinator's program.
type Suite struct {
	Name        string            `json:"name"`
	Title       string            `json:"title,omitempty"`
	Description string            `json:"description,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Model       string            `json:"model,omitempty"`
	Targets     []string          `json:"targets"`
	Workloads   []string          `json:"workloads"`
	Cells       int               `json:"cells"`
	Rounds      int               `json:"rounds"`
	EstimateSec float64           `json:"estimate_sec"` // roughly, at least
	Digest      string            `json:"digest"`
	Text        string            `json:"text,omitempty"` // YAML; absent in lists
}
