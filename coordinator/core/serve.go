package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/paceline/paceline/bench/probe"
	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/place"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/judge/baseline"
)

// handler answers one kind of request from an agent; the reply becomes JSON.
type handler func(ctx context.Context, agent string, data []byte) any

// serve takes the agent's identity from the subject, which is what the bus lets its
// connection use, and never from the message.
func (c *Core) serve(h handler) func(context.Context, string, []byte) []byte {
	return func(ctx context.Context, subject string, data []byte) []byte {
		parts := strings.Split(subject, ".")
		if len(parts) != 3 {
			return nil
		}
		b, err := json.Marshal(h(ctx, parts[1], data))
		if err != nil {
			c.cfg.Log.Error("reply not encoded", "subject", subject, "error", err)
			return nil
		}
		return b
	}
}

// problem says who has to act on an error.
func (c *Core) problem(what, agent string, err error) *wire.Error {
	class := wire.ClassInternal
	switch {
	case errors.Is(err, ledger.ErrState), errors.Is(err, ledger.ErrForeign), errors.Is(err, ledger.ErrNotFound):
		class = wire.ClassTerminal
	case errors.Is(err, ledger.ErrInvalid), errors.Is(err, ErrRequest):
		class = wire.ClassRequest
	}
	level := c.cfg.Log.Warn
	if class == wire.ClassTerminal {
		level = c.cfg.Log.Info
	}
	level(what+" refused", "agent", agent, "class", class, "error", err)
	return &wire.Error{Class: class, Message: err.Error()}
}

// decode reads a request.
func decode[T any](data []byte) (v T, err error) {
	if err := json.Unmarshal(data, &v); err != nil {
		return v, fmt.Errorf("read the request: %w: %w", ErrRequest, err)
	}
	return v, nil
}

func (c *Core) claim(ctx context.Context, agent string, data []byte) any {
	req, err := decode[wire.ClaimRequest](data)
	if err != nil {
		return wire.ClaimReply{Error: c.problem("claim", agent, err)}
	}
	if req.Version < 1 || req.Version > wire.Version {
		err := fmt.Errorf("the agent speaks version %d, this coordinator 1 to %d: update the older of the two: %w", req.Version, wire.Version, ErrRequest)
		return wire.ClaimReply{Error: c.problem("claim", agent, err)}
	}
	now := c.cfg.Now()
	a, why, ok, err := c.cfg.Ledger.Attempts().Claim(ctx,
		ledger.Claim{ID: req.ClaimID, Agent: agent, Devices: req.Devices, Labels: req.Labels, Build: req.Build},
		func(queue []ledger.Attempt, a ledger.Agent, free []string) (int, []string, string) {
			choice, why, _ := place.Next(queue, a, free, now)
			return choice.Index, choice.Devices, why
		})
	if err != nil {
		return wire.ClaimReply{Error: c.problem("claim", agent, err)}
	}
	if !ok {
		return wire.ClaimReply{Why: why}
	}
	r, err := c.cfg.Ledger.Runs().Get(ctx, a.Run)
	if err != nil {
		return wire.ClaimReply{Error: c.problem("claim", agent, err)}
	}
	return wire.ClaimReply{Order: &wire.Order{
		Attempt: a.ID, Run: a.Run, Suite: r.SuiteText, Rounds: a.Rounds, FirstRound: a.FirstRound, Subject: r.Subject,
		Model: r.Subject.Model, Faults: r.Faults, Devices: a.Leased,
	}}
}

func (c *Core) beat(ctx context.Context, agent string, data []byte) any {
	req, err := decode[wire.BeatRequest](data)
	if err != nil {
		return wire.BeatReply{Error: c.problem("beat", agent, err)}
	}
	h, err := c.cfg.Ledger.Attempts().Beat(ctx, agent, req.Attempt, req.N, ledger.AttemptState(req.State))
	if err != nil {
		return wire.BeatReply{Error: c.problem("beat", agent, err)}
	}
	return wire.BeatReply{MustStop: h.MustStop, Reason: h.Reason, HighWater: h.HighWater, BeatEvery: wire.BeatEvery}
}

func (c *Core) put(ctx context.Context, agent string, data []byte) any {
	req, err := decode[wire.BatchRequest](data)
	if err != nil {
		return wire.BatchReply{Error: c.problem("batch", agent, err)}
	}
	var rounds []result.Round
	switch req.Stream {
	case wire.StreamSamples, wire.StreamLog:
	case wire.StreamRounds:
		if rounds, err = c.rounds(ctx, req); err != nil {
			return wire.BatchReply{Error: c.problem("batch", agent, err)}
		}
	default:
		return wire.BatchReply{Error: c.problem("batch", agent, fmt.Errorf("unknown stream %q: %w", req.Stream, ErrRequest))}
	}
	st, err := c.cfg.Ledger.Batches().Put(ctx, agent, req, rounds)
	if err != nil {
		return wire.BatchReply{Error: c.problem("batch", agent, err)}
	}
	return wire.BatchReply{HighWater: st.HighWater, MustStop: st.MustStop}
}

func (c *Core) end(ctx context.Context, agent string, data []byte) any {
	req, err := decode[wire.EndRequest](data)
	if err != nil {
		return wire.EndReply{Error: c.problem("end", agent, err)}
	}
	missing, err := c.cfg.Ledger.Attempts().End(ctx, agent, req)
	if err != nil {
		return wire.EndReply{Error: c.problem("end", agent, err)}
	}
	return wire.EndReply{Missing: missing}
}

// rounds decodes a batch of rounds and holds their machine probes against the
// machine's history.
func (c *Core) rounds(ctx context.Context, b wire.BatchRequest) ([]result.Round, error) {
	records, err := wire.DecodeBody(b.Body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	if len(records) != b.Records {
		return nil, fmt.Errorf("a batch of %d records holds %d: %w", b.Records, len(records), ErrRequest)
	}
	file, err := c.fileOf(ctx, b.Attempt)
	if err != nil {
		return nil, err
	}
	rounds := make([]result.Round, len(records))
	for i, rec := range records {
		r := &rounds[i]
		if err := json.Unmarshal(rec, r); err != nil {
			return nil, fmt.Errorf("read round %d of the batch: %w: %w", i+1, ErrRequest, err)
		}
		if r.AttemptID == "" {
			r.AttemptID = b.Attempt
		}
		if r.ID == "" {
			r.ID = roundID(b.Attempt, r.Index)
		}
		if err := c.probe(ctx, r, file); err != nil {
			return nil, err
		}
	}
	return rounds, nil
}

// probeHistory is how many readings make a machine probe's history.
const probeHistory = 100

// probe marks a round whose machine was not itself: invalid, or a warning while the
// history is short. Where the run is compared with a baseline file, the file's readings
// of this machine stand before a short history.
func (c *Core) probe(ctx context.Context, r *result.Round, file *baseline.File) error {
	for _, p := range r.Probes {
		history, err := c.cfg.Ledger.Rounds().Probes(ctx, r.Environment.MachineID, p.Device, p.Kind, probeHistory)
		if err != nil {
			return fmt.Errorf("judge the machine probe of round %d: %w", r.Index, err)
		}
		if file != nil && len(history) < probe.JudgeHistory {
			history = append(file.Probes(r.Environment.MachineID, p.Device, p.Kind), history...)
		}
		reason, off := probe.Judge(p, history)
		if !off {
			continue
		}
		r.Reasons = append(r.Reasons, reason)
		r.Valid = r.Valid && reason.Warn
	}
	return nil
}
