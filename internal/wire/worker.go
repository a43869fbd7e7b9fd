package wire

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/paceline/paceline/bench/result"
)

// WorkerProtocol is the version of what an agent and a worker process say to each
// other on the worker's standard input and output. A worker may be another build
// of Paceline: its Hello comes first and says which version it speaks, and it is
// spoken to in that version. Reading unknown fields is no error in any of them.
//
//	1  the embedded engine
//	2  RoundOrder.Target: servers too
//	3  variants of the embedded engine (EngineVariants), as Subject.Target and in suites
//	4  those of them that compute on a GPU, and RoundOrder.Device
const WorkerProtocol = 4

// TargetProtocol is the first version whose workers understand RoundOrder.Target.
const TargetProtocol = 2

// MaxFrameBytes bounds one frame.
const MaxFrameBytes = 16 << 20

// Hello is a worker's first frame.
type Hello struct {
	Protocol   int      `json:"protocol"`
	Version    string   `json:"version"`
	BinaryHash string   `json:"binary_sha256"`
	Revision   string   `json:"revision,omitempty"`
	Targets    []string `json:"targets"` // it can drive
}

// RoundOrder is the one frame that a worker is sent: one round, then it ends.
type RoundOrder struct {
	Protocol int            `json:"protocol"`
	Run      string         `json:"run"`
	Attempt  string         `json:"attempt"`
	Round    int            `json:"round"` // 1… within the run
	Suite    string         `json:"suite"` // resolved, YAML
	Subject  result.Subject `json:"subject"`
	ModelDir string         `json:"model_dir"` // resolved by the agent's catalogue
	Faults   []string       `json:"faults,omitempty"`
	Spawned  time.Time      `json:"spawned"` // wall clock at which the agent started the process
	// Target is what is measured, resolved by the agent's configuration; nil: the
	// worker's own engine. A worker of TargetProtocol or later understands it.
	Target *Target `json:"target,omitempty"`
	// Device is the GPU for a variant that computes on one: an index or a UUID; empty:
	// the first that nobody uses.
	Device string `json:"device,omitempty"`
}

// Drivers of a target.
const (
	DriverEngine = "engine" // the worker's own engine, in its process
	DriverOpenAI = "openai" // a server with OpenAI's HTTP API
)

// EngineVariant is how a variant of the worker's own engine is opened.
type EngineVariant struct {
	Backend   string // "cuda"; empty: the CPU
	Weights   string // "w8" or "w4": quantised as they are loaded; empty: as stored
	Speculate int    // most tokens that are guessed by prompt lookup; 0: none
}

// EngineVariants are the targets that every native worker has beside DriverEngine, by
// name. They are targets because options of the engine are the target's, never a
// suite's.
func EngineVariants() map[string]EngineVariant {
	return map[string]EngineVariant{
		DriverEngine + "-w8":     {Weights: "w8"},
		DriverEngine + "-w4":     {Weights: "w4"},
		DriverEngine + "-lookup": {Speculate: 4},

		DriverEngine + "-cuda":    {Backend: "cuda"},
		DriverEngine + "-cuda-w8": {Backend: "cuda", Weights: "w8"},
		DriverEngine + "-cuda-w4": {Backend: "cuda", Weights: "w4"},
	}
}

// Protocol is the first version whose workers know the variant; an older one would
// measure the engine itself under the variant's name, or refuse it.
func (v EngineVariant) Protocol() int {
	if v.Backend != "" {
		return 4
	}
	return 3
}

// OwnEngine says whether a target's name is that of the worker's own engine or of a
// variant of it. No name is the engine's.
func OwnEngine(name string) bool {
	_, variant := EngineVariants()[name]
	return variant || name == "" || name == DriverEngine
}

// Target is a subject that isn't the worker's own engine. URL or Launch is set.
type Target struct {
	Driver    string  `json:"driver"`
	Dialect   string  `json:"dialect,omitempty"`     // empty: recognised
	URL       string  `json:"url,omitempty"`         // of a server that runs already
	Launch    *Launch `json:"launch,omitempty"`      // how it is started, once a round
	APIKeyEnv string  `json:"api_key_env,omitempty"` // variable that holds the key; the key itself is never sent
	Served    string  `json:"served,omitempty"`      // the model as the server names it; empty: its only one
}

// Launch is how a server is started. {port} and the names of Values in braces are
// replaced in Args, Env and URL.
type Launch struct {
	Args         []string          `json:"args"`
	Env          []string          `json:"env,omitempty"` // NAME=value
	URL          string            `json:"url,omitempty"`
	Ready        string            `json:"ready,omitempty"` // path
	ReadyTimeout time.Duration     `json:"ready_timeout_ns,omitempty"`
	Values       map[string]string `json:"values,omitempty"`
}

// Frame is one message of a worker. Exactly one field is set.
type Frame struct {
	Hello    *Hello              `json:"hello,omitempty"`
	Order    *RoundOrder         `json:"order,omitempty"` // agent to worker
	Progress *Progress           `json:"progress,omitempty"`
	Samples  []result.Sample     `json:"samples,omitempty"`
	Round    *result.Round       `json:"round,omitempty"` // the last frame of a round that ended
	Probes   []result.Probe      `json:"probes,omitempty"`
	Env      *result.Environment `json:"environment,omitempty"`
	Error    *Error              `json:"error,omitempty"` // the last frame of one that did not
}

// WriteFrame writes a frame: its length in four bytes, big endian, then JSON.
func WriteFrame(w io.Writer, f *Frame) error {
	b, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	if len(b) > MaxFrameBytes {
		return fmt.Errorf("encode frame: %d bytes are over the limit of %d", len(b), MaxFrameBytes)
	}
	buf := make([]byte, 4, 4+len(b))
	binary.BigEndian.PutUint32(buf, uint32(len(b)))
	if _, err := w.Write(append(buf, b...)); err != nil {
		return fmt.Errorf("write frame: %w", err)
	}
	return nil
}

// ReadFrame reads the next frame. It gives io.EOF between frames only; an end
// within one is io.ErrUnexpectedEOF.
func ReadFrame(r *bufio.Reader) (*Frame, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("read frame length: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > MaxFrameBytes {
		return nil, fmt.Errorf("read frame: a length of %d bytes is outside 1..%d: is the other side a Paceline worker?", n, MaxFrameBytes)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("read frame of %d bytes: %w", n, err)
	}
	var f Frame
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("decode frame of %d bytes: %w", n, err)
	}
	return &f, nil
}
