package gate

import (
	"fmt"
	"strings"
)

// Exit codes of a run's verdict.
const (
	ExitOK           = 0
	ExitFail         = 1
	ExitRequest      = 2
	ExitMachine      = 3
	ExitInconclusive = 4
	ExitCancelled    = 5
)

// Problem is something about a run that is no verdict on a series.
type Problem struct {
	// Request: the request or configuration is wrong, or what was measured is not what
	// was claimed. Else a machine or the subject failed: error, lost, expired, missing.
	Request bool   `json:"request,omitempty"`
	Kind    string `json:"kind"` // "error", "lost", "expired", "missing", "identity", "request"
	Detail  string `json:"detail"`
}

// Options change how a run's verdict follows.
type Options struct {
	Inconclusive    string `json:"inconclusive,omitempty"` // "pass" or "fail" in place of exit 4
	RequireBaseline bool   `json:"require_baseline,omitempty"`
	// Machines is how many machines delivered of those asked for one by one, MinMachines
	// how many are enough: then problems of kind "missing" are only listed. 0: all.
	Machines    int    `json:"machines,omitempty"`
	MinMachines int    `json:"min_machines,omitempty"`
	Cancelled   string `json:"cancelled,omitempty"` // by whom or why; empty: it was not
	// Loosened says, one sentence each with both values, which rules are looser than
	// those of the base ref; they give a warn.
	Loosened []string `json:"loosened,omitempty"`
}

// Run is a run's verdict.
type Run struct {
	Kind     Kind     `json:"kind"`
	Exit     int      `json:"exit"`
	Headline string   `json:"headline"`       // first line for people
	Also     []string `json:"also,omitempty"` // what else is the matter
	// Problems are those of the run that count, beside what the series say: a machine
	// that was lost, a request that was wrong. Headline and Also tell them too.
	Problems []Problem `json:"problems,omitempty"`
}

// cause is a line of the table: what was found for it, and what follows.
type cause struct {
	kind  Kind
	exit  int
	found []string
}

// Overall gives a run's verdict: the first row of the table of exit codes (README.md) that applies.
// series are the verdicts of all gated series; names is parallel and says which.
func Overall(series []Verdict, names []string, problems []Problem, o Options) Run {
	by := map[Kind][]string{}
	var request, machine, listed []string
	var counted []Problem
	for i, v := range series {
		text := names[i] + ": " + v.Reason
		if v.Kind == Error && v.Config {
			request = append(request, text)
			continue
		}
		by[v.Kind] = append(by[v.Kind], text)
	}
	for _, p := range problems {
		text := p.Kind + ": " + p.Detail
		if p.Kind == "missing" && !p.Request && o.MinMachines > 0 && o.Machines >= o.MinMachines {
			listed = append(listed, text)
			continue
		}
		counted = append(counted, p)
		if p.Request {
			request = append(request, text)
		} else {
			machine = append(machine, text)
		}
	}
	broken := Error
	if len(machine) == 0 && len(by[Error]) == 0 {
		broken = Invalid
	}
	machine = append(append(machine, by[Error]...), by[Invalid]...)

	undecided := cause{Inconclusive, ExitInconclusive, by[Inconclusive]}
	switch o.Inconclusive {
	case "fail":
		undecided.kind, undecided.exit = Fail, ExitFail
	case "pass":
		undecided.kind, undecided.exit = Warn, ExitOK
	}
	var stopped []string
	if o.Cancelled != "" {
		stopped = []string{"cancelled: " + o.Cancelled}
	}
	causes := []cause{
		{Fail, ExitFail, by[Fail]},
		{Error, ExitRequest, request},
		{broken, ExitMachine, machine},
	}
	if undecided.exit != ExitOK {
		causes = append(causes, undecided)
	}
	causes = append(causes, cause{Cancelled, ExitCancelled, stopped})
	if undecided.exit == ExitOK {
		causes = append(causes, undecided)
	}
	causes = append(causes, cause{Warn, ExitOK, append(by[Warn], o.Loosened...)})

	r := Run{Problems: counted}
	for _, c := range causes {
		switch {
		case len(c.found) == 0:
		case r.Kind == "":
			r.Kind, r.Exit, r.Headline = c.kind, c.exit, c.found[0]
			r.Also = append(r.Also, c.found[1:]...)
		default:
			r.Also = append(r.Also, c.found...)
		}
	}
	r.Also = append(r.Also, listed...)
	return r.compared(series, by, o)
}

// compared says what was and wasn't compared, which is a verdict of its own where
// nothing worse is known.
func (r Run) compared(series []Verdict, by map[Kind][]string, o Options) Run {
	relative, compared := 0, 0
	for _, v := range series {
		if v.Rule.Relative() {
			relative++
			if v.Kind != NotComparable && v.Kind != NoBaseline {
				compared++
			}
		}
	}
	without := append(by[NotComparable], by[NoBaseline]...)
	partly := fmt.Sprintf("%d of %d compared", compared, relative)
	settled := r.Kind != "" && r.Exit != ExitOK // something worse is known
	switch {
	case len(without) == 0:
		switch {
		case r.Kind == "" && len(series) == 0:
			r.Kind, r.Headline = Pass, "nothing was judged: there is no rule on what was measured"
		case r.Kind == "":
			r.Kind, r.Headline = Pass, fmt.Sprintf("nothing got worse: %d of %d checks passed", len(by[Pass]), len(by[Pass]))
		}
		return r
	case settled:
		r.Also = append(append(r.Also, partly), without...)
		return r
	case compared == 0:
		if r.Headline != "" {
			r.Also = append([]string{r.Headline}, r.Also...)
		}
		r.Headline = "NOTHING WAS COMPARED: " + firstReason(without)
		if r.Kind == "" {
			r.Kind = NoBaseline
			if len(by[NoBaseline]) == 0 {
				r.Kind = NotComparable
			}
		}
	case r.Kind == "":
		r.Kind, r.Headline = Pass, partly+", nothing got worse"
		r.Also = append(r.Also, without...)
	default:
		r.Headline = partly + "; " + r.Headline
		r.Also = append(r.Also, without...)
	}
	if o.RequireBaseline {
		r.Exit = ExitMachine
		r.Headline += "; a baseline was required"
	}
	return r
}

func firstReason(named []string) string {
	if len(named) == 0 {
		return "there is nothing to compare with"
	}
	_, reason, _ := strings.Cut(named[0], ": ")
	return reason
}
