package page

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/coordinator/ledger"
	"github.com/paceline/paceline/dashboard/view"
	"github.com/paceline/paceline/judge/gate"
)

// perPage is how many runs a list shows.
const perPage = 50

// runList is the page of all runs.
type runList struct {
	Rows     []runRow
	Filters  []filter
	Filtered bool
	Older    string // address; empty: this is the end
}

// runRow is a run in a list.
type runRow struct {
	ID, Short, Suite, Where, Subject, Exit string
	Mark                                   view.Mark
	Badges                                 []view.Badge
	When                                   view.When
}

// filter is a choice that the address holds.
type filter struct {
	Label, Name, Value string
	Options            []string
}

func (s *site) runs(r *http.Request) (show, error) {
	q := r.URL.Query()
	f := ledger.RunFilter{Suite: q.Get("suite"), Branch: q.Get("branch"), Lane: result.Lane(q.Get("lane")), Limit: perPage}
	f.Before, _ = strconv.ParseInt(q.Get("before"), 10, 64) // what is no number shows the newest
	rs, err := s.Ledger.Runs().List(r.Context(), f)
	if err != nil {
		return show{}, err
	}
	recent, err := s.Ledger.Runs().List(r.Context(), ledger.RunFilter{Limit: 500})
	if err != nil {
		return show{}, err
	}
	l := runList{
		Filtered: f.Suite != "" || f.Branch != "" || f.Lane != "" || f.Before > 0,
		Filters: []filter{
			{"suite", "suite", f.Suite, distinct(recent, f.Suite, func(x ledger.Run) string { return x.Suite })},
			{"branch", "branch", f.Branch, distinct(recent, f.Branch, func(x ledger.Run) string { return x.Branch })},
			{"lane", "lane", string(f.Lane), distinct(recent, string(f.Lane), func(x ledger.Run) string { return string(x.Lane) })},
		},
	}
	l.Rows = s.runRows(rs)
	if len(rs) == perPage {
		q.Set("before", strconv.FormatInt(rs[len(rs)-1].Seq, 10))
		l.Older = "/runs?" + q.Encode()
	}
	return show{name: "runs", Page: Page{Title: "Runs", Nav: "runs", Live: "/live", Main: l}}, nil
}

func (s *site) runRows(rs []ledger.Run) []runRow {
	var out []runRow
	for _, x := range rs {
		row := runRow{
			ID: x.ID, Short: view.Short(x.ID), Suite: x.Suite, Where: x.Branch, Mark: markOf(x),
			Subject: x.Subject.Target + " · " + x.Subject.Model, When: view.At(s.Now(), x.Created),
		}
		if x.Commit != "" {
			row.Where += "@" + view.Short(x.Commit)
		}
		if x.State.Terminal() {
			row.Exit = fmt.Sprintf("exit %d", x.Exit)
		}
		for _, f := range x.Faults {
			row.Badges = append(row.Badges, view.Badge{Text: "fault: " + f, Title: "a planted defect: this result never joins a baseline"})
		}
		if x.Lane == result.LaneCandidate {
			row.Badges = append(row.Badges, view.Badge{Text: "candidate", Title: "a change under test"})
		}
		out = append(out, row)
	}
	return out
}

// markOf is a run's verdict, or how far it is.
func markOf(x ledger.Run) view.Mark {
	switch x.State {
	case ledger.RunDecided:
		return view.MarkOf(gate.Kind(x.Verdict))
	case ledger.RunCancelled:
		return view.MarkOf(gate.Cancelled)
	case ledger.RunMore:
		return view.Running("more rounds")
	}
	return view.Running("running")
}

// distinct lists a field's values, sorted, with the chosen one among them.
func distinct[T any](all []T, chosen string, of func(T) string) []string {
	var out []string
	for _, x := range append([]string{chosen}, mapped(all, of)...) {
		if x != "" && !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	slices.Sort(out)
	return out
}

func mapped[T any](all []T, of func(T) string) []string {
	out := make([]string, len(all))
	for i, x := range all {
		out[i] = of(x)
	}
	return out
}

// with is the address of a view with one choice changed; an empty value removes it.
func with(u *url.URL, name, value string) string {
	q := u.Query()
	if value == "" {
		q.Del(name)
	} else {
		q.Set(name, value)
	}
	if len(q) == 0 {
		return u.Path
	}
	return u.Path + "?" + q.Encode()
}
