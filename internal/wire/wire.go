// Package wire is what agents, coordinators and workers say to each other: the
// messages, their versions, sizes and subjects.
//
// The bus (internal/bus) carries them, coordinator/core and agent give them
// meaning. Every message is JSON; unknown fields are ignored by the reader, so that
// N−1 and N understand each other.
package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/paceline/paceline/bench/result"
)

// Limits and intervals of the protocol between agent and coordinator.
const (
	Version       = 1
	MaxBatchBytes = 256 << 10        // of Batch.Body
	BeatEvery     = 5 * time.Second  // while an attempt is held
	ClaimEvery    = 15 * time.Second // poll, with jitter; a wake hint comes sooner
	LeaseFor      = 60 * time.Second // unchanged beats observed for so long: lost
)

// Subjects of the bus.
const (
	Claim = "claim"
	Beat  = "beat"
	Put   = "batch"
	End   = "end"
)

// RPC is the subject of a request from an agent: kind is Claim, Beat, Put or End.
func RPC(agent, kind string) string { return "rpc." + agent + "." + kind }

// Ctl is the subject on which an agent hears hints: HintWake or HintStop. A hint may
// be lost: an agent that hears one asks at once what it would have asked soon.
func Ctl(agent string) string { return "ctl." + agent }

// Hints.
const (
	HintWake = "wake" // there may be work to claim
	HintStop = "stop" // an attempt's must_stop may be set
)

// Live is the subject of a run's progress, for pages only.
func Live(run string) string { return "live." + run }

// Changed is the subject on which a run's change is announced, for pages only.
func Changed(run string) string { return "changed." + run }

// ClaimRequest asks for work. The same ClaimID gives the same answer.
type ClaimRequest struct {
	Version int               `json:"version"`
	ClaimID string            `json:"claim_id"`
	Devices []string          `json:"devices"` // free ones: "cpu", GPU UUIDs
	Labels  map[string]string `json:"labels,omitempty"`
	Build   string            `json:"build"` // of the agent
}

// ClaimReply gives an order, or says why there is none.
type ClaimReply struct {
	Order *Order `json:"order,omitempty"`
	Why   string `json:"why,omitempty"`
	Error *Error `json:"error,omitempty"`
}

// Order is an attempt: the work of one machine.
type Order struct {
	Attempt    string         `json:"attempt"`
	Run        string         `json:"run"`
	Suite      string         `json:"suite"` // resolved, YAML
	Rounds     int            `json:"rounds"`
	FirstRound int            `json:"first_round"` // 1…: index of its first round within the run
	Subject    result.Subject `json:"subject"`
	Model      string         `json:"model"`            // name in the agent's catalogue
	Faults     []string       `json:"faults,omitempty"` // planted defects: "slow=1.43"
	Devices    []string       `json:"devices"`          // leased to this attempt
}

// BeatRequest renews an attempt's lease. N counts up from 1.
type BeatRequest struct {
	Attempt string `json:"attempt"`
	N       uint64 `json:"n"`
	State   string `json:"state"` // "leased", "running", "uploading"
}

// BeatReply answers a beat. The worker starts only after the first one.
type BeatReply struct {
	MustStop  bool              `json:"must_stop,omitempty"`
	Reason    string            `json:"reason,omitempty"`
	HighWater map[string]uint64 `json:"high_water,omitempty"` // stream → last sequence stored without a gap
	BeatEvery time.Duration     `json:"beat_every_ns"`
	Error     *Error            `json:"error,omitempty"`
}

// Streams of an attempt. Rounds has one result.Round a record; Samples has
// result.Sample records; Log has lines of the worker's standard error.
const (
	StreamRounds  = "rounds"
	StreamSamples = "samples"
	StreamLog     = "log"
)

// BatchRequest delivers records of a stream: insert or ignore by (Attempt, Stream,
// Seq).
type BatchRequest struct {
	Attempt string `json:"attempt"`
	Stream  string `json:"stream"`
	Seq     uint64 `json:"seq"` // 1…, without gaps
	Records int    `json:"records"`
	Body    []byte `json:"body"` // JSON Lines, zstd; ≤ MaxBatchBytes
}

// BatchReply is the receipt: everything up to HighWater is on the coordinator's
// disk, and the spool may be trimmed to there.
type BatchReply struct {
	HighWater uint64 `json:"high_water"`
	MustStop  bool   `json:"must_stop,omitempty"`
	Error     *Error `json:"error,omitempty"`
}

// Outcomes of an attempt.
const (
	OutcomeDone      = "done"
	OutcomeError     = "error"
	OutcomeCancelled = "cancelled"
)

// EndRequest closes an attempt, once every batch is delivered.
type EndRequest struct {
	Attempt string            `json:"attempt"`
	Outcome string            `json:"outcome"`
	Counts  map[string]uint64 `json:"counts"`            // stream → last Seq
	Digest  string            `json:"digest"`            // sha256 over all bodies in order of stream name and Seq
	Problem *Error            `json:"problem,omitempty"` // with OutcomeError
}

// Digest binds an attempt's batches together: the SHA-256 in hexadecimal over the
// SHA-256 of every body, in order of stream name and Seq. sums has them by stream.
func Digest(sums map[string][][32]byte) string {
	h := sha256.New()
	for _, stream := range slices.Sorted(maps.Keys(sums)) {
		for _, sum := range sums[stream] {
			h.Write(sum[:])
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// EndReply says that the state is written, or from where batches are missing.
type EndReply struct {
	Missing map[string]uint64 `json:"missing,omitempty"` // stream → first Seq not stored
	Error   *Error            `json:"error,omitempty"`
}

// Error classes: who has to act.
const (
	ClassRequest  = "request"  // the request or configuration is wrong: exit 2
	ClassMachine  = "machine"  // this machine can't: exit 3
	ClassSubject  = "subject"  // what is measured failed: exit 3
	ClassTerminal = "terminal" // the attempt is over; stop and forget it
	ClassInternal = "internal"
)

// Error is an error that crosses a process boundary.
type Error struct {
	Class   string `json:"class"`
	Message string `json:"message"` // what was done, with what, and what to do next
}

// Error makes *Error an error.
func (e *Error) Error() string { return e.Message }

// Progress is where a run stands; published on Live(run), never stored.
type Progress struct {
	Run      string            `json:"run"`
	Attempt  string            `json:"attempt"`
	Agent    string            `json:"agent"`
	Round    int               `json:"round"`  // 1… within the run
	Rounds   int               `json:"rounds"` // asked for so far
	Workload string            `json:"workload"`
	Point    map[string]string `json:"point,omitempty"`
	Phase    string            `json:"phase"`              // "starting", "warm-up", "trial 1 of 2", "probe", "done"
	Done     float64           `json:"done"`               // share of the round, 0..1
	Rate     float64           `json:"rate,omitempty"`     // tok/s at this moment; 0 unknown
	LeftSec  float64           `json:"left_sec,omitempty"` // of the round, estimated
	At       time.Time         `json:"at"`
}
