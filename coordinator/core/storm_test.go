package core

import (
	"crypto/sha256"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/internal/wire"
)

// TestDuplicateStorm delivers every message of an attempt up to five times and in any
// order: what is stored, and the verdict, are those of a clean delivery.
func TestDuplicateStorm(t *testing.T) {
	for seed := range uint64(4) {
		w := newWorld(t, nil)
		clean, _ := w.measure(SubmitRequest{Rounds: 3}, at(10))
		run := w.submit(SubmitRequest{Rounds: 3})
		o := w.claim(w.agent.ID)
		rng := rand.New(rand.NewPCG(seed, 7))
		var storm []wire.BatchRequest
		sums := map[string][][32]byte{}
		add := func(stream string, v any) {
			b, err := json.Marshal(v)
			w.must(err)
			body, err := wire.EncodeBody([]json.RawMessage{b})
			w.must(err)
			sums[stream] = append(sums[stream], sha256.Sum256(body))
			for range 1 + rng.IntN(5) {
				storm = append(storm, wire.BatchRequest{Attempt: o.Attempt, Stream: stream, Seq: uint64(len(sums[stream])), Records: 1, Body: body})
			}
		}
		for i := range 3 {
			for range 10 {
				add(wire.StreamSamples, result.Sample{Round: i + 1, End: 5})
			}
			add(wire.StreamRounds, at(10).measured(t, o, i+1))
		}
		end := wire.EndRequest{
			Attempt: o.Attempt, Outcome: wire.OutcomeDone, Digest: wire.Digest(sums),
			Counts: map[string]uint64{wire.StreamRounds: 3, wire.StreamSamples: 30},
		}
		rng.Shuffle(len(storm), func(i, j int) { storm[i], storm[j] = storm[j], storm[i] })
		for _, b := range storm {
			if rng.IntN(10) == 0 { // an end that comes too early is told what is missing, or is the end
				if r := ask[wire.EndReply](w, w.agent.ID, wire.End, end); r.Error != nil {
					t.Fatalf("seed %d: end: %v", seed, r.Error)
				}
			}
			if r := ask[wire.BatchReply](w, w.agent.ID, wire.Put, b); r.Error != nil {
				t.Fatalf("seed %d: batch %s %d: %v", seed, b.Stream, b.Seq, r.Error)
			}
		}
		for range 3 {
			if r := ask[wire.EndReply](w, w.agent.ID, wire.End, end); r.Error != nil || len(r.Missing) > 0 {
				t.Fatalf("seed %d: end: %+v", seed, r)
			}
		}
		got, err := w.Wait(w.ctx, run.ID)
		w.must(err)
		if got.Verdict != "pass" || clean.Verdict != "no baseline" {
			t.Errorf("seed %d: verdicts are %s and %s", seed, clean.Verdict, got.Verdict)
		}
		if d := cmp.Diff(w.contents(clean.ID), w.contents(run.ID)); d != "" {
			t.Errorf("seed %d: a storm leaves other contents than a clean delivery: %s", seed, d)
		}
		n := 0
		w.must(w.Samples(w.ctx, run.ID, func(result.Sample) error { n++; return nil }))
		if n != 30 {
			t.Errorf("seed %d: %d samples, want 30", seed, n)
		}
	}
}

// contents is what a run's rounds say, without what differs between any two runs.
func (w *world) contents(run string) []ledger.Round {
	w.t.Helper()
	rs, err := w.cfg.Ledger.Rounds().OfRun(w.ctx, run)
	w.must(err)
	for i := range rs {
		rs[i].Seq, rs[i].At, rs[i].ID, rs[i].RunID, rs[i].AttemptID = 0, time.Time{}, "", "", ""
	}
	return rs
}
