package engine

import (
	"errors"
	"fmt"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/sched"
	"github.com/paceline/paceline/engine/token"
)

// ErrClosed is wrapped by what Submit and Score return after Close, and is the
// Finish.Err of requests that Close ended.
var ErrClosed = errors.New("the engine is closed")

// own puts the engine's ErrClosed in the place of the loop's.
func own(err error) error {
	if errors.Is(err, sched.ErrClosed) {
		return ErrClosed
	}
	return err
}

// Engine is an open model on a backend. Its methods may be called concurrently.
type Engine struct {
	options   Options
	info      ModelInfo
	eos       []int32
	back      backend.Backend
	limits    backend.Info // what back said when it was opened
	loop      *sched.Loop
	pageBytes int64
	faults    *faults
	loadTime  time.Duration
	coldStart backend.ColdStart

	tokenizer    *token.Tokenizer // nil: ids only
	tokenizerErr error            // why it is nil

	closing  sync.Once
	closed   error          // what closing gave; written inside closing
	mu       sync.Mutex     // the backend isn't closed while Stats asks it
	isClosed bool           // guarded by mu
	final    backend.Memory // guarded by mu: what it had before Close

	digesting sync.Mutex
	digest    string // guarded by digesting; empty until asked for
}

// ModelInfo says what the open model is.
type ModelInfo struct {
	Dir        string           `json:"dir"` // as given to Open
	Config     model.Config     `json:"config"`
	Generation model.Generation `json:"generation"` // what the model's folder recommends; the engine never applies it by itself
	Synthetic  bool             `json:"synthetic"`  // random weights: its text means nothing
	Parameters int64            `json:"parameters"` // a tied head counts once
	Bytes      int64            `json:"bytes"`      // of the tensors as stored
}

// Model says what the open model is. The caller must not change its slices.
func (e *Engine) Model() ModelInfo { return e.info }

// Digest is the model's identity: the SHA-256, in hex, of its configuration and weights (see
// model.Checkpoint.Digest). The first call reads all files again, about a second a gigabyte;
// call it outside of measured windows.
func (e *Engine) Digest() (_ string, err error) {
	e.digesting.Lock()
	defer e.digesting.Unlock()
	if e.digest != "" {
		return e.digest, nil
	}
	c, err := model.Open(e.info.Dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	e.digest, err = c.Digest()
	return e.digest, err
}

// EOS is the ids that end a generation unless Request.IgnoreEOS is set; it may be empty.
func (e *Engine) EOS() []int32 { return slices.Clone(e.eos) }

// Tokenizer is the model's tokenizer, which lives as long as the engine. Where there is none
// (no tokenizer.json, or a build without the tokenizer library) the error says why: such an
// engine takes and gives token ids, and events have no text.
func (e *Engine) Tokenizer() (*token.Tokenizer, error) {
	if e.tokenizer == nil {
		return nil, e.tokenizerErr
	}
	return e.tokenizer, nil
}

// ColdStart says how long the backend took to open, by stage, where it tells.
func (e *Engine) ColdStart() backend.ColdStart { return e.coldStart }

// Stats is the engine's account of itself at this moment; after Close, of its last.
func (e *Engine) Stats() Stats {
	c, u := e.loop.Counters(), e.loop.Usage()
	return Stats{
		Backend: e.limits,
		Memory:  e.memory(),
		Faults:  slices.Clone(e.options.Faults),

		Steps:            c.Steps,
		Requests:         c.Jobs,
		PromptTokens:     c.PromptTokens,
		OutputTokens:     c.OutputTokens,
		CachedTokens:     c.CachedTokens,
		RecomputedTokens: c.RecomputedTokens,
		DraftTokens:      c.DraftedTokens,
		AcceptedTokens:   c.AcceptedTokens,
		StepsAhead:       c.Ahead,
		VainTokens:       c.VainTokens,
		Cancelled:        c.Cancelled,
		Preemptions:      c.Preemptions,
		Running:          c.Running,
		Waiting:          c.Waiting,

		PagesTotal:    u.Total,
		PagesUsed:     u.Used,
		PagesCached:   u.Cached,
		PagesPeak:     u.Peak,
		BytesPerPage:  e.pageBytes,
		HeapBytes:     heapBytes(),
		LeakedBytes:   e.faults.leakedBytes(),
		LoadTimeNanos: e.loadTime.Nanoseconds(),

		PrefixCache: PrefixCache{Hits: u.HitTokens, Misses: u.QueriedTokens - u.HitTokens, Evictions: u.EvictedTokens},
		Phases: Phases{
			Plan: int64(c.Phases.Plan), Launch: int64(c.Phases.Launch), Collect: int64(c.Phases.Collect),
			Deliver: int64(c.Phases.Deliver), Idle: int64(c.Phases.Idle),
		},
	}
}

// memory is what the backend has allocated, or had before Close.
func (e *Engine) memory() backend.Memory {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.isClosed {
		return e.final
	}
	return e.back.Memory()
}

// heapBytes is what live and not yet swept objects take, without stopping the world.
func heapBytes() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(s)
	if s[0].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return int64(s[0].Value.Uint64())
}

// Close ends all requests with FinishCancel within one step, then frees the model. Later
// calls of Submit and Score give ErrClosed. Closing twice is allowed.
func (e *Engine) Close() error {
	e.closing.Do(func() {
		e.faults.close()
		e.loop.Close()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.final, e.isClosed = e.back.Memory(), true
		e.closed = e.closeParts()
	})
	return e.closed
}

// closeParts frees what is open, without the loop.
func (e *Engine) closeParts() error {
	var errs []error
	if e.back != nil {
		errs = append(errs, e.back.Close())
	}
	if e.tokenizer != nil {
		errs = append(errs, e.tokenizer.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close the engine: %w", err)
	}
	return nil
}
