package baseline

import (
	"time"

	"github.com/paceline/paceline/bench/metric"
	"github.com/paceline/paceline/judge/gate"
)

// Which names a level. Where a field is empty and there is only one to choose, it is
// that one; the project of nothing else is meant by an empty project.
type Which struct {
	Project string `json:"project,omitempty"`
	Branch  string `json:"branch,omitempty"`
	Suite   string `json:"suite,omitempty"`
}

// Summary is what a branch has of one suite, in figures.
type Summary struct {
	Project string    `json:"project,omitempty"`
	Branch  string    `json:"branch"`
	Suite   string    `json:"suite"`
	Rounds  int       `json:"rounds"`  // that have joined; a gate reads the last ten of a series
	Pending int       `json:"pending"` // of a failing branch: they wait for an acceptance
	Newest  time.Time `json:"newest"`  // of these rounds
	Pins    []Pin     `json:"pins"`    // of the suite, newest first
}

// Pin is a level with a name, such as a release's. Every gate also compares with the
// suite's newest one, so that small steps can't add up.
type Pin struct {
	Name    string    `json:"name"`
	Project string    `json:"project,omitempty"`
	Branch  string    `json:"branch,omitempty"`
	Suite   string    `json:"suite"`
	Runs    []string  `json:"runs,omitempty"` // whose valid rounds are the level
	Reason  string    `json:"reason"`
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

// Acceptance makes what is pending on a branch its level.
type Acceptance struct {
	Project string    `json:"project,omitempty"`
	Branch  string    `json:"branch"`
	Suite   string    `json:"suite,omitempty"` // empty: every suite
	Reason  string    `json:"reason"`
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at,omitzero"`
	Rounds  int       `json:"rounds,omitempty"` // that are the level now
}

// Imported is what became of a file that was imported.
type Imported struct {
	Branch string `json:"branch"`
	Suite  string `json:"suite"`
	Runs   int    `json:"runs"`   // new ones
	Rounds int    `json:"rounds"` // of these, part of the level
	Known  int    `json:"known"`  // runs that were there already
}

// Shown is a level with all that makes it.
type Shown struct {
	Project     string        `json:"project,omitempty"`
	Branch      string        `json:"branch"`
	Suite       string        `json:"suite"`
	Series      []ShownSeries `json:"series"`      // by workload, point and metric
	Pins        []Pin         `json:"pins"`        // newest first
	Acceptances []Acceptance  `json:"acceptances"` // newest first
}

// ShownSeries is the level of one series.
type ShownSeries struct {
	Series   string            `json:"series"` // digest of its key
	Workload string            `json:"workload"`
	Point    map[string]string `json:"point,omitempty"`
	Metric   metric.ID         `json:"metric"`
	Unit     string            `json:"unit"`
	Hardware string            `json:"hardware"` // in words
	Value    float64           `json:"value"`    // median of the rounds
	Spread   float64           `json:"spread"`   // robust spread of the rounds, in the unit
	Rounds   []ShownRound      `json:"rounds"`   // that a gate reads, oldest first
	Pending  []ShownRound      `json:"pending"`  // that an acceptance would make the level
	Gates    []ShownGate       `json:"gates"`    // of the newest run's suite that compare with a level
}

// ShownRound is a round of a level.
type ShownRound struct {
	Round   string    `json:"round"`
	Run     string    `json:"run"`
	Commit  string    `json:"commit,omitempty"`
	Machine string    `json:"machine,omitempty"`
	At      time.Time `json:"at"`
	Value   float64   `json:"value"`
}

// ShownGate is what a gate could find with this level.
type ShownGate struct {
	Limit    string        `json:"limit"` // in words: "a drop of 20 %"
	Severity gate.Severity `json:"severity"`
	// SmallestFail is the least change, as a share of the level, that it could fail; 0:
	// it can't fail, because of its severity or for lack of rounds.
	SmallestFail float64 `json:"smallest_fail"`
	CanSee       float64 `json:"can_see"` // the least change that stands out of the noise
}
