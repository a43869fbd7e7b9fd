// Package workertest is the suite that every worker must pass, this build's and any
// older one: what an agent relies on when it starts a program that it didn't come
// with.
//
// It drives a command line over its standard input and output, as an agent does.
package workertest

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/internal/wire"
)

// Config says what is held to the suite.
type Config struct {
	Args  []string        // command line of the worker
	Env   []string        // added to this process's own
	Order wire.RoundOrder // one that ends in a round within a minute; Protocol is the suite's to set
}

// patience is how long a worker may take for anything.
const patience = 2 * time.Minute

// Run holds a worker to the suite.
func Run(t *testing.T, c Config) {
	t.Run("hello comes first", func(t *testing.T) { hello(t, c) })
	t.Run("a round from order to end", func(t *testing.T) { round(t, c) })
	t.Run("unknown fields are no error", func(t *testing.T) { unknownFields(t, c) })
	t.Run("an order that can't be run", func(t *testing.T) { refused(t, c) })
	t.Run("its input ends before the order", func(t *testing.T) { orphaned(t, c) })
	t.Run("its input ends in the middle", func(t *testing.T) { abandoned(t, c) })
	t.Run("what is no order", func(t *testing.T) { malformed(t, c) })
}

// worker is a started one.
type worker struct {
	t      *testing.T
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
}

func start(t *testing.T, c Config) *worker {
	t.Helper()
	w := &worker{t: t, cmd: exec.Command(c.Args[0], c.Args[1:]...)}
	w.cmd.Env = append(os.Environ(), c.Env...)
	w.cmd.Stderr = &w.stderr
	in, err := w.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	w.in, w.out = in, bufio.NewReader(out)
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	limit := time.AfterFunc(patience, func() { _ = w.cmd.Process.Kill() })
	t.Cleanup(func() {
		limit.Stop()
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait()
	})
	return w
}

// greet reads the hello.
func (w *worker) greet() wire.Hello {
	w.t.Helper()
	f, err := wire.ReadFrame(w.out)
	if err != nil {
		w.t.Fatalf("no hello: %v; standard error: %s", err, w.stderr.String())
	}
	if f.Hello == nil {
		w.t.Fatalf("the first frame is no hello: %+v", f)
	}
	return *f.Hello
}

// order sends one in the worker's own version of the protocol.
func (w *worker) order(o wire.RoundOrder, h wire.Hello) {
	w.t.Helper()
	o.Protocol, o.Spawned = h.Protocol, time.Now()
	if err := wire.WriteFrame(w.in, &wire.Frame{Order: &o}); err != nil {
		w.t.Fatal(err)
	}
}

// rest reads every frame that follows.
func (w *worker) rest() []*wire.Frame {
	w.t.Helper()
	var frames []*wire.Frame
	for {
		f, err := wire.ReadFrame(w.out)
		if errors.Is(err, io.EOF) {
			return frames
		}
		if err != nil {
			w.t.Fatalf("frame %d: %v; standard error: %s", len(frames)+2, err, w.stderr.String())
		}
		frames = append(frames, f)
	}
}

// end waits for the process and gives its exit code.
func (w *worker) end() int {
	_ = w.in.Close()
	_, _ = io.Copy(io.Discard, w.out)
	_ = w.cmd.Wait() // the exit code says it
	return w.cmd.ProcessState.ExitCode()
}

func hello(t *testing.T, c Config) {
	h := start(t, c).greet()
	if h.Protocol < 1 || h.Protocol > wire.WorkerProtocol {
		t.Errorf("protocol %d: this repository knows 1 to %d", h.Protocol, wire.WorkerProtocol)
	}
	if h.Version == "" || len(h.BinaryHash) != 64 || len(h.Targets) == 0 {
		t.Errorf("hello %+v lacks version, digest or targets", h)
	}
}

func round(t *testing.T, c Config) {
	w := start(t, c)
	w.order(c.Order, w.greet())
	w.checkRound(c.Order, w.rest())
	if code := w.end(); code != 0 {
		t.Errorf("exit code %d after a whole round: %s", code, w.stderr.String())
	}
}

// checkRound checks the frames of a round that was measured.
func (w *worker) checkRound(o wire.RoundOrder, frames []*wire.Frame) {
	w.t.Helper()
	samples, progress := 0, 0
	for i, f := range frames {
		if set := fields(f); set != 1 {
			w.t.Errorf("frame %d has %d fields: exactly one is set", i, set)
		}
		samples += len(f.Samples)
		if f.Progress != nil {
			progress++
		}
		for _, s := range f.Samples {
			if s.Round != o.Round || s.Cell == "" {
				w.t.Errorf("a sample of round %d, cell %q in round %d", s.Round, s.Cell, o.Round)
			}
		}
		if last := i == len(frames)-1; last != (f.Round != nil) {
			w.t.Errorf("frame %d of %d: %+v: the round is the last one", i, len(frames), f)
		}
	}
	if samples == 0 || progress == 0 {
		w.t.Errorf("%d samples, %d frames of progress: a round has both", samples, progress)
	}
	if len(frames) == 0 || frames[len(frames)-1].Round == nil {
		return
	}
	r := frames[len(frames)-1].Round
	if r.RunID != o.Run || r.AttemptID != o.Attempt || r.Index != o.Round || r.ID == "" {
		w.t.Errorf("the round says that it is %d (%s) of attempt %s, run %s", r.Index, r.ID, r.AttemptID, r.RunID)
	}
	if len(r.Cells) == 0 || r.Subject.Engine == "" || r.Subject.ModelDigest == "" || r.Ended.Before(r.Started) {
		w.t.Errorf("the round lacks cells, identity or instants: %+v", r)
	}
}

func fields(f *wire.Frame) int {
	n := 0
	for _, set := range []bool{
		f.Hello != nil, f.Order != nil, f.Progress != nil, f.Samples != nil, f.Round != nil, f.Probes != nil, f.Env != nil, f.Error != nil,
	} {
		if set {
			n++
		}
	}
	return n
}

// unknownFields sends an order as a later agent may: with fields that nobody knows.
func unknownFields(t *testing.T, c Config) {
	w := start(t, c)
	o := c.Order
	o.Protocol, o.Spawned = w.greet().Protocol, time.Now()
	b, err := json.Marshal(wire.Frame{Order: &o})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), `{"order":{`, `{"later":[1,{"a":null}],"order":{"of_a_later_version":{"deep":true},`, 1)
	w.raw([]byte(text))
	w.checkRound(c.Order, w.rest())
}

// raw writes a frame of these bytes.
func (w *worker) raw(b []byte) {
	w.t.Helper()
	if _, err := w.in.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)); err != nil {
		w.t.Fatal(err)
	}
}

// refused: an order whose suite can't be read is the request's fault, told by the last
// frame.
func refused(t *testing.T, c Config) {
	w := start(t, c)
	o := c.Order
	o.Suite, o.Subject = "frobnicate: yes\n", result.Subject{Target: "engine"}
	w.order(o, w.greet())
	frames := w.rest()
	if len(frames) == 0 || frames[len(frames)-1].Error == nil {
		t.Fatalf("frames %+v: the last one is the error", frames)
	}
	if e := frames[len(frames)-1].Error; e.Class != wire.ClassRequest || e.Message == "" {
		t.Errorf("error %+v, want class %s", e, wire.ClassRequest)
	}
}

func orphaned(t *testing.T, c Config) {
	w := start(t, c)
	w.greet()
	if code := w.end(); code <= 0 {
		t.Errorf("exit code %d: a worker without an agent ends by itself, and not well", code)
	}
}

// abandoned: whatever it is doing, a worker ends soon after its input has.
func abandoned(t *testing.T, c Config) {
	w := start(t, c)
	w.order(c.Order, w.greet())
	if _, err := wire.ReadFrame(w.out); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	w.end()
	if took := time.Since(begin); took >= patience {
		t.Errorf("it was killed after %v", took)
	}
}

// malformed input ends a worker with an error, and never in a round.
func malformed(t *testing.T, c Config) {
	for name, b := range map[string][]byte{
		"a length of nothing":     {0, 0, 0, 0},
		"a length of 4 GB":        {0xff, 0xff, 0xff, 0xff},
		"text":                    []byte("GET / HTTP/1.1\r\n\r\n"),
		"no JSON":                 append([]byte{0, 0, 0, 3}, "{x}"...),
		"JSON of another kind":    append([]byte{0, 0, 0, 4}, `[42]`...),
		"a frame that is none":    append([]byte{0, 0, 0, 2}, `{}`...),
		"a frame of another kind": append([]byte{0, 0, 0, 31}, `{"error":{"class":"","message":""}}`[:31]...),
		"half a frame":            append([]byte{0, 0, 1, 0}, `{"order":{"protocol":1`...),
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, c)
			w.greet()
			if _, err := w.in.Write(b); err != nil {
				t.Fatal(err)
			}
			_ = w.in.Close()
			for _, f := range w.rest() {
				if f.Round != nil {
					t.Error("a round came of it")
				}
			}
			if code := w.end(); code <= 0 {
				t.Errorf("exit code %d: want an error", code)
			}
		})
	}
}
