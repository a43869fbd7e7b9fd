package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/client"
	"github.com/paceline/paceline/coordinator/core"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/format"
)

// same compares two values by their JSON: what the client has is what the server said.
func same(t *testing.T, what string, server, got any) {
	t.Helper()
	var x, y any
	for _, p := range []struct {
		from any
		to   *any
	}{{server, &x}, {got, &y}} {
		b, err := json.Marshal(p.from)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, p.to); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(x, y); d != "" {
		t.Errorf("%s: -server +client\n%s", what, d)
	}
}

// TestRoundTrip asks every route once by the client, of a run that was really
// measured, and compares with what the ledger has.
func TestRoundTrip(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	asked := client.Submission{
		Suite: suiteText, SuiteFile: "my.yml", Branch: "main", Commit: "cafe", Parent: "beef", Project: "p", CommitTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Subject: client.Subject{Target: "engine", Flags: []string{"b", "a"}}, QueueForSec: 60, Repeat: "paceline run my.yml", Inconclusive: "fail",
	}
	r, err := w.Submit(ctx, asked)
	w.must(err)
	if r.State != "open" || r.Lane != result.LaneBase || len(r.Attempts) != 1 || r.Attempts[0].State != "queued" || r.Cursor == 0 || r.CreatedBy != submitter ||
		r.Parent != "beef" || !r.CommitTime.Equal(asked.CommitTime) || strings.Join(r.Subject.Flags, "") != "ab" || r.Attempts[0].Expires.IsZero() {
		t.Errorf("submitted %+v", r)
	}
	w.deliver(w.claim(), 3, 10)
	r, err = w.Wait(ctx, r.ID)
	w.must(err)
	if !r.Over() || r.Exit != 0 || r.Verdict == "" || r.Attempts[0].State != "done" {
		t.Errorf("waited for %+v", r)
	}
	row, err := w.ledger.Runs().Get(ctx, r.ID)
	w.must(err)
	as, err := w.ledger.Attempts().OfRun(ctx, r.ID)
	w.must(err)
	same(t, "run", Run{Run: row, Attempts: as, Cursor: r.Cursor}, r)

	second, err := w.Submit(ctx, client.Submission{SuiteName: "ci", Branch: "other"})
	w.must(err)
	page, err := w.Runs(ctx, client.RunQuery{Limit: 1})
	w.must(err)
	if len(page.Runs) != 1 || page.Runs[0].ID != second.ID || page.Next == 0 || page.Runs[0].SuiteText != "" {
		t.Errorf("first page %+v", page)
	}
	page, err = w.Runs(ctx, client.RunQuery{Limit: 2, Cursor: page.Next})
	w.must(err)
	if len(page.Runs) != 1 || page.Runs[0].ID != r.ID || page.Next != 0 {
		t.Errorf("second page %+v", page)
	}
	for _, q := range []client.RunQuery{
		{Project: "p"}, {Branch: "main"}, {Commit: "cafe"}, {Lane: result.LaneBase, States: []string{"decided"}}, {States: []string{"decided", "cancelled"}},
	} {
		page, err = w.Runs(ctx, q)
		w.must(err)
		if len(page.Runs) != 1 || page.Runs[0].ID != r.ID {
			t.Errorf("%+v gives %+v", q, page)
		}
	}

	c, err := w.Cancel(ctx, second.ID, "enough")
	w.must(err)
	if c.State != client.StateCancelled || c.Reason != "enough" || c.Exit != 5 {
		t.Errorf("cancelled %+v", c)
	}
	if _, err := w.Cancel(ctx, second.ID, ""); err != nil {
		t.Errorf("again: %v", err)
	}
	if c, err = w.Wait(ctx, second.ID); err != nil || c.State != client.StateCancelled {
		t.Errorf("waited for %+v, %v", c, err)
	}

	rep, err := w.Report(ctx, r.ID)
	w.must(err)
	want, err := w.core.Report(ctx, r.ID)
	w.must(err)
	same(t, "report", want, rep)
	if rep.RunID != r.ID || string(rep.Overall.Kind) != r.Verdict || len(rep.Lines) == 0 {
		t.Errorf("report %+v", rep)
	}
	doc, err := w.Result(ctx, r.ID)
	w.must(err)
	wantDoc, err := w.core.Document(ctx, r.ID)
	w.must(err)
	same(t, "result", wantDoc, doc)
	if len(doc.Rounds) != 1 {
		t.Errorf("%d rounds", len(doc.Rounds))
	}
	n := 0
	for s, err := range w.Samples(ctx, r.ID) {
		w.must(err)
		if s.Index != n || s.End != 5 {
			t.Errorf("sample %+v", s)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d samples, want 3", n)
	}
	n = 0
	for range w.Samples(ctx, r.ID) {
		n++
		break
	}
	if n != 1 {
		t.Errorf("%d samples before leaving, want 1", n)
	}

	ss, err := w.Series(ctx, client.SeriesQuery{Suite: "ci", Metric: "output_rate"})
	w.must(err)
	if len(ss.Series) != 1 || ss.Series[0].Workload != "story" || ss.Series[0].Key.Digest() != ss.Series[0].Digest {
		t.Fatalf("series %+v", ss)
	}
	if none, err := w.Series(ctx, client.SeriesQuery{Metric: "ttft"}); err != nil || none.Series == nil || len(none.Series) != 0 {
		t.Errorf("series %+v, %v", none, err)
	}
	vs, err := w.Values(ctx, ss.Series[0].Digest, client.ValueQuery{Lanes: []result.Lane{result.LaneBase, result.LaneLocal}, Run: r.ID})
	w.must(err)
	if len(vs.Values) != 1 || vs.Values[0].Value != 10 || vs.Values[0].Join != "joined" {
		t.Fatalf("values %+v", vs)
	}
	at := vs.Values[0].At
	for _, q := range []client.ValueQuery{{From: at.Add(time.Second)}, {To: at}, {Branch: "x"}, {Lanes: []result.Lane{result.LaneCandidate}}} {
		vs, err = w.Values(ctx, ss.Series[0].Digest, q)
		if err != nil || len(vs.Values) != 0 {
			t.Errorf("%+v gives %+v, %v", q, vs, err)
		}
	}
	wantValues, err := w.ledger.Rounds().Values(ctx, ledger.ValueFilter{Series: ss.Series[0].Digest})
	w.must(err)
	wantSeries, err := w.ledger.Rounds().OneSeries(ctx, ss.Series[0].Digest)
	w.must(err)
	vs, err = w.Values(ctx, ss.Series[0].Digest, client.ValueQuery{From: at})
	w.must(err)
	same(t, "values", ValueList{Series: wantSeries, Values: wantValues}, vs)

	agents, err := w.Agents(ctx)
	w.must(err)
	wantAgents, err := w.ledger.Agents().List(ctx)
	w.must(err)
	same(t, "agents", wantAgents, agents)
	h, err := w.Health(ctx)
	w.must(err)
	if !h.Ready || h.Version != "v1" || h.Ledger != "ok" || h.Cursor == 0 || h.API != 1 {
		t.Errorf("health %+v", h)
	}
	suites, err := w.Suites(ctx)
	w.must(err)
	ci, err := w.Suite(ctx, "ci")
	w.must(err)
	if len(suites) < 5 || suites[0].Text != "" || ci.Name != "ci" || !strings.Contains(ci.Text, "apiVersion") || ci.Cells == 0 || len(ci.Workloads) == 0 {
		t.Errorf("suites %+v, ci %+v", suites, ci)
	}
}

// TestErrorsOfClient: the caller learns everything that is wrong, and what to do.
func TestErrorsOfClient(t *testing.T) {
	w := newWorld(t)
	_, err := w.Submit(t.Context(), client.Submission{SuiteName: "ci", Branch: "a\nb", Lane: result.LaneCandidate})
	var e *client.Error
	if !errors.As(err, &e) || e.Status != 400 || !e.Wrong() || len(e.Errors) != 2 || e.Fix == "" || !strings.Contains(err.Error(), "base_ref") {
		t.Errorf("%v (%+v)", err, e)
	}
	if _, err := w.Run(t.Context(), "abc"); !client.IsNotFound(err) {
		t.Errorf("%v, want not found", err)
	}
	for s, err := range w.Samples(t.Context(), "abc") {
		if !client.IsNotFound(err) || s.Round != 0 {
			t.Errorf("%v, want not found", err)
		}
	}
	r := w.measured()
	if _, err := w.Cancel(t.Context(), r.ID, ""); !client.IsConflict(err) {
		t.Errorf("%v, want a conflict", err)
	}
	if err := w.Watch(t.Context(), "abc", 0, nil, nil); !client.IsNotFound(err) {
		t.Errorf("watch: %v, want not found", err)
	}
	if _, err := w.Wait(t.Context(), "abc"); !client.IsNotFound(err) || w.outages() != 0 {
		t.Errorf("wait: %v after %d outages, want not found", err, w.outages())
	}
	w.stop()
	if _, err := w.Health(t.Context()); !errors.Is(err, client.ErrUnreachable) || !strings.Contains(err.Error(), w.addr) {
		t.Errorf("%v, want unreachable", err)
	}
}

// TestErrorsHaveTheirStatus: the ledger's and the core's errors, through every layer.
func TestErrorsHaveTheirStatus(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		hidden bool
	}{
		{fmt.Errorf("x: %w", core.ErrRequest), 400, false},
		{fmt.Errorf("x: %w", ledger.ErrNotFound), 404, false},
		{ledger.ErrState, 409, false},
		{ledger.ErrExists, 409, false},
		{ledger.ErrInvalid, 400, false},
		{fmt.Errorf("x: %w", ledger.ErrFull), 507, false},
		{ledger.ErrReadOnly, 503, false},
		{ledger.ErrClosed, 503, false},
		{ledger.ErrCorrupt, 500, false},
		{context.DeadlineExceeded, 504, false},
		{errors.New("secret at /root"), 500, true},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			h, err := New(brokenDeps(c.err))
			if err != nil {
				t.Fatal(err)
			}
			s := httptest.NewServer(h)
			defer s.Close()
			resp, body := do(t, "POST", s.URL+"/api/v1/runs", `{"suite_name":"ci"}`)
			if resp.StatusCode != c.status || strings.Contains(body, "secret") || !strings.Contains(body, `"fix"`) {
				t.Errorf("%d %s, want %d", resp.StatusCode, body, c.status)
			}
			if resp, body = do(t, "GET", s.URL+"/api/v1/health", ""); resp.StatusCode != 503 || !strings.Contains(body, `"ready":false`) {
				t.Errorf("health is %d %s", resp.StatusCode, body)
			}
		})
	}
}

// TestBrokenSamples: a stream that fails in the middle doesn't look whole.
func TestBrokenSamples(t *testing.T) {
	h, err := New(brokenDeps(errors.New("bad batch")))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	defer s.Close()
	c, err := client.New(s.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var last error
	n := 0
	for _, err := range c.Samples(t.Context(), "abc") {
		n++
		last = err
	}
	if last == nil || n < 2 {
		t.Errorf("%d samples, then %v: want an error", n, last)
	}
}

func TestPanicIsAnswered(t *testing.T) {
	d := brokenDeps(nil)
	d.Core = panics{}
	h, err := New(d)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	defer s.Close()
	if resp, body := do(t, "GET", s.URL+"/api/v1/runs/a/report", ""); resp.StatusCode != 500 || strings.Contains(body, "boom") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}

type panics struct{ broken }

func (panics) Report(context.Context, string) (format.Report, error) { panic("boom") }

func TestDepsAreNeeded(t *testing.T) {
	if _, err := New(Deps{}); err == nil {
		t.Error("made without anything")
	}
	d := brokenDeps(nil)
	d.Now = nil
	if _, err := New(d); err == nil {
		t.Error("made without a clock")
	}
}
