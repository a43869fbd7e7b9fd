package core

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/coordinator/series"
	"github.com/paceline/paceline/internal/wire"
	"github.com/paceline/paceline/judge/gate"
)

func TestBadRequests(t *testing.T) {
	w := newWorld(t, nil)
	for name, c := range map[string]struct {
		q    SubmitRequest
		want string
	}{
		"no suite":          {SubmitRequest{Suite: "x: 1"}, "x"},
		"misspelt metric":   {SubmitRequest{Suite: strings.Replace(suiteText, "output_rate", "output_rat", 1)}, "output_rate"},
		"unknown target":    {SubmitRequest{Subject: result.Subject{Target: "vllm"}}, `no target "vllm"`},
		"too many rounds":   {SubmitRequest{Rounds: 1000}, "outside 1..100"},
		"candidate of what": {SubmitRequest{Branch: "x", Lane: result.LaneCandidate}, "base_ref"},
		"unknown lane":      {SubmitRequest{Lane: "fast", Branch: "x"}, `unknown lane "fast"`},
		"bad branch":        {SubmitRequest{Branch: "a\nb"}, "branch"},
		"two at once":       {SubmitRequest{Rounds: -1, Commit: strings.Repeat("x", 300)}, "rounds are outside"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.q.Suite == "" {
				c.q.Suite = suiteText
			}
			_, err := w.Submit(w.ctx, c.q)
			if !errors.Is(err, ErrRequest) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want ErrRequest with %q", err, c.want)
			}
		})
	}
}

func TestProtocolErrors(t *testing.T) {
	w := newWorld(t, nil)
	if r := ask[wire.ClaimReply](w, "nobody", wire.Claim, wire.ClaimRequest{Version: 1, ClaimID: "x"}); r.Error == nil || r.Error.Class != wire.ClassTerminal {
		t.Errorf("an unknown agent's claim gives %+v", r)
	}
	if r := ask[wire.ClaimReply](w, w.agent.ID, wire.Claim, wire.ClaimRequest{Version: 99, ClaimID: "x"}); r.Error == nil || r.Error.Class != wire.ClassRequest {
		t.Errorf("a version of the future gives %+v", r)
	}
	if r := ask[wire.BeatReply](w, w.agent.ID, wire.Beat, "no object"); r.Error == nil || r.Error.Class != wire.ClassRequest {
		t.Errorf("nonsense gives %+v", r)
	}
	w.submit(SubmitRequest{})
	o := w.claim(w.agent.ID)
	for name, b := range map[string]wire.BatchRequest{
		"no zstd":        {Attempt: o.Attempt, Stream: wire.StreamRounds, Seq: 1, Records: 1, Body: []byte("x")},
		"unknown stream": {Attempt: o.Attempt, Stream: "x", Seq: 1, Records: 1},
	} {
		if r := ask[wire.BatchReply](w, w.agent.ID, wire.Put, b); r.Error == nil || r.Error.Class != wire.ClassRequest {
			t.Errorf("%s gives %+v", name, r)
		}
	}
	if r := ask[wire.BeatReply](w, w.enrol("other").ID, wire.Beat, wire.BeatRequest{Attempt: o.Attempt, N: 1}); r.Error == nil || r.Error.Class != wire.ClassTerminal {
		t.Errorf("a foreign beat gives %+v", r)
	}
}

func TestReads(t *testing.T) {
	w := newWorld(t, nil)
	changed := make(chan string, 100)
	stop, err := w.bus.Subscribe("changed.*", func(s string, _ []byte) { changed <- s })
	w.must(err)
	defer stop()
	r, _ := w.measure(SubmitRequest{}, at(10))
	if got := <-changed; got != wire.Changed(r.ID) {
		t.Errorf("announced %s", got)
	}
	n := 0
	w.must(w.Samples(w.ctx, r.ID, func(s result.Sample) error { n++; return nil }))
	if n != 2 {
		t.Errorf("%d samples, want 2", n)
	}
	n = 0
	w.must(w.Samples(w.ctx, r.ID, func(result.Sample) error { n++; return ErrStop }))
	if n != 1 {
		t.Errorf("%d samples before stopping, want 1", n)
	}
	d, err := w.Document(w.ctx, r.ID)
	w.must(err)
	if d.Schema != result.SchemaVersion || len(d.Rounds) != 1 || d.Verdict == nil || d.Run.ID != r.ID {
		t.Errorf("document is %+v", d)
	}
	var kinds []string
	err = w.Follow(w.ctx, 0, r.ID, func(e ledger.Event) error {
		kinds = append(kinds, e.Kind)
		if e.Kind == "run.decided" {
			return ErrStop
		}
		return nil
	})
	want := "run.created attempt.queued attempt.leased attempt.running round attempt.done run.judging run.decided"
	if !errors.Is(err, ErrStop) || strings.Join(kinds, " ") != want {
		t.Errorf("events are %v, %v; want %s", kinds, err, want)
	}
}

func TestReport(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Page = func(run string) string { return "http://here/runs/" + run } })
	m := at(10)
	m.change = func(r *result.Round) {
		r.Cells[0].Values = append(r.Cells[0].Values, result.Value{Metric: "ttft.p50", Value: 100, N: 2})
		r.Reasons = []result.Reason{{Code: "power_cap", Detail: "the power cap was reached", Warn: true}}
		r.Subject.Synthetic = true
	}
	r, _ := w.measure(SubmitRequest{Faults: []string{"slow=1.43"}, Repeat: "paceline run ci"}, m)
	got, err := w.Report(w.ctx, r.ID)
	w.must(err)
	if got.RunID != r.ID || got.Rounds != 1 || got.Base != LocalBranch || got.PageURL != "http://here/runs/"+r.ID || got.Repeat != "paceline run ci" ||
		got.Overall.Exit != 0 || got.Decided.IsZero() {
		t.Errorf("report is %+v", got)
	}
	if d := cmp.Diff([]string{"synthetic", "fault-injected: slow=1.43"}, got.Badges); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"round 1: the power cap was reached"}, got.Warnings); d != "" {
		t.Error(d)
	}
	var lines []string
	for _, l := range got.Lines {
		lines = append(lines, fmt.Sprintf("%s %s %g %s gated %v", l.Workload, l.Metric, l.Value, l.Unit, l.Verdict != nil))
		if l.Series == "" || l.Rounds != 1 {
			t.Errorf("line is %+v", l)
		}
	}
	want := []string{"story output_rate 10 tok/s gated true", "story token_agreement 1 1 gated true", "story ttft.p50 100 ms gated false"}
	if d := cmp.Diff(want, lines); d != "" {
		t.Error(d)
	}
	// Of a run that is not decided it is what is known.
	open := w.submit(SubmitRequest{})
	if got, err = w.Report(w.ctx, open.ID); err != nil || got.Overall.Kind != "open" || got.Rounds != 0 {
		t.Errorf("report of an open run is %+v, %v", got, err)
	}
	_, err = w.Core.Cancel(w.ctx, open.ID, "by hand")
	w.must(err)
	if got, err = w.Report(w.ctx, open.ID); err != nil || got.Overall.Kind != gate.Cancelled || got.Overall.Exit != gate.ExitCancelled {
		t.Errorf("report of a cancelled run is %+v, %v", got, err)
	}
}

func TestExport(t *testing.T) {
	s := &store{points: map[string]series.Point{}}
	down := errors.New("down")
	s.fail = func([]series.Point) error { return fmt.Errorf("%w: %w", series.ErrUnavailable, down) }
	w := newWorld(t, func(c *Config) { c.Series = s })
	r, _ := w.measure(SubmitRequest{}, at(10)) // decided although the store is down
	w.eventually("a try", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.writes > 0 })
	if n, oldest, err := w.ExportLag(w.ctx); err != nil || n != 1 || oldest.IsZero() {
		t.Errorf("lag is %d since %s, %v", n, oldest, err)
	}
	s.mu.Lock()
	s.fail = func(ps []series.Point) error { // one point is poison
		for _, p := range ps {
			if p.Metric == "token_agreement" {
				return series.ErrRejected
			}
		}
		return nil
	}
	s.mu.Unlock()
	w.clock.Advance(2 * time.Minute)
	w.eventually("the export", func() bool { n, _, err := w.ExportLag(w.ctx); return err == nil && n == 0 })
	if s.count() != 1 {
		t.Errorf("%d points, want 1", s.count())
	}
	log, err := w.cfg.Ledger.Audit().List(w.ctx, 0)
	w.must(err)
	if len(log) != 1 || log[0].Action != "export.quarantine" {
		t.Errorf("audit log is %+v", log)
	}
	for _, p := range s.points {
		if p.Run != r.ID || p.Value != 10 || p.Metric != string(rate) {
			t.Errorf("point is %+v", p)
		}
	}
}
