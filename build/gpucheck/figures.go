//go:build native

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cuda"
	"github.com/paceline/paceline/engine/cuda/estimate"
	"github.com/paceline/paceline/engine/cuda/kernels"
	"github.com/paceline/paceline/engine/model"
)

// figure is one thing that was measured: how often, and the times' quantiles.
type figure struct {
	What    string        `json:"what"` // "decode", "prefill", "ttft", "start"
	Weights string        `json:"weights"`
	Batch   int           `json:"batch,omitempty"`
	Tokens  int           `json:"tokens,omitempty"` // of the prompt
	Times   int           `json:"times"`
	Median  time.Duration `json:"median_ns"`
	P90     time.Duration `json:"p90_ns"`
	Rate    float64       `json:"tok_per_s,omitempty"`
	// Share is the bytes that a step has to read, over the median time, of what copies read and write together.
	Share  float64 `json:"share_of_copies,omitempty"`
	Joules float64 `json:"joules_per_tok,omitempty"` // of the board, by its driver's readings of power
	Note   string  `json:"note,omitempty"`
}

const contextOfDecode = 512 // positions before the tokens that are timed

// figures measures each format on a model of made-up weights.
func (c *check) figures() error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "gpucheck-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	folder := filepath.Join(dir, "model")
	if err := model.SynthConfig(context.Background(), cfg, folder, model.SynthOptions{Seed: 1}); err != nil {
		return err
	}
	ck, err := model.Open(folder)
	if err != nil {
		return err
	}
	defer ck.Close()
	formats := []string{"bf16", "w8", "w4"}
	if c.smoke {
		formats = formats[:1]
	}
	var errs []error
	for _, weights := range formats {
		errs = append(errs, c.format(ck, weights))
	}
	return errors.Join(append(errs, c.peers(folder))...)
}

func (c *check) format(ck *model.Checkpoint, weights string) (err error) {
	b, err := cuda.Open(ck, cuda.Options{Device: c.device, Weights: weights})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	m := measure{check: c, b: b, weights: weights, layers: ck.Config.Layers}
	if s, ok := b.(interface{ ColdStart() backend.ColdStart }); ok {
		m.start(s.ColdStart())
	}
	batches, prompts := []int{1, 8, 64, 256}, []int{128, 512, 2048, 8192}
	if c.smoke {
		batches, prompts = []int{1, 9}, []int{128}
	}
	for _, n := range batches {
		if err := m.decode(n); err != nil {
			return fmt.Errorf("decode %d in %s: %w", n, weights, err)
		}
	}
	for _, n := range prompts {
		if err := m.prompt(n); err != nil {
			return fmt.Errorf("a prompt of %d in %s: %w", n, weights, err)
		}
	}
	if err := m.workload(); err != nil {
		return err
	}
	return c.warpgroups(ck, weights)
}

// warpgroups measures prompts once more by Hopper's own products, which are off elsewhere; TestWide says whether they give
// the same.
func (c *check) warpgroups(ck *model.Checkpoint, weights string) (err error) {
	b, err := cuda.Open(ck, cuda.Options{Device: c.device, Weights: weights, Warpgroups: true, Pages: 256})
	if errors.Is(err, backend.ErrUnavailable) {
		fmt.Println("skipped:", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	m := measure{check: c, b: b, weights: weights, layers: ck.Config.Layers, how: " by warpgroups"}
	prompts := []int{512, 2048, 8192}
	if c.smoke {
		prompts = []int{150}
	}
	for _, n := range prompts {
		if err := m.prompt(n); err != nil {
			return fmt.Errorf("a prompt of %d in %s by warpgroups: %w", n, weights, err)
		}
	}
	return nil
}

// measure is a backend under measurement.
type measure struct {
	*check
	b       backend.Backend
	weights string
	layers  int
	how     string // after what is measured
}

// start notes how long opening took.
func (m *measure) start(c backend.ColdStart) {
	var parts []string
	total := time.Duration(0)
	for _, s := range c.Stages {
		total += s.Took
		parts = append(parts, fmt.Sprintf("%s %d ms", s.Name, s.Took.Milliseconds()))
	}
	m.add(figure{What: "start", Times: 1, Median: total, P90: total, Note: strings.Join(parts, " · ")})
}

// add keeps a figure, unless the device is an emulator.
func (m *measure) add(f figure) {
	f.Weights = m.weights
	if m.r.Emulated {
		return
	}
	m.r.Figures = append(m.r.Figures, f)
	fmt.Printf("%-8s %-5s batch %-4d prompt %-5d median %v, p90 %v  %.0f tok/s  %.0f %% of copies  %s\n",
		f.What, f.Weights, f.Batch, f.Tokens, f.Median, f.P90, f.Rate, 100*f.Share, f.Note)
}

// step launches and collects one batch.
func (m *measure) step(rows []backend.Row) error {
	b := &backend.Batch{Rows: rows}
	if err := m.b.Launch(b); err != nil {
		return err
	}
	return m.b.Collect(b)
}

// pagesOf gives sequence i pages of its own.
func pagesOf(i, positions int) []backend.PageID {
	n := (positions + backend.PageTokens - 1) / backend.PageTokens
	pages := make([]backend.PageID, n)
	for p := range pages {
		pages[p] = backend.PageID(i*n + p)
	}
	return pages
}

// fill computes the prompts of so many sequences, chunk by chunk.
func (m *measure) fill(sequences, tokens, positions int) error {
	ids := make([]int32, tokens)
	for i := range ids {
		ids[i] = int32(i % m.b.Info().VocabSize)
	}
	for i := range sequences {
		for at := 0; at < tokens; {
			n := min(tokens-at, m.b.Info().MaxTokens)
			if err := m.step([]backend.Row{{Tokens: ids[at : at+n], Start: at, Pages: pagesOf(i, positions)}}); err != nil {
				return err
			}
			at += n
		}
	}
	return nil
}

// decode times steps of a batch, with the next one launched while one runs, as the scheduler may.
func (m *measure) decode(sequences int) error {
	steps, warm := 200, 20
	if m.smoke {
		steps, warm = 4, 1
	}
	positions := contextOfDecode + steps + warm
	if need := sequences * len(pagesOf(0, positions)); need > m.b.Pages().Count() {
		return fmt.Errorf("%d KV pages, the device has room for %d", need, m.b.Pages().Count())
	}
	if err := m.fill(sequences, contextOfDecode, positions); err != nil {
		return err
	}
	rows := make([][]backend.Row, steps+warm)
	for s := range rows {
		for i := range sequences {
			r := backend.Row{Start: contextOfDecode + s, Pages: pagesOf(i, positions), Sample: &backend.Sampling{}, Chained: s > 0, ChainRow: i}
			if s == 0 {
				r.Tokens = []int32{1}
			}
			rows[s] = append(rows[s], r)
		}
	}
	var times []time.Duration
	var flying *backend.Batch
	last := time.Now()
	for s := range rows {
		b := &backend.Batch{Rows: rows[s]}
		if err := m.b.Launch(b); err != nil {
			return err
		}
		if flying != nil {
			if err := m.b.Collect(flying); err != nil {
				return err
			}
			now := time.Now()
			if s > warm {
				times = append(times, now.Sub(last))
			}
			last = now
		}
		flying = b
	}
	if err := m.b.Collect(flying); err != nil {
		return err
	}
	f := quantiles(times)
	f.What, f.Batch, f.Rate = "decode", sequences, float64(sequences)/f.Median.Seconds()
	f.Share = m.share(sequences, f.Median)
	m.add(f)
	return nil
}

// share is the bytes that a step has to read, over its time, of what copies read and write together.
func (m *measure) share(sequences int, took time.Duration) float64 {
	format, _ := kernels.FormatOf(m.weights)
	cfg, err := m.config()
	if err != nil || m.r.Copy == 0 {
		return 0
	}
	s, err := kernels.ShapeOf(cfg, format)
	if err != nil {
		return 0
	}
	floor := estimate.FloorOf(s, m.layers, contextOfDecode)
	bytes := float64(floor.Weights) + float64(sequences)*float64(floor.KV)
	return bytes / took.Seconds() / 1e9 / m.r.Copy
}

// prompt times a prompt from nothing to its first token.
func (m *measure) prompt(tokens int) error {
	times := 20
	if m.smoke {
		times = 1
	}
	ids := make([]int32, tokens)
	for i := range ids {
		ids[i] = int32(i % m.b.Info().VocabSize)
	}
	if tokens > m.b.Info().MaxContext || len(pagesOf(0, tokens)) > m.b.Pages().Count() {
		return nil
	}
	var all []time.Duration
	for range times {
		started := time.Now()
		for at := 0; at < tokens; {
			n := min(tokens-at, m.b.Info().MaxTokens)
			r := backend.Row{Tokens: ids[at : at+n], Start: at, Pages: pagesOf(0, tokens)}
			if at += n; at == tokens {
				r.Sample = &backend.Sampling{}
			}
			if err := m.step([]backend.Row{r}); err != nil {
				return err
			}
		}
		all = append(all, time.Since(started))
	}
	f := quantiles(all)
	f.What, f.Tokens, f.Batch, f.Rate = "prompt"+m.how, tokens, 1, float64(tokens)/f.Median.Seconds()
	m.add(f)
	return nil
}

func quantiles(times []time.Duration) figure {
	slices.Sort(times)
	if len(times) == 0 {
		return figure{}
	}
	return figure{Times: len(times), Median: times[len(times)/2], P90: times[len(times)*9/10]}
}

// markdown is the table for people.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\nCompute capability %d.%d, driver for CUDA %d.%d, %s.\n", r.Device.Name, r.Device.Major, r.Device.Minor, r.Driver/1000, r.Driver%1000/10, r.Started.Format(time.RFC3339))
	if r.Emulated {
		fmt.Fprintf(&b, "\nThis is an emulator: nothing here has a speed.\n")
	}
	for _, c := range r.Code {
		fmt.Fprintf(&b, "\n- kernels in %s: %s in %d ms, loaded in %d ms", c.Weights, c.From, c.Found.Milliseconds(), c.Loaded.Milliseconds())
	}
	for _, t := range r.Tests {
		fmt.Fprintf(&b, "\n- %s: %d passed, %d failed, %d skipped", t.Name, t.Passed, t.Failed, t.Skips)
	}
	if r.Copy > 0 {
		fmt.Fprintf(&b, "\n- copies within the device: %.0f GB/s, read and written\n\n| what | weights | batch | prompt | median | p90 | tok/s | of copies |\n|---|---|---|---|---|---|---|---|\n", r.Copy)
	}
	for _, f := range r.Figures {
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %v | %v | %.0f | %.0f %% |\n", f.What, f.Weights, f.Batch, f.Tokens, f.Median, f.P90, f.Rate, 100*f.Share)
	}
	for _, f := range r.Figures {
		if f.Note != "" {
			fmt.Fprintf(&b, "\n- %s in %s: %s", f.What, f.Weights, f.Note)
		}
	}
	if l := r.Launch; l != nil {
		fmt.Fprintf(&b, "\n- from kernel to kernel in a graph: %v one after the other, %v where the next may begin early", l.Gap, l.EarlyGap)
		fmt.Fprintf(&b, "\n- a barrier over %d blocks: %v", l.Blocks, l.Barrier)
	}
	for _, p := range r.Peers {
		fmt.Fprintf(&b, "\n- %s %s, the same sizes in bf16: %s", p.Name, p.Version, p.words())
	}
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "\n**Problem:** %s\n", p)
	}
	return b.String() + "\n"
}
