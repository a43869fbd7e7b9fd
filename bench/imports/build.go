package imports

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/bench/result"
)

// builder lays values out as rounds: the n-th value of a series is in the n-th round
// of its machine.
type builder struct {
	doc    *Document
	cells  map[string]*cell // by machine and digest
	rounds map[machineRound]int
}

// machineRound is a round of one class of machine.
type machineRound struct {
	hw    result.Hardware
	round int
}

func newBuilder(target, name string) *builder {
	d := &Document{Defs: map[Series]Def{}}
	d.Schema = result.SchemaVersion
	d.Run = result.Run{
		ID: name, Suite: Suite, Lane: result.LaneLocal,
		Subject: result.Subject{Target: target, Model: name},
	}
	return &builder{doc: d, cells: map[string]*cell{}, rounds: map[machineRound]int{}}
}

// failed notes what the file says went wrong, each once.
func (b *builder) failed(what string) {
	if !slices.Contains(b.doc.Failed, what) {
		b.doc.Failed = append(b.doc.Failed, what)
	}
}

// cell is a cell in the making.
type cell struct {
	b        *builder
	hw       result.Hardware
	digest   string
	workload string
	point    map[string]string
	round    int            // that values go to; from 1
	at       map[int]int    // round → place in its cells
	of       map[string]int // metric → rounds it has, where they are not numbered
}

// cell gives the cell that the parts name on a class of machine.
func (b *builder) cell(hw result.Hardware, workload string, parts ...string) *cell {
	js, err := json.Marshal(parts)
	if err != nil {
		panic("imports: strings are JSON: " + err.Error())
	}
	sum := sha256.Sum256(js)
	digest := hex.EncodeToString(sum[:16])
	key := fmt.Sprint(hw, digest)
	c, ok := b.cells[key]
	if !ok {
		c = &cell{b: b, hw: hw, digest: digest, workload: workload, round: 1, at: map[int]int{}}
		b.cells[key] = c
	}
	return c
}

// next begins the cell's next round.
func (c *cell) next() { c.round++ }

// maxValue bounds values, so that sums and differences of them are numbers too.
const maxValue = 1e100

// add adds a value to the cell's round.
func (c *cell) add(id, unit string, better metric.Direction, value float64) error {
	if math.IsNaN(value) || math.Abs(value) > maxValue {
		return fmt.Errorf("%s has the value %g, which is no number that can be compared", c.workload, value)
	}
	m := metric.ID(id)
	if def, ok := m.Def(); ok {
		if m2, _, _, _ := metric.Parse(id); m2 != m {
			return fmt.Errorf("%s is measured as %s, a metric whose statistic is missing: write %s", c.workload, id, m2)
		}
		if better != metric.Neutral && better != def.Better {
			return fmt.Errorf("%s is measured as %s, a metric of which %s, but the file says that %s", c.workload, id, def.Better, better)
		}
	} else {
		s := Series{c.digest, m}
		was, known := c.b.doc.Defs[s]
		switch {
		case !known || was.Better == metric.Neutral:
			c.b.doc.Defs[s] = Def{Unit: unit, Better: better}
		case better != metric.Neutral && better != was.Better:
			return fmt.Errorf("of %s in %s %s, but before %s", c.workload, id, better, was.Better)
		}
	}
	r := c.b.round(c.hw, c.round)
	at, ok := c.at[c.round]
	if !ok {
		at = len(r.Cells)
		c.at[c.round] = at
		r.Cells = append(r.Cells, result.CellResult{Cell: c.digest, Workload: c.workload, Point: c.point, Valid: true})
	}
	x := &r.Cells[at]
	if slices.ContainsFunc(x.Values, func(v result.Value) bool { return v.Metric == m }) {
		return fmt.Errorf("round %d has two values of %s in %s", c.round, c.workload, id)
	}
	x.Values = append(x.Values, result.Value{Metric: m, Value: value, N: 1})
	return nil
}

// round gives the n-th round on a class of machine.
func (b *builder) round(hw result.Hardware, n int) *result.Round {
	at, ok := b.rounds[machineRound{hw, n}]
	if !ok {
		at = len(b.doc.Rounds)
		b.rounds[machineRound{hw, n}] = at
		b.doc.Rounds = append(b.doc.Rounds, result.Round{
			ID: fmt.Sprintf("%s, round %d", b.doc.Run.ID, at+1), RunID: b.doc.Run.ID, Index: at + 1, Valid: true,
			Environment: result.Environment{Hardware: hw},
		})
	}
	return &b.doc.Rounds[at]
}
