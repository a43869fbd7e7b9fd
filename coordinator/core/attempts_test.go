package core

import (
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/place"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/judge/gate"
)

func TestProblemsOfAttempts(t *testing.T) {
	for _, c := range []struct {
		class string
		exit  int
	}{{wire.ClassRequest, gate.ExitRequest}, {wire.ClassMachine, gate.ExitMachine}, {wire.ClassSubject, gate.ExitMachine}} {
		t.Run(c.class, func(t *testing.T) {
			w := newWorld(t, nil)
			r := w.submit(SubmitRequest{})
			o := w.claim(w.agent.ID)
			s := w.sender(w.agent.ID, o.Attempt)
			if e := s.end(wire.OutcomeError, &wire.Error{Class: c.class, Message: "no model at /somewhere"}); e.Error != nil {
				t.Fatal(e.Error)
			}
			r, err := w.Wait(w.ctx, r.ID)
			w.must(err)
			if r.Verdict != string(gate.Error) || r.Exit != c.exit || !strings.Contains(w.headline(r.ID), "no model at /somewhere") {
				t.Errorf("run is %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
			}
		})
	}
}

// TestEndWithoutRounds: an attempt that says it is done and delivered nothing is an
// error of that machine, never a pass.
func TestEndWithoutRounds(t *testing.T) {
	w := newWorld(t, nil)
	r := w.submit(SubmitRequest{})
	o := w.claim(w.agent.ID)
	if e := w.sender(w.agent.ID, o.Attempt).end(wire.OutcomeDone, nil); e.Error != nil {
		t.Fatal(e.Error)
	}
	r, err := w.Wait(w.ctx, r.ID)
	w.must(err)
	if r.Exit != gate.ExitMachine || !strings.Contains(w.headline(r.ID), "0 of its 1 rounds") {
		t.Errorf("run is %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
}

func TestIdentityMismatch(t *testing.T) {
	w := newWorld(t, nil)
	m := at(10)
	m.change = func(r *result.Round) { r.Subject.Revision = "deadbeef00" }
	r, _ := w.measure(SubmitRequest{Branch: "main", Commit: "cafe"}, m)
	if r.Exit != gate.ExitRequest {
		t.Errorf("run is %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
	if r, _ = w.measure(SubmitRequest{Branch: "main", Commit: "deadbeef"}, m); r.Exit != 0 {
		t.Errorf("with the right commit: %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
}

func TestLostAndExpired(t *testing.T) {
	w := newWorld(t, nil)
	r := w.submit(SubmitRequest{})
	o := w.claim(w.agent.ID)
	beat := func(n uint64) wire.BeatReply {
		return ask[wire.BeatReply](w, w.agent.ID, wire.Beat, wire.BeatRequest{Attempt: o.Attempt, N: n, State: "running"})
	}
	pass := func(d time.Duration) {
		for ; d > 0; d -= time.Second {
			w.clock.Advance(time.Second)
			w.must(w.Look(w.ctx))
		}
	}
	for n := range uint64(5) { // beating
		pass(50 * time.Second)
		if b := beat(n + 1); b.MustStop || b.Error != nil {
			t.Fatalf("beat %d: %+v", n+1, b)
		}
	}
	pass(70 * time.Second) // silent
	r, err := w.Wait(w.ctx, r.ID)
	w.must(err)
	if r.Exit != gate.ExitMachine || !strings.Contains(w.headline(r.ID), "not heard") {
		t.Errorf("run is %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
	if b := beat(9); !b.MustStop {
		t.Errorf("a beat after the loss gives %+v", b)
	}
	s := w.sender(w.agent.ID, o.Attempt)
	if b := send(s, wire.StreamLog, "late"); b.Error == nil || b.Error.Class != wire.ClassTerminal {
		t.Errorf("a batch after the loss gives %+v", b)
	}

	r = w.submit(SubmitRequest{QueueFor: time.Minute, Machine: "another"})
	pass(2 * time.Minute)
	r, err = w.Wait(w.ctx, r.ID)
	w.must(err)
	if r.Exit != gate.ExitMachine || !strings.Contains(w.headline(r.ID), "no machine took") {
		t.Errorf("run is %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
}

// TestClockJump: a clock that jumps ahead by a day loses nobody.
func TestClockJump(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.QueueFor = 1000 * time.Hour })
	w.submit(SubmitRequest{})
	o := w.claim(w.agent.ID)
	for range 3 {
		w.clock.Advance(24 * time.Hour)
		w.must(w.Look(w.ctx))
	}
	a, err := w.cfg.Ledger.Attempts().Get(w.ctx, o.Attempt)
	w.must(err)
	if a.State != ledger.AttemptLeased {
		t.Errorf("the attempt is %s", a.State)
	}
}

func TestLostIsRepeatedElsewhere(t *testing.T) {
	w := newWorld(t, nil)
	other := w.enrol("there")
	r := w.submit(SubmitRequest{})
	w.claim(w.agent.ID)
	for range 70 {
		w.clock.Advance(time.Second)
		w.must(w.Look(w.ctx))
	}
	if o := w.attempt(other.ID, at(10)); o.FirstRound != 1 || o.Run != r.ID {
		t.Errorf("the second attempt is %+v", o)
	}
	r, err := w.Wait(w.ctx, r.ID)
	w.must(err)
	if r.Exit != 0 {
		t.Errorf("run is %s, exit %d: %s", r.Verdict, r.Exit, w.headline(r.ID))
	}
}

func TestCancel(t *testing.T) {
	w := newWorld(t, nil)
	r := w.submit(SubmitRequest{})
	o := w.claim(w.agent.ID)
	hints := make(chan string, 8)
	stop, err := w.bus.Subscribe(wire.Ctl(w.agent.ID), func(_ string, b []byte) { hints <- string(b) })
	w.must(err)
	defer stop()
	for range 2 {
		r, err = w.Core.Cancel(w.ctx, r.ID, "Ctrl-C")
		w.must(err)
		if r.State != ledger.RunCancelled || r.Exit != gate.ExitCancelled {
			t.Errorf("run is %+v", r)
		}
	}
	if h := <-hints; !strings.Contains(h, "stop") {
		t.Errorf("hint is %s", h)
	}
	b := ask[wire.BeatReply](w, w.agent.ID, wire.Beat, wire.BeatRequest{Attempt: o.Attempt, N: 1, State: "running"})
	if !b.MustStop || !strings.Contains(b.Reason, "Ctrl-C") {
		t.Errorf("beat gives %+v", b)
	}
	if e := w.sender(w.agent.ID, o.Attempt).end(wire.OutcomeCancelled, nil); e.Error != nil {
		t.Error(e.Error)
	}
	w.eventually("the judge", func() bool {
		n, _, err := w.cfg.Ledger.Tasks().Count(w.ctx, ledger.TaskJudge)
		return err == nil && n == 0
	})
	if r, err = w.Wait(w.ctx, r.ID); err != nil || r.State != ledger.RunCancelled {
		t.Errorf("run is %+v, %v", r, err)
	}
}

func TestStartBoundRoundsLieApart(t *testing.T) {
	w := newWorld(t, nil)
	m := at(10)
	m.change = func(r *result.Round) {
		if r.Index == 1 {
			r.Valid, r.Reasons = false, []result.Reason{{Code: "errors", Detail: "too many errors"}}
		}
	}
	r := w.submit(SubmitRequest{Subject: result.Subject{Build: "url:http://127.0.0.1:1"}})
	w.attempt(w.agent.ID, m)
	var next ledger.Attempt
	w.eventually("a second attempt", func() bool {
		as, err := w.cfg.Ledger.Attempts().OfRun(w.ctx, r.ID)
		w.must(err)
		next = as[len(as)-1]
		return len(as) == 2
	})
	if got := next.NotBefore.Sub(w.clock.Now()); got != startApart {
		t.Errorf("the next round may start after %s, want %s", got, startApart)
	}
	reply := ask[wire.ClaimReply](w, w.agent.ID, wire.Claim, wire.ClaimRequest{Version: 1, ClaimID: "early", Devices: []string{place.CPU}})
	if reply.Order != nil || !strings.Contains(reply.Why, "waits until") {
		t.Errorf("claimed %+v", reply)
	}
	w.clock.Advance(startApart)
	w.attempt(w.agent.ID, m)
	if r, err := w.Wait(w.ctx, r.ID); err != nil || r.Exit != 0 {
		t.Errorf("run is %+v, %v", r, err)
	}
}
