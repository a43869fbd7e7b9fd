package plan

import "slices"

// Turn is one task of one round.
type Turn struct {
	Row   int // index of the row
	Round int // from 0
	Task  Task
}

// Turns are all measurements in their order: row by row, and within a row round by round,
// each second round backwards (ABBA). So a drift of the machine meets all programs of a row
// alike, and rows lie no further apart than they must.
func Turns(rows []Row, rounds int) []Turn {
	var out []Turn
	for i, r := range rows {
		for round := range rounds {
			tasks := r.Tasks()
			if round%2 == 1 {
				slices.Reverse(tasks)
			}
			for _, t := range tasks {
				out = append(out, Turn{Row: i, Round: round, Task: t})
			}
		}
	}
	return out
}
