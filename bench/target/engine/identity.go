package engine

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/paceline/paceline/bench/probe/host"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/bench/target"
	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/cpu"
	"github.com/paceline/paceline/internal/proc"
)

// Identity reads this program's file and the model's: seconds for a large model, so
// it belongs outside of what is measured.
func (t *Target) Identity(context.Context) (result.Identity, error) {
	digest, err := t.eng.Digest()
	if err != nil {
		return result.Identity{}, fmt.Errorf("identify the engine: %w", err)
	}
	binary, err := proc.OwnDigest()
	if err != nil {
		return result.Identity{}, fmt.Errorf("identify the engine: %w", err)
	}
	s := t.eng.Stats()
	id := result.Identity{
		Build: "(unknown)", BinaryHash: binary, Engine: "paceline/" + s.Backend.Name,
		ModelDigest: digest, TokenizerDigest: t.tok.tok.Digest(),
		DType: dtype(s.Backend), Synthetic: t.eng.Model().Synthetic,
	}
	for _, f := range s.Faults {
		id.Faults = append(id.Faults, f.String())
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			id.Build = info.Main.Version
		}
		for _, kv := range info.Settings {
			switch kv.Key {
			case "vcs.revision":
				id.Revision = kv.Value
			case "vcs.modified":
				id.Modified = kv.Value == "true"
			}
		}
	}
	return id, nil
}

// dtype names the types of weights and activations, and that of the KV cache where it isn't the
// usual one: series that began before there was a choice go on.
func dtype(i backend.Info) string {
	name := i.Weights + "/" + i.Compute
	if i.KV != "" && i.KV != cpu.DefaultKV(i.Compute) {
		name += "/kv-" + i.KV
	}
	return name
}

// Usage is the engine's allocator and this process's memory.
func (t *Target) Usage(context.Context) (target.Usage, error) {
	t.closing.RLock()
	defer t.closing.RUnlock()
	if t.closed {
		return target.Usage{}, nil
	}
	s := t.eng.Stats()
	peak := s.Memory.Weights + s.Memory.Activation + int64(s.PagesPeak)*s.BytesPerPage + s.LeakedBytes
	perToken := float64(s.BytesPerPage) / backend.PageTokens
	inUse := s.Memory.Weights + s.Memory.Activation + int64(s.PagesUsed)*s.BytesPerPage + s.LeakedBytes
	u := target.Usage{Weights: &s.Memory.Weights, PeakAlloc: &peak, KVBytesPerToken: &perToken, InUse: &inUse}
	if rss, err := host.Open().RSSPeak(0); err == nil {
		u.ProcessRSSPeak = &rss
	}
	return u, nil
}

// Close frees the engine once its requests have ended. Closing twice is allowed.
func (t *Target) Close() error {
	t.closing.Lock()
	defer t.closing.Unlock()
	t.closed = true
	return t.eng.Close()
}
