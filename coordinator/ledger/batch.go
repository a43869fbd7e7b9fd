package ledger

import (
	"context"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/wire"
)

// Stored is what became of a batch.
type Stored struct {
	HighWater uint64 // of its stream: last sequence without a gap
	MustStop  bool   // the attempt's run is cancelled
	New       bool   // false: it was there already
}

// Batches keeps what agents deliver, as it came.
type Batches interface {
	// Put inserts or ignores by (attempt, stream, seq) and, if it is new, writes the
	// rounds decoded from it with the task export(run). A terminal attempt gives ErrState and keeps nothing.
	// ErrInvalid: a round doesn't belong to the attempt. ErrForeign.
	Put(ctx context.Context, agent string, b wire.BatchRequest, rounds []result.Round) (Stored, error)
	// Each calls f with the bodies of a stream in order of sequence, until f fails.
	Each(ctx context.Context, attempt, stream string, f func(seq uint64, body []byte) error) error
	// HighWater gives, for each stream, the last sequence stored without a gap.
	HighWater(ctx context.Context, attempt string) (map[string]uint64, error)
}

// Join says how a round relates to baselines.
type Join string

// Relations of a round to baselines.
const (
	JoinNone    Join = "none"    // undecided, a candidate's, faulty or invalid
	JoinBase    Join = "joined"  // part of the level
	JoinPending Join = "pending" // of a failing base branch, until somebody accepts it
	JoinFormer  Join = "former"  // part of a level that an acceptance ended
)

// Round is a stored round.
type Round struct {
	Seq    int64     `json:"seq"` // order of arrival, 1…
	At     time.Time `json:"at"`  // the ledger's time, unique to the millisecond
	Agent  string    `json:"agent"`
	Branch string    `json:"branch"`
	Join   Join      `json:"join"`
	result.Round
}

// Value is one metric of one cell of one round, with what a trend shows of it.
type Value struct {
	Series     string      `json:"series"` // digest of its key
	At         time.Time   `json:"at"`     // the round's time plus the value's index in it, in ns
	Value      float64     `json:"value"`
	Spread     float64     `json:"spread"`
	N          int         `json:"n"` // trials
	Valid      bool        `json:"valid"`
	RoundSeq   int64       `json:"round_seq"`
	Round      string      `json:"round"`
	Run        string      `json:"run"`
	Attempt    string      `json:"attempt"`
	Machine    string      `json:"machine"` // hashed machine id of the environment
	Project    string      `json:"project,omitempty"`
	Branch     string      `json:"branch"`
	Commit     string      `json:"commit,omitempty"`
	CommitTime time.Time   `json:"commit_time,omitzero"`
	Build      string      `json:"build,omitempty"`
	Lane       result.Lane `json:"lane"`
	Join       Join        `json:"join"`
	Faults     bool        `json:"faults,omitempty"`
	Synthetic  bool        `json:"synthetic,omitempty"`
}

// ValueFilter chooses the values of one series; zero fields choose all.
type ValueFilter struct {
	Series  string // required
	Project string
	Branch  string
	Lanes   []result.Lane
	Joins   []Join
	Run     string
	NotRun  string
	Before  time.Time // At < Before
	After   time.Time // At ≥ After
	Limit   int       // the newest so many; 0: 1000
}

// Series is what values with one key belong to, as last seen.
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

// SeriesFilter chooses series; zero fields choose all.
type SeriesFilter struct {
	Project, Suite, Workload, Metric, Target string
	Limit                                    int // 0: 1000; at most 100,000
}

// Rounds reads rounds, series and values; Batches.Put writes them.
type Rounds interface {
	// OfRun gives a run's rounds by index, then arrival.
	OfRun(ctx context.Context, run string) ([]Round, error)
	// Get reads a round by id. ErrNotFound.
	Get(ctx context.Context, id string) (Round, error)
	// Values gives values of a series, oldest first.
	Values(ctx context.Context, f ValueFilter) ([]Value, error)
	// ValuesOf gives every value of a round, in its order.
	ValuesOf(ctx context.Context, round string) ([]Value, error)
	// Series lists series by suite, workload and metric.
	Series(ctx context.Context, f SeriesFilter) ([]Series, error)
	// OneSeries reads one. ErrNotFound.
	OneSeries(ctx context.Context, digest string) (Series, error)
	// Probes gives the newest values of one machine probe, oldest first, of rounds
	// whose probes were in order. Device is empty for the CPU.
	Probes(ctx context.Context, machine, device, kind string, limit int) ([]float64, error)
}
