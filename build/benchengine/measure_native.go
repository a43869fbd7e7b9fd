//go:build native

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/paceline/paceline/build/benchengine/output"
	"github.com/paceline/paceline/build/benchengine/plan"
	"github.com/paceline/paceline/engine"
	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cpu"
	"github.com/paceline/paceline/engine/model"
)

// readerBytes are more than what the caches of today's processors keep of a stream.
const readerBytes = 1 << 30

// reader gives the engine's read rate in GB/s, or nil where there is no memory for it. It keeps its
// memory as long as the process lives.
func reader() func() float64 {
	r, err := cpu.NewReader(readerBytes, cpu.Cores())
	if err != nil {
		return nil
	}
	return r.Rate
}

// driverContext is the context that the driver opens the engine with, in positions.
const driverContext = 4096

// driver is one measurement of the engine.
type driver struct {
	folder, compute                 string
	threads, prompt, decode, stream int
	port                            int
	out                             io.Writer
}

// measureMain does one measurement and prints its output.Measured as the last line. args are
// the kind and its flags, see output.Programs.
func measureMain(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintln(stderr, "benchengine: -measure needs a kind, such as decode")
		return 2
	}
	d := driver{out: stdout}
	fs := flag.NewFlagSet("benchengine -measure "+args[0], flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&d.folder, "folder", "", "of the model")
	fs.StringVar(&d.compute, "compute", "", "type of activations")
	fs.IntVar(&d.threads, "threads", 0, "that compute")
	fs.IntVar(&d.prompt, "prompt", 0, "tokens")
	fs.IntVar(&d.decode, "decode", 0, "tokens")
	fs.IntVar(&d.stream, "streams", 1, "at once")
	fs.IntVar(&d.port, "port", 0, "of the server")
	if err := fs.Parse(args[1:]); err != nil {
		return 2
	}
	m, err := d.measure(ctx, plan.Kind(args[0]))
	if unsupported := errors.Is(err, backend.ErrUnavailable) || errors.Is(err, model.ErrUnsupported); unsupported {
		m, err = output.Measured{Unsupported: err.Error()}, nil
	}
	if err == nil {
		err = json.NewEncoder(stdout).Encode(m)
	}
	if err != nil {
		fmt.Fprintf(stderr, "benchengine: measure %s: %v\n", args[0], err)
		return 1
	}
	return 0
}

func (d driver) measure(ctx context.Context, kind plan.Kind) (m output.Measured, err error) {
	began := time.Now()
	e, err := engine.Open(ctx, engine.Options{
		ModelDir: d.folder, Compute: d.compute, Threads: d.threads, MaxContext: driverContext,
	})
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	switch kind {
	case plan.Decode:
		m.Value, err = d.decodeRate(ctx, e)
	case plan.Prefill:
		m.Value, err = d.prefillRate(ctx, e)
	case plan.Streams:
		m.Value, err = d.streamsRate(ctx, e)
	case plan.Memory:
		m.Value, err = d.memory(ctx, e)
	case plan.Start:
		// Whoever started this process takes the time when this line comes.
		if _, err = d.generate(ctx, e, d.prompt, 1, 0); err == nil {
			fmt.Fprintln(d.out, "{}")
		}
		m.Value = time.Since(began).Seconds()
	case plan.TTFT:
		err = d.serve(ctx, e)
	default:
		err = fmt.Errorf("%q is no kind of measurement", kind)
	}
	if err != nil {
		return m, err
	}
	s := e.Stats()
	m.Note = fmt.Sprintf("%s, weights %s, activations %s, KV %d bytes a token, %d threads",
		s.Backend.ISA, s.Backend.Weights, s.Backend.Compute, s.BytesPerPage/backend.PageTokens, s.Backend.Threads)
	sizes := weightSizes(e.Model().Config, format(e))
	m.BytesPerToken = float64(sizes.perToken)
	m.NeededBytes = float64(sizes.all + s.BytesPerPage*driverContext/backend.PageTokens)
	return m, nil
}

// format of the weights as they are computed with.
func format(e *engine.Engine) string {
	if w := e.Stats().Backend.Weights; w == "w8" || w == "w4" {
		return w
	}
	return "bf16"
}

// decodeRate is that of one stream after a prompt of one token, as llama-bench measures.
func (d driver) decodeRate(ctx context.Context, e *engine.Engine) (float64, error) {
	if _, err := d.generate(ctx, e, 1, 4, 1); err != nil { // wakes threads, touches pages
		return 0, err
	}
	g, err := d.generate(ctx, e, 1, d.decode+1, 0)
	if err != nil {
		return 0, err
	}
	return float64(d.decode) / g.last().Sub(g.at[0]).Seconds(), nil
}

// prefillRate is that of the second of two prompts of one length, as llama-bench measures.
func (d driver) prefillRate(ctx context.Context, e *engine.Engine) (float64, error) {
	if _, err := d.generate(ctx, e, d.prompt, 1, 1); err != nil {
		return 0, err
	}
	g, err := d.generate(ctx, e, d.prompt, 1, 0)
	if err != nil {
		return 0, err
	}
	return float64(d.prompt) / g.finish.PrefillEnd.Sub(g.finish.PrefillStart).Seconds(), nil
}

// memory is the resident set in MB after the context is full.
func (d driver) memory(ctx context.Context, e *engine.Engine) (float64, error) {
	if _, err := d.generate(ctx, e, d.prompt, d.decode, 0); err != nil {
		return 0, err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, fmt.Errorf("read the resident set, which only Linux tells: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return kib * 1024 / 1e6, err
		}
	}
	return 0, errors.New("/proc/self/status has no VmRSS")
}

// generated is one finished request.
type generated struct {
	at     []time.Time // of each token
	finish engine.Finish
}

func (g generated) last() time.Time { return g.at[len(g.at)-1] }

// generate computes a prompt of n ids, different for each salt, and tokens more, greedily.
func (d driver) generate(ctx context.Context, e *engine.Engine, n, tokens, salt int) (generated, error) {
	s, err := submit(ctx, e, n, tokens, salt)
	if err != nil {
		return generated{}, err
	}
	return collect(s, tokens)
}

func submit(ctx context.Context, e *engine.Engine, n, tokens, salt int) (*engine.Stream, error) {
	return e.Submit(ctx, engine.Request{Prompt: promptIDs(n, salt, e.Model().Config.VocabSize), MaxTokens: tokens, IgnoreEOS: true, NoCache: true})
}

// collect waits for the end of a stream that must have so many tokens.
func collect(s *engine.Stream, tokens int) (g generated, err error) {
	for ev := range s.Events() {
		if ev.Token >= 0 {
			g.at = append(g.at, ev.At)
		}
		if ev.Finish != nil {
			g.finish = *ev.Finish
		}
	}
	if g.finish.Err != nil {
		return g, g.finish.Err
	}
	if len(g.at) != tokens {
		return g, fmt.Errorf("%d tokens came and not %d: the generation ended by %q", len(g.at), tokens, g.finish.Reason)
	}
	return g, nil
}
