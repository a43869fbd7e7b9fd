package ledger

import (
	"context"
	"time"

	"github.com/paceline/paceline/internal/wire"
)

// AttemptState is where an attempt stands: queued → leased → running → uploading →
// done | error | lost | cancelled | expired.
type AttemptState string

// States of an attempt.
const (
	AttemptQueued    AttemptState = "queued"
	AttemptLeased    AttemptState = "leased"
	AttemptRunning   AttemptState = "running"
	AttemptUploading AttemptState = "uploading"
	AttemptDone      AttemptState = "done"
	AttemptError     AttemptState = "error"
	AttemptLost      AttemptState = "lost"
	AttemptCancelled AttemptState = "cancelled"
	AttemptExpired   AttemptState = "expired"
)

// Active says whether an agent holds the attempt.
func (s AttemptState) Active() bool { return s.rank() >= 1 && s.rank() <= 3 }

// Terminal says whether the state is final.
func (s AttemptState) Terminal() bool { return s.rank() == 4 }

// MayBecome says whether a beat may move the state to next: forward only.
func (s AttemptState) MayBecome(next AttemptState) bool {
	return s.Active() && next.Active() && next.rank() >= s.rank()
}

func (s AttemptState) rank() int {
	switch s {
	case AttemptQueued:
		return 0
	case AttemptLeased:
		return 1
	case AttemptRunning:
		return 2
	case AttemptUploading:
		return 3
	case AttemptDone, AttemptError, AttemptLost, AttemptCancelled, AttemptExpired:
		return 4
	}
	return -1
}

// Attempt is a work order of a run for one machine. Its id is the fence: a retry is
// another attempt.
type Attempt struct {
	ID         string            `json:"id"`
	Run        string            `json:"run"`
	Seq        int64             `json:"seq"` // order in the queue
	State      AttemptState      `json:"state"`
	FirstRound int               `json:"first_round"` // index within the run, 1…
	Rounds     int               `json:"rounds"`
	Device     string            `json:"device"`              // kind it needs: "cpu", "gpu"
	Devices    int               `json:"devices"`             // how many of that kind, ≥ 1
	Labels     map[string]string `json:"labels,omitempty"`    // a machine must have all of them
	Machine    string            `json:"machine,omitempty"`   // name of the one agent that may take it; empty: any
	Avoid      []string          `json:"avoid,omitempty"`     // agents to be passed over while another could take it
	NotBefore  time.Time         `json:"not_before,omitzero"` // rounds of a subject that can't be restarted lie apart
	Expires    time.Time         `json:"expires,omitzero"`    // queued until then, expired after
	Created    time.Time         `json:"created"`

	Agent    string      `json:"agent,omitempty"`  // id of who took it
	Leased   []string    `json:"leased,omitempty"` // devices
	LeasedAt time.Time   `json:"leased_at,omitzero"`
	Beat     uint64      `json:"beat"` // last one heard
	EndedAt  time.Time   `json:"ended_at,omitzero"`
	Problem  *wire.Error `json:"problem,omitempty"` // why it ended so
}

// Claim is an agent's request for work.
type Claim struct {
	ID      string // same id, same answer
	Agent   string // id, from the connection
	Devices []string
	Labels  map[string]string
	Build   string
}

// Pick chooses the index of one attempt of the queue, which is in order of Seq, and
// the devices to lease; or says why none. It must be pure.
type Pick func(queue []Attempt, a Agent, free []string) (i int, devices []string, why string)

// Heard is what a beat found.
type Heard struct {
	State     AttemptState
	MustStop  bool
	Reason    string
	HighWater map[string]uint64
}

// Attempts keeps attempts.
type Attempts interface {
	// Get reads an attempt. ErrNotFound.
	Get(ctx context.Context, id string) (Attempt, error)
	// OfRun gives a run's attempts in order.
	OfRun(ctx context.Context, run string) ([]Attempt, error)
	// InStates gives attempts of any run, oldest first.
	InStates(ctx context.Context, states ...AttemptState) ([]Attempt, error)
	// Claim picks and leases in one transaction; ok is false where there is none, with
	// why. The agent is marked busy. ErrNotFound: unknown agent.
	Claim(ctx context.Context, c Claim, pick Pick) (a Attempt, why string, ok bool, err error)
	// Beat records beat n of the agent and moves the state forward. Beats with an n
	// not above the last change nothing. A terminal attempt gives MustStop.
	Beat(ctx context.Context, agent, attempt string, n uint64, s AttemptState) (Heard, error)
	// End writes the terminal state with the task judge(run), or tells from which
	// sequence of which stream batches are missing. Ending again in the same state is
	// harmless; else ErrState. ErrInvalid: the digest is not that of the batches.
	End(ctx context.Context, agent string, e wire.EndRequest) (missing map[string]uint64, err error)
	// Lose makes an active attempt lost, with the task judge(run), if its last beat
	// still is n. ErrState: it isn't.
	Lose(ctx context.Context, attempt string, n uint64, p wire.Error) error
	// Expire makes a queued attempt expired, with the task judge(run). ErrState: it was
	// taken.
	Expire(ctx context.Context, attempt string, p wire.Error) error
}
