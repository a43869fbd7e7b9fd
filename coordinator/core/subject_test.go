package core

import (
	"strings"
	"testing"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/judge/gate"
)

// TestUnknownBuildsDontJoin: of a branch that claims commits only builds join by which
// something was observed; a folder without git claims nothing.
func TestUnknownBuildsDontJoin(t *testing.T) {
	for name, c := range map[string]struct {
		request SubmitRequest
		change  func(*result.Identity)
		want    ledger.Join
		badge   string
	}{
		"a digest on main":     {SubmitRequest{Branch: "main", Commit: "c1"}, func(id *result.Identity) { *id = result.Identity{BinaryHash: "ab"} }, ledger.JoinBase, ""},
		"nothing on main":      {SubmitRequest{Branch: "main", Commit: "c1"}, func(id *result.Identity) { *id = result.Identity{Build: "(unknown)"} }, ledger.JoinNone, "unknown build"},
		"a dirty tree on main": {SubmitRequest{Branch: "main", Commit: "c1"}, func(id *result.Identity) { id.Modified = true }, ledger.JoinNone, "modified work tree"},
		"nothing without git":  {SubmitRequest{}, func(id *result.Identity) { *id = result.Identity{} }, ledger.JoinBase, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			m := at(10)
			m.change = func(r *result.Round) { c.change(&r.Subject) }
			r, _ := w.measure(c.request, m)
			if r.Verdict != string(gate.NoBaseline) {
				t.Fatalf("run is %+v", r)
			}
			if j := w.joined(r.ID); len(j) != 1 || j[0] != c.want {
				t.Errorf("its rounds are %v, want %s", j, c.want)
			}
			rep, err := w.Report(w.ctx, r.ID)
			w.must(err)
			if got := strings.Join(rep.Badges, ", "); got != c.badge {
				t.Errorf("badges %q, want %q", got, c.badge)
			}
		})
	}
}
