package gate

import (
	"errors"
	"fmt"
)

// Unmet is the verdict where nobody runs the rounds that Decide asks for: invalid
// without any valid round, else inconclusive, with the figures as far as they go. why
// words the reason; have is how many rounds there are. Where Decide asks for nothing
// Unmet is its verdict.
func Unmet(r Rule, b Baseline, c Candidate, why func(have int, n Need) string) Verdict {
	v, o := assess(r, b, c)
	if o.Verdict != nil {
		return *o.Verdict
	}
	v.Kind, v.Need = Inconclusive, o.Need
	if len(c.Rounds) == 0 {
		v.Kind = Invalid
	}
	v.Reason = why(len(c.Rounds), *o.Need)
	return *v
}

// errMismatch is wrapped by Replay's error.
var errMismatch = errors.New("replay gives another verdict")

// Replay decides again from the inputs that a verdict carries.
func Replay(v Verdict) error {
	o := Decide(v.Rule, v.Baseline, v.Candidate)
	switch {
	case v.Need != nil && o.Need != nil && *o.Need == *v.Need:
		return nil
	case v.Need == nil && o.Verdict != nil && o.Verdict.Kind == v.Kind && o.Verdict.Reason == v.Reason:
		return nil
	}
	return fmt.Errorf("%w: stored %s (%s)", errMismatch, v.Kind, v.Reason)
}
