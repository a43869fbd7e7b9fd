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
}

// Run is a run's verdict.
type Run struct {
	Kind     Kind     `json:"kind"`
	Exit     int      `json:"exit"`
	Headline string   `json:"headline"`       // first line for people
	Also     []string `json:"also,omitempty"` // what else is the matter
}

// Overall gives a run's verdict: the first line of DESIGN's table that applies.
// series are the verdicts of all gated series; names is parallel and says which.
func Overall(series []Verdict, names []string, problems []Problem, o Options) Run {
	by := map[Kind][]string{}
	for i, v := range series {
		by[v.Kind] = append(by[v.Kind], names[i]+": "+v.Reason)
	}
	if o.Inconclusive == "fail" {
		by[Fail] = append(by[Fail], by[Inconclusive]...)
		delete(by, Inconclusive)
	}
	var request, machine []string
	for _, p := range problems {
		text := p.Kind + ": " + p.Detail
		if p.Request {
			request = append(request, text)
		} else {
			machine = append(machine, text)
		}
	}
	machine = append(append(machine, by[Error]...), by[Invalid]...)
	uncompared := append(by[NotComparable], by[NoBaseline]...)
	if o.RequireBaseline {
		machine = append(machine, uncompared...)
	}

	var r Run
	rest := []struct {
		kind  Kind
		exit  int
		found []string
	}{
		{Fail, ExitFail, by[Fail]},
		{Error, ExitRequest, request},
		{Error, ExitMachine, machine},
		{Inconclusive, ExitInconclusive, unless(o.Inconclusive == "pass", by[Inconclusive])},
		{Warn, ExitOK, append(by[Warn], unless(o.Inconclusive != "pass", by[Inconclusive])...)},
	}
	for _, c := range rest {
		switch {
		case len(c.found) == 0:
		case r.Kind == "":
			r.Kind, r.Exit, r.Headline = c.kind, c.exit, c.found[0]
			if c.kind == Error && c.exit == ExitMachine && len(machine) == len(by[Invalid]) {
				r.Kind = Invalid
			}
			r.Also = append(r.Also, c.found[1:]...)
		default:
			r.Also = append(r.Also, c.found...)
		}
	}
	compared := 0
	relative := 0
	for _, v := range series {
		if v.Rule.Relative() {
			relative++
			if v.Kind != NotComparable && v.Kind != NoBaseline {
				compared++
			}
		}
	}
	return r.finish(compared, relative, len(by[Pass]), uncompared, len(by[NoBaseline]) == 0)
}

// finish names what was and wasn't compared. incomparable: there are baselines, all of
// another class.
func (r Run) finish(compared, relative, passed int, uncompared []string, incomparable bool) Run {
	partly := relative > 0 && compared > 0 && compared < relative
	if r.Kind != "" {
		if relative > 0 && compared < relative {
			r.Also = append(r.Also, fmt.Sprintf("%d of %d compared", compared, relative))
		}
		if r.Kind == Warn && relative > 0 && compared == 0 {
			r.Headline, r.Also = "NOTHING WAS COMPARED: "+firstReason(uncompared), append([]string{r.Headline}, r.Also...)
		}
		return r
	}
	switch {
	case relative > 0 && compared == 0:
		r.Kind, r.Headline = NoBaseline, "NOTHING WAS COMPARED: "+firstReason(uncompared)
		if incomparable {
			r.Kind = NotComparable
		}
	case partly:
		r.Kind, r.Headline = Pass, fmt.Sprintf("%d of %d compared, nothing got worse", compared, relative)
		r.Also = uncompared
	default:
		r.Kind, r.Headline = Pass, fmt.Sprintf("nothing got worse: %d of %d checks passed", passed, passed)
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

func unless(skip bool, found []string) []string {
	if skip {
		return nil
	}
	return found
}
