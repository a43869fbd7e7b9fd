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
// of Paceline: its Hello comes first and says which version it speaks.
const WorkerProtocol = 1

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
