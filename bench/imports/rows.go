package imports

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
)

// row is one value of a CSV or JSON file.
type row struct {
	line      int
	name      string
	value     float64
	unit      string
	direction string // as written
	round     int    // 0: the next one of its name
}

// columns are what a row may have, in the order in which people write them.
func columns() []string { return []string{"name", "value", "unit", "direction", "round"} }

// unknownColumn says what a key that isn't known may have meant.
func unknownColumn(what string) error {
	if near := metric.Nearest(strings.ToLower(what), columns()); near != "" {
		return fmt.Errorf("%.40q is not known: did you mean %q?", what, near)
	}
	return fmt.Errorf("%.40q is not known: known are %s", what, strings.Join(columns(), ", "))
}

// maxName bounds a name and a unit, in bytes; maxRound a round's number.
const (
	maxName  = 200
	maxRound = 100_000
)

// check says what is wrong with the row, and reads its direction.
func (r row) check() (metric.Direction, error) {
	for _, s := range []string{r.name, r.unit} {
		if len(s) > maxName || strings.ContainsFunc(s, unicode.IsControl) {
			return 0, fmt.Errorf("%.40q… is too long or has control characters", s)
		}
	}
	switch {
	case strings.TrimSpace(r.name) == "":
		return 0, errors.New("it has no name")
	case r.round < 0 || r.round > maxRound:
		return 0, fmt.Errorf("%s: round %d is outside 1 to %d", r.name, r.round, maxRound)
	}
	switch r.direction {
	case "":
		return metric.Neutral, nil
	case "higher":
		return metric.HigherIsBetter, nil
	case "lower":
		return metric.LowerIsBetter, nil
	}
	return 0, fmt.Errorf("%s: direction %.40q is none of higher, lower: it says which way is better", r.name, r.direction)
}

// NoUnit is the metric of a value without a unit.
const NoUnit = "value"

// fromRows lays rows out as rounds. What a file calls a name is a workload, and its
// unit is the metric.
func fromRows(name string, rows []row) (*Document, error) {
	if len(rows) == 0 {
		return nil, fmt.Errorf("%w: it has no values", ErrFormat)
	}
	b := newBuilder("values", name)
	numbered := map[string]bool{} // names, with whether their rows carry a round
	for _, r := range rows {
		better, err := r.check()
		if err == nil {
			err = b.row(r, better, numbered)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", r.line, err)
		}
	}
	return b.doc, nil
}

func (b *builder) row(r row, better metric.Direction, numbered map[string]bool) error {
	id := r.unit
	if id == "" {
		id = NoUnit
	}
	series := r.name + "\x00" + id
	if was, known := numbered[series]; known && was != (r.round > 0) {
		return fmt.Errorf("%s has rows with and without a round: number all of them, or none", r.name)
	}
	numbered[series] = r.round > 0
	c := b.cell(result.Hardware{}, r.name, "values", r.name)
	if c.of == nil {
		c.of = map[string]int{}
	}
	if c.round = r.round; c.round == 0 {
		c.of[id]++
		c.round = c.of[id]
	}
	return c.add(id, r.unit, better, r.value)
}
