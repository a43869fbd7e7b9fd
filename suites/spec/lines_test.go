package spec

import (
	"os"
	"strings"
	"testing"
)

// TestParseLines holds the lines against the text: each begins what it should.
func TestParseLines(t *testing.T) {
	src, err := os.ReadFile("../ci.yml")
	if err != nil {
		t.Fatal(err)
	}
	s, lines, err := ParseLines("ci.yml", src)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Split(string(src), "\n")
	at := func(line int) string {
		if line < 1 || line > len(text) {
			t.Fatalf("line %d of %d", line, len(text))
		}
		return text[line-1]
	}
	gates := 0
	for i, w := range s.Workloads {
		if got := at(lines[i].Workload); !strings.Contains(got, "- name: "+w.Name) {
			t.Errorf("workload %s begins with %q", w.Name, got)
		}
		for j, g := range w.Gates {
			gates++
			if got := at(lines[i].Gates[j]); !strings.Contains(got, "metric: "+string(g.Metric)) {
				t.Errorf("workload %s, gate on %s begins with %q", w.Name, g.Metric, got)
			}
		}
	}
	if gates == 0 {
		t.Error("the suite has no gates")
	}
	if _, _, err := ParseLines("x.yml", []byte("kind: Suite\n")); err == nil {
		t.Error("a suite without anything is read")
	}
}
