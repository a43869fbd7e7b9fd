// Package series is the seam to trends: the values of a metric over rounds, read by
// pages and by people.
//
// It is derived: everything in it can be made again from the ledger, and no verdict
// waits for it. sql reads the ledger's own tables and needs no writer; influx keeps a
// copy in InfluxDB 2, written by the coordinator's export tasks. Both are held to
// seriestest.
package series

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/paceline/paceline/bench/result"
)

// Point is one value of one round. Tags are bounded sets; the rest are fields.
type Point struct {
	Tags
	At      time.Time `json:"at"` // the ledger's time of the round plus the value's index in it, ns
	Value   float64   `json:"value"`
	Spread  float64   `json:"spread"` // half the range of the round's trials
	N       int       `json:"n"`      // trials
	Valid   bool      `json:"valid"`
	Branch  string    `json:"branch"`
	Commit  string    `json:"commit,omitempty"`
	Run     string    `json:"run"`
	Attempt string    `json:"attempt"`
	Round   string    `json:"round"`
	Build   string    `json:"build,omitempty"`
	Machine string    `json:"machine,omitempty"`
	Faults  bool      `json:"faults,omitempty"`
}

// Tags name the series that a point belongs to. Lane is the only one that differs
// within a series.
type Tags struct {
	Series    string      `json:"series"` // digest of the key
	Project   string      `json:"project,omitempty"`
	Suite     string      `json:"suite"`
	Workload  string      `json:"workload"`
	Metric    string      `json:"metric"`
	Target    string      `json:"target"`
	GPU       string      `json:"gpu"` // model, or "cpu"
	Precision string      `json:"precision"`
	Lane      result.Lane `json:"lane"`
}

// Query chooses the points of one series; zero fields choose all.
type Query struct {
	Series string // required
	Lanes  []result.Lane
	From   time.Time // At ≥ From
	To     time.Time // At < To
	Limit  int       // the newest so many; 0: 1000; at most MaxLimit
}

// ListQuery chooses series; zero fields choose all.
type ListQuery struct {
	Project, Suite, Workload, Metric, Target string
	Recent                                   int // points of each summary, 0: 20; at most 200
	Limit                                    int // series, 0: 1000; at most MaxLimit
}

// MaxLimit bounds what one query gives.
const MaxLimit = 1_000_000

// Summary is a series as a list shows it.
type Summary struct {
	Tags   Tags    `json:"tags"`
	Recent []Point `json:"recent"` // the newest, oldest first; of any lane
	Last   Point   `json:"last"`   // newest valid one, else the newest
	Values int     `json:"values"` // how many make the level: the last ten valid ones of base and local lanes without faults
	Level  float64 `json:"level"`  // their median; means nothing without any
	Spread float64 `json:"spread"` // 1.4826 × their median absolute deviation; means nothing below three
}

// Reader reads trends. Its methods may be called concurrently.
type Reader interface {
	// Trend gives points of a series, oldest first.
	Trend(ctx context.Context, q Query) ([]Point, error)
	// List gives the series that have points, by suite, workload, metric and digest.
	List(ctx context.Context, q ListQuery) ([]Summary, error)
}

// Writer keeps a copy. Writing a point again changes nothing.
type Writer interface {
	// Write stores points, all or an error: ErrUnavailable, where a *RetryError may say
	// how long to wait, or ErrRejected where one of them will never be taken.
	Write(ctx context.Context, ps []Point) error
}

// Errors that callers test for.
var (
	// ErrRejected: the store refused a point for what it is.
	ErrRejected = errors.New("the store refused the points")
	// ErrUnavailable: the store can't be reached or has no capacity now.
	ErrUnavailable = errors.New("the store is not available")
	// ErrName: a name can't be asked for.
	ErrName = errors.New("not a name")
)

// RetryError is an ErrUnavailable whose store said when to come back.
type RetryError struct {
	After time.Duration // > 0
	Err   error
}

// Error makes *RetryError an error.
func (e *RetryError) Error() string { return fmt.Sprintf("%v (it asks for %s)", e.Err, e.After) }

// Unwrap gives the error behind it, which wraps ErrUnavailable.
func (e *RetryError) Unwrap() error { return e.Err }

// levelOf is how many values make a level.
const levelOf = 10

// Summarise makes the summary of points of one series, oldest first and not empty.
func Summarise(recent []Point) Summary {
	s := Summary{Recent: recent, Last: recent[len(recent)-1]}
	for _, p := range slices.Backward(recent) {
		if p.Valid {
			s.Last = p
			break
		}
	}
	s.Tags = s.Last.Tags
	var level []float64
	for _, p := range slices.Backward(recent) {
		if p.Valid && !p.Faults && p.Lane != result.LaneCandidate && len(level) < levelOf {
			level = append(level, p.Value)
		}
	}
	s.Values = len(level)
	if len(level) == 0 {
		return s
	}
	s.Level = median(level)
	if len(level) >= 3 {
		for i := range level {
			level[i] = math.Abs(level[i] - s.Level)
		}
		s.Spread = 1.4826 * median(level)
	}
	return s
}

func median(xs []float64) float64 {
	slices.Sort(xs)
	n := len(xs)
	if n%2 == 1 {
		return xs[n/2]
	}
	return (xs[n/2-1] + xs[n/2]) / 2
}

// Bound is n within 1..most, or the default for 0 and below.
func Bound(n, def, most int) int {
	if n <= 0 {
		return def
	}
	return min(n, most)
}
