package baseline

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paceline/paceline/bench/result"
	"github.com/paceline/paceline/judge/gate"
)

func day(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC) }

// joined is a valid round of a passed run of main, on day n.
func joined(n int, change ...func(*Record)) Record {
	r := Record{
		RunID: fmt.Sprintf("run%02d", n), RoundID: fmt.Sprintf("round%02d", n), Machine: "m1", Branch: "main",
		Lane: result.LaneBase, Decided: gate.Pass, Valid: true, At: day(n), Value: float64(100 + n),
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func ids(records []Record) string {
	out := make([]string, len(records))
	for i, r := range records {
		out[i] = strings.TrimPrefix(r.RoundID, "round")
	}
	return strings.Join(out, " ")
}

func TestJoins(t *testing.T) {
	for _, c := range []struct {
		name    string
		lane    result.Lane
		faults  bool
		verdict gate.Kind
		want    State
	}{
		{"a pass of the base branch", result.LaneBase, false, gate.Pass, Joined},
		{"a warn", result.LaneBase, false, gate.Warn, Joined},
		{"the first run", result.LaneBase, false, gate.NoBaseline, Joined},
		{"the first of a new class of machine", result.LaneBase, false, gate.NotComparable, Joined},
		{"a folder without git", result.LaneLocal, false, gate.Pass, Joined},
		{"a fail waits", result.LaneBase, false, gate.Fail, Pending},
		{"a local fail waits", result.LaneLocal, false, gate.Fail, Pending},
		{"inconclusive", result.LaneBase, false, gate.Inconclusive, None},
		{"invalid", result.LaneBase, false, gate.Invalid, None},
		{"error", result.LaneBase, false, gate.Error, None},
		{"cancelled", result.LaneBase, false, gate.Cancelled, None},
		{"undecided", result.LaneBase, false, "", None},
		{"a candidate never joins", result.LaneCandidate, false, gate.Pass, None},
		{"a failing candidate doesn't wait", result.LaneCandidate, false, gate.Fail, None},
		{"planted faults", result.LaneBase, true, gate.Pass, None},
		{"planted faults that failed", result.LaneLocal, true, gate.Fail, None},
	} {
		if got := Joins(c.lane, c.faults, false, c.verdict); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
		// An unknown build never joins a branch that claims commits.
		want := c.want
		if c.lane == result.LaneBase {
			want = None
		}
		if got := Joins(c.lane, c.faults, true, c.verdict); got != want {
			t.Errorf("%s, of an unknown build: got %s, want %s", c.name, got, want)
		}
	}
}

func TestUnknown(t *testing.T) {
	for name, c := range map[string]struct {
		id   result.Identity
		want bool
	}{
		"nothing":                   {result.Identity{Engine: "plain"}, true},
		"a server that doesn't say": {result.Identity{Build: "(unknown)"}, true},
		"a version":                 {result.Identity{Build: "0.9.1"}, false},
		"an image":                  {result.Identity{Build: "sha256:ab"}, false},
		"a program":                 {result.Identity{Build: "(unknown)", BinaryHash: "ab"}, false},
		"a revision":                {result.Identity{Revision: "ab"}, false},
		"built from a changed tree": {result.Identity{Build: "v1", BinaryHash: "ab", Revision: "cd", Modified: true}, true},
	} {
		if got := Unknown(c.id); got != c.want {
			t.Errorf("%s: unknown %v, want %v", name, got, c.want)
		}
	}
}

func TestLevel(t *testing.T) {
	var twelve []Record
	for n := 1; n <= 12; n++ {
		twelve = append(twelve, joined(n))
	}
	for _, c := range []struct {
		name    string
		records []Record
		query   Query
		want    string
	}{
		{"nothing", nil, Query{Branch: "main"}, ""},
		{"the last ten", twelve, Query{Branch: "main"}, "03 04 05 06 07 08 09 10 11 12"},
		{"not the run itself", twelve, Query{Branch: "main", Run: "run12"}, "02 03 04 05 06 07 08 09 10 11"},
		{"another branch", twelve, Query{Branch: "next"}, ""},
		{"as of the merge base", twelve, Query{Branch: "main", AsOf: day(4)}, "01 02 03"},
		{"in order of storing, however they come", []Record{joined(3), joined(1), joined(2)}, Query{Branch: "main"}, "01 02 03"},
		{"one a run and machine, the first", []Record{
			joined(1), joined(2, func(r *Record) { r.RunID = "run01" }), joined(3, func(r *Record) { r.RunID, r.Machine = "run01", "m2" }),
		}, Query{Branch: "main"}, "01 03"},
		{"an invalid first round leaves the second", []Record{
			joined(1, func(r *Record) { r.Valid = false }), joined(2, func(r *Record) { r.RunID = "run01" }),
		}, Query{Branch: "main"}, "02"},
		{"failed, faulty, candidate", []Record{
			joined(1, func(r *Record) { r.Decided = gate.Fail }), joined(2, func(r *Record) { r.Faults = true }),
			joined(3, func(r *Record) { r.Lane = result.LaneCandidate }), joined(4),
		}, Query{Branch: "main"}, "04"},
		{"the stored state counts", []Record{
			joined(1, func(r *Record) { r.State = Former }), joined(2, func(r *Record) { r.Decided, r.State = gate.Fail, Joined }),
		}, Query{Branch: "main"}, "02"},
		{"but never for an invalid or faulty round", []Record{
			joined(1, func(r *Record) { r.State, r.Faults = Joined, true }), joined(2, func(r *Record) { r.State, r.Valid = Joined, false }),
		}, Query{Branch: "main"}, ""},
	} {
		before := ids(c.records)
		if got := ids(Level(c.records, c.query)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
		if ids(c.records) != before {
			t.Errorf("%s: the records were reordered", c.name)
		}
	}
}

// A branch fails, stays red against its old level, is accepted, and has a new one.
func TestAcceptance(t *testing.T) {
	failed := func(r *Record) { r.Decided, r.Value = gate.Fail, 70 }
	records := []Record{joined(1), joined(2), joined(3, failed), joined(4, failed), joined(5, func(r *Record) { r.Branch = "next" })}
	q := Query{Branch: "main"}
	if got := ids(Level(records, q)); got != "01 02" {
		t.Errorf("the level while it fails: got %q", got)
	}
	if got := ids(Waiting(records, q)); got != "03 04" {
		t.Errorf("waiting: got %q", got)
	}
	after, ok := Accept(records, "main")
	if !ok || ids(Level(after, q)) != "03 04" || len(Waiting(after, q)) != 0 {
		t.Errorf("after accepting: %v, level %q", ok, ids(Level(after, q)))
	}
	if got := ids(Level(after, Query{Branch: "next"})); got != "05" {
		t.Errorf("the other branch: got %q", got)
	}
	if _, ok := Accept(after, "main"); ok {
		t.Error("accepting twice: something was pending")
	}
	if records[2].State != "" {
		t.Error("accepting changed the records it was given")
	}
}

func TestPinned(t *testing.T) {
	records := []Record{
		joined(1, func(r *Record) { r.State = Former }), joined(2), joined(3, func(r *Record) { r.RunID = "run02" }),
		joined(4, func(r *Record) { r.Faults = true }), joined(5, func(r *Record) { r.Valid = false }), joined(6),
	}
	if got := ids(Pinned(records, []string{"run01", "run02", "run04", "run05"})); got != "01 02" {
		t.Errorf("got %q", got)
	}
	b := Gate("pinned v1", Pinned(records, []string{"run01", "run02"}), 0.03)
	if !slices.Equal(b.Values, []float64{101, 102}) || !slices.Equal(b.Runs, []string{"run01", "run02"}) || b.Name != "pinned v1" || b.Pooled != 0.03 {
		t.Errorf("got %+v", b)
	}
}

func TestPooled(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	level := func(n int, sigma, scale float64) []Record {
		var out []Record
		for i := range n {
			out = append(out, joined(i%28+1, func(r *Record) { r.Value = scale * math.Exp(sigma*rng.NormFloat64()) }))
		}
		return out
	}
	if got := Pooled([][]Record{level(4, .5, 1), nil}); got != 0 {
		t.Errorf("short levels: got %g, want 0", got)
	}
	if got := Pooled([][]Record{level(2000, .03, 40), level(2000, .05, 1e6), level(3, .5, 1)}); math.Abs(got-math.Sqrt((.0009+.0025)/2)) > .003 {
		t.Errorf("got %g, want near 0.041", got)
	}
	zero := level(5, .03, 1)
	zero[3].Value = 0
	if got := Pooled([][]Record{zero}); got != 0 {
		t.Errorf("a level with a zero: got %g, want 0", got)
	}
}

func TestDifferences(t *testing.T) {
	a := result.Key{Cell: "c", Model: "m", DType: "bf16/f32", Target: "engine", Hardware: result.Hardware{CPUModel: "EPYC", Cores: 2}}
	b := a
	if got := Differences(a, b); len(got) != 0 {
		t.Errorf("equal keys differ in %q", got)
	}
	b.Hardware.Cores, b.Hardware.GPUModel, b.Flags = 8, "H200", []string{"--x"}
	want := []string{"flags was none, now [--x]", "cores was 2, now 8", "gpu_model was none, now H200"}
	if got := Differences(a, b); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever the records are: never more than ten, never a candidate, a fault, an invalid
// round or two of one start, and no order of storing in the input matters.
func TestLevelProperties(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	kinds := []gate.Kind{gate.Pass, gate.Warn, gate.Fail, gate.NoBaseline, gate.Invalid, ""}
	lanes := []result.Lane{result.LaneBase, result.LaneCandidate, result.LaneLocal}
	for range 2000 {
		var records []Record
		for i := range rng.IntN(40) {
			records = append(records, Record{
				RunID: fmt.Sprint(rng.IntN(15)), RoundID: fmt.Sprint(i), Machine: fmt.Sprint(rng.IntN(3)), Branch: "main",
				Lane: lanes[rng.IntN(3)], Decided: kinds[rng.IntN(6)], Faults: rng.IntN(8) == 0, Valid: rng.IntN(8) != 0, At: day(1).Add(time.Duration(i) * time.Minute),
			})
		}
		level := Level(records, Query{Branch: "main", Run: "3"})
		if len(level) > Rounds {
			t.Fatalf("%d rounds", len(level))
		}
		starts := map[[2]string]bool{}
		for i, r := range level {
			if r.Lane == result.LaneCandidate || r.Faults || !r.Valid || r.RunID == "3" || starts[[2]string{r.RunID, r.Machine}] {
				t.Fatalf("%+v is in the level", r)
			}
			starts[[2]string{r.RunID, r.Machine}] = true
			if i > 0 && r.At.Before(level[i-1].At) {
				t.Fatal("not in order")
			}
		}
		rng.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		if again := Level(records, Query{Branch: "main", Run: "3"}); ids(again) != ids(level) {
			t.Fatalf("shuffled: %q, before %q", ids(again), ids(level))
		}
	}
}
