package gate

import (
	"bufio"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the figures of docs/gate.md")

// reference reads the figures of an independent simulation of the same rule
// (400,000 candidates a line; another language, another random generator).
func reference(t *testing.T) map[Scenario]Rates {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "reference.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[Scenario]Rates{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		s := Scenario{Slowed: 0.03}
		var r Rates
		n, err := fmt.Sscanf(strings.ReplaceAll(lines.Text(), "|", " "), "%g %g %d %g %g %g %g %g",
			&s.Sigma, &s.Drop, &s.Baseline, &r.Pass, &r.Warn, &r.Fail, &r.Inconclusive, &r.Rounds)
		if err != nil || n != 8 {
			continue // the heading
		}
		for _, v := range []*float64{&r.Pass, &r.Warn, &r.Fail, &r.Inconclusive} {
			*v /= 100
		}
		out[s] = r
	}
	if len(out) != 72 {
		t.Fatalf("%d reference lines, want 72", len(out))
	}
	return out
}

// TestSimulationAgreesWithReference compares every line within five standard errors of both
// simulations. PACELINE_DEEP=1 simulates 25 times as many candidates.
func TestSimulationAgreesWithReference(t *testing.T) {
	n := 4000
	if os.Getenv("PACELINE_DEEP") != "" {
		n = 100_000
	}
	for s, want := range reference(t) {
		got := Simulate(s, 0.20, n, 7)
		for _, c := range []struct {
			name      string
			got, want float64
		}{
			{"pass", got.Pass, want.Pass},
			{"warn", got.Warn, want.Warn},
			{"fail", got.Fail, want.Fail},
			{"inconclusive", got.Inconclusive, want.Inconclusive},
		} {
			se := math.Sqrt(c.want*(1-c.want)*(1/float64(n)+1/400_000.0)) + 1/float64(n)
			if math.Abs(c.got-c.want) > 5*se {
				t.Errorf("%+v: %s %.4f, the reference has %.4f (standard error %.4f)", s, c.name, c.got, c.want, se)
			}
		}
		if math.Abs(got.Rounds-want.Rounds) > 0.25 {
			t.Errorf("%+v: %.2f rounds, the reference has %.2f", s, got.Rounds, want.Rounds)
		}
	}
}

// TestGeneratedFigures holds the table of docs/gate.md to what this package gives.
func TestGeneratedFigures(t *testing.T) {
	var b strings.Builder
	b.WriteString("| noise | true drop | baseline | pass | warn | fail | inconclusive | rounds |\n|---|---|---|---|---|---|---|---|\n")
	for _, n := range []int{1, 3, 10} {
		for _, sigma := range []float64{.01, .03, .05, .08} {
			for _, drop := range []float64{0, .10, .20, .30} {
				r := Simulate(Scenario{Sigma: sigma, Drop: drop, Baseline: n, Slowed: .03}, .20, 20_000, 1)
				fmt.Fprintf(&b, "| %.0f %% | %.0f %% | %d | %.2f %% | %.2f %% | %.2f %% | %.2f %% | %.2f |\n",
					100*sigma, 100*drop, n, 100*r.Pass, 100*r.Warn, 100*r.Fail, 100*r.Inconclusive, r.Rounds)
			}
		}
	}
	doc := filepath.Join("..", "..", "docs", "gate.md")
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	const from, to = "<!-- figures -->\n", "<!-- /figures -->\n"
	before, rest, ok := strings.Cut(string(text), from)
	got, after, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for figures", doc)
	}
	if *update {
		if err := os.WriteFile(doc, []byte(before+from+b.String()+to+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got != b.String() {
		t.Errorf("the figures of %s are not those of the gate: go test ./judge/gate -update", doc)
	}
}
