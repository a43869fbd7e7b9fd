package view

import (
	"strings"

	"github.com/paceline/paceline/judge/gate"
)

// Mark is a verdict's shape, word and class of style. The word says what the colour
// says, so that nobody needs the colour.
type Mark struct {
	Symbol, Word, Class string
}

// Running marks what isn't decided yet.
func Running(word string) Mark { return Mark{"◌", word, "v-running"} }

// MarkOf is the mark of a verdict.
func MarkOf(k gate.Kind) Mark {
	m := Mark{Symbol: "⊘", Word: string(k), Class: "v-" + strings.ReplaceAll(string(k), " ", "-")}
	switch k {
	case gate.Fail:
		m.Symbol = "▼"
	case gate.Warn:
		m.Symbol = "◆"
	case gate.Pass:
		m.Symbol = "●"
	case gate.Inconclusive:
		m.Symbol = "?"
	case gate.NoBaseline:
		m.Symbol = "○"
	case gate.Error:
		m.Symbol = "✕"
	case gate.Cancelled:
		m.Class = "v-invalid"
	case "more":
		return Running("more rounds")
	case "":
		return Mark{Symbol: "·", Word: "no rule", Class: "dim"}
	}
	return m
}

// Valid marks a round or a trial.
func Valid(ok bool) Mark {
	if ok {
		return Mark{"●", "valid", "v-pass"}
	}
	return Mark{"⊘", "invalid", "v-invalid"}
}

// Rank orders verdicts, worst first.
func Rank(k gate.Kind) int {
	for i, x := range []gate.Kind{gate.Fail, gate.Error, gate.Warn, gate.Inconclusive, gate.Invalid, gate.NotComparable, gate.NoBaseline, gate.Pass} {
		if x == k {
			return i
		}
	}
	return 9
}
