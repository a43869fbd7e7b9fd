package archtest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// rule forbids that packages within from reach packages within to.
type rule struct {
	from   []string
	to     []string
	direct bool     // an import of their own, not the whole closure
	except []string // importers that are excused
	why    string
}

// tokenizer and purego are outside code that only the engine may reach.
const (
	tokenizer = "github.com/daulet/tokenizers"
	purego    = "github.com/ebitengine/purego"
)

func arrows() []rule {
	heavy := []string{"engine", "bench/harness", "bench/target", "bench/probe/nvml", "bench/probe/gpu", purego, tokenizer}
	return []rule{
		{
			from: []string{"coordinator", "dashboard", "judge", "client", "agent"}, to: heavy,
			why: "judging and showing must build without C and run without an engine; an agent must survive what it measures",
		},
		{from: []string{"agent"}, to: []string{"coordinator"}, why: "they meet on the bus only, so that they can be different versions"},
		{from: []string{"coordinator"}, to: []string{"agent"}, why: "they meet on the bus only, so that they can be different versions"},
		{
			from: []string{""}, to: []string{"dashboard"}, direct: true, except: []string{"cmd", "dashboard"},
			why: "pages show what others decide; nothing may depend on them",
		},
		{
			// The conformance suite below engine/backend draws tokens by engine/sample; backend itself
			// can't, sample imports it.
			from: []string{"bench/metric", "engine/backend"}, to: []string{""}, except: []string{"engine/sample"},
			why: "the bottom of everything imports nothing of ours",
		},
		{from: []string{"bench/stat"}, to: []string{""}, except: []string{"bench/metric"}, why: "statistics know metrics only"},
		{
			from: []string{"bench/result"}, to: []string{""}, except: []string{"bench/metric", "bench/stat"},
			why: "the vocabulary of results knows metrics and statistics only",
		},
		{from: []string{"suites/spec"}, to: []string{""}, except: []string{"bench/metric"}, why: "a suite is data: it knows the names of metrics and nothing of how they are measured"},
		{from: []string{"engine"}, to: []string{"bench", "judge", "suites", "coordinator", "agent"}, why: "an engine that knows that it is measured can't be trusted"},
		{
			from: []string{"engine/"}, to: []string{"engine"}, direct: true, except: []string{"engine/serve"},
			why: "the facade is the top of the engine: nothing below imports it",
		},
		{
			from: []string{"bench"}, to: []string{"engine"}, direct: true, except: []string{"bench/target/engine", "bench/probe/gpu"},
			why: "the instrument measures any engine the same way; one target knows ours",
		},
		{
			from: []string{"judge"}, to: []string{"coordinator", "client", "internal/bus", "internal/wire", "internal/proc", "modernc.org/sqlite"},
			why: "judging is pure: no clock, no SQL, no network",
		},
		{
			from: []string{""}, to: []string{"engine/cuda/simt"}, direct: true, except: []string{"engine/cuda/simt"},
			why: "the emulator of GPUs is for tests: no product may have it",
		},
		{
			from: []string{"client"}, to: []string{"coordinator", "agent", "internal/bus", "modernc.org/sqlite"},
			why: "a user's program that imports the client must not get a server with it",
		},
	}
}

// check reports each violation of the rule in the graph. An empty from or to is
// every package of ours; "=p" is p without what lies below it, "p/" what lies below
// without p.
func (r rule) check(g graph) []string {
	ours := g.ours()
	var out []string
	for _, path := range ours {
		if !r.isFrom(path) || withinAny(path, r.fromExcept()) {
			continue
		}
		reached := g.closure(path)
		if r.direct {
			reached = map[string]bool{}
			for _, i := range g[path].imports {
				reached[i] = true
			}
		}
		for target := range reached {
			if r.isTo(g, path, target) {
				out = append(out, fmt.Sprintf("%s reaches %s: %s", path, target, r.why))
			}
		}
	}
	slices.Sort(out)
	return out
}

func (r rule) isFrom(path string) bool {
	return slices.ContainsFunc(r.from, func(f string) bool {
		if below, ok := strings.CutSuffix(f, "/"); ok {
			return within(path, below) && path != below
		}
		if exact, ok := strings.CutPrefix(f, "="); ok {
			return path == exact
		}
		return f == "" || within(path, f)
	})
}

// fromExcept are the importers excused by a direct rule; for a closure rule except
// names targets.
func (r rule) fromExcept() []string {
	if r.direct {
		return r.except
	}
	return nil
}

func (r rule) isTo(g graph, path, target string) bool {
	node := g[target]
	if len(r.to) == 1 && r.to[0] == "" {
		return node != nil && node.ours && !withinAny(target, r.except) && !r.isFrom(target) && target != path
	}
	if r.direct && slices.Equal(r.to, []string{"engine"}) && r.from[0] == "engine/" {
		return target == "engine"
	}
	return withinAny(target, r.to)
}

func TestArrows(t *testing.T) {
	for flavour, g := range load(t) {
		for _, r := range arrows() {
			for _, v := range r.check(g) {
				t.Errorf("%s: %s", flavour, v)
			}
		}
	}
}

// TestArrowsReportPlantedViolations gives each rule a graph with one forbidden import.
func TestArrowsReportPlantedViolations(t *testing.T) {
	plant := func(edges ...string) graph {
		g := graph{}
		add := func(path string) *pkg {
			if g[path] == nil {
				g[path] = &pkg{ours: !strings.Contains(strings.Split(path, "/")[0], ".")}
			}
			return g[path]
		}
		for _, e := range edges {
			from, to, _ := strings.Cut(e, " > ")
			add(to)
			add(from).imports = append(add(from).imports, to)
		}
		return g
	}
	for i, edges := range [][]string{
		{"coordinator/core > internal/x", "internal/x > bench/harness"},
		{"agent > coordinator/place"},
		{"coordinator/core > agent"},
		{"judge/format > dashboard/page"},
		{"engine/backend > engine/model"},
		{"bench/stat > bench/result"},
		{"bench/result > suites/spec"},
		{"suites/spec > bench/result"},
		{"engine/sched > bench/metric"},
		{"engine/cpu > engine"},
		{"bench/harness > engine"},
		{"judge/gate > internal/bus"},
		{"engine/cuda > engine/cuda/simt"},
		{"client > coordinator/ledger"},
	} {
		if got := arrows()[i].check(plant(edges...)); len(got) != 1 {
			t.Errorf("rule %d (%s): planted %v, reported %v", i, arrows()[i].why, edges, got)
		}
	}
	if n := len(arrows()); n != 14 {
		t.Errorf("%d rules, 14 planted violations: each rule needs one", n)
	}
	for _, clean := range []graph{
		plant("cmd/paceline > dashboard/page"), plant("bench/target/engine > engine"), plant("bench/result > bench/stat", "bench/stat > bench/metric"),
	} {
		for _, r := range arrows() {
			if got := r.check(clean); len(got) != 0 {
				t.Errorf("reported without cause: %v", got)
			}
		}
	}
}
