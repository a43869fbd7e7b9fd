package engine

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/sample"
	"github.com/paceline/paceline/engine/sched"
)

// Kinds of Fault.
const (
	FaultSlow       = "slow"
	FaultStall      = "stall"
	FaultWrongToken = "wrong-token"
	FaultLeak       = "leak"
)

// ParseFault reads a fault as it is written on a command line:
//
//	slow=FACTOR               each step takes FACTOR × as long, FACTOR ≥ 1
//	stall=SECONDS/STEPS       one step in STEPS takes SECONDS longer
//	wrong-token=PROBABILITY   a token is replaced by the next id, with that probability (0..1)
//	leak=BYTES                each request keeps BYTES for ever
func ParseFault(text string) (Fault, error) {
	f, err := parseFault(text)
	if err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", text, err)
	}
	return f, nil
}

func parseFault(text string) (Fault, error) {
	kind, value, ok := strings.Cut(text, "=")
	if !ok {
		return Fault{}, fmt.Errorf("want kind=value, such as slow=1.43; kinds are %s", faultKinds)
	}
	f := Fault{Kind: kind}
	if kind == FaultStall {
		seconds, steps, ok := strings.Cut(value, "/")
		if !ok {
			return Fault{}, fmt.Errorf("want stall=SECONDS/STEPS, such as stall=0.5/100")
		}
		n, err := strconv.Atoi(steps)
		if err != nil {
			return Fault{}, fmt.Errorf("%q is no whole number of steps", steps)
		}
		f.Every, value = n, seconds
	}
	v, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return Fault{}, fmt.Errorf("%q is no number", value)
	}
	f.Factor = v
	return f, f.Validate()
}

const faultKinds = FaultSlow + ", " + FaultStall + ", " + FaultWrongToken + " and " + FaultLeak

// String is the fault as ParseFault reads it.
func (f Fault) String() string {
	s := f.Kind + "=" + strconv.FormatFloat(f.Factor, 'g', -1, 64)
	if f.Kind == FaultStall {
		s += "/" + strconv.Itoa(f.Every)
	}
	return s
}

// Validate says what is wrong with the fault, or nil.
func (f Fault) Validate() error {
	in := func(low, high float64) bool { return f.Factor >= low && f.Factor <= high }
	switch f.Kind {
	case FaultSlow:
		if !in(1, 1000) {
			return fmt.Errorf("slow by %v: want a factor from 1 to 1000", f.Factor)
		}
	case FaultStall:
		if !in(0, 3600) || f.Every < 1 {
			return fmt.Errorf("stall of %v seconds in one step of %d: want 0 to 3600 seconds and at least 1 step", f.Factor, f.Every)
		}
	case FaultWrongToken:
		if !in(0, 1) {
			return fmt.Errorf("wrong tokens with probability %v: want 0 to 1", f.Factor)
		}
	case FaultLeak:
		if !in(1, 1<<30) || f.Factor != math.Trunc(f.Factor) {
			return fmt.Errorf("leak of %v bytes a request: want a whole number from 1 to %d", f.Factor, 1<<30)
		}
	default:
		return fmt.Errorf("unknown kind %q: kinds are %s", f.Kind, faultKinds)
	}
	return nil
}

// faults are the planted defects of one engine.
type faults struct {
	slow       float64 // ≥ 1
	stall      time.Duration
	stallEvery int // 0: never
	wrong      float64
	leakBytes  int
	vocab      int
	spin       time.Duration // the part of a wait that isn't left to a timer
	closed     chan struct{} // ends waits

	// Of the loop's goroutine only:
	steps int

	mu     sync.Mutex
	leaked [][]byte // guarded by mu
}

// newFaults adds equal kinds up: factors multiply, bytes and probabilities add.
func newFaults(list []Fault) (*faults, error) {
	f := &faults{slow: 1, spin: 1500 * time.Microsecond, closed: make(chan struct{})}
	for _, l := range list {
		if err := l.Validate(); err != nil {
			return nil, fmt.Errorf("fault: %w", err)
		}
		switch l.Kind {
		case FaultSlow:
			f.slow *= l.Factor
		case FaultStall:
			if f.stallEvery != 0 {
				return nil, fmt.Errorf("fault: stall is given twice")
			}
			f.stall, f.stallEvery = time.Duration(l.Factor*float64(time.Second)), l.Every
		case FaultWrongToken:
			f.wrong = min(f.wrong+l.Factor, 1)
		case FaultLeak:
			f.leakBytes += int(l.Factor)
		}
	}
	return f, nil
}

func (f *faults) hooks() sched.Hooks {
	var h sched.Hooks
	if f.slow > 1 || f.stallEvery > 0 {
		h.Stepped = f.stepped
	}
	if f.wrong > 0 {
		h.Token = f.token
	}
	return h
}

// stepped waits after a step that took so long.
func (f *faults) stepped(took time.Duration) {
	f.steps++
	wait := time.Duration(float64(took) * (f.slow - 1))
	if f.stallEvery > 0 && f.steps%f.stallEvery == 0 {
		wait += f.stall
	}
	f.wait(wait)
}

// wait takes exactly so long, as slow code would: its end is spent in a loop, because a timer may
// fire a millisecond late, which is many steps of a small model.
//
// Note: taking a timer's lateness off the next waits was tried. On a busy machine that hides the
// fault: the time for which the system leaves the thread aside was counted as waited.
func (f *faults) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	until := time.Now().Add(d)
	if d > f.spin {
		timer := time.NewTimer(d - f.spin)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-f.closed:
			return
		}
	}
	for f.spin > 0 && time.Now().Before(until) {
	}
}

// token replaces an id now and then, by the request's seed and the position, so that a repeated
// request is wrong in the same places.
func (f *faults) token(id int32, s backend.Sampling) int32 {
	const stream = 0x77726e67 // keeps these draws apart from those of engine/sample
	r := sample.Philox(0, uint32(s.Position), uint32(s.Position>>32), stream, uint32(s.Seed), uint32(s.Seed>>32))
	if float64(r[0]) >= f.wrong*(1<<32) {
		return id
	}
	return int32((int(id) + 1) % f.vocab)
}

// leak keeps memory for ever, touched so that it is really there.
func (f *faults) leak() {
	if f.leakBytes == 0 {
		return
	}
	b := make([]byte, f.leakBytes)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	f.mu.Lock()
	f.leaked = append(f.leaked, b)
	f.mu.Unlock()
}

func (f *faults) leakedBytes() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(len(f.leaked)) * int64(f.leakBytes)
}

func (f *faults) close() { close(f.closed) }
