package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cpu"
	"github.com/paceline/paceline/engine/cuda"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/quant"
	"github.com/paceline/paceline/engine/ref"
	"github.com/paceline/paceline/engine/room"
	"github.com/paceline/paceline/engine/sched"
	"github.com/paceline/paceline/engine/token"
)

// DefaultBackend is what an empty Options.Backend means.
const DefaultBackend = "cpu"

// Open opens a model. A folder without a tokenizer, and a build without the tokenizer
// library, give an engine for token ids only (see Engine.Tokenizer). Its errors wrap model's
// sentinels for what is wrong with the folder, backend.ErrUnavailable for a backend that
// this build or machine doesn't have, ErrOptions and ErrMemory. The caller must Close the engine.
//
// ctx is asked between the stages of opening; the longest, packing the weights, takes seconds
// for each gigabyte.
func Open(ctx context.Context, o Options) (_ *Engine, err error) {
	faults, err := newFaults(o.Faults)
	if err != nil {
		return nil, err
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	started := time.Now()
	c, err := model.Open(o.ModelDir)
	if err != nil {
		return nil, err
	}
	e := &Engine{faults: faults, options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.closeParts(), c.Close())
		}
	}()
	e.describe(c)
	if err := e.openTokenizer(o.ModelDir, c.Config.VocabSize); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open model %s: %w", o.ModelDir, context.Cause(ctx))
	}
	if err := checkRoom(c, o, room.Available()); err != nil {
		return nil, err
	}
	var freed sync.WaitGroup
	if e.tokenizer != nil {
		freed.Go(cpu.GiveBack) // what reading it left, while the weights are packed
	}
	e.back, err = openBackend(c, o)
	freed.Wait()
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open model %s: %w", o.ModelDir, context.Cause(ctx))
	}
	if err := c.Close(); err != nil { // its mappings would count as our memory
		return nil, err
	}
	e.loadTime = time.Since(started)
	if s, ok := e.back.(interface{ ColdStart() backend.ColdStart }); ok {
		e.coldStart = s.ColdStart()
	}
	e.limits, e.pageBytes = e.back.Info(), e.back.Pages().BytesPerPage()
	if o.Speculate > e.limits.MaxDraft {
		return nil, fmt.Errorf("%d tokens to guess: the %s backend checks %d at most", o.Speculate, e.limits.Name, e.limits.MaxDraft)
	}
	faults.vocab = c.Config.VocabSize
	e.loop = sched.New(e.back, sched.Options{Hooks: faults.hooks(), MaxRows: o.MaxRows, CachedPages: o.cachedPages(e.pageBytes), Speculate: o.Speculate})
	return e, nil
}

// check reports what of the options makes no sense with any model.
func (o Options) check() error {
	switch {
	case o.MaxRows < 0:
		return fmt.Errorf("%d requests at a time: want 0 (the backend's limit) or more", o.MaxRows)
	case o.Speculate < 0:
		return fmt.Errorf("%d tokens to guess: want 0 (none) or more", o.Speculate)
	case o.PrefixCacheBytes < 0:
		return fmt.Errorf("%d bytes of prefix cache: want 0 (all of the KV cache) or more", o.PrefixCacheBytes)
	case o.NoPrefixCache && o.PrefixCacheBytes > 0:
		return fmt.Errorf("%d bytes of prefix cache, and none: give one of the two", o.PrefixCacheBytes)
	}
	return nil
}

// cachedPages is sched.Options.CachedPages.
func (o Options) cachedPages(pageBytes int64) int {
	switch pages := o.PrefixCacheBytes / pageBytes; {
	case o.NoPrefixCache, o.PrefixCacheBytes > 0 && pages == 0:
		return -1
	default:
		return int(min(pages, 1<<24))
	}
}

// describe keeps what is asked of the checkpoint after it was closed.
func (e *Engine) describe(c *model.Checkpoint) {
	i := c.Inspect()
	e.info = ModelInfo{
		Dir: c.Dir, Config: c.Config, Generation: c.Generation,
		Synthetic: c.Synthetic, Parameters: i.Parameters, Bytes: i.Bytes,
	}
	e.eos = c.Config.EOS
}

// openTokenizer keeps the tokenizer, or why there is none. A tokenizer that is there and broken,
// or another model's, is an error.
func (e *Engine) openTokenizer(dir string, vocabSize int) error {
	t, err := token.Open(dir)
	switch {
	case err == nil:
	case errors.Is(err, token.ErrNoEngine), errors.Is(err, fs.ErrNotExist):
		e.tokenizerErr = fmt.Errorf("this engine takes token ids only: %w", err)
		return nil
	default:
		return fmt.Errorf("%w: %w", model.ErrInvalid, err)
	}
	e.tokenizer = t
	if err := t.Verify(vocabSize); err != nil {
		return fmt.Errorf("open model %s: %w: %w", dir, model.ErrInvalid, err)
	}
	if len(e.eos) == 0 {
		e.eos = t.Config().EOS
	}
	return nil
}

// openBackend opens the backend that o names.
func openBackend(c *model.Checkpoint, o Options) (backend.Backend, error) {
	name := o.Backend
	if name == "" {
		name = DefaultBackend
	}
	switch name {
	case "cpu":
		room, err := planKV(c.Config, o, pageBytes(c, o))
		if err != nil {
			return nil, err
		}
		return cpu.Open(c, cpu.Options{
			Pages: room.pages, MaxContext: room.context, Threads: o.Threads, Compute: o.Compute, Weights: o.Weights, KV: o.KV, ISA: o.ISA,
		})
	case "ref":
		switch {
		case o.Compute != "" && o.Compute != "f64":
			return nil, fmt.Errorf("compute %q: the ref backend always computes in f64; leave it out", o.Compute)
		case o.KV != "" && o.KV != "f64":
			return nil, fmt.Errorf("KV cache in %q: the ref backend always keeps f64; leave it out", o.KV)
		case o.ISA != "":
			return nil, fmt.Errorf("ISA %q: the ref backend has no kernel sets; leave it out", o.ISA)
		case o.Threads > 1:
			return nil, fmt.Errorf("%d threads: the ref backend has one", o.Threads)
		}
		room, err := planKV(c.Config, o, pageBytes(c, o))
		if err != nil {
			return nil, err
		}
		return ref.Open(c, ref.Options{Pages: room.pages, MaxContext: room.context, Weights: o.Weights})
	case "cuda":
		return openCUDA(c, o)
	}
	return nil, fmt.Errorf("backend %q: want cpu, ref or cuda", name)
}

// openCUDA opens the backend for NVIDIA GPUs, which plans its memory by what the device has free.
func openCUDA(c *model.Checkpoint, o Options) (backend.Backend, error) {
	switch {
	case o.Compute != "" && o.Compute != "bf16":
		return nil, badOptions{fmt.Errorf("compute %q: the cuda backend multiplies bf16; leave it out", o.Compute)}
	case o.KV != "" && o.KV != "bf16":
		return nil, badOptions{fmt.Errorf("KV cache in %q: the cuda backend keeps bf16; leave it out", o.KV)}
	case o.ISA != "":
		return nil, badOptions{fmt.Errorf("ISA %q: the cuda backend takes what its device has; leave it out", o.ISA)}
	case o.Threads > 0:
		return nil, badOptions{fmt.Errorf("%d threads: the cuda backend computes on its device; leave it out", o.Threads)}
	}
	page, err := cuda.PageBytes(c.Config)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", model.ErrUnsupported, err)
	}
	room, err := planKV(c.Config, o, page)
	if err != nil {
		return nil, err
	}
	if o.KVBytes == 0 {
		room.pages = 0 // as many as there is memory for
	}
	return cuda.Open(c, cuda.Options{Device: o.Device, Pages: room.pages, MaxContext: room.context, Weights: o.Weights})
}

// kvRoom is how much KV cache to make.
type kvRoom struct {
	pages   int
	context int // positions of one sequence
}

// pageBytes is the memory of one KV page of the backend that o names.
func pageBytes(c *model.Checkpoint, o Options) int64 {
	kv := o.KV
	switch {
	case o.Backend == "ref":
		return backend.PageTokens * 8 * c.Config.KVElementsPerToken() // float64
	case kv == "" && (c.Quantization != nil || slices.Contains(quant.Formats(), o.Weights)):
		kv = cpu.DefaultKV("int8")
	case kv == "":
		kv = cpu.DefaultKV(o.Compute)
	}
	return cpu.PageBytes(c.Config, kv)
}

// planKV reconciles the context wanted, the model's limit and the memory allowed, for pages of
// so many bytes.
func planKV(c model.Config, o Options, pageBytes int64) (kvRoom, error) {
	if o.MaxContext < 0 || o.MaxContext > c.MaxPositions {
		return kvRoom{}, fmt.Errorf("context of %d positions: want 1 to %d, the model's limit (0 takes that)", o.MaxContext, c.MaxPositions)
	}
	if o.KVBytes < 0 {
		return kvRoom{}, fmt.Errorf("%d bytes of KV cache: want 0 (automatic) or more", o.KVBytes)
	}
	r := kvRoom{context: o.MaxContext}
	if r.context == 0 {
		r.context = c.MaxPositions
		if o.ContextHint > 0 {
			r.context = min(r.context, o.ContextHint)
		}
	}
	need := (r.context + backend.PageTokens - 1) / backend.PageTokens
	if o.KVBytes == 0 {
		r.pages = max(64, need)
		return r, nil
	}
	r.pages = int(min(o.KVBytes/max(pageBytes, 1), 1<<24))
	switch {
	case r.pages < 1:
		return kvRoom{}, fmt.Errorf("%d bytes of KV cache: one page of %d positions takes %d", o.KVBytes, backend.PageTokens, pageBytes)
	case r.pages < need && o.MaxContext != 0:
		return kvRoom{}, fmt.Errorf("%d bytes of KV cache hold %d positions, the context has %d: give at least %d bytes or a shorter context",
			o.KVBytes, r.pages*backend.PageTokens, r.context, int64(need)*pageBytes)
	}
	r.context = min(r.context, r.pages*backend.PageTokens)
	return r, nil
}
