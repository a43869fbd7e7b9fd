package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/paceline/paceline/judge/baseline"
	"github.com/paceline/paceline/judge/gate"
)

// showList writes one level a line.
func showList(w io.Writer, all []baseline.Summary, now time.Time) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no level yet: runs of a base branch that are decided pass or warn make one")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "BRANCH\tSUITE\tROUNDS\tPENDING\tNEWEST\tPINNED")
	for _, s := range all {
		var pins []string
		for _, p := range s.Pins {
			pins = append(pins, p.Name)
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", s.Branch, s.Suite, s.Rounds, numberOrDash(s.Pending), age(now.Sub(s.Newest)), strings.Join(pins, ", "))
	}
	return t.Flush()
}

func numberOrDash(n int) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// showOptions say how much of a level is shown.
type showOptions struct{ all, rounds bool }

// showLevel writes a level: its series, and what is decided about it.
// Series without a gate are only counted, unless all are wanted.
func showLevel(w io.Writer, x baseline.Shown, o showOptions, now time.Time) error {
	fmt.Fprintf(w, "branch %s · suite %s\n\n", x.Branch, x.Suite)
	others := 0
	if !o.all {
		n := len(x.Series)
		x.Series = slices.DeleteFunc(slices.Clone(x.Series), func(s baseline.ShownSeries) bool { return len(s.Gates) == 0 })
		others = n - len(x.Series)
	}
	classes := map[string]bool{}
	for _, s := range x.Series {
		classes[s.Hardware] = true
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WORKLOAD\tMETRIC\tLEVEL\tROUNDS\tNEWEST\tA GATE COULD")
	for _, s := range x.Series {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", workloadOf(s), s.Metric, figure(s), roundCount(s), newest(s, now), strings.Join(sight(s), "; "))
		if len(classes) > 1 {
			fmt.Fprintf(t, "  on %s\t\t\t\t\t\n", s.Hardware)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if others > 0 {
		fmt.Fprintf(w, "and %d series that no gate compares: --all shows them\n", others)
	}
	if o.rounds {
		for _, s := range x.Series {
			fmt.Fprintf(w, "\n%s %s\n", workloadOf(s), s.Metric)
			listRounds(w, s, s.Rounds, "", now)
			listRounds(w, s, s.Pending, "  pending", now)
		}
	}
	if n := pending(x); n > 0 {
		wait := "wait"
		if n == 1 {
			wait = "waits"
		}
		fmt.Fprintf(w, "\n%s %s: the branch got worse. If that is meant: paceline baseline accept --branch %s --suite %s --reason …\n", plural(n, "round"), wait, x.Branch, x.Suite)
	}
	for i, p := range x.Pins {
		counts := ""
		if i == 0 {
			counts = ", with which every gate also compares"
		}
		fmt.Fprintf(w, "\npinned %s%s: %s, by %s %s: %s\n", p.Name, counts, plural(len(p.Runs), "run"), p.By, age(now.Sub(p.At)), p.Reason)
	}
	for _, a := range x.Acceptances {
		fmt.Fprintf(w, "\naccepted %s, by %s %s: %s\n", plural(a.Rounds, "round"), a.By, age(now.Sub(a.At)), a.Reason)
	}
	return nil
}

// pending is how many rounds wait, of the series in which most do.
func pending(x baseline.Shown) (n int) {
	for _, s := range x.Series {
		n = max(n, len(s.Pending))
	}
	return n
}

func workloadOf(s baseline.ShownSeries) string {
	var b strings.Builder
	b.WriteString(s.Workload)
	for _, axis := range slices.Sorted(maps.Keys(s.Point)) {
		fmt.Fprintf(&b, " %s=%s", axis, s.Point[axis])
	}
	return b.String()
}

func figure(s baseline.ShownSeries) string {
	if len(s.Rounds) == 0 {
		return "-"
	}
	text := gate.Figure(s.Value, s.Unit)
	if s.Spread > 0 {
		text += " ± " + gate.Figure(s.Spread, s.Unit)
	}
	return text
}

func roundCount(s baseline.ShownSeries) string {
	if len(s.Pending) == 0 {
		return fmt.Sprint(len(s.Rounds))
	}
	return fmt.Sprintf("%d (+%d pending)", len(s.Rounds), len(s.Pending))
}

func newest(s baseline.ShownSeries, now time.Time) string {
	if len(s.Rounds) == 0 {
		return "-"
	}
	return age(now.Sub(s.Rounds[len(s.Rounds)-1].At))
}

// sight says what each gate could find.
func sight(s baseline.ShownSeries) []string {
	var out []string
	for _, g := range s.Gates {
		switch {
		case g.SmallestFail > 0:
			out = append(out, fmt.Sprintf("fail %.1f %% (limit: %s)", 100*g.SmallestFail, g.Limit))
		case g.CanSee > 0:
			out = append(out, fmt.Sprintf("see %.1f %% (limit: %s, %s)", 100*g.CanSee, g.Limit, g.Severity))
		}
	}
	return out
}

func listRounds(w io.Writer, s baseline.ShownSeries, rs []baseline.ShownRound, mark string, now time.Time) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rs {
		fmt.Fprintf(t, "  %s\trun %s\t%.12s\t%s%s\n", gate.Figure(r.Value, s.Unit), r.Run, r.Commit, age(now.Sub(r.At)), mark)
	}
	_ = t.Flush() // w is asked again
}

// age says how long ago something was.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return plural(int(d/time.Minute), "minute") + " ago"
	case d < 48*time.Hour:
		return plural(int(d/time.Hour), "hour") + " ago"
	}
	return plural(int(d/(24*time.Hour)), "day") + " ago"
}
