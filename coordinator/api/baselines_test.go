package api

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/paceline/paceline/client"
	"github.com/paceline/paceline/judge/baseline"
)

// refused checks that the server said no because of the request.
func refused(t *testing.T, err error, says string) {
	t.Helper()
	var e *client.Error
	if !errors.As(err, &e) || e.Status != http.StatusBadRequest || !e.Wrong() || !strings.Contains(err.Error(), says) {
		t.Errorf("got %v, want a refusal that says %q", err, says)
	}
}

// TestBaselines works on a level of really measured runs by the client.
func TestBaselines(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	_, err := w.Baseline(ctx, baseline.Which{})
	refused(t, err, "no level: runs of a base branch")
	for range 2 {
		_, err := w.Submit(ctx, client.Submission{Suite: suiteText, Branch: "feature/x"})
		w.must(err)
		w.deliver(w.claim(), 0, 10)
	}
	var list []baseline.Summary
	w.eventually("a level", func() bool {
		list, err = w.Baselines(ctx)
		w.must(err)
		return len(list) == 1 && list[0].Rounds == 2
	})
	shown, err := w.Baseline(ctx, baseline.Which{Branch: "feature/x", Suite: "ci"})
	w.must(err)
	if len(shown.Series) != 1 || shown.Series[0].Value != 10 || len(shown.Series[0].Rounds) != 2 || len(shown.Series[0].Gates) != 1 {
		t.Errorf("shown %+v", shown)
	}
	_, err = w.PinBaseline(ctx, baseline.Pin{Name: "v1"})
	if err == nil {
		t.Error("a pin without a reason was taken")
	}
	p, err := w.PinBaseline(ctx, baseline.Pin{Name: "v1", Reason: "release", By: "ann"})
	w.must(err)
	if len(p.Runs) != 2 || p.By != "ann (by loopback, unproven)" {
		t.Errorf("pinned %+v", p)
	}
	refused(t, w.UnpinBaseline(ctx, baseline.Pin{Name: "v2"}), "nothing is pinned as v2")
	w.must(w.UnpinBaseline(ctx, baseline.Pin{Name: "v1", By: "ann"}))
	_, err = w.AcceptBaseline(ctx, baseline.Acceptance{Branch: "feature/x", Reason: "why not"})
	refused(t, err, "nothing waits for an acceptance of branch feature/x")

	f, err := w.ExportBaseline(ctx, baseline.Which{})
	w.must(err)
	if f.Branch != "feature/x" || len(f.Runs) != 2 {
		t.Errorf("exported %+v", f)
	}
	to := newWorld(t)
	got, err := to.ImportBaseline(ctx, f, "ann", "main.json")
	to.must(err)
	if got.Runs != 2 || got.Rounds != 2 {
		t.Errorf("imported %+v", got)
	}
	if got, err = to.ImportBaseline(ctx, f, "ann", "main.json"); err != nil || got.Known != 2 {
		t.Errorf("again: %+v, %v", got, err)
	}
	log, err := to.ledger.Audit().List(ctx, 0)
	to.must(err)
	if len(log) != 1 || log[0].Who != "ann (by loopback, unproven)" || log[0].Object != "main.json" {
		t.Errorf("the audit log has %+v", log)
	}
	f.Runs[0].Document.Run.Commit = "another"
	_, err = to.ImportBaseline(ctx, f, "", "")
	refused(t, err, "is another one here")
}

// TestSubmitWithBaseline: the file travels with the submission.
func TestSubmitWithBaseline(t *testing.T) {
	from := newWorld(t)
	ctx := t.Context()
	_, err := from.Submit(ctx, client.Submission{Suite: suiteText, Branch: "main"})
	from.must(err)
	from.deliver(from.claim(), 0, 10)
	var f *baseline.File
	from.eventually("a level", func() bool { f, err = from.ExportBaseline(ctx, baseline.Which{}); return err == nil })
	var b bytes.Buffer
	from.must(baseline.WriteFile(&b, f))

	w := newWorld(t)
	r, err := w.Submit(ctx, client.Submission{Suite: suiteText, Baseline: b.Bytes(), BaseSuite: suiteText, Ancestors: []string{"c1"}, AncestorsCut: true})
	w.must(err)
	if r.Lane != "candidate" || r.BaseRef != "main" {
		t.Errorf("submitted %+v", r)
	}
	w.deliver(w.claim(), 0, 10)
	r, err = w.Wait(ctx, r.ID)
	w.must(err)
	rep, err := w.Report(ctx, r.ID)
	w.must(err)
	if r.Verdict != "pass" || !strings.HasPrefix(rep.Base, "main (file of ") {
		t.Errorf("%s against %s", r.Verdict, rep.Base)
	}
	_, err = w.Submit(ctx, client.Submission{Suite: suiteText, Baseline: []byte(`{"schema":1}`)})
	refused(t, err, "not a whole baseline file")
	_, err = w.Submit(ctx, client.Submission{SuiteName: "throughput", Baseline: b.Bytes()})
	refused(t, err, "the baseline file is of suite ci, the run is of suite throughput")
}
